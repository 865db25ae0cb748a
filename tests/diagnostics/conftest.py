"""Runs that are watched: from a config's text to the journal's lines about health."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrain.report.display import Lines
from gradtrain.start import start

Watch = Callable[..., list[dict[str, Any]]]

DIGITS = """\
name: watched
seed: 0
data:
  source: digits
  split: {val: 0.2, stratify: true}
  transforms: [flatten, standardize]
  batch_size: 64
model: {layers: [{linear: 32}, relu, {linear: $data.classes}]}
loss: cross_entropy
optimizer: {adam: {lr: 1e-3}}
training: {steps: 40}
"""


@pytest.fixture(scope="session")
def digits() -> str:
    """A small healthy run."""
    return DIGITS


@pytest.fixture
def journal_of() -> Callable[[Path], list[dict[str, Any]]]:
    """The lines of a run's journal."""

    def read(folder: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]

    return read


@pytest.fixture
def watch(tmp_path: Path, journal_of: Callable[[Path], list[dict[str, Any]]]) -> Watch:
    """Train a config's text, with overrides; the lines of its journal."""

    def watched(text: str, *overrides: str, name: str = "run") -> list[dict[str, Any]]:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        start(path, overrides=overrides, folder=tmp_path / name, shown=Lines(io.StringIO()))
        return journal_of(tmp_path / name)

    return watched
