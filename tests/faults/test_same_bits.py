"""The same config and seed give the same bits, on the CPU without being asked to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gradtrain.report.display import Lines
from gradtrain.start import start
from gradtrain.storage import checkpoint

from .rig import CONFIGS, journal_of

ROOT = Path(__file__).parents[2]
SHIPPED = {
    "digits-mlp": ["training.epochs=2"],
    "csv-regression": ["training.epochs=2"],
    "moons-hinge": ["training.steps=40"],
    "deep-sigmoid": ["training.epochs=1"],
    "sort-gpt": ["training.steps=4"],
    "wgan-gp": ["training.steps=2", "training.epochs=null", "evaluation.batches=1"],
}
KINDS = ["dropout-noise-plateau", "conv-crop-flip-batch-norm", "average-of-the-weights", "early-stopping"]
SLOW = {"sort-gpt", "wgan-gp", "digits-mlp", "early-stopping"}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """One run is told to refuse what is not deterministic; whoever comes next is not."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in (*SHIPPED, *KINDS)]
)
def test_f50_f51_three_runs_of_a_config_are_the_same_bit_by_bit(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third run is one in which torch refuses operations that it knows not to be deterministic: none is met."""
    monkeypatch.chdir(ROOT)
    path = ROOT / "configs" / f"{name}.yaml"
    if name in KINDS:
        path = tmp_path / "config.yaml"
        path.write_text(CONFIGS[name])
    kept = []
    for number in range(3):
        torch.manual_seed(number)
        torch.use_deterministic_algorithms(number == 2)
        folder = tmp_path / str(number)
        start(path, overrides=SHIPPED.get(name, []), folder=folder, shown=Lines(io.StringIO()))
        kept.append((checkpoint.newest(folder / "checkpoints").tensors, journal_of(folder)))
    (first, journal), *others = kept
    for tensors, lines in others:
        assert tensors.keys() == first.keys()
        assert all(torch.equal(tensors[key], first[key]) for key in first)
        assert lines == journal
