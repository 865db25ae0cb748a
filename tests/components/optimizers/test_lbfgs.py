"""L-BFGS against dense BFGS, against torch's line search, and on the functions it is measured with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch.optim.lbfgs import _strong_wolfe

from gradtrain.components.optimizers._quasi_newton import CURVATURE, DECREASE, Descent, Trial, search
from gradtrain.components.optimizers.lbfgs import Lbfgs


def test_the_two_loops_are_the_dense_update_of_bfgs() -> None:
    """H ← (I - ρ s yᵀ) H (I - ρ y sᵀ) + ρ s sᵀ with ρ = 1 / (s·y), from (s·y) / (y·y) I."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    a = a @ a.T + torch.eye(6, dtype=torch.float64)
    points = [torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(5)]
    descent = Descent(Lbfgs(history=3), lambda p: (p[0].sum(), p), [points[0]], {}, 1.0)
    for before, now in itertools.pairwise(points):
        descent.p = now
        found = descent.direction(a @ now, before, a @ before)
    pairs = [(now - before, a @ (now - before)) for before, now in itertools.pairwise(points)][-3:]
    s, y = pairs[-1]
    h = (s @ y) / (y @ y) * torch.eye(6, dtype=torch.float64)
    for s, y in pairs:
        left = torch.eye(6, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        h = left @ h @ left.T + torch.outer(s, s) / (s @ y)
    torch.testing.assert_close(found, -h @ a @ points[-1], rtol=1e-10, atol=1e-12)


LINES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float]] = {
    "a bowl": (lambda x: (x - 3) ** 2, 0.0),
    "a narrow bowl": (lambda x: (x - 1e-3) ** 2, 0.0),
    "waves": (lambda x: (x - 2) ** 2 + 3 * (5 * x).sin(), 0.3),
    "ripples": (lambda x: 0.1 * (x - 4) ** 2 + (20 * x).cos(), 0.1),
    "a wall": (lambda x: x.exp() - 20 * x, 0.0),
    "a long slope": (lambda x: -(1 + x).log() + 1e-3 * x, 0.0),
    "a kink": (lambda x: (x - 0.7).abs() + 0.01 * x**2, 0.0),
    "a shelf": (lambda x: -x / (x**2 + 2), 0.0),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("length", [1e-3, 0.1, 1.0, 7.0, 50.0])
@pytest.mark.parametrize("limit", [0, 1, 2, 4, 25])
def test_the_line_search_goes_where_torchs_goes(name: str, length: float, limit: int) -> None:
    line, origin = LINES[name]

    def at(step: float) -> tuple[float, torch.Tensor]:
        x = torch.tensor([origin + float(step)], dtype=torch.float64, requires_grad=True)
        loss = line(x).sum()
        (g,) = torch.autograd.grad(loss, x)
        return loss.item(), g

    loss, g = at(0.0)
    d = -g.sign()
    along = float(d)
    f, _, t, _ = _strong_wolfe(
        lambda x, t, d: at(float(t) * along), None, length, d, loss, g, g @ d, max_ls=limit, tolerance_change=1e-9
    )

    def trial(step: float) -> Trial:
        value, slope = at(step * along)
        return Trial(step, value, float(slope @ d), slope)

    found = search(trial, Trial(0.0, loss, float(g @ d), g), length, limit, 1e-9)
    assert math.isclose(found.length, float(t), rel_tol=1e-6, abs_tol=1e-9)
    assert math.isclose(found.loss, float(f), rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("length", [0.01, 1.0, 30.0])
def test_the_line_search_ends_where_the_wolfe_conditions_hold(length: float) -> None:
    def trial(step: float) -> Trial:
        return Trial(step, (step - 2) ** 4, 4 * (step - 2) ** 3, torch.zeros(1))

    start = trial(0.0)
    found = search(trial, start, length, 25, 1e-12)
    assert found.loss <= start.loss + DECREASE * found.length * start.slope
    assert abs(found.slope) <= CURVATURE * abs(start.slope)


def test_it_finds_the_bottom_of_rosenbrocks_valley() -> None:
    """(1 - x)² + 100 (y - x²)², from (-1.2, 1)."""
    p = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    built = Lbfgs(line_search="strong_wolfe", max_iter=200, tolerance_change=1e-15).build([{"params": [p]}])

    def closure() -> float:
        p.grad = None
        loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
        loss.backward()
        return loss.item()

    built.step(closure)
    torch.testing.assert_close(p.detach(), torch.ones(2, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_torch_refuses_a_second_group() -> None:
    groups = [{"params": [torch.zeros(2, requires_grad=True)]} for _ in range(2)]
    with pytest.raises(ValueError, match="parameter groups"):
        Lbfgs().build(groups)
