"""Every normalization keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.normalizations import Normalization
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Normalization))
def test_contract(name, keeps_contract):
    keeps_contract(Normalization, name)
