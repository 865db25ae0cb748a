"""What the tests of faults share: every kind of run, trained once without a break."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from .rig import MEMORY, Kind, Silent, reference


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """Runs seed torch's global generator; whoever comes next finds it as it was."""
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """On a file system in memory where there is one: what dies is a process, and the kernel keeps what it wrote."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="gradtrain-") as place:
        yield Path(place)


@pytest.fixture(scope="session")
def silent() -> Callable[[], Silent]:
    """Makes displays that show nothing."""
    return Silent


@pytest.fixture(scope="session")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kind]:
    """A kind of run by its name."""
    made: dict[str, Kind] = {}

    def get(name: str) -> Kind:
        if name not in made:
            made[name] = reference(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get
