"""A function of named tensors at a point, evaluated as often as a proof asks, without leaving a trace."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gradtrain.gradcheck.kept import Kept

Values = Mapping[str, Tensor]


class Unfit(Exception):
    """What a function gives back cannot be differentiated; the text says why."""


@dataclass
class Probe:
    """`call` over named `leaves`; everything else that it reads is constant and is put back by `kept`."""

    leaves: dict[str, Tensor]
    """The point: leaves of autograd's graph, all of one floating dtype."""
    call: Callable[[Values], Any]
    kept: Kept = field(default_factory=Kept)
    hold: Callable[[Values], AbstractContextManager[None]] = lambda point: nullcontext()
    """Keeps a point in its place while it is differentiated: backward may compute parts of the function anew."""
    around: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """Entered for every evaluation."""
    grad_mode: bool = False
    """Whether values without derivatives need autograd too: the function differentiates inside."""
    evaluations: int = 0
    first: int = 0
    """Which of the first steps of differences sufficed the last time."""

    def outputs(self, values: Values | None = None) -> dict[str, Tensor]:
        """Floating results by name, with autograd's graph. Raises what the function raises, and `Unfit`."""
        self.kept.rewind()
        self.evaluations += 1
        with torch.enable_grad(), self.around:
            answer = self.call(self.leaves if values is None else values)
        if self.evaluations <= 2:
            self.kept.watch()
        return floating(answer)

    def at(self, values: Values) -> dict[str, Tensor]:
        """Floating results at another point, without a graph."""
        if self.grad_mode:
            fresh = {name: value.detach().requires_grad_() for name, value in values.items()}
            return {name: out.detach() for name, out in self.outputs(fresh).items()}
        self.kept.rewind()
        self.evaluations += 1
        with torch.no_grad(), self.around:
            return floating(self.call(values))

    def moved(self, direction: Values, t: float) -> dict[str, Tensor]:
        """The point `t` further along `direction`; leaves that it does not name stay."""
        return {
            name: torch.add(leaf.detach(), direction[name], alpha=t) if name in direction else leaf.detach()
            for name, leaf in self.leaves.items()
        }

    @property
    def epsilon(self) -> float:
        return torch.finfo(next(iter(self.leaves.values())).dtype).eps

    def slack(self, tolerance: float) -> float:
        """A relative tolerance for float64, in the precision that the proof has."""
        return max(tolerance, 100 * self.epsilon)


def magnitude(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all numbers together, also where their squares overflow or vanish."""
    each = [tensor.double() for tensor in tensors]
    square = sum(float(x.square().sum()) for x in each)
    if 1e-250 < square < math.inf:
        return math.sqrt(square)
    largest = max((float(x.abs().max()) for x in each if x.numel()), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(sum(float((x / largest).square().sum()) for x in each))


def floating(answer: Any) -> dict[str, Tensor]:
    """The real floating tensors in an answer of any nesting, named by their place. Raises `Unfit`."""
    found = {name: _real(tensor) for name, tensor in flattened(answer, "output")}
    if not found:
        raise Unfit(f"it returns {_described(answer)}: nothing that has a derivative")
    return found


def flattened(answer: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """(place, tensor) of every floating or complex number in nested tuples, lists, mappings and records."""
    if isinstance(answer, Tensor):
        if answer.is_floating_point() or answer.is_complex():
            yield name, answer
    elif isinstance(answer, float):
        yield name, torch.tensor(answer, dtype=torch.float64)
    elif isinstance(answer, Mapping):
        for key, value in answer.items():
            yield from flattened(value, f"{name}.{key}")
    elif isinstance(answer, (tuple, list)):
        for number, value in enumerate(answer):
            yield from flattened(value, f"{name} {number}" if name == "output" else f"{name}.{number}")
    elif dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        for entry in dataclasses.fields(answer):
            yield from flattened(getattr(answer, entry.name), f"{name}.{entry.name}")
    elif hasattr(answer, "sample") and hasattr(answer, "log_prob"):
        raise Unfit("it returns a distribution: return its `rsample()`, `log_prob(...)` or parameters")
    elif isinstance(answer, Iterator):
        raise Unfit("it is a generator: it yields and returns nothing; return the tensors, as a tuple")


def _real(tensor: Tensor) -> Tensor:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _described(answer: Any) -> str:
    if isinstance(answer, Tensor):
        return f"a tensor of {str(answer.dtype).removeprefix('torch.')}"
    return "None" if answer is None else f"{type(answer).__name__} {answer!r}"[:60]
