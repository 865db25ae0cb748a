"""The Python interface: what the command line does, as two functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradtrain.config.checks import check
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.run import Outcome
from gradtrain.start import start


def load(path: str | Path, overrides: Sequence[str] = (), profile: str | None = None) -> Run:
    """The validated record of a config. Raises a `Problem`, or an ExceptionGroup of all of them."""
    config = read(Path(path), profile, overrides)
    return config.run(config.data().source.facts(), check)


def train(
    path: str | Path,
    overrides: Sequence[str] = (),
    profile: str | None = None,
    folder: str | Path | None = None,
) -> Outcome:
    """Train a config in a new run folder. Raises `Problem`s; `Outcome.results` holds split → metric → value."""
    return start(Path(path), profile=profile, overrides=overrides, folder=None if folder is None else Path(folder))
