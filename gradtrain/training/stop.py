"""Signals: what can be begun again is broken off at once; everything else is finished and saved first."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class Interrupted(KeyboardInterrupt):
    """A signal broke off what can be begun again."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Stop:
    """The signals of a run.

    The first SIGINT, SIGTERM or SIGHUP asks it to save and end. From then on SIGINT does what it does by default: the
    kernel ends the process, even in the middle of a long computation. SIGUSR1 asks it to save and go on. Where SIGHUP
    was ignored from the start (nohup), it stays ignored; SIGINT is heard also where a shell's `&` had it ignored.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.save = False
        """A checkpoint is wanted."""
        self.patient = False
        self.heard = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Hear signals; whoever is listening already goes on with it. Raises `Interrupted`."""
        if self.heard:
            yield self
            return
        kept: dict[signal.Signals, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            with contextlib.suppress(ValueError):  # only the main thread may listen
                if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN):
                    kept[number] = signal.signal(number, self.note)
        self.heard = True
        try:
            yield self
        finally:
            self.heard = False
            for number, handler in kept.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def patiently(self) -> Iterator[None]:
        """In here signals wait until they are asked for by `check`. Raises `Interrupted` for one that came before."""
        before, self.patient = self.patient, True
        try:
            if not before:
                self.check()
            yield
        finally:
            self.patient = before

    @contextlib.contextmanager
    def heeded(self, networks: Iterable[nn.Module], when: Callable[[], bool]) -> Iterator[None]:
        """In here every call of a network asks for signals, as `check` does, `when` that is allowed."""

        def ask(*call: object) -> None:
            if when():
                self.check()

        hooks = [network.register_forward_pre_hook(ask) for network in networks]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.save = True
            return
        if self.signal is None:
            self.signal = number
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not self.patient:
            raise Interrupted(self.signal)

    def check(self) -> None:
        """Raises `Interrupted` when a signal has asked the run to end."""
        if self.signal is not None:
            raise Interrupted(self.signal)
