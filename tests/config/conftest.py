"""A config that is right, and what is found when it is changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gradtrain.config.load import read
from gradtrain.problems import Problem, flatten

GOOD = """\
name: good
data:
  source: digits
  split: {val: 0.2, test: 0.2}
  transforms: [flatten, standardize]
  batch_size: 64
model:
  layers: [{linear: 32}, relu, {linear: $data.classes}]
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 2}
evaluation: {metrics: [accuracy]}
"""

Found = Callable[..., list[Problem]]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """(old, new, profile, overrides) → the problems of the good config with `old` replaced by `new`, in their order."""

    def problems(
        old: str = "", new: str = "", profile: str | None = None, overrides: Sequence[str] = ()
    ) -> list[Problem]:
        assert old in GOOD, old
        Path("c.yaml").write_text(GOOD.replace(old, new) if old else GOOD + new)
        try:
            read(Path("c.yaml"), profile, overrides).run(None)
        except (Problem, ExceptionGroup) as error:
            return list(flatten(error))
        return []

    monkeypatch.chdir(tmp_path)
    return problems
