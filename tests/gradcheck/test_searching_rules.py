"""Planted mistakes in rules that evaluate the gradient themselves are caught and named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.components.optimizers.lbfgs import Lbfgs
from gradtrain.components.optimizers.sam import Sam
from gradtrain.rule import Rule, Sharpened


class LooksNowhere(Sam):
    """Evaluates once: plain momentum."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return Rule(groups, self, implementation, weight_decay=self.weight_decay)


class Stays(Sharpened):
    """Steps from the point it looked at."""

    def step(self, closure):  # type: ignore[no-untyped-def]
        closure()
        for group in self.param_groups:
            length = torch.stack([p.grad.norm() for p in group["params"]]).norm()
            for p in group["params"]:
                p.data.add_(self.rho * p.grad / length)
        closure()
        with torch.no_grad():
            self._apply()


class StaysThere(Sam):
    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return Stays(groups, self, implementation, rho=self.rho, weight_decay=self.weight_decay)


class EachGroupItsNorm(Sam):
    """The distance rho for every group, not for all weights together."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        parts = [Sharpened([g], self, implementation, rho=self.rho, weight_decay=self.weight_decay) for g in groups]
        whole = Rule(groups, self, implementation, weight_decay=self.weight_decay)

        def step(closure):  # type: ignore[no-untyped-def]
            for part, group in zip(parts, whole.param_groups, strict=True):
                part.param_groups[0]["lr"] = group["lr"]
                part.step(closure)

        whole.step = step  # type: ignore[method-assign]
        return whole


class DecayTwice(Sam):
    cases = [{"weight_decay": 0.1}]

    def advance(self, g: list[Tensor], p: list[Tensor], state: dict[str, list[Tensor]], t: int, lr: float) -> None:
        super().advance(g, p, state, t, lr)
        torch._foreach_mul_(p, 1 - lr * self.weight_decay)


class RemembersLess(Lbfgs):
    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return self.model_copy(update={"history": self.history - 1}).as_published(groups)

    def as_published(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return Lbfgs.build(self, groups)

    cases = [{"history": 2, "max_iter": 1}]


class NeverSearches(RemembersLess):
    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return self.model_copy(update={"line_search": "none"}).as_published(groups)

    cases = [{"line_search": "strong_wolfe", "max_iter": 2, "lr": 30.0}]


class Overshoots(RemembersLess):
    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        built = self.as_published(groups)
        built.param_groups[0]["max_eval"] += 1
        return built

    cases = [{"max_iter": 9, "max_eval": 3}]


@pytest.mark.parametrize(
    "cls", [LooksNowhere, StaysThere, EachGroupItsNorm, DecayTwice, RemembersLess, NeverSearches, Overshoots]
)
def test_a_planted_mistake_is_caught(caught, cls):
    caught("optimizers", cls, "update", {"update"})
