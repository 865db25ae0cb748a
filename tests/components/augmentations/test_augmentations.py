"""Augmentations: pure functions of the batch and the generator, with the geometry and the odds they promise."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.augmentations import Augmentation
from gradtrain.components.augmentations.noise import Noise
from gradtrain.components.augmentations.random_crop import RandomCrop
from gradtrain.components.augmentations.random_flip import RandomFlip
from gradtrain.stage import Misfit

ALL = [
    Noise(std=0.3),
    RandomCrop(size=8, padding=2),
    RandomCrop(size=5),
    RandomCrop(size=6, padding=1, fill="constant"),
    RandomFlip(),
    RandomFlip(direction="vertical", p=0.3),
]


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 32, height: int = 8, width: int = 8) -> torch.Tensor:
    """Every pixel of every channel of every image has a number of its own."""
    return torch.arange(count * 2 * height * width, dtype=torch.float32).reshape(count, 2, height, width) + 1


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: a.name())
def test_a_batch_is_a_pure_function_of_its_generator(augmentation: Augmentation) -> None:
    x = images()
    state = torch.get_rng_state()
    first = augmentation.forward(x, drawn(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, images())
    assert torch.equal(first, augmentation.forward(x, drawn(1)))
    assert not torch.equal(first, augmentation.forward(x, drawn(2)))
    assert tuple(first.shape[1:]) == augmentation.output_shape((2, 8, 8))
    assert first.dtype == x.dtype


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: a.name())
def test_samples_are_changed_independently(augmentation: Augmentation) -> None:
    made = augmentation.forward(images(1).expand(200, 2, 8, 8), drawn())
    assert len(torch.unique(made, dim=0)) > 1


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 2), ("vertical", 1)])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_a_flip_mirrors_whole_images_at_its_odds(direction, axis, p) -> None:
    x = images(2000, 4, 3)
    made = RandomFlip(direction=direction, p=p).forward(x, drawn())
    mirrored = (made == x.flip(axis + 1)).flatten(1).all(dim=1)
    same = (made == x).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert abs(mirrored.float().mean() - p) < 0.04


@pytest.mark.parametrize("fill", ["reflect", "constant"])
@pytest.mark.parametrize(("height", "width", "size", "padding"), [(8, 8, 8, 2), (9, 7, 5, 0), (6, 8, 7, 1)])
def test_a_crop_is_a_window_of_the_padded_image(fill, height, width, size, padding) -> None:
    """Every result is one of the windows that a loop over all places cuts, and every place occurs about as often."""
    x = images(1500, height, width)
    made = RandomCrop(size=size, padding=padding, fill=fill).forward(x, drawn())
    padded = torch.nn.functional.pad(x, (padding,) * 4, mode=fill)
    places = [(top, left) for top in range(padded.shape[2] - size + 1) for left in range(padded.shape[3] - size + 1)]
    found = torch.zeros(len(places), len(x), dtype=torch.bool)
    for number, (top, left) in enumerate(places):
        window = padded[:, :, top : top + size, left : left + size]
        found[number] = (made == window).flatten(1).all(dim=1)
    assert (found.sum(dim=0) == 1).all()
    shares = found.float().mean(dim=1) * len(places)
    assert (shares - 1).abs().max() < 0.6


def test_a_crop_of_the_whole_image_is_the_image() -> None:
    assert torch.equal(RandomCrop(size=8).forward(images(), drawn()), images())


@pytest.mark.parametrize(
    ("augmentation", "shape", "words"),
    [
        (RandomCrop(size=4), (64,), "channels, height, width"),
        (RandomCrop(size=12, padding=1), (1, 8, 8), "does not fit"),
        (RandomCrop(size=4, padding=8), (1, 8, 8), "mirror"),
        (RandomFlip(), (64,), "channels, height, width"),
    ],
)
def test_shapes_that_do_not_fit(augmentation, shape, words) -> None:
    with pytest.raises(Misfit, match=words):
        augmentation.output_shape(shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_normal_with_its_standard_deviation(dtype) -> None:
    x = torch.full((500, 40), 2.0, dtype=dtype)
    added = Noise(std=0.3).forward(x, drawn()) - x
    assert added.dtype == dtype
    assert abs(added.mean()) < 0.01
    assert abs(added.std() - 0.3) < 0.01
    assert abs((added.abs() < 0.3).double().mean() - 0.6827) < 0.01
