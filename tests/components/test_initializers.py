"""Every initializer keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.initializers import Initializer
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Initializer))
def test_contract(name, keeps_contract):
    keeps_contract(Initializer, name)
