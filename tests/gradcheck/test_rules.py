"""Planted wrong optimizers, schedules and initializers are caught and named; right ones never refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain import registry
from gradtrain.components.initializers import Initializer, Spread
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.schedules import Schedule
from gradtrain.gradcheck import check


class Rule(Optimizer):
    """A published rule that a test bends.

    value     m = 0.9 m + 0.1 g;  v = 0.99 v + 0.01 g²;  w - lr m̂ / (√v̂ + eps)
    paper     Kingma & Ba (2015)
    """

    cases = [{"lr": 0.1}]
    implementations = ("single",)

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=self.lr, betas=(0.9, 0.99), eps=1e-8, foreach=False)

    def init(self, p: Tensor) -> dict[str, Tensor]:
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def update(
        self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        m, v = 0.9 * state["m"] + 0.1 * g, 0.99 * state["v"] + 0.01 * g**2
        return p - lr * self.step(m, v, t), {"m": m, "v": v}

    def step(self, m: Tensor, v: Tensor, t: int) -> Tensor:
        return m / (1 - 0.9**t) / ((v / (1 - 0.99**t)).sqrt() + 1e-8)


class EpsInside(Rule):
    def step(self, m: Tensor, v: Tensor, t: int) -> Tensor:
        return m / (1 - 0.9**t) / (v / (1 - 0.99**t) + 1e-16).sqrt()


class EpsUnscaled(Rule):
    def step(self, m: Tensor, v: Tensor, t: int) -> Tensor:
        return m / (1 - 0.9**t) * math.sqrt(1 - 0.99**t) / (v.sqrt() + 1e-8)


class NoBiasCorrection(Rule):
    def step(self, m: Tensor, v: Tensor, t: int) -> Tensor:
        return m / (v.sqrt() + 1e-8)


class OwnRateOnly(Rule):
    """Ignores the rate of the group and of the schedule."""

    def update(
        self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return super().update(g, p, state, t, self.lr)


class ChangesMemory(Rule):
    def update(
        self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        answer = super().update(g, p, state, t, lr)
        state["m"] += 1
        return answer


class Ramp(Schedule):
    """The rate falls in a straight line to its end.

    value     lr (1 - t / total)
    """

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr * (1 - t / total)


class BelowZero(Ramp):
    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr * (1 - 1.5 * t / total)


class NeverANumber(Ramp):
    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        return lr if t < 50 else math.nan


class Forgetful(Ramp):
    """Counts its own calls, in a memory that only `observe` may change."""

    def at(self, t: int, total: int, lr: float, memory: dict[str, Any]) -> float:
        memory["calls"] = memory.get("calls", 0) + 1
        return lr / memory["calls"]


class Wide(Initializer):
    """Uniform numbers between plus and minus one over the root of the fan.

    value     uniform in ±1/√fan_in
    """

    def fill(self, tensor: Tensor) -> None:
        bound = 1 / math.sqrt(tensor[0].numel())
        tensor.uniform_(-bound, bound)

    def textbook(self, shape: tuple[int, ...]) -> Spread:
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        return Spread(0.0, bound / math.sqrt(3), -bound, bound)


class FansSwapped(Wide):
    def fill(self, tensor: Tensor) -> None:
        bound = 1 / math.sqrt(len(tensor))
        tensor.uniform_(-bound, bound)


class NormalInstead(Wide):
    """The right moments without the bounds."""

    def fill(self, tensor: Tensor) -> None:
        tensor.normal_(0.0, self.textbook(tuple(tensor.shape)).std)


WRONG: list[tuple[str, type[registry.Component], str, set[str]]] = [
    ("optimizers", EpsInside, "update", {"update"}),
    ("optimizers", EpsUnscaled, "update", {"update"}),
    ("optimizers", NoBiasCorrection, "update", {"update"}),
    ("optimizers", OwnRateOnly, "update", {"update"}),
    ("optimizers", ChangesMemory, "inputs kept", set()),
    ("schedules", BelowZero, "not negative", {"not negative"}),
    ("schedules", NeverANumber, "finite", set()),
    ("schedules", Forgetful, "memory kept", {"memory kept"}),
    ("initializers", FansSwapped, "standard deviation", set()),
    ("initializers", NormalInstead, "bounds", {"bounds"}),
]
"""(family, wrong component, a check that must fail, and, for a single mistake, all that may fail)."""

RIGHT: list[tuple[str, type[registry.Component]]] = [
    ("optimizers", Rule),
    ("schedules", Ramp),
    ("initializers", Wide),
]


@pytest.mark.parametrize(("family", "cls", "named", "only"), WRONG, ids=[row[1].__name__ for row in WRONG])
def test_a_planted_mistake_is_caught_and_named(caught, family, cls, named, only):
    caught(family, cls, named, only)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("family", "cls"), RIGHT, ids=[row[1].__name__ for row in RIGHT])
def test_a_right_component_is_accepted_whatever_the_seed(family, cls, seed):
    assert [f for f in check(family, "right", cls, seed) if not f.ok] == []


def test_a_rule_that_refuses_every_weight_has_proven_nothing():
    class Refusing(Rule):
        def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
            raise ValueError("not for this weight")

    failed = {f.check for f in check("optimizers", "planted", Refusing) if not f.ok}
    assert failed & {"coverage", "update"}
