"""Gradient descent on a formula, against its recursion by hand."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.datasets import Facts
from gradtrain.components.layers.variables import Variables
from gradtrain.components.objectives.minimize import Minimize

BATCH = {"x": torch.zeros(1, 1)}


def task(formula: str, *names: str):
    return Minimize(formula=formula, names=names).start((), "value", Facts(count=1, shape=(1,)))


def network(*start: float):
    return {"model": Variables(start=start).build((1,)).double()}


def test_the_gradient_is_that_of_the_formula():
    networks = network(5.0, -3.0)
    terms = task("(x - 3)^2 + 10 * y^2", "x", "y").losses("model", networks, BATCH)
    terms.total.backward()
    assert terms.total.item() == 94.0
    assert networks["model"].weight.grad.tolist() == [4.0, -60.0]
    assert {name: value.item() for name, value in terms.losses.items()} == {"formula": 94.0, "x": 5.0, "y": -3.0}


def test_names_follow_the_order_of_the_outputs():
    terms = task("b - 10 * a", "b", "a").losses("model", network(1.0, 2.0), BATCH)
    assert terms.total.item() == -19.0


def test_gradient_descent_is_the_recursion_of_the_book():
    networks, objective = network(5.0, -3.0), task("(x - 3)^2 + 10 * y^2", "x", "y")
    optimizer = torch.optim.SGD(networks["model"].parameters(), lr=0.09)
    for _ in range(30):
        optimizer.zero_grad()
        objective.losses("model", networks, BATCH).total.backward()
        optimizer.step()
    x, y = networks["model"].weight.tolist()
    assert x - 3 == pytest.approx(2 * 0.82**30)
    assert y == pytest.approx(-3 * (-0.8) ** 30)


def test_the_loss_does_not_depend_on_how_many_samples_ask():
    objective, networks = task("x^2", "x"), network(3.0)
    assert objective.losses("model", networks, {"x": torch.zeros(7, 2)}).total.item() == 9.0
    prediction = objective.measure(networks, {"x": torch.zeros(7, 2)})[1]
    assert prediction.tolist() == [[3.0]] * 7


@pytest.mark.parametrize("names", [("x", "x"), ("sin",), ("loss",), ("x_1",), ()])
def test_names_that_mean_something_else_are_refused(names):
    with pytest.raises(ValueError, match=r"named|pattern|at least 1"):
        Minimize(formula="1", names=names)
