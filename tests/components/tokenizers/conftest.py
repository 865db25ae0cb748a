"""A refusal of a tokenizer as an assertion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradtrain.problems import Problem, render


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call something that must raise a `Problem` of this code and exit status; its rendered text."""

    def refuses(code: str, exit: int, call: Callable[..., Any], *arguments: Any) -> str:
        with pytest.raises(Problem) as caught:
            call(*arguments)
        assert caught.value.code == code, render(caught.value)
        assert caught.value.exit_code == exit
        return render(caught.value)

    return refuses
