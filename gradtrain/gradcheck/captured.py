"""What a function reads besides its arguments: modules, trainable tensors and generators it closes over."""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

DEPTH = 4
"""How many functions inside functions, and objects inside objects, are opened."""

MANY = 100
"""Longer lists, mappings and objects hold data."""


@dataclass
class Captured:
    """Found by name, in the order met."""

    modules: dict[str, nn.Module] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    generators: list[torch.Generator] = field(default_factory=list)
    loose: set[int] = field(default_factory=set)
    """Tensors that are only within reach: attributes of objects and defaults. The function need not use them."""

    def take(self, name: str, value: Any, loose: bool = False) -> None:
        """Under its name, or a numbered one where another thing has it."""
        if isinstance(value, torch.Generator):
            self.generators += [] if any(value is known for known in self.generators) else [value]
            return
        known: dict[str, Any] = self.modules if isinstance(value, nn.Module) else self.tensors
        if any(value is other for other in known.values()):
            return
        number = 1
        while (full := name if number == 1 else f"{name} {number}") in self.modules or full in self.tensors:
            number += 1
        known[full] = value
        if loose:
            self.loose.add(id(value))

    @property
    def trainable(self) -> dict[str, Tensor]:
        """Leaves that learn, each once: of tensors by name, of modules by `module.parameter`."""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            if tensor.requires_grad and tensor.is_leaf:
                found.setdefault(id(tensor), (name, tensor))
        for prefix, module in self.modules.items():
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    found.setdefault(id(parameter), (f"{prefix}.{name}" if prefix else name, parameter))
        return dict(found.values())


def captured(function: object) -> Captured:
    """Closures, defaults, partial arguments, bound objects and the globals that the code names."""
    search = _Search(Captured(), set())
    search.reach(function, DEPTH)
    return search.found


def captured_with(function: object, arguments: Mapping[str, Any]) -> Captured:
    """The same, and what is inside the arguments; of a module also what the code of its own layers reads besides it."""
    search = _Search(Captured(), set())
    search.reach(function, DEPTH)
    if isinstance(function, nn.Module):
        for kind in {type(inner) for inner in function.modules()}:
            if not kind.__module__.startswith("torch"):
                search.reach(kind.forward, DEPTH)
    search.open([(name, value) for name, value in arguments.items() if not isinstance(value, Tensor)], DEPTH)
    return search.found


@dataclass(frozen=True)
class _Search:
    found: Captured
    seen: set[int]
    """Functions, objects and containers that have been opened."""

    def reach(self, function: object, depth: int) -> None:
        """What a callable of any kind reads."""
        if isinstance(function, nn.Module):
            self.found.take("", function)
        elif depth == 0 or id(function) in self.seen:
            return
        elif isinstance(function, functools.partial):
            self.seen.add(id(function))
            self.open(zip(_positional(function.func), function.args, strict=False), depth)
            self.open(function.keywords.items(), depth)
            self.reach(function.func, depth)
        elif inspect.ismethod(function):
            owner = function.__self__
            if isinstance(owner, nn.Module):
                self.found.take("", owner)
            else:
                self.hold("", owner, depth)
            self.reach(function.__func__, depth)
        elif inspect.isfunction(function):
            self.seen.add(id(function))
            self.code(function, depth)
            if hasattr(function, "__wrapped__"):
                self.reach(function.__wrapped__, depth)
        elif hasattr(function, "__wrapped__"):
            self.reach(function.__wrapped__, depth)
        elif not isinstance(function, type):
            call = inspect.getattr_static(type(function), "__call__", None)
            if inspect.isfunction(call):
                self.hold("", function, depth)
                self.reach(call, depth)

    def code(self, plain: Any, depth: int) -> None:
        """Free variables, defaults and globals of a function written in Python."""
        code: CodeType = plain.__code__
        named: list[tuple[str, Any]] = []
        for name, cell in zip(code.co_freevars, plain.__closure__ or (), strict=True):
            try:
                named.append((name, cell.cell_contents))
            except ValueError:  # not filled yet
                continue
        named += [(name, plain.__globals__[name]) for name in _globals(code) if name in plain.__globals__]
        self.open(named, depth)
        defaults = plain.__defaults__ or ()
        last = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
        self.open([*zip(last, defaults, strict=True), *(plain.__kwdefaults__ or {}).items()], depth, loose=True)

    def open(self, named: Iterable[tuple[str, Any]], depth: int, loose: bool = False) -> None:
        """Named values, and those inside lists, mappings, functions and objects."""
        for name, value in named:
            if isinstance(value, (Tensor, nn.Module, torch.Generator)):
                self.found.take(name, value, loose)
            elif isinstance(value, (list, tuple, dict)):
                if id(value) not in self.seen and len(value) <= MANY:
                    self.seen.add(id(value))
                    inside = value.items() if isinstance(value, dict) else enumerate(value)
                    self.open([(f"{name}[{key!r}]", item) for key, item in inside], depth, loose)
            elif inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, functools.partial):
                if not (getattr(value, "__module__", "") or "").startswith("torch"):
                    self.reach(value, depth - 1)
            elif _plain(value):
                self.hold(name, value, depth - 1)

    def hold(self, name: str, owner: object, depth: int) -> None:
        """The attributes of an object."""
        attributes = getattr(owner, "__dict__", {})
        if depth == 0 or id(owner) in self.seen or isinstance(owner, type) or len(attributes) > MANY:
            return
        self.seen.add(id(owner))
        prefix = f"{name}." if name else ""
        self.open([(f"{prefix}{key}", value) for key, value in attributes.items()], depth, loose=True)


def _plain(value: object) -> bool:
    """Whether something is an object of the caller's own kind."""
    if isinstance(value, (type, ModuleType)):
        return False
    home = type(value).__module__.partition(".")[0]
    return isinstance(value, SimpleNamespace) or (
        home not in sys.stdlib_module_names and home not in ("torch", "numpy")
    )


def _positional(function: Callable[..., Any]) -> Iterator[str]:
    """Names for positional arguments, without end."""
    try:
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        known = ()  # type: ignore[assignment]
    yield from (p.name for p in known if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    while True:
        yield "argument"


def _globals(code: CodeType) -> Iterator[str]:
    """Names that the code looks up outside itself; attributes of the same name are none of them."""
    yield from dict.fromkeys(
        str(step.argval) for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    )
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)
