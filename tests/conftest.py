"""What every test has: one thread a worker, and a seed for those that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)  # two workers on two cores: more threads would only wait for one another


@pytest.fixture
def seeded() -> Iterator[torch.Generator]:
    """torch's generators at a known state: the global one, restored afterwards, and one to draw from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield torch.Generator().manual_seed(0)
