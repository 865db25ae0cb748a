"""Every optimizer keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.optimizers import Optimizer
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Optimizer))
def test_contract(name, keeps_contract):
    keeps_contract(Optimizer, name)
