"""What the tests of faults share: every kind of run, trained once without a break."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from .rig import Kind, Silent, reference


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """Runs seed torch's global generator; whoever comes next finds it as it was."""
    with torch.random.fork_rng(devices=[]):
        yield


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
