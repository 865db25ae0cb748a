"""Every loss keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.losses import Loss
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Loss))
def test_contract(name, keeps_contract):
    keeps_contract(Loss, name)
