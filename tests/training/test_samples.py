"""The pipeline of transforms: fitted on the train split alone, in order, and the same sample by sample."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gradtrain.components.transforms import TransformUse
from gradtrain.components.transforms.flatten import Flatten
from gradtrain.components.transforms.min_max import MinMax
from gradtrain.components.transforms.one_hot import OneHot
from gradtrain.components.transforms.standardize import Standardize
from gradtrain.components.transforms.to_float import ToFloat
from gradtrain.training import samples
from gradtrain.training.samples import Pipeline


def pixels(count: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 3, 2), generator=draw).to(torch.uint8)


def uses(*parts: object, on: str = "x") -> list[TransformUse]:
    return [TransformUse(part=part, on=on) for part in parts]


def test_each_transform_learns_from_what_the_ones_before_it_left() -> None:
    x = pixels(20)
    pipeline = Pipeline.fit(uses(ToFloat(), Standardize()), {"x": x}, torch.float32)
    torch.testing.assert_close(pipeline.fitted[1]["mean"], (x / 255).mean(dim=0))
    after = pipeline({"x": x})["x"]
    torch.testing.assert_close(after.mean(dim=0), torch.zeros(1, 3, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.std(dim=0, correction=0), torch.ones(1, 3, 2))


def test_other_splits_are_measured_with_the_train_splits_numbers() -> None:
    train, val = torch.tensor([[0.0], [10.0]]), torch.tensor([[20.0], [-10.0]])
    pipeline = Pipeline.fit(uses(MinMax()), {"x": train}, torch.float32)
    assert pipeline({"x": val})["x"].flatten().tolist() == [2.0, -1.0]


def test_a_sample_does_not_see_its_neighbours() -> None:
    x = pixels(20)
    pipeline = Pipeline.fit(uses(ToFloat(), Standardize(), Flatten()), {"x": x}, torch.float32)
    together = pipeline({"x": x})["x"]
    for i in range(20):
        assert torch.equal(pipeline({"x": x[i : i + 1]})["x"][0], together[i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_real_numbers_take_the_runs_dtype_and_class_indices_keep_theirs(dtype) -> None:
    fields = {"x": pixels(4), "y": torch.tensor([0, 1, 2, 0])}
    after = Pipeline.fit([], fields, dtype)(dict(fields))
    assert after["x"].dtype == dtype
    assert torch.equal(after["x"], fields["x"].to(dtype))
    assert after["y"].dtype == torch.int64
    values = Pipeline.fit([], {"y": torch.zeros(4, 1)}, dtype)({"y": torch.zeros(4, 1)})
    assert values["y"].dtype == dtype


def test_a_transform_of_the_target_leaves_the_input_alone() -> None:
    fields = {"x": pixels(3), "y": torch.tensor([2, 0, 1])}
    after = Pipeline.fit(uses(OneHot(classes=3), on="y"), fields, torch.float32)(dict(fields))
    assert after["y"].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert torch.equal(after["x"], fields["x"].float())


def test_fitting_leaves_the_stored_samples_unchanged() -> None:
    fields = {"x": pixels(5), "y": torch.arange(5)}
    kept = fields["x"].clone()
    pipeline = Pipeline.fit(uses(ToFloat(), Standardize()), fields, torch.float32)
    pipeline.laid_out(fields)
    assert fields["x"].dtype == torch.uint8
    assert torch.equal(fields["x"], kept)


def test_a_split_is_small_enough_up_to_so_many_bytes_of_what_the_network_reads(monkeypatch) -> None:
    fields = {"x": pixels(16)}
    pipeline = Pipeline.fit(uses(ToFloat()), fields, torch.float32)
    assert pipeline.fits(fields)
    laid = pipeline.laid_out(fields)
    assert torch.equal(laid["x"], pipeline(dict(fields))["x"])
    assert laid["x"].is_contiguous()
    monkeypatch.setattr(samples, "IN_ONE_PIECE", 16 * 6 * 4 - 1)  # a byte less than the float32 samples take
    assert not pipeline.fits(fields)
    monkeypatch.setattr(samples, "IN_ONE_PIECE", 16 * 6 * 4)
    assert pipeline.fits(fields)


def test_what_was_learned_moves_to_the_device() -> None:
    pipeline = Pipeline.fit(uses(Standardize(), ToFloat()), {"x": torch.randn(4, 2)}, torch.float32)
    pipeline.to(torch.device("meta"))
    assert [{key: t.device.type for key, t in learned.items()} for learned in pipeline.fitted] == [
        {"mean": "meta", "std": "meta"},
        {},
    ]
