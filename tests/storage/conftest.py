"""A child process that does one thing and ends, however it ends."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def forked() -> Callable[[Callable[[], Any]], int]:
    """Runs a function in a forked child; the child's process id. It exits 0, or 9 with a traceback."""

    def begin(work: Callable[[], Any]) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(9)
        return pid

    return begin
