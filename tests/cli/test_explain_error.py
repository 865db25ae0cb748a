"""gradtrain explain-error."""

from __future__ import annotations

import pytest

from gradtrain.cli import run
from gradtrain.problems import exit_codes


@pytest.mark.parametrize("code", sorted(exit_codes()))
def test_every_code_has_a_page_that_says_something(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-error", code]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"error[{code}], exit status {exit_codes()[code]}\n\n")
    assert len(out.splitlines()[2]) > 20


def test_the_brackets_may_be_copied_along(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-error", "error[bug]"]) == 0
    assert "exit status 1" in capsys.readouterr().out
