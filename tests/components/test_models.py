"""Every model keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.models import Model
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Model))
def test_contract(name, keeps_contract):
    keeps_contract(Model, name)
