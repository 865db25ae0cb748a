"""The logger tensorboard, read back through TensorBoard's own API."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradtrain.components.loggers.tensorboard import TensorBoard

pytestmark = pytest.mark.filterwarnings("ignore")


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def test_every_number_is_a_point_and_stands_there_once(twice) -> None:
    found = events(twice(TensorBoard()))
    assert set(found.Tags()["scalars"]) == {"train/loss", "val/accuracy"}
    points = found.Scalars("train/loss")
    assert [point.step for point in points] == [10, 20, 30, 40, 50]
    assert [point.value for point in points] == pytest.approx([1 / step for step in (10, 20, 30, 40, 50)])


def test_settings_and_findings_are_texts(twice) -> None:
    found = events(twice(TensorBoard()))
    (config,) = found.Tensors("config/text_summary")
    assert b"optimizer.adam.lr: 0.001" in config.tensor_proto.string_val[0]
    remark = found.Tensors("finding/vanishing/0.linear/text_summary")[0]
    assert remark.tensor_proto.string_val == [b"began: the gradient falls"]
