"""Transforms against their formulas; what is learned comes from the train split and serves every other split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradtrain.components.transforms import Transform
from gradtrain.components.transforms.flatten import Flatten
from gradtrain.components.transforms.min_max import MinMax
from gradtrain.components.transforms.normalize import Normalize
from gradtrain.components.transforms.one_hot import OneHot
from gradtrain.components.transforms.standardize import AT_ONCE, Standardize
from gradtrain.components.transforms.to_float import ToFloat
from gradtrain.problems import Problem
from gradtrain.stage import Misfit

IMAGES = [
    Flatten(),
    MinMax(),
    Normalize(mean=(0.5,), std=(2.0,)),
    Normalize(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)),
    Standardize(),
    ToFloat(),
    ToFloat(max=16.0),
]


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 4, 5), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("transform", IMAGES, ids=lambda t: t.name())
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_sample_is_transformed_by_itself(transform: Transform, dtype) -> None:
    """The result is the same in any batch, of the promised shape and range, and the samples are left as they are."""
    train, other = pixels(40).to(dtype), pixels(9, seed=1).to(dtype)
    kept = other.clone()
    fitted = transform.fit(train)
    whole = transform.forward(other, fitted)
    assert torch.equal(other, kept)
    assert torch.equal(torch.cat([transform.forward(part, fitted) for part in other.split(4)]), whole)
    assert tuple(whole.shape[1:]) == transform.output_shape(tuple(other.shape[1:]))
    assert whole.dtype == (dtype if isinstance(transform, Flatten) else torch.float32)
    if (span := transform.span(0.0, 255.0)) is not None:
        assert span[0] <= whole.min()
        assert whole.max() <= span[1]
    assert transform.forward(other[:0], fitted).shape == (0, *whole.shape[1:])


def test_flatten_keeps_the_order_of_numpy() -> None:
    x = pixels(2)
    np.testing.assert_array_equal(Flatten().forward(x, {}).numpy(), x.numpy().reshape(2, 60))


def test_to_float_always_divides_by_the_same_number() -> None:
    x = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    torch.testing.assert_close(ToFloat().forward(x, {}), torch.tensor([[0.0, 0.2, 1.0]]))
    torch.testing.assert_close(ToFloat().forward(x[:, :2], {}), torch.tensor([[0.0, 0.2]]))
    torch.testing.assert_close(ToFloat(max=16.0).forward(torch.tensor([[8]]), {}), torch.tensor([[0.5]]))


def test_normalize_goes_channel_by_channel() -> None:
    transform = Normalize(mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    x = pixels(6)
    expected = (x.numpy() - np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)) / np.array([2.0, 4.0, 8.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(transform.forward(x, transform.fit(x)).numpy(), expected, rtol=1e-6)
    table = torch.tensor([[1.0, 6.0, 11.0]])
    assert transform.forward(table, transform.fit(table)).tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize("fields", [{"mean": (1.0, 2.0), "std": (1.0,)}, {"mean": (1.0,), "std": (1.0, 2.0)}])
def test_normalize_needs_a_number_a_channel(fields) -> None:
    with pytest.raises(Misfit, match="2 numbers"):
        Normalize(**fields).output_shape((3, 4, 4))


@pytest.mark.parametrize("shape", [(300, 4), (AT_ONCE + 7, 2), (50, 3, 2, 2)])
def test_standardize_is_the_z_score_of_the_train_split(shape) -> None:
    generator = torch.Generator().manual_seed(0)
    train, other = 5 * torch.randn(shape, generator=generator) + 3, torch.randn(shape, generator=generator)
    fitted = Standardize().fit(train)
    learned = Standardize().forward(train, fitted)
    torch.testing.assert_close(learned.mean(dim=0), torch.zeros(shape[1:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(learned.std(dim=0, correction=0), torch.ones(shape[1:]))
    reference = train.numpy().astype("f8")
    expected = (other.numpy() - reference.mean(axis=0)) / reference.std(axis=0)
    np.testing.assert_allclose(Standardize().forward(other, fitted).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e20, 1e-42])
def test_a_feature_that_never_changes_becomes_zero_and_stays_tame(value) -> None:
    train = torch.full((1000, 2), value)
    train[:, 1] = torch.arange(1000.0)
    fitted = Standardize().fit(train)
    assert fitted["std"][0] == 1
    assert (Standardize().forward(train, fitted)[:, 0].abs() <= abs(value) * 1e-6).all()
    other = train[:1] + 0.5
    assert Standardize().forward(other, fitted)[0, 0] == pytest.approx(float(other[0, 0] - train[0, 0]), abs=1e-6)


def test_a_large_mean_keeps_the_digits_of_a_small_spread() -> None:
    train = torch.tensor([[16_000_000.0], [16_000_001.0], [16_000_002.0]])
    assert Standardize().fit(train)["std"].item() == pytest.approx((2 / 3) ** 0.5)


def test_min_max_runs_from_zero_to_one_over_the_train_split() -> None:
    train = torch.tensor([[2.0, 7.0], [4.0, 7.0], [6.0, 7.0]])
    fitted = MinMax().fit(train)
    assert MinMax().forward(train, fitted).tolist() == [[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]
    assert MinMax().forward(torch.tensor([[8.0, 8.0]]), fitted).tolist() == [[1.5, 1.0]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_hot(dtype, shape) -> None:
    made = OneHot(classes=4).forward(torch.tensor([3, 0, 1]).reshape(shape).to(dtype), {})
    assert made.dtype == torch.float32
    assert made.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize("wrong", [-1, 3, 0.5, float("nan"), float("inf")])
def test_one_hot_names_the_value_that_it_cannot_place(wrong) -> None:
    with pytest.raises(Problem) as caught:
        OneHot(classes=3).forward(torch.tensor([0, 1, wrong]), {})
    assert caught.value.code == "label-out-of-range"
    assert f"{wrong:g}" in caught.value.what
    assert caught.value.exit_code == 3


def test_one_hot_takes_one_number_a_sample() -> None:
    with pytest.raises(Misfit):
        OneHot(classes=3).output_shape((2,))
    with pytest.raises(Problem) as caught:
        OneHot(classes=3).forward(torch.zeros(4, 2), {})
    assert caught.value.code == "label-shape"
