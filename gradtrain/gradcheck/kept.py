"""What a call may change besides its result, put back before every evaluation and at the end of a proof."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class Kept:
    """The generators of random numbers, buffers and other tensors that a function reads or writes.

    `rewind` puts back what the first evaluations were seen to move, so that every evaluation begins alike;
    `restore` puts back everything, also what moved only once.
    """

    def __init__(
        self,
        tensors: Iterable[Tensor] = (),
        generators: Iterable[torch.Generator] = (),
        modules: Iterable[nn.Module] = (),
    ) -> None:
        self.owners = [(inner, _State.of(inner)) for module in modules for inner in module.modules()]
        self.tensors = [(tensor, tensor.detach().clone()) for tensor in tensors]
        self.moving: list[tuple[Tensor, Tensor]] | None = None
        self.counting: list[tuple[nn.Module, _State]] = []
        self.sources: list[tuple[Callable[[], Any], Callable[[Any], Any], Any]] = []
        self._source(torch.get_rng_state, torch.set_rng_state)
        self._source(random.getstate, random.setstate)
        if "numpy" in sys.modules:
            numpy: Any = sys.modules["numpy"]
            self._source(numpy.random.get_state, numpy.random.set_state)
        for generator in generators:
            self._source(generator.get_state, generator.set_state)
        self.drawn: list[tuple[Callable[[Any], Any], Any]] = []
        """Generators that the function draws from."""

    def _source(self, get: Callable[[], Any], put: Callable[[Any], Any]) -> None:
        self.sources.append((get, put, get()))

    @classmethod
    def of(cls, modules: Iterable[nn.Module], tensors: Iterable[Tensor], generators: Iterable[torch.Generator]) -> Kept:
        """Buffers and generators of all modules, these tensors and these generators."""
        modules = list(modules)
        buffers = [buffer for module in modules for buffer in module.buffers()]
        held = [value for module in modules for inner in module.modules() for value in vars(inner).values()]
        own = [value for value in held if isinstance(value, torch.Generator)]
        return cls([*buffers, *tensors], [*generators, *own], modules)

    @property
    def random(self) -> bool:
        """Whether the function draws random numbers."""
        return bool(self.drawn)

    def rewind(self) -> None:
        """Back to where the proof began; cheap once `watch` has seen an evaluation."""
        for put, state in self.drawn if self.moving is not None else [(put, state) for _, put, state in self.sources]:
            put(state)
        for inner, state in self.owners if self.moving is None else self.counting:
            state.put_back(inner)
        for tensor, value in self.tensors if self.moving is None else self.moving:
            _write(tensor, value)

    def watch(self) -> None:
        """Called after an evaluation: what it moved is put back before every one that follows."""
        seen = {id(put) for put, _ in self.drawn}
        self.drawn += [
            (put, state) for get, put, state in self.sources if id(put) not in seen and not _same(get(), state)
        ]
        already = {id(inner) for inner, _ in self.counting}
        self.counting += [(i, before) for i, before in self.owners if id(i) not in already and _State.of(i) != before]
        known = {id(tensor) for tensor, _ in self.moving or ()}
        self.moving = [*(self.moving or ())] + [
            (tensor, value)
            for tensor, value in self.tensors
            if id(tensor) not in known and not _equal(tensor.detach(), value)
        ]

    def moved(self) -> list[tuple[Tensor, Tensor]]:
        """Tensors that are not as they began, with their first values."""
        return [(tensor, value) for tensor, value in self.tensors if not _equal(tensor.detach(), value)]

    def restore(self) -> None:
        for inner, state in self.owners:
            state.put_back(inner)
        for _, put, state in self.sources:
            put(state)
        for tensor, value in self.tensors:
            if not _equal(tensor.detach(), value):
                _write(tensor, value)


class _Is:
    """Equal to itself alone, as it was: the same tensor; the same list or mapping of the same things."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.inside = copy.copy(value) if isinstance(value, (list, dict, set)) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Is) and self.value is other.value and _names(self.inside) == _names(other.inside)

    __hash__ = None  # type: ignore[assignment]

    def put_back(self) -> Any:
        if self.inside is not None and _names(self.value) != _names(self.inside):
            self.value.clear()
            self.value.extend(self.inside) if isinstance(self.value, list) else self.value.update(self.inside)
        return self.value


@dataclass(frozen=True)
class _State:
    """Counters, flags, tensors and lists that a module has for attributes, and which tensors its buffers are."""

    attributes: dict[str, Any]
    names: frozenset[str]
    buffers: dict[str, _Is]

    @classmethod
    def of(cls, module: nn.Module) -> _State:
        own = {name: value for name, value in vars(module).items() if name not in _INTERNAL}
        attributes = {
            name: value if isinstance(value, (int, float, str, type(None))) else _Is(value)
            for name, value in own.items()
            if isinstance(value, (int, float, str, type(None), Tensor, list, dict, set))
        }
        buffers = {name: _Is(value) for name, value in module._buffers.items()}
        return cls(attributes, frozenset(vars(module)), buffers)

    def put_back(self, module: nn.Module) -> None:
        held = vars(module)
        for name in held.keys() - self.names:
            del held[name]
        for name, value in self.attributes.items():
            held[name] = value.put_back() if isinstance(value, _Is) else value
        for name, buffer in self.buffers.items():
            if module._buffers[name] is not buffer.value:
                module._buffers[name] = buffer.value


_INTERNAL = frozenset(vars(nn.Module()))
"""What every module has: its mode, its parameters, its hooks."""


def _names(values: Any) -> Any:
    """Which things a container holds, and where."""
    if isinstance(values, dict):
        return {key: id(value) for key, value in values.items()}
    return [id(value) for value in values] if isinstance(values, list) else values


def _write(tensor: Tensor, value: Tensor) -> None:
    """Put numbers back; those of an expanded tensor once, for all the elements that stand in one place."""
    first = tuple(slice(0, 1) if step == 0 else slice(None) for step in _strides(tensor))
    with torch.no_grad():
        tensor.detach()[first].copy_(value[first]) if first else tensor.detach().copy_(value)


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Empty where the numbers do not lie in memory by strides, or all have places of their own."""
    strided = tensor.layout == torch.strided and tensor.numel() > 0
    return tensor.stride() if strided and 0 in tensor.stride() else ()


def _equal(a: Tensor, b: Tensor) -> bool:
    """Bitwise, a NaN being equal to itself."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    return bool(getattr(a == b, "all", lambda: a == b)())
