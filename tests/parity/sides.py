"""gradtrain's side of a comparison: a config's text to a run that steps as `gradtrain train` does."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.report.display import Lines
from gradtrain.run import Runner
from gradtrain.start import prepare
from gradtrain.storage.folder import RunFolder
from gradtrain.storage.journal import Journal

from .names import Rules, renamed


def made(text: str, folder: Path) -> Runner:
    """A run of this config, before its first step."""
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    run, parts, warnings = prepare(read(path), folder)
    assert warnings == []
    place = RunFolder.create(folder / "run")
    runner = Runner(run, parts, place, Lines(io.StringIO()), None)
    runner.journal = Journal(place.journal)
    return runner


def batches(parts: Parts, *fields: str) -> Iterator[tuple[Tensor, ...]]:
    """The run's own training batches, from the first."""
    return (tuple(batch[name] for name in fields) for batch in parts.splits["train"].starting_at(0))


def trained(runner: Runner, seed: int) -> dict[str, list[float]]:
    """Every loss at every step of the run, whose noise begins at this seed."""
    torch.manual_seed(seed)
    told: dict[str, list[float]] = {}
    for step in runner.steps(0):
        for name, value in step.losses.items():
            told.setdefault(name, []).append(float(value))
    return told


def same_losses(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]], rel: float) -> None:
    """Every loss that the program tells, step by step; and it did change on the way."""
    for name, expected in theirs.items():
        torch.testing.assert_close(
            torch.tensor(ours[name], dtype=torch.float64),
            torch.tensor(expected, dtype=torch.float64),
            rtol=rel, atol=0.0, msg=lambda text, name=name: f"{name}: {text}",
        )  # fmt: skip
        assert len(set(expected)) == len(expected)


def same_weights(
    networks: Mapping[str, nn.Module], program: nn.Module, rules: Rules, *, rel: float, absolute: float
) -> None:
    """Weights and statistics of both, by name."""
    torch.testing.assert_close(renamed(networks, rules), dict(program.state_dict()), rtol=rel, atol=absolute)
