"""From a validated `Run` to the parts that train: networks, data, objective, phases."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.layers import Layers
from gradtrain.components.layers._chain import build
from gradtrain.components.metrics import Metric
from gradtrain.components.objectives import Task
from gradtrain.components.tokenizers import vocabulary
from gradtrain.config.checks import check
from gradtrain.config.load import read
from gradtrain.config.sections import Init, Network, Run, Sampling
from gradtrain.feed import facts_after, feed
from gradtrain.memory import kept
from gradtrain.modules.reweighted import Reweighted
from gradtrain.phases import Locate, matching, phases
from gradtrain.problems import Place, Problem, quote
from gradtrain.stage import Shape
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder
from gradtrain.training import state
from gradtrain.training.batches import Batches
from gradtrain.training.parallel import Parallel
from gradtrain.training.phase import Phase
from gradtrain.training.precision import Precision, precision
from gradtrain.training.samples import Pipeline
from gradtrain.training.selectors import Named, parameters


@dataclass
class Parts:
    """Everything a run trains with."""

    networks: Mapping[str, nn.Module]
    task: Task
    phases: Sequence[Phase]
    splits: Mapping[str, Batches]
    """Split name → its batches; `train` shuffles and augments, the others do not."""
    pipeline: Pipeline
    precision: Precision
    parallel: Parallel
    device: torch.device
    source: Facts
    """Of the data as it is stored."""
    facts: Facts
    """Of the data as the network sees it."""
    features: tuple[str, ...]
    kind: str
    labels: tuple[str, ...]
    files: tuple[Path, ...]
    per_epoch: int
    metrics: Sequence[Metric]
    parameters: Sequence[Named]
    warnings: Sequence[Problem]

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.phases[-1].end

    def arguments(self, phase: Phase) -> dict[str, Any]:
        """What `gradtrain.training.loop.train` takes, by name, without the steps to begin and end at."""
        return {
            "networks": self.networks, "task": self.task, "penalties": phase.penalties, "updates": phase.updates,
            "rate": phase.rate, "batches": self.splits["train"], "precision": self.precision,
            "parallel": self.parallel,
        }  # fmt: skip


def stages(network: Network) -> Layers:
    """The layers of a network, whichever way it was written."""
    return network.part.expanded() if network.part is not None else network.layers or ()


def assemble(run: Run, examples: Examples, locate: Locate, device: torch.device, base: Path = Path()) -> Parts:
    """Build every part on `device`, seeded. Raises `Problem`s: data, selectors that match nothing.

    `base` is where relative paths of trained networks begin.
    """
    numbers = dtype_of(run)
    arithmetic = precision(run.precision, device)
    fed = feed(run, examples, numbers, device)
    for metric in run.evaluation.metrics:
        if metric.name() != "loss":
            metric.start(fed.kind, fed.facts)  # a missing library shows now, not at the first evaluation

    torch.manual_seed(run.seed)
    networks = {
        role: network_of(role, network, fed.facts, numbers, device, base) for role, network in run.networks.items()
    }
    named = parameters(networks)
    _initialise(run, networks, named, locate)
    if run.objective.twice or any(item.part.of == "input_gradient" for item in run.regularization):
        for network in networks.values():
            unfuse(network)
    task = run.objective.start(run.loss, fed.kind, fed.facts)
    task.bind(networks, examples)
    for section in run.sampling:
        readable(section, fed.facts, locate(section))
    per_epoch = fed.splits["train"].per_epoch
    return Parts(
        networks=networks,
        task=task,
        phases=phases(run, networks, named, per_epoch, locate),
        splits=fed.splits,
        pipeline=fed.pipeline,
        precision=arithmetic,
        parallel=Parallel(),
        device=device,
        source=examples.facts,
        facts=fed.facts,
        features=examples.features,
        kind=fed.kind,
        labels=examples.labels,
        files=examples.files,
        per_epoch=per_epoch,
        metrics=run.evaluation.metrics,
        parameters=named,
        warnings=fed.warnings,
    )


def dtype_of(run: Run) -> torch.dtype:
    """The dtype of the weights: float64 where the config asks for it, else float32, also under mixed precision."""
    return torch.float64 if run.precision == "float64" else torch.float32


def device_of(name: str) -> torch.device:
    """The device that a config's `device:` means here. Raises `Problem` (resources) when it is absent."""
    if name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    device = torch.device(name)
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present[device.type]:
        raise Problem(
            "device-missing",
            f"this machine has no device `{name}`",
            help="write `device: auto` or `device: cpu`",
        )
    return device


