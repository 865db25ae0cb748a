"""Sums digit by digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets import IGNORED
from gradtrain.components.datasets.addition import Addition


def numbers(digits: torch.Tensor) -> torch.Tensor:
    return (digits * 10 ** torch.arange(digits.shape[1] - 1, -1, -1)).sum(dim=1)


@pytest.mark.parametrize("source", [Addition(), Addition(digits=3, reverse=False), Addition(digits=6, count=500)])
def test_rows_spell_true_sums(source) -> None:
    made, n = source.load(Path()), source.digits
    x, y = made.fields["x"], made.fields["y"]
    assert x.shape == y.shape == (made.facts.count, 3 * n)
    assert bool((y[:, : 2 * n - 1] == IGNORED).all())
    assert torch.equal(x[:, 2 * n :], y[:, 2 * n - 1 : -1])
    answer = y[:, 2 * n - 1 :].flip(1) if source.reverse else y[:, 2 * n - 1 :]
    assert torch.equal(numbers(x[:, :n]) + numbers(x[:, n : 2 * n]), numbers(answer))


def test_the_project_readmes_example() -> None:
    """minGPT, projects/adder: 85 + 50 = 135 becomes 8 5 5 0 5 3 1, of which the first 6 are read."""
    made = Addition().load(Path())
    row = (made.fields["x"][:, :4] == torch.tensor([8, 5, 5, 0])).all(dim=1).nonzero().item()
    assert made.fields["x"][row].tolist() == [8, 5, 5, 0, 5, 3]
    assert made.fields["y"][row].tolist() == [-1, -1, -1, 5, 3, 1]


@pytest.mark.parametrize("source", [Addition(), Addition(digits=4, count=30_000, test=77)])
def test_every_sum_occurs_once_and_in_one_split(source) -> None:
    made = source.load(Path())
    questions = numbers(made.fields["x"][:, : 2 * source.digits])
    assert len(torch.unique(questions)) == made.facts.count
    assert sorted([*made.splits["train"].tolist(), *made.splits["test"].tolist()]) == list(range(len(questions)))
    assert len(made.splits["test"]) == source.test


def test_the_test_split_is_at_most_a_fifth() -> None:
    assert len(Addition(digits=1).load(Path()).splits["test"]) == 20
    assert len(Addition(digits=1, count=4).load(Path()).splits["test"]) == 1


def test_facts_are_what_is_made_and_the_seed_decides() -> None:
    for source in (Addition(), Addition(digits=5, count=100)):
        assert source.facts() == source.load(Path()).facts
    one, same, other = (Addition(digits=4, count=200, seed=s).load(Path()).fields["x"] for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"digits": 4}, "count: 100000"),
        ({"digits": 1, "count": 101}, "only 100 sums"),
        ({"digits": 9}, "digits"),
        ({"digits": 0}, "digits"),
    ],
)
def test_what_cannot_be_drawn(fields, says) -> None:
    with pytest.raises(ValidationError, match=says):
        Addition(**fields)
