"""The logger trackio, read back through Trackio's own API."""

from __future__ import annotations

import pytest

pytest.importorskip("trackio")

from gradtrain.components.loggers.trackio import Trackio

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_numbers_stand_in_a_database_beside_the_runs(twice, capfd, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "runs" / "trackio"))
    from trackio import sqlite_storage, utils

    for module in (sqlite_storage, utils):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "runs" / "trackio", raising=False)
    twice(Trackio())
    found = sqlite_storage.SQLiteStorage.get_logs("digits", "001")
    assert {row["step"] for row in found} == {10, 20, 30, 40, 50}
    assert {row["train/loss"] for row in found if row["step"] == 50} == {1 / 50}
    assert capfd.readouterr().out == ""
