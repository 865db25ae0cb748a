"""Every layer keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.layers import Layer
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Layer))
def test_contract(name, keeps_contract):
    keeps_contract(Layer, name)
