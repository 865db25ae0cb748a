"""What the tests of the prover share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradtrain import registry
from gradtrain.gradcheck import check

WITNESSES = {"differences", "forward mode", "order 2", "Hessian symmetry", "forward over reverse"}
"""Checks that know no closed form: a wrong backward pass fails them too."""


@pytest.fixture
def caught() -> Callable[..., None]:
    """A planted mistake must fail the check `named` and, where `only` is given, no check but those."""

    def caught(family: str, cls: type[registry.Component], named: str, only: set[str]) -> None:
        assert issubclass(cls, registry.families()[family])
        silent = set() if named == "docstring" else {"docstring"}  # the planted ones do not explain themselves
        failed = [f for f in check(family, "planted", cls) if not f.ok and f.check not in silent]
        assert named in {finding.check for finding in failed}
        if only:
            witnesses = WITNESSES if any(check.startswith("gradient of") for check in only) else set()
            assert {
                finding.check.partition(" of ")[0] if finding.check.startswith("diff") else finding.check
                for finding in failed
            } <= only | witnesses
        assert {(finding.family, finding.component) for finding in failed} == {(family, "planted")}

    return caught
