"""The residual of a differential equation, against exact solutions and finite differences."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gradtrain.components.datasets.collocation import Collocation
from gradtrain.components.objectives.pinn import Pinn
from gradtrain.problems import Problem

HEAT = Pinn(
    equations={"inside": "u_t - alpha * u_xx", "initial": "u - sin(pi * x)", "edges": "u"},
    weights={"initial": 10.0},
    constants={"alpha": 0.1},
    exact="exp(-alpha * pi^2 * t) * sin(pi * x)",
)
ROD = Collocation(
    domain={"x": (0.0, 1.0), "t": (0.0, 1.0)},
    points={
        "inside": {"count": 50},
        "initial": {"count": 20, "where": {"t": 0.0}},
        "edges": {"count": 10, "where": {"x": {"any": (0.0, 1.0)}}},
    },
)


class Solution(nn.Module):
    """The exact solution of the heat equation, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor, dtype=torch.float64))

    def forward(self, points):
        x, t = points.unbind(dim=1)
        return (self.factor * torch.exp(-0.1 * torch.pi**2 * t) * torch.sin(torch.pi * x)).unsqueeze(1)


def bound(pinn: Pinn, source: Collocation, network: nn.Module):
    examples = source.load(Path())
    task = pinn.start((), "value", examples.facts)
    networks = {"model": network}
    task.bind(networks, examples)
    return task, networks, dict(examples.fields)


def test_the_exact_solution_has_no_loss_and_no_error():
    task, networks, batch = bound(HEAT, ROD, Solution(1.0))
    with torch.no_grad():
        terms, prediction, target = task.measure(networks, batch)
    assert list(terms.losses) == [*HEAT.measures] == ["inside", "initial", "edges", "relative_l2"]
    assert all(value.item() < 1e-14 for value in terms.losses.values())
    torch.testing.assert_close(prediction, target)
    assert not terms.total.requires_grad


def test_a_wrong_solution_costs_what_its_residual_says():
    task, networks, batch = bound(HEAT, ROD, Solution(1.5))
    terms = task.losses("model", networks, batch)
    x = batch["initial"][:, 0]
    initial = (0.5 * torch.sin(torch.pi * x)).square().mean()
    assert terms.losses["inside"].item() < 1e-14  # any multiple solves the equation
    torch.testing.assert_close(terms.losses["initial"], initial)
    torch.testing.assert_close(terms.total.detach(), 10 * initial, atol=1e-12, rtol=0)
    (slope,) = torch.autograd.grad(terms.total, networks["model"].factor)
    torch.testing.assert_close(slope, 10 * torch.sin(torch.pi * x).square().mean(), atol=1e-12, rtol=0)
    assert task.measure(networks, batch)[0].losses["relative_l2"].item() == pytest.approx(0.5)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    task, networks, batch = bound(HEAT, ROD, network)
    weight = network[0].weight
    (slope,) = torch.autograd.grad(task.losses("model", networks, batch).total, weight)
    for place in ((0, 0), (3, 1)):
        totals = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                weight[place] += step
            totals.append(task.losses("model", networks, batch).total.item())
            with torch.no_grad():
                weight[place] -= step
        assert slope[place].item() == pytest.approx((totals[0] - totals[1]) / 2e-5, rel=1e-6)


def test_a_system_has_an_output_for_every_unknown():
    pinn = Pinn(
        unknown=("u", "v"),
        equations={"inside": ("u_t - v", "v_t + omega^2 * u"), "start": ("u", "v - omega")},
        constants={"omega": 3.0},
        exact=("sin(omega * t)", "omega * cos(omega * t)"),
    )
    source = Collocation(
        domain={"t": (0.0, 2.0)},
        points={"inside": {"count": 30, "sampler": "grid"}, "start": {"count": 1, "where": {"t": 0.0}}},
    )

    class Swing(nn.Module):
        def forward(self, points):
            return torch.cat([torch.sin(3 * points), 3 * torch.cos(3 * points)], dim=1)

    task, networks, batch = bound(pinn, source, Swing())
    terms, prediction, target = task.measure(networks, batch)
    assert prediction.shape == target.shape == (30, 2)
    assert all(value.item() < 1e-12 for value in terms.losses.values())


def test_the_precision_is_that_of_the_points():
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    task, networks, batch = bound(HEAT, ROD, network)
    terms, _, target = task.measure(networks, {name: points.float() for name, points in batch.items()})
    assert {value.dtype for value in [*terms.losses.values(), terms.total, target]} == {torch.float32}


def test_without_a_solution_there_is_no_error_to_measure():
    pinn = Pinn(equations={"inside": "u_x - u"})
    source = Collocation(domain={"x": (0.0, 1.0)}, points={"inside": {"count": 8}})
    task, networks, batch = bound(pinn, source, nn.Linear(1, 1).double())
    assert list(task.measure(networks, batch)[0].losses) == [*pinn.measures] == ["inside"]


def test_a_wrong_formula_is_refused_before_the_first_step():
    with pytest.raises(Problem, match="nothing here is named `u_y`"):
        bound(Pinn(equations={"inside": "u_y"}), ROD, Solution(1.0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"constants": {"u": 1.0}}, "an unknown of that name"),
        ({"constants": {"pi": 3.0}}, "formulas have it already"),
        ({"weights": {"edge": 1.0}}, "the weight of `edge`"),
        ({"exact": ("u", "v")}, "one formula an unknown: 1, not 2"),
        ({"equations": {"loss": "u"}}, "a number of that name"),
        ({"unknown": ("u", "u")}, "an unknown of that name"),
    ],
)
def test_names_mean_one_thing(changes, said):
    with pytest.raises(ValueError, match=said):
        Pinn(**{"equations": {"inside": "u_x"}, **changes})


@pytest.mark.slow
def test_a_network_learns_the_heat_equation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    task, networks, batch = bound(HEAT, ROD, network)
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=300, line_search_fn="strong_wolfe", history_size=50)

    def total():
        optimizer.zero_grad()
        loss = task.losses("model", networks, batch).total
        loss.backward()
        return loss

    optimizer.step(total)
    assert task.measure(networks, batch)[0].losses["relative_l2"].item() < 1e-2
