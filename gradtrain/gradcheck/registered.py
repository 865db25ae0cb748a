"""Layers in a plain list: they compute and get gradients, and the module's `parameters()` knows nothing of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from gradtrain.gradcheck.trial import Trial

LAYERS = (nn.Module, nn.Parameter)

SHOWN = 3
"""No more names than these in a note."""


def prove_registered(trial: Trial) -> None:
    """Trainable tensors that the result leads back to and that stand in a plain list, tuple or mapping.

    A container of one is how a module is held on purpose without being owned.
    """
    owned = trial.callee.owned
    if owned is None:
        return
    known = {id(parameter) for parameter in owned.parameters()}
    hidden = [held for prefix, inner in owned.named_modules() for held in _held(prefix, inner, known)]
    if not hidden:
        return
    reached = set(_reached(trial.probe.outputs().values()))
    for place, tensors in hidden:
        lost = [name for name, tensor in tensors.items() if id(tensor) in reached]
        if lost:
            more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
            note = (
                f"{', '.join(lost[:SHOWN])}{more} get gradients and are not among the module's parameters, of which an "
                f"optimizer is built; make {place} an nn.ModuleList, nn.ModuleDict or nn.ParameterList"
            )
            trial.ledger.write("registered", "fail", note=note, **trial.where)


def _held(prefix: str, module: nn.Module, known: set[int]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(attribute, its trainable tensors by name) of every container of several layers."""
    for name, value in vars(module).items():
        inside: Iterable[tuple[Any, Any]] = enumerate(value) if isinstance(value, (list, tuple)) else ()
        inside = value.items() if isinstance(value, Mapping) else inside
        place = f"{prefix}.{name}" if prefix else name
        members = [_trainable(f"{place}[{key!r}]", item, known) for key, item in inside if isinstance(item, LAYERS)]
        if sum(map(bool, members)) > 1:
            yield place, {name: tensor for member in members for name, tensor in member.items()}


def _trainable(place: str, item: nn.Module | nn.Parameter, known: set[int]) -> dict[str, Tensor]:
    if isinstance(item, nn.Parameter):
        named: dict[str, Tensor] = {place: item}
    else:
        named = {f"{place}.{name}": parameter for name, parameter in item.named_parameters()}
    return {name: tensor for name, tensor in named.items() if tensor.requires_grad and id(tensor) not in known}


def _reached(outputs: Iterable[Tensor]) -> Iterator[int]:
    """The leaves that a graph leads back to."""
    left = [out.grad_fn for out in outputs if out.grad_fn is not None]
    seen = set(left)
    while left:
        node = left.pop()
        if (leaf := getattr(node, "variable", None)) is not None:
            yield id(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                left.append(following)
