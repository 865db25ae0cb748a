"""Every game keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.games import Game
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Game))
def test_contract(name, keeps_contract):
    keeps_contract(Game, name)
