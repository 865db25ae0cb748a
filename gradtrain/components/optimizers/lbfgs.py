"""L-BFGS."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gradtrain.components.optimizers import Evaluate, Optimizer, State
from gradtrain.lazy import Tensor, torch


class Lbfgs(Optimizer):
    """Newton's method without second derivatives: it learns the curvature from how the gradient changed.

    With all weights in one vector p, s = p - p_before and y = g - g_before of the last `history` iterations with
    s·y > 1e-10, H their inverse curvature, by the two loops of the paper:

    value     d = -H g;  p ← p + lr d  (the first time d = -g and p ← p + min(1, 1 / Σ|g|) lr d);
              H g:  q = g;  newest first: a = (s·q) / (s·y), q ← q - a y;
              r = (s·y) / (y·y) q, of the newest;  oldest first: r ← r + (a - (y·r) / (s·y)) s;  H g = r
    paper     Nocedal (1980), Math. Comp. 35(151):773-782; Liu & Nocedal (1989), Math. Programming 45:503-528;
              strong_wolfe: Nocedal & Wright (2006), Numerical Optimization, section 3.5
    note      One step is up to `max_iter` iterations on the same batch; the gradient is evaluated in each. It wants
              a function that stays the same: the whole data (`batch_size: full`), no dropout, no clipping.
    """

    closure: ClassVar[bool] = True
    grouped: ClassVar[bool] = False
    implementations: ClassVar[tuple[str, ...]] = ("single",)
    cases = [
        {},
        {"max_iter": 1, "history": 2, "lr": 0.5},
        {"max_iter": 4, "max_eval": 3, "tolerance_change": 1e-3},
        {"max_iter": 3, "line_search": "strong_wolfe"},
        {"max_iter": 1, "max_eval": 6, "line_search": "strong_wolfe", "lr": 100.0},
        {"max_iter": 1, "max_eval": 4, "line_search": "strong_wolfe", "lr": 0.001},
    ]

    lr: PositiveFloat = 1.0
    """Length of a step in units of d; with a line search, the first length that is tried."""
    max_iter: PositiveInt = 20
    """Iterations in one step of the run."""
    max_eval: PositiveInt | None = None
    """Evaluations in one step of the run; by default a quarter more than the iterations."""
    history: PositiveInt = 100
    """Changes that are remembered: two vectors as long as all weights each."""
    tolerance_grad: Annotated[float, Field(ge=0)] = 1e-7
    """A step ends where no element of the gradient is larger."""
    tolerance_change: Annotated[float, Field(ge=0)] = 1e-9
    """A step ends where neither the weights nor the loss change more."""
    line_search: Literal["none", "strong_wolfe"] = "none"
    """How far to go along d: lr, or as far as the strong Wolfe conditions ask."""

    def build(self, groups: list[dict[str, Any]], implementation: str | None = None) -> torch.optim.Optimizer:
        return torch.optim.LBFGS(
            groups, lr=self.lr, max_iter=self.max_iter, max_eval=self.max_eval, tolerance_grad=self.tolerance_grad,
            tolerance_change=self.tolerance_change, history_size=self.history,
            line_search_fn=None if self.line_search == "none" else self.line_search,
        )  # fmt: skip

    def descend(
        self, evaluate: Evaluate, p: list[Tensor], states: list[State], t: int, lr: list[float]
    ) -> tuple[list[Tensor], list[State]]:
        from gradtrain.components.optimizers._quasi_newton import Descent

        descent = Descent(self, evaluate, p, states[0], lr[0])
        return descent.run()
