"""A published rule as a torch optimizer: the one adapter for rules that torch lacks. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from gradtrain.components.optimizers import Optimizer


class Rule(torch.optim.Optimizer):
    """Applies a component's `init` and `update` to every parameter; hyper-parameters may differ by group.

    The rule itself is what runs, so there is nothing to fall out of step with it: a few tensor operations a parameter.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], rule: Optimizer, **by_group: float) -> None:
        super().__init__(groups, {"lr": rule.lr, **by_group})
        own = tuple(by_group)
        self.rules = [rule.model_copy(update={name: group[name] for name in own}) for group in self.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group, rule in zip(self.param_groups, self.rules, strict=True):
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = torch.zeros((), dtype=torch.int64)
                    state.update(rule.init(p))
                state["step"] += 1
                memory = {name: value for name, value in state.items() if name != "step"}
                weight, memory = rule.update(p.grad, p, memory, int(state["step"]), group["lr"])
                p.copy_(weight)
                state.update(memory)
        return loss
