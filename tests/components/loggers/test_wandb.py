"""The logger wandb, offline."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("wandb")

from wandb.proto import wandb_internal_pb2

from gradtrain.components.loggers.wandb import Wandb

pytestmark = pytest.mark.filterwarnings("ignore")
BLOCK = 32768


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file of an offline run: LevelDB's log, checksum (4 bytes), length (2), kind (1) and content."""
    place, begun = 7, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:  # no head fits into the rest of a block
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        begun += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield begun
            begun = b""


def rows(path: Path) -> Iterator[dict[str, float]]:
    """The numbers in a file of an offline run."""
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            yield {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}


def test_both_lives_are_files_of_one_run_below_its_folder(twice) -> None:
    folder = twice(Wandb())
    files = sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.name for file in files}) == 1
    found = [row for file in files for row in rows(file)]
    assert sorted(row["step"] for row in found) == [10, 20, 30, 30, 40, 40, 50]
    assert {row["train/loss"] for row in found if row["step"] == 50} == {1 / 50}
