"""What every test has: one thread a worker, and a seed for those that ask for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # two workers on two cores: more threads would only wait for one another


@pytest.fixture
def seeded() -> Iterator[torch.Generator]:
    """torch's generators at a known state: the global one, restored afterwards, and one to draw from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """A file of real data by its name: from the folder `$GRADTRAIN_DATA`, or `shared/data` beside the repository."""
    folder = Path(os.environ.get("GRADTRAIN_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")

    def find(name: str) -> Path:
        if not (folder / name).is_file():
            pytest.skip(f"{name} is not in {folder}")
        return folder / name

    return find
