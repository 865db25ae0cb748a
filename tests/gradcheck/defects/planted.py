"""What the planted defects share: their record, their list, and a function whose backward pass is written by hand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Any]

TENSOR = object()
"""Stands for a saved tensor among saved arguments."""


@dataclass(frozen=True)
class Planted:
    """A defect beside the same thing done right."""

    wrong: Function
    right: Function
    inputs: tuple[Any, ...]
    verdict: str | None = None
    """What the defect must be called, where that says more than "wrong"."""
    faces: Mapping[str, Function] = field(default_factory=dict)
    """textbook, gradient, surrogate: given with both."""


@dataclass(frozen=True)
class Correct:
    """Code that is right and that a clumsy checker refuses."""

    function: Function
    inputs: tuple[Any, ...]
    verdict: str | None = None
    faces: Mapping[str, Any] = field(default_factory=dict)


PLANTED: dict[str, Callable[[], Planted]] = {}
CORRECT: dict[str, Callable[[], Correct]] = {}


def plant(name: str) -> Callable[[Callable[[], Planted]], Callable[[], Planted]]:
    """Enter a builder of a defect: it is called anew for every test."""
    assert name not in PLANTED

    def enter(build: Callable[[], Planted]) -> Callable[[], Planted]:
        PLANTED[name] = build
        return build

    return enter


def correct(name: str) -> Callable[[Callable[[], Correct]], Callable[[], Correct]]:
    """Enter a builder of correct code."""
    assert name not in CORRECT

    def enter(build: Callable[[], Correct]) -> Callable[[], Correct]:
        CORRECT[name] = build
        return build

    return enter


def ruled(forward: Function, backward: Function) -> Function:
    """`forward(*inputs)` whose backward pass is `backward(g, *inputs)`: a gradient, or one for each input."""
    signature = inspect.signature(forward)

    class Ruled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
            ctx.others = [TENSOR if isinstance(x, Tensor) else x for x in inputs]
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *g: Tensor) -> Any:
            saved = iter(ctx.saved_tensors)
            inputs = [next(saved) if x is TENSOR else x for x in ctx.others]
            answer = backward(*g, *inputs)
            answer = answer if isinstance(answer, tuple) else (answer,)
            return (*answer, *[None] * (len(inputs) - len(answer)))

    def function(*given: Any, **named: Any) -> Any:
        bound = signature.bind(*given, **named)
        bound.apply_defaults()
        return Ruled.apply(*bound.args)

    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64)


def leaf(tensor: Tensor) -> Tensor:
    """The tensor that is differentiated by, where others beside it are not."""
    return tensor.requires_grad_()


def one_hot(labels: Tensor, classes: int) -> Tensor:
    return torch.nn.functional.one_hot(labels, classes).double()
