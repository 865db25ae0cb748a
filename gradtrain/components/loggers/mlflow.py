"""MLflow's tracking store."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradtrain.components.loggers import Below, Header, Log, Logger

PLACE = "gradtrain.folder"
"""The tag that says which run of gradtrain it is."""
MOST = 500
"""Numbers that are written at once."""
SECONDS = 2.0
"""Numbers wait no longer than that: a transaction of the database costs more than a step."""
STATES = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class Mlflow(Logger):
    """A database of MLflow's beside the runs: `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`.

    note      An experiment has the name of the config, a run that of its folder. What a resumed run measures again is
              written once.
    """

    needs = "mlflow"
    cases = [{}, {"store": "mlflow.db"}]

    store: Below = "runs/mlflow.db"
    """The database's file, below where the command is started; missing folders are made."""

    def open(self, header: Header) -> Log:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        path = Path(self.store).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri=f"sqlite:///{path}")
        experiment = client.get_experiment_by_name(header.name)
        place = header.folder / "mlflow"
        key = (
            client.create_experiment(header.name, place.absolute().as_uri())
            if experiment is None
            else experiment.experiment_id
        )
        where = str(header.folder.absolute())
        known = [run for run in client.search_runs([key]) if run.data.tags.get(PLACE) == where] if header.start else []
        if known:
            run = known[0].info.run_id
            client.update_run(run, status="RUNNING")
        else:
            run = client.create_run(key, tags={PLACE: where}, run_name=header.run).info.run_id
            settings = [Param(name, str(value)[:500]) for name, value in header.settings.items()]
            for first in range(0, len(settings), 100):  # a batch takes no more
                client.log_batch(run, params=settings[first : first + 100])
        return _Tracked(client, run, bool(known))


class _Tracked(Log):
    def __init__(self, client: Any, run: str, again: bool) -> None:
        self.client, self.run, self.again = client, run, again
        self.last: dict[str, int] = {}
        self.waiting: list[Any] = []
        self.sent = time.monotonic()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        named = {_spelled(name): value for name, value in values.items()}
        self.waiting += [Metric(name, value, now, step) for name, value in named.items() if step > self.known(name)]
        if len(self.waiting) > MOST or time.monotonic() - self.sent > SECONDS:
            self.flush()

    def known(self, name: str) -> int:
        """The last step whose number is there already: MLflow never forgets one."""
        if name not in self.last:
            history = self.client.get_metric_history(self.run, name) if self.again else []
            self.last[name] = max((metric.step for metric in history), default=-1)
        return self.last[name]

    def text(self, step: int, name: str, text: str) -> None:
        self.client.set_tag(self.run, f"{_spelled(name)} {step}", text[:5000])

    def flush(self) -> None:
        for first in range(0, len(self.waiting), MOST):
            self.client.log_batch(self.run, metrics=self.waiting[first : first + MOST])
        self.waiting, self.sent = [], time.monotonic()

    def close(self, state: str) -> None:
        self.flush()
        self.client.set_terminated(self.run, STATES.get(state, "FAILED"))


def _spelled(name: str) -> str:
    """A name in the characters that MLflow allows."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-./ ") else "_" for c in name)[:250]
