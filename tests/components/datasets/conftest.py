"""A refusal as an assertion: its code, its exit status, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradtrain.problems import Problem, render

Refused = Callable[..., Problem]


@pytest.fixture
def refused() -> Refused:
    """Call something that must raise a `Problem` of this code whose rendered text holds all the words."""

    def refuses(
        code: str, call: Callable[..., Any], *arguments: Any, says: tuple[str, ...] = (), exit: int = 3
    ) -> Problem:
        with pytest.raises(Problem) as caught:
            call(*arguments)
        problem, text = caught.value, render(caught.value)
        assert problem.code == code, text
        assert problem.exit_code == exit
        for words in says:
            assert words in text, text
        return problem

    return refuses
