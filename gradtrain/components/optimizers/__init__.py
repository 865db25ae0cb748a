"""The family of optimizers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field, PositiveFloat

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component

State = dict[str, Tensor]
"""What a rule remembers of one parameter between steps."""


Beta = Annotated[float, Field(ge=0, lt=1)]
"""Share of a moving average that is kept at every step."""

Evaluate: TypeAlias = Callable[[list[Tensor]], tuple[Tensor, list[Tensor]]]
"""Weights → the total loss there and its gradient, a tensor for each weight."""


class Optimizer(Component):
    """An optimizer turns gradients into a change of the weights.

    Two faces: `build` gives the torch optimizer that trains; `init` and `update` state the published rule for
    one tensor. Notation: p weight, g gradient of the total loss with respect to p, t the step from 1, lr the
    learning rate at that step.
    """

    lr: PositiveFloat
    """The learning rate, in units of weight per unit of (processed) gradient."""

    implementations: ClassVar[tuple[str, ...]] = ("single", "foreach")
    """What torch offers for this rule on the CPU; each is checked against the rule."""

    closure: ClassVar[bool] = False
    """True for a rule that evaluates the loss at several points of one step: `descend` states it, not `update`."""

    grouped: ClassVar[bool] = True
    """False for a rule that knows one learning rate only, and refuses parameter groups."""

    averages: ClassVar[bool] = False
    """True for a rule that trains at one point and measures at another: `average` states which."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        """The torch optimizer over `groups`, spelled as torch does: `{"params": [...], "lr": ...}`.

        `implementation` is one of `implementations`; None picks the fastest one for the parameters' device.
        """
        raise NotImplementedError

    def init(self, p: Tensor) -> State:
        """The rule's memory of one parameter before the first step."""
        return {}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        """One step of the published rule: the new weight and the new memory; changes neither argument."""
        raise NotImplementedError

    def descend(
        self, evaluate: Evaluate, p: list[Tensor], states: list[State], t: int, lr: list[float]
    ) -> tuple[list[Tensor], list[State]]:
        """One step of a rule with `closure`, over all weights at once; each has its memory and its rate."""
        raise NotImplementedError

    def average(self, p: Tensor, state: State) -> Tensor:
        """The weight to measure with, where that is not the one that trains."""
        return p


def fastest(rule: Optimizer, implementation: str | None, groups: list[dict[str, Any]]) -> dict[str, bool]:
    """torch's switches for an implementation; by default fused where the device has it, else foreach.

    Microseconds a step (single, foreach, fused) for six tensors of 8,970 numbers, float32, one CPU thread:
    sgd 40, 49, 42; with momentum 124, 103, 55; adagrad 188, 205, 90; adam 328, 282, 104; rmsprop 217, 194.
    """
    if implementation is None:
        kinds = {(p.device, p.dtype) for group in groups for p in group["params"]}
        fused = "fused" in rule.implementations and all(_runs_fused(rule, *kind) for kind in kinds)
        implementation = "fused" if fused else "foreach"
    return {implementation: True} if implementation != "single" else {"foreach": False}


@functools.cache
def _runs_fused(rule: Optimizer, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has the kernel for such parameters: asked by one step of one number."""
    from gradtrain.eager import plain_step

    try:
        p = torch.zeros(1, 1, device=device, dtype=dtype, requires_grad=True)
        p.grad = torch.zeros_like(p)
        plain_step(rule.build([{"params": [p]}], "fused"))()
    except (RuntimeError, TypeError):
        return False
    return True


def moments(
    g: Tensor, state: State, t: int, betas: tuple[float, float], eps: float, amsgrad: bool
) -> tuple[Tensor, State]:
    """Adam's direction and its new memory, which adamw shares."""
    m = betas[0] * state["m"] + (1 - betas[0]) * g
    v = betas[1] * state["v"] + (1 - betas[1]) * g**2
    top = torch.maximum(state["top"], v)
    size = ((top if amsgrad else v) / (1 - betas[1] ** t)).sqrt() + eps
    return m / (1 - betas[0] ** t) / size, {"m": m, "v": v, "top": top}