def input_shape(network: Network, facts: Facts) -> Shape:
    """What a network reads: what the config says, or the data's shape."""
    if network.input is None:
        return facts.shape or ()
    return (network.input,) if isinstance(network.input, int) else network.input


def network_of(
    role: str, network: Network, facts: Facts, dtype: torch.dtype, device: torch.device, base: Path = Path()
) -> nn.Module:
    """One network on its device, in training mode, its parameters as PyTorch starts them, or as a run left them."""
    if network.trained is not None:
        module = taken(base / network.trained, role, base)
    else:
        module = build(stages(network), input_shape(network, facts))
    module = module.to(device=device, dtype=dtype).train()
    return module.requires_grad_(False).eval() if network.frozen else module


def readable(section: Sampling, facts: Facts, place: Place | None) -> None:
    """Raises `Problem` for a prompt with symbols that the text does not have; said now, not in the middle of a run."""
    if facts.vocabulary is None or facts.source is not None:  # texts that are read first need no prompt
        return
    try:
        vocabulary(facts.vocabulary).encode(section.prompt)
    except Problem as problem:
        raise Problem("prompt", f"the prompt: {problem.what}", place, problem.why, problem.help) from None


def unfuse(network: nn.Module) -> None:
    """Have attention computed by separate products: the fused kernel has no second derivative."""
    for module in network.modules():
        if hasattr(module, "fused"):
            module.fused = False  # type: ignore[assignment]


def taken(path: Path, role: str, base: Path) -> nn.Module:
    """The network of a run under this role, or its only one, with its best weights. Raises `Problem`s."""
    folder = RunFolder.open(path)
    found = best(folder)
    facts = kept(found).facts
    run = read(folder.path / "config.yaml").run(facts, check)
    name = role if role in run.networks else next(iter(run.networks))
    if role not in run.networks and len(run.networks) > 1:
        raise Problem(
            "checkpoint-model",
            f"the run has no network {quote(role)}",
            Place(str(path)),
            f"it has {', '.join(quote(known) for known in run.networks)}",
            "name the network like one of them",
        )
    seen = facts_after(facts, run.data)
    refuse_other(found, run, seen)
    module = network_of(name, run.networks[name], seen, dtype_of(run), torch.device("cpu"), base)
    own = {key: value for key, value in found.tensors.items() if key.split(".")[1] == name}
    state.restore_weights(own, {name: module}, average=run.averaged)
    return module


Warn = Callable[[Problem], None]


def unheard(problem: Problem) -> None:
    """For callers that show no warnings."""


def best(folder: RunFolder, warn: Warn = unheard) -> checkpoint.Loaded:
    """The checkpoint that a run calls best; its newest where it calls none so. `warn` is told of those skipped."""
    newest = checkpoint.newest(folder.checkpoints, warn)
    step = kept(newest).memory.best_step
    return newest if step in (None, newest.step) else checkpoint.load(folder.checkpoints, step)


def refuse_other(found: checkpoint.Loaded, run: Run, seen: Facts) -> None:
    """Raises `Problem` where a checkpoint has not the weights of the run's networks, before these take any memory."""
    outlines = {}
    if any(network.trained is not None for network in run.networks.values()):
        return
    with torch.device("meta"), contextlib.suppress(NotImplementedError):
        for role, network in run.networks.items():
            outlines[role] = build(stages(network), input_shape(network, seen)).to(dtype_of(run))
        if lines := state.mismatches(found.tensors, outlines):
            raise Problem(
                "checkpoint-model",
                "the checkpoint was made by another model",
                Place(str(found.path)),
                "; ".join(lines[:10]),
                "put back the config that the run was made with",
            )


def _initialise(run: Run, networks: Mapping[str, nn.Module], named: list[Named], locate: Locate) -> None:
    several = len(networks) > 1
    items: list[tuple[Init, list[Named]]] = []
    for role, network in run.networks.items():
        own = [n for n in named if not several or n.name.startswith(f"{role}.")]
        items += [(init, own) for init in network.init]
    items += [(init, named) for init in run.init]
    filled: set[int] = set()
    with torch.no_grad():
        for init, candidates in items:
            for chosen in matching(init.params, candidates, locate(init), f"`init: {init.part.name()}`"):
                init.part.fill(chosen.tensor)
                filled.add(id(chosen.tensor))
    for module in (module for network in networks.values() for module in network.modules()):
        if isinstance(module, Reweighted):
            new = {name for name, p in module.named_parameters(recurse=False) if id(p) in filled}
            if new:
                module.filled(new)
