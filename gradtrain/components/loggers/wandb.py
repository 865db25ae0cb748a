"""Weights & Biases, offline."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from gradtrain.components.loggers import Header, Log, Logger


class Wandb(Logger):
    """Files of Weights & Biases in the run's folder `wandb/`, written offline: `wandb sync RUN/wandb/offline-run-*`.

    note      Nothing is sent, and neither the machine, nor code, nor what is printed is written down. Every life of a
              run writes files of its own under one name, which `wandb sync` joins; what a resumed run measures again
              stands in both.
    """

    needs = "wandb"

    def open(self, header: Header) -> Log:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, save_code=False, disable_code=True, x_disable_stats=True,
            x_disable_meta=True, x_disable_machine_info=True,
        )  # fmt: skip
        key = hashlib.sha256(str(header.folder.absolute()).encode()).hexdigest()[:16]
        run = wandb.init(
            project=header.name, name=header.run, id=key,
            dir=str(header.folder), config=dict(header.settings), mode="offline", resume="allow", settings=quiet,
        )  # fmt: skip
        run.define_metric("*", step_metric="step")
        return _Offline(run)


class _Offline(Log):
    def __init__(self, run: Any) -> None:
        self.run = run

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({"step": step, **values})

    def text(self, step: int, name: str, text: str) -> None:
        self.run.summary[f"{name} {step}"] = text

    def close(self, state: str) -> None:
        self.run.finish(exit_code=0 if state == "finished" else 1)
