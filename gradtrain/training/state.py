"""Everything a run must remember to go on bit by bit: tensors under dotted names, and plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Task
from gradtrain.training.precision import Precision
from gradtrain.training.samples import Pipeline
from gradtrain.training.schedule import LearningRate
from gradtrain.training.update import Update

WEIGHTS = "network."
"""Names of the weights and buffers begin with this."""
AVERAGES = "average."
"""Names of the moving averages of the weights begin with this, and go on like the weights' own."""
FINITE = (WEIGHTS, AVERAGES, "update.", "task.")
"""Names of what must be finite before it is kept begin with these."""


def capture(
    networks: Mapping[str, nn.Module],
    updates: Sequence[Update],
    rate: LearningRate,
    precision: Precision,
    task: Task,
    pipeline: Pipeline,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, numbers) of a run between two steps."""
    tensors = {f"{WEIGHTS}{name}": value.detach() for name, value in named(networks)}
    numbers: dict[str, Any] = {"rate": rate.memory, "precision": precision.state(), "updates": {}}
    tensors |= {f"{AVERAGES}{name}": average for name, average in averages(networks, updates).items()}
    for update in updates:
        kept, plain = update.state()
        tensors |= {f"update.{update.name}.{name}": value for name, value in kept.items()}
        numbers["updates"][update.name] = plain
    tensors |= {f"task.{name}": value for name, value in task.state().items()}
    tensors |= {
        f"transform.{i}.{name}": value for i, fitted in enumerate(pipeline.fitted) for name, value in fitted.items()
    }
    tensors["rng.cpu"] = torch.get_rng_state()
    for index in range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0):  # type: ignore[no-untyped-call]
        tensors[f"rng.cuda.{index}"] = torch.cuda.get_rng_state(index)
    return tensors, numbers


def restore(
    tensors: Mapping[str, Tensor],
    numbers: Mapping[str, Any],
    networks: Mapping[str, nn.Module],
    updates: Sequence[Update],
    rate: LearningRate,
    precision: Precision,
    task: Task,
) -> None:
    """Take back what `capture` gave; names and shapes must fit (`mismatches` says whether they do)."""
    restore_weights(tensors, networks)
    for name, average in averages(networks, updates).items():
        average.copy_(tensors[f"{AVERAGES}{name}"])
    for update in updates:
        update.restore(_below(tensors, f"update.{update.name}."), numbers["updates"][update.name])
    rate.restore(numbers["rate"])
    precision.restore(numbers["precision"])
    task.restore(_below(tensors, "task."))
    torch.set_rng_state(tensors["rng.cpu"])
    for name, value in _below(tensors, "rng.cuda.").items():
        if torch.cuda.is_available() and int(name) < torch.cuda.device_count():
            torch.cuda.set_rng_state(value, int(name))


def restore_weights(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], *, average: bool = False) -> None:
    """Only the networks' parameters and buffers, in place; with `average` the parameters' moving average instead."""
    with torch.no_grad():
        for role, network in networks.items():
            for name, value in _named(network).items():
                key = f"{AVERAGES}{role}.{name}"
                value.copy_(tensors[key if average and key in tensors else f"{WEIGHTS}{role}.{name}"])


def averages(networks: Mapping[str, nn.Module], updates: Sequence[Update]) -> dict[str, Tensor]:
    """The moving average of every parameter that has one, by the parameter's name."""
    names = {id(p): f"{role}.{name}" for role, network in networks.items() for name, p in network.named_parameters()}
    return {names[id(p)]: a for update in updates for p, a in zip(update.parameters, update.average, strict=False)}


def mismatches(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module]) -> list[str]:
    """One line for every parameter that a checkpoint has in another shape or type, not finite, not, or too much."""
    wanted = {f"{WEIGHTS}{name}": value for name, value in named(networks)}
    follow = {f"{WEIGHTS}{role}.{name}" for role, network in networks.items() for name in _derived(network)}
    lines = []
    for name in sorted({n for n in tensors if n.startswith(WEIGHTS)} - follow | wanted.keys()):
        saved = _shaped(tensors[name]) if name in tensors else "not saved"
        built = _shaped(wanted[name]) if name in wanted else "not in the model"
        if name in tensors and not bool(tensors[name].isfinite().all()):
            lines.append(f"{name.removeprefix(WEIGHTS)} holds numbers that are not finite, which gradtrain never saves")
        elif saved != built:
            lines.append(f"{name.removeprefix(WEIGHTS)}: {saved} in the checkpoint, {built} here")
    return lines


def named(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer that is kept, under its role and name."""
    for role, network in networks.items():
        yield from ((f"{role}.{name}", value) for name, value in _named(network).items())


def _shaped(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _named(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers once each, also when they are tied; without buffers that follow from something else."""
    follow = _derived(network)
    buffers = {name: buffer for name, buffer in network.named_buffers() if name not in follow}
    return {**dict(network.named_parameters()), **buffers}


def _derived(network: nn.Module) -> set[str]:
    """Names of the buffers that torch keeps out of a state dict as well: the graph of the data, tables of angles."""
    paths = {path: module._non_persistent_buffers_set for path, module in network.named_modules()}
    return {f"{path}.{name}" if path else name for path, names in paths.items() for name in names}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
