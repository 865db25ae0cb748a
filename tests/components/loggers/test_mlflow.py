"""The logger mlflow, read back through MLflow's own API."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from mlflow.tracking import MlflowClient

from gradtrain.components.loggers.mlflow import PLACE, Mlflow

pytestmark = pytest.mark.filterwarnings("ignore")


def client(store: str = "runs/mlflow.db") -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{Path(store).absolute()}")


def test_a_run_of_two_lives_is_one_run_with_every_number_once(twice) -> None:
    folder = twice(Mlflow())
    experiment = client().get_experiment_by_name("digits")
    (run,) = client().search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("001", "FINISHED")
    assert run.data.tags[PLACE] == str(folder)
    assert run.data.params == {"optimizer.adam.lr": "0.001", "loss": "cross_entropy"}
    history = client().get_metric_history(run.info.run_id, "train/loss")
    assert sorted((m.step, m.value) for m in history) == [(step, 1 / step) for step in (10, 20, 30, 40, 50)]
    assert run.data.tags["finding/vanishing/0.linear 10"] == "began: the gradient falls"
    assert not Path("mlruns").exists()


def test_the_store_is_where_the_config_says_and_holds_what_is_no_number(header) -> None:
    log = Mlflow(store="elsewhere/m.db").open(header())
    log.numbers(3, {"train/loss": math.nan, "naïve|name": 2.0})
    log.close("failed")
    found = client("elsewhere/m.db")
    (run,) = found.search_runs([found.get_experiment_by_name("digits").experiment_id])
    assert run.info.status == "FAILED"
    assert math.isnan(run.data.metrics["train/loss"])
    assert run.data.metrics["na_ve_name"] == 2.0


def test_many_settings_and_numbers_come_in_batches(header) -> None:
    head = header()._replace(settings={f"setting.{i}": i for i in range(250)})
    log = Mlflow().open(head)
    log.numbers(1, {f"health/{i}": float(i) for i in range(1200)})
    log.close("finished")
    (run,) = client().search_runs([client().get_experiment_by_name("digits").experiment_id])
    assert (len(run.data.params), len(run.data.metrics)) == (250, 1200)


@pytest.mark.parametrize(
    "store", ["/tmp/m.db", "../m.db", "runs/../../m.db", "", ".hidden/m.db", "a//b", "m.db?mode=memory"]
)
def test_the_store_lies_below_the_folder_of_the_command(store: str) -> None:
    with pytest.raises(ValidationError):
        Mlflow(store=store)
