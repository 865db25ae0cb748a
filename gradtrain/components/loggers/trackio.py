"""Trackio's local database."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradtrain.components.loggers import Below, Header, Log, Logger


class Trackio(Logger):
    """A database of Trackio's beside the runs: `TRACKIO_DIR=runs/trackio trackio show`.

    note      A project has the name of the config, a run that of its folder. Local: nothing is uploaded. What a resumed
              run measures again stands there twice.
    """

    needs = "trackio"
    cases = [{}, {"store": "trackio"}]

    store: Below = "runs/trackio"
    """The folder of the databases, below where the command is started; the variable TRACKIO_DIR goes first."""

    def open(self, header: Header) -> Log:
        os.environ.setdefault("TRACKIO_DIR", str(Path(self.store).absolute()))
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import trackio

        with contextlib.redirect_stdout(io.StringIO()):  # it advertises there
            run = trackio.init(
                header.name, header.run, config=dict(header.settings), resume="allow", embed=False, auto_log_gpu=False,
                auto_log_cpu=False,
            )  # fmt: skip
        return _Tracked(run)


class _Tracked(Log):
    def __init__(self, run: Any) -> None:
        self.run = run

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self, state: str) -> None:
        import trackio

        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()  # type: ignore[no-untyped-call]
