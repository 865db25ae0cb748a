"""The contract check as an assertion whose message is the evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradtrain import registry
from gradtrain.gradcheck import check
from gradtrain.gradcheck.report import blocks
from gradtrain.registry import Component

Keeps = Callable[[type[Component], str], None]


@pytest.fixture(scope="session")
def keeps_contract() -> Keeps:
    """Every check of the component `name` of a family passes."""

    def keeps(family: type[Component], name: str) -> None:
        shelf = family.__module__.rpartition(".")[2]
        findings = check(shelf, name, registry.find(family, name))
        assert findings
        assert all(f.ok for f in findings), "\n\n" + "\n\n".join(blocks([f for f in findings if not f.ok]))

    return keeps
