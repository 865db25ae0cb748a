"""Every activation keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.activations import Activation
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Activation))
def test_contract(name, keeps_contract):
    keeps_contract(Activation, name)
