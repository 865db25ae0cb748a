"""What a loss says about the network before it: its outputs, and activations that would come twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.components.losses import Loss
from gradtrain.config.validate import validated
from gradtrain.problems import Problem
from gradtrain.registry import everything, find, names

CLASSES = ("digits", "[flatten, standardize]", "class")
VALUES = ("linear", "[standardize]", "value")
ANSWERS = ("moons", "[standardize]", "binary")


def problems(folder: Path, data: tuple[str, str, str], layers: str, loss: str) -> list[Problem]:
    source, transforms, kind = data
    config = folder / "c.yaml"
    config.write_text(
        f"name: c\n"
        f"data: {{source: {source}, split: {{val: 0.2}}, transforms: {transforms}, target: {{kind: {kind}}}}}\n"
        f"model: {{layers: [{layers}]}}\n"
        f"loss: {loss}\n"
        f"optimizer: {{sgd: {{lr: 0.1}}}}\n"
        f"training: {{epochs: 1}}\n"
    )
    return validated(config)


@pytest.mark.parametrize(
    ("data", "layers", "loss"),
    [
        (VALUES, "linear: 2", "gaussian_nll"),
        (VALUES, "linear: 1", "{quantile: 0.9}"),
        (CLASSES, "linear: 10", "{focal: 2.0}"),
        (CLASSES, "linear: 10", "dice"),
        (CLASSES, "linear: 3", "{triplet: {margin: 0.2, mining: batch_all}}"),
        (CLASSES, "linear: 3", "{info_nce: 0.1}"),
        (ANSWERS, "linear: 1", "focal"),
        (ANSWERS, "linear: 1", "{contrastive: {same_label: 1}}"),
    ],
    ids=str,
)
def test_a_network_that_fits_its_loss(tmp_path: Path, data: tuple[str, str, str], layers: str, loss: str) -> None:
    assert [str(problem) for problem in problems(tmp_path, data, layers, loss)] == []


@pytest.mark.parametrize(
    ("data", "layers", "loss", "help"),
    [
        (VALUES, "linear: 1", "gaussian_nll", "linear: 2"),
        (VALUES, "linear: 2", "log_cosh", "linear: 1"),
        (CLASSES, "linear: 7", "focal", "$data.classes"),
        (CLASSES, "linear: 7", "nll", "$data.classes"),
        (CLASSES, "linear: 1", "dice", "$data.classes"),
    ],
    ids=str,
)
def test_a_network_of_the_wrong_width(
    tmp_path: Path, data: tuple[str, str, str], layers: str, loss: str, help: str
) -> None:
    (found,) = problems(tmp_path, data, layers, loss)

    assert found.code == "output-width"
    assert help in found.help


@pytest.mark.parametrize(
    ("data", "layers", "loss", "what"),
    [
        (CLASSES, "{linear: 10}, softmax", "focal", "`softmax` before `focal`"),
        (CLASSES, "{linear: 10}, softmax", "dice", "`softmax` before `dice`"),
        (CLASSES, "{linear: 10}, softmax", "nll", "`softmax` before `nll`"),
        (ANSWERS, "{linear: 1}, sigmoid", "focal", "`sigmoid` before `focal`"),
    ],
    ids=str,
)
def test_an_activation_that_the_loss_applies_itself(
    tmp_path: Path, data: tuple[str, str, str], layers: str, loss: str, what: str
) -> None:
    (found,) = problems(tmp_path, data, layers, loss)

    assert (found.code, found.what) == ("softmax-before-loss", what)


def test_what_losses_apply_are_activations() -> None:
    activations = {name for family, name, _ in everything() if family == "activations"}
    applied = {activation for name in names(Loss) for activation in find(Loss, name).applies}

    assert applied == {"softmax", "sigmoid"}
    assert applied <= activations
