"""Every schedule keeps the contract of its family, in every case."""

from __future__ import annotations

import pytest

from gradtrain.components.schedules import Schedule
from gradtrain.registry import names


@pytest.mark.parametrize("name", names(Schedule))
def test_contract(name, keeps_contract):
    keeps_contract(Schedule, name)
