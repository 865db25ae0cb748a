"""The points that are drawn around the caller's: what each one is made of, and where none is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradtrain.gradcheck.callee import taken_apart
from gradtrain.gradcheck.kinks import traced
from gradtrain.gradcheck.points import LARGE, LIMITS, TINY, Point, drawn


def points(function: Callable[..., Any], *inputs: Any, seed: int = 0) -> dict[str, Point]:
    callee = taken_apart(function, inputs, torch.float64)
    probe = callee.probe()
    trace = traced(lambda: probe.at(probe.moved({}, 0.0)))
    found = list(drawn(callee, trace, trace, torch.Generator().manual_seed(seed)))
    assert len({point.what for point in found}) == len(found)
    return {point.what: point for point in found}


X = torch.tensor([[0.3, -1.2, 2.1], [0.7, 0.1, -0.5]], dtype=torch.float64)


def test_zeros_and_ties_have_both() -> None:
    x = points(torch.sin, X)["zeros and ties"].values["input"]
    assert bool((x == 0).any())
    assert len(x.unique()) < x.numel()
    assert x.shape == X.shape


@pytest.mark.parametrize(("what", "size"), [("tiny numbers", TINY), ("large numbers", LARGE)])
def test_sizes(what: str, size: float) -> None:
    x = points(torch.sin, torch.randn(1000))[what].values["input"]
    assert float(x.std()) == pytest.approx(size, rel=0.1)


def test_only_the_far_points_are_extreme() -> None:
    found = points(torch.sin, X)
    assert [what for what, point in found.items() if point.extreme] == ["huge numbers"]


def test_other_signs_only_where_all_are_the_same() -> None:
    assert "other signs" not in points(torch.sin, X)
    x = points(torch.sin, X.abs())["other signs"].values["input"]
    assert torch.equal(x.abs(), X.abs())


def test_a_point_with_whole_or_equal_numbers_has_a_generic_one_beside_it() -> None:
    assert "numbers beside them" not in points(torch.sin, torch.randn(5))
    for special in (torch.tensor([0.0, 0.3, 1.7]), torch.tensor([0.3, 0.3, 1.7])):
        x = points(torch.sin, special)["numbers beside them"].values["input"]
        assert len(x.unique()) == 3
        assert not bool((x == x.round()).any())
        assert torch.allclose(x, special.double(), rtol=0, atol=0.3)


def test_inputs_that_coincide_in_a_part() -> None:
    one, two = X, X.flip(0)
    changed = points(torch.sub, one, two)["inputs that coincide"].values
    assert list(changed) == ["input 0"]
    assert torch.equal(changed["input 0"][0], two[0])
    assert torch.equal(changed["input 0"][1], one[1])
    assert "inputs that coincide" not in points(torch.matmul, X, X.t())


def test_the_numbers_that_a_function_compares_with_are_surrounded() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.where(x.abs() < 0.3, x * x, x.abs())

    x = points(function, torch.randn(100))["numbers around 0.3"].values["x"].abs()
    assert float(x.min()) < 0.3 < float(x.max()) < 1
    many = points(lambda x: sum((x > limit) * x for limit in (0.1, 0.2, 0.4, 0.7, 0.9)), X)
    assert len([what for what in many if what.startswith("numbers around")]) == LIMITS


def test_a_residual_around_what_it_is_compared_with() -> None:
    def huber(x: Tensor, y: Tensor) -> Tensor:
        return torch.where((x - y).abs() < 0.3, (x - y) ** 2, (x - y).abs())

    y = X.flip(0)
    values = points(huber, X, y)["differences around 0.3"].values
    residual = (values["x"] - y).abs()
    assert float(residual.max()) < 1


def test_integers_are_repeated_unless_an_operator_forbids_it() -> None:
    table, rows = torch.randn(5, 2), torch.tensor([0, 3, 1, 4])
    found = points(lambda rows, table: F.embedding(rows, table), rows, table)["repeated integers"].values["rows"]
    assert len(found.unique()) < 4
    assert set(found.tolist()) <= {0, 1, 3, 4}
    scatter = points(lambda x, rows: torch.zeros(5, dtype=x.dtype).scatter(0, rows, x), torch.randn(4), rows)
    assert "repeated integers" not in scatter


def test_labels_that_a_loss_ignores() -> None:
    def loss(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(x, y, ignore_index=-7)

    found = points(loss, torch.randn(4, 3), torch.tensor([0, 1, 2, 1]))["labels -7"].values["y"]
    assert -7 in found.tolist()
    assert found.tolist() != [-7] * 4


def test_defaults_that_are_numbers_are_moved() -> None:
    def function(x: Tensor, slope: float = 0.5, power: int = 2, *, shift: float = 2.0, off: float = 0.0) -> Tensor:
        return slope * x + shift

    keywords = [point.keywords for point in points(function, X).values() if point.keywords]
    assert keywords == [{"slope": pytest.approx(0.35)}, {"shift": pytest.approx(1.4)}]
    assert not [point for point in points(nn.ELU(alpha=1.0), X).values() if point.keywords]


def test_matrices_are_not_made_singular() -> None:
    assert "zeros and ties" not in points(torch.linalg.inv, torch.randn(3, 3))


def test_a_norm_is_looked_at_where_numbers_are_zero() -> None:
    assert "zeros and ties" in points(torch.linalg.vector_norm, torch.randn(3))


@pytest.mark.parametrize("what", ["tiny numbers", "large numbers", "huge numbers"])
def test_matrices_keep_what_they_are_at_every_size(what: str) -> None:
    a = torch.randn(4, 4, dtype=torch.float64)
    a = a @ a.T + torch.eye(4)
    x = points(lambda a: torch.linalg.cholesky_ex(a).L, a)[what].values["a"]
    assert torch.linalg.cholesky_ex(x).info == 0
    assert torch.allclose(x / x[0, 0], a / a[0, 0])


def test_nothing_to_move_nothing_drawn() -> None:
    assert points(lambda x: x.sin(), torch.zeros(0)) == {}


def test_the_callers_numbers_stay() -> None:
    x = X.clone()
    points(torch.sin, x)
    assert torch.equal(x, X)


def test_the_same_seed_draws_the_same_points() -> None:
    one, two = points(torch.sin, X, seed=3), points(torch.sin, X, seed=3)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[what].values["input"], two[what].values["input"]) for what in one)


@pytest.mark.parametrize(
    "x",
    [torch.tensor(0.5), torch.rand(1), torch.rand(1, 3).expand(4, 3), torch.rand(4, 6)[:, ::2], torch.rand(2, 3).t()],
)
def test_inputs_of_any_shape_and_layout(x: Tensor) -> None:
    for point in points(lambda x, y: x * y, x, x + 1).values():
        for value in point.values.values():
            assert value.shape == x.shape
            assert bool(value.isfinite().all())
