"""Signals as a flag: a run ends between two steps, never in the middle of one."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Stop:
    """Signals as a flag that the run reads between two steps.

    The first SIGINT, SIGTERM or SIGHUP asks the run to save and end; the second SIGINT ends it at once. A process that
    was started with SIGHUP ignored (nohup) keeps ignoring it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        kept: dict[signal.Signals, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(ValueError):  # only the main thread may listen
                if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN):
                    kept[number] = signal.signal(number, self.note)
        try:
            yield self
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            os._exit(130)
        self.signal = number

    @property
    def reason(self) -> str:
        return signal.Signals(self.signal).name if self.signal is not None else ""
