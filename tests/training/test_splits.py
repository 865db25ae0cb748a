"""Splits: complete, disjoint, of the size that was asked for, and the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.training.splits import split

Size = float | int | None


def parts(
    count: int, train: Size = None, val: Size = 0.0, test: Size = 0.0, seed: int = 0,
    labels: Tensor | None = None, official: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    return split(count, {"train": train, "val": val, "test": test}, official or {}, labels, seed)


def sizes(found: dict[str, Tensor]) -> dict[str, int]:
    return {name: len(index) for name, index in found.items()}


def refusal(**asked: object) -> Problem:
    with pytest.raises(Problem) as caught:
        parts(**asked)  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    return caught.value


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"train": 100}),
        ({"val": 0.2}, {"train": 80, "val": 20}),
        ({"val": 20, "test": 5}, {"train": 75, "val": 20, "test": 5}),
        ({"val": 0.1, "test": 30}, {"train": 60, "val": 10, "test": 30}),
        ({"train": 0.5, "val": 0.2}, {"train": 50, "val": 20}),
        ({"train": 7, "val": 1}, {"train": 7, "val": 1}),
        ({"train": 1.0}, {"train": 100}),
        ({"train": 1, "val": 99}, {"train": 1, "val": 99}),
    ],
)
def test_sizes_are_counts_or_fractions(asked, expected) -> None:
    assert sizes(parts(100, **asked)) == expected


@given(st.integers(3, 3000), st.integers(1, 98), st.integers(0, 98), st.integers(0, 3))
def test_parts_are_disjoint_and_complete(count, val, test, seed) -> None:
    """Also with fractions that add up to one, however the counts round."""
    test = min(test, 99 - val)
    fractions = {"train": (100 - val - test) / 100, "val": val / 100, "test": test / 100}
    numbers = [round(share * count) for share in list(fractions.values())[1:] if share]
    if min(numbers) == 0 or sum(numbers) >= count:
        assert refusal(count=count, **fractions).code in ("split-empty", "split-too-large")
        return
    found = parts(count, **fractions, seed=seed)
    together = torch.cat(list(found.values()))
    assert torch.equal(together.sort().values, torch.arange(count))
    for name, index in found.items():
        assert torch.equal(index, index.sort().values)
        assert abs(len(index) - fractions[name] * count) <= 1.5


def test_the_split_is_a_function_of_the_seed() -> None:
    one, same, other = (parts(200, val=0.3, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(one["val"], same["val"])
    assert not torch.equal(one["val"], other["val"])
    assert not torch.equal(one["val"], torch.arange(60)), "the first samples of a sorted file are no sample of it"


def test_the_split_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    parts(50, val=0.5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("seed", range(5))
def test_stratified_parts_keep_the_shares_of_the_classes(seed) -> None:
    labels = torch.tensor([0] * 700 + [1] * 200 + [2] * 100)[
        torch.randperm(1000, generator=torch.Generator().manual_seed(9))
    ]
    found = parts(1000, val=0.2, test=0.1, seed=seed, labels=labels)
    assert sizes(found) == {"train": 700, "val": 200, "test": 100}
    assert torch.equal(torch.cat(list(found.values())).sort().values, torch.arange(1000))
    for index in found.values():
        counts = labels[index].bincount(minlength=3)
        expected = torch.tensor([0.7, 0.2, 0.1]) * len(index)
        assert bool(((counts - expected).abs() <= 2).all()), (counts, expected)


def test_a_rare_class_reaches_every_stratified_part_that_can_hold_it() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    for seed in range(20):
        found = parts(100, val=0.2, seed=seed, labels=labels)
        assert int((labels[found["val"]] == 1).sum()) == 2


def test_an_official_test_split_stays_as_it_is() -> None:
    official = {"train": torch.arange(10, 60), "test": torch.arange(60, 100)}
    found = parts(100, val=0.2, official=official)
    assert torch.equal(found["test"], torch.arange(60, 100))
    assert sizes(found) == {"train": 40, "val": 10, "test": 40}
    assert torch.equal(torch.cat([found["train"], found["val"]]).sort().values, torch.arange(10, 60))


def test_a_stratified_split_beside_an_official_one_reads_the_right_labels() -> None:
    official = {"train": torch.arange(10, 30), "test": torch.arange(10)}
    labels = torch.tensor([5] * 10 + [0] * 4 + [1] * 16)
    for seed in range(10):
        found = parts(30, val=0.5, official=official, labels=labels, seed=seed)
        assert labels[found["val"]].bincount().tolist() == [2, 8]


def test_an_official_test_split_is_not_replaced() -> None:
    problem = refusal(count=10, test=0.1, official={"train": torch.arange(9), "test": torch.arange(9, 10)})
    assert problem.code == "split-official"


@pytest.mark.parametrize(
    "asked", [{"val": 100}, {"val": 60, "test": 60}, {"train": 90, "val": 20}, {"train": 0.9, "val": 0.2}]
)
def test_more_than_there_is(asked) -> None:
    problem = refusal(count=100, **asked)
    assert problem.code == "split-too-large"
    assert "of 100 samples" in problem.what
    assert all(f"{name} " in problem.why for name in asked)


def test_a_part_that_rounds_to_nothing() -> None:
    problem = refusal(count=100, val=0.001)
    assert problem.code == "split-empty"
    assert "val" in problem.what
    assert "0.001" in problem.why


def test_a_class_of_one_sample_cannot_be_stratified() -> None:
    problem = refusal(count=5, val=0.4, labels=torch.tensor([0, 0, 1, 1, 7]))
    assert problem.code == "split-stratify"
    assert "class 7" in problem.what
    assert "stratify: false" in problem.help
    assert sizes(parts(5, val=0.4)) == {"train": 3, "val": 2}
