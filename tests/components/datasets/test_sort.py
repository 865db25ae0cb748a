"""Sequences and their order."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets import IGNORED
from gradtrain.components.datasets.sort import Sort, _for_the_test

SOURCES = [Sort(), Sort(length=4, symbols=10, train=300, test=100), Sort(length=2, symbols=4, train=50, test=20)]


@pytest.mark.parametrize("source", SOURCES)
def test_targets_are_the_sorted_sequence(source) -> None:
    made, n = source.load(Path()), source.length
    x, y = made.fields["x"], made.fields["y"]
    assert x.shape == y.shape == (source.train + source.test, 2 * n - 1)
    assert bool((y[:, : n - 1] == IGNORED).all())
    assert y[:, n - 1 :].tolist() == [sorted(row) for row in x[:, :n].tolist()]
    assert torch.equal(x[:, n:], y[:, n - 1 : -1])
    assert source.facts() == made.facts


@pytest.mark.parametrize("source", SOURCES)
def test_no_test_sequence_trains(source) -> None:
    made = source.load(Path())
    parts = {
        name: {tuple(made.fields["x"][i, : source.length].tolist()) for i in made.splits[name]} for name in made.splits
    }
    assert parts["train"]
    assert parts["test"]
    assert not parts["train"] & parts["test"]
    assert (len(made.splits["train"]), len(made.splits["test"])) == (source.train, source.test)


@pytest.mark.parametrize(("length", "symbols"), [(2, 4), (4, 2), (2, 5), (3, 3), (6, 3), (3, 36), (10, 2)])
def test_both_splits_have_about_their_share_of_all_sequences(length, symbols) -> None:
    every = torch.tensor(list(itertools.product(range(symbols), repeat=length)))
    share = float(_for_the_test(every).double().mean())
    assert 0.1 < share < 0.45
    assert len(every) < 500 or abs(share - 0.25) < 0.06


def test_the_seed_decides() -> None:
    one, same, other = (Sort(train=50, test=20, seed=s).load(Path()).fields["x"] for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("fields", [{"length": 3, "symbols": 2}, {"symbols": 37}, {"length": 1}])
def test_what_cannot_be_split(fields) -> None:
    with pytest.raises(ValidationError):
        Sort(**fields)
