"""Cross-checks: mistakes that no single section can see, found before a byte of data is read."""

from __future__ import annotations

from gradtrain.components.datasets import Facts
from gradtrain.config.compose import Composer
from gradtrain.config.consistency import Consistency
from gradtrain.config.sections import Run
from gradtrain.config.shapes import Shapes


def check(run: Run, composer: Composer, facts: Facts | None) -> None:
    """Every cross-check; problems are collected in the composer. `facts` None leaves out what depends on the data."""
    Consistency(run, composer, facts).all()
    Shapes(run, composer, facts).all()
