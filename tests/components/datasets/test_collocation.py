"""Points of equations: where they lie, how evenly, and that they stay the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradtrain.components.datasets.collocation import Collocation

DOMAIN = {"x": (-1.0, 3.0), "t": (0.0, 0.5)}


def points(domain=DOMAIN, seed=0, **part):
    return Collocation(domain=domain, points={"set": part}, seed=seed).load(Path()).fields["set"]


@pytest.mark.parametrize("sampler", ["sobol", "uniform", "grid"])
def test_points_fill_the_box(sampler):
    found = points(count=400, sampler=sampler)
    assert (found.shape, found.dtype) == ((400, 2), torch.float64)
    low, high = found.min(dim=0).values, found.max(dim=0).values
    assert (low >= torch.tensor([-1.0, 0.0])).all()
    assert (high <= torch.tensor([3.0, 0.5])).all()
    torch.testing.assert_close(found.mean(dim=0), torch.tensor([1.0, 0.25]).double(), rtol=0.1, atol=0)


def test_sobol_points_are_more_even_than_independent_ones():
    def emptiest(sampler):
        found = points({"x": (0.0, 1.0), "y": (0.0, 1.0)}, count=1024, sampler=sampler)
        return torch.histogramdd(found, bins=[16, 16], range=[0.0, 1.0, 0.0, 1.0]).hist.min()

    assert emptiest("sobol") == 4  # 1,024 points in 256 boxes, four in each
    assert emptiest("uniform") < 4


def test_a_grid_has_both_ends_and_equal_steps():
    found = points(count=9, sampler="grid")
    assert found[:, 0].unique().tolist() == [-1.0, 1.0, 3.0]
    assert found[:, 1].unique().tolist() == [0.0, 0.25, 0.5]
    assert len(found.unique(dim=0)) == 9


@pytest.mark.parametrize("sampler", ["sobol", "uniform", "grid"])
def test_edges_get_equal_shares_and_the_same_spread(sampler):
    found = points(count=100, sampler=sampler, where={"x": {"any": (-1.0, 3.0)}})
    for end in (-1.0, 3.0):
        at_end = found[found[:, 0] == end]
        assert len(at_end) == 50
        assert at_end[:, 1].mean().item() == pytest.approx(0.25, abs=0.06)
        assert at_end[:, 1].max() - at_end[:, 1].min() > 0.4


def test_fixed_coordinates_stay_and_the_order_is_that_of_the_domain():
    found = points(count=10, where={"t": 0.25})
    assert found[:, 1].tolist() == [0.25] * 10
    assert len(found[:, 0].unique()) == 10
    assert points(count=1, where={"t": 0.0, "x": 2.0}).tolist() == [[2.0, 0.0]]


def test_the_seed_decides_and_sets_differ():
    assert torch.equal(points(count=20), points(count=20))
    assert not torch.equal(points(count=20), points(count=20, seed=1))
    two = Collocation(domain=DOMAIN, points={"a": {"count": 20}, "b": {"count": 20}}).load(Path()).fields
    assert not torch.equal(two["a"], two["b"])


def test_facts_name_the_coordinates():
    data = Collocation(domain=DOMAIN, points={"a": {"count": 20}, "b": {"count": 30}})
    assert (data.facts().shape, data.facts().count) == ((2,), 30)
    assert data.load(Path()).features == ("x", "t")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": {"x": (1.0, 1.0)}}, "write the smaller end first"),
        ({"domain": {"pi": (0.0, 1.0)}}, "formulas have it already"),
        ({"domain": {"x": (0.0, 1.0), "t": (0.0, 1.0), "xt": (0.0, 1.0)}}, "`xt` is made of others"),
        ({"points": {"a": {"count": 4, "where": {"y": 0.0}}}}, "fixes `y`, which is no coordinate"),
        ({"points": {"a": {"count": 4, "where": {"t": 0.6}}}}, r"outside of 0\.\.0\.5"),
        ({"points": {"a": {"count": 10, "sampler": "grid"}}}, "write `count: 9` or `count: 16`"),
        (
            {"points": {"a": {"count": 5, "sampler": "grid", "where": {"x": {"any": (0.0, 1.0)}}}}},
            "write `count: 4` or",
        ),
        ({"domain": dict.fromkeys("abcdefg", (0.0, 1.0))}, "at most 6"),
        ({"points": {}}, "at least 1"),
    ],
)
def test_impossible_points_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Collocation(**{"domain": DOMAIN, "points": {"a": {"count": 4}}, **changes})
