"""Components without mathematics of their own keep the contract of every record: docstring and round trip."""

from __future__ import annotations

import pytest

from gradtrain.registry import families, names

SHELVES = ["augmentations", "datasets", "loggers", "measures", "metrics", "objectives", "tokenizers", "transforms"]
MEMBERS = [(shelf, name) for shelf in SHELVES for name in names(families()[shelf])]


@pytest.mark.parametrize(("shelf", "name"), MEMBERS, ids=[name for _, name in MEMBERS])
def test_contract(shelf, name, keeps_contract):
    keeps_contract(families()[shelf], name)


def test_every_family_has_a_contract_test():
    proven = {"activations", "games", "initializers", "layers", "losses", "models", "normalizations"}
    proven |= {"optimizers", "regularizers", "schedules"}
    assert proven | set(SHELVES) == set(families())
