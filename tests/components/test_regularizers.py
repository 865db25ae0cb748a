"""Every regularizer keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.regularizers import Regularizer
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Regularizer))
def test_contract(name, keeps_contract):
    keeps_contract(Regularizer, name)
