"""Cross-checks: mistakes that no single section can see, found before a byte of data is read."""

from __future__ import annotations

from gradtrain.components.datasets import Facts
from gradtrain.config.compose import Composer
from gradtrain.config.consistency import Consistency
from gradtrain.config.formulas import Formulas
from gradtrain.config.optimization import Optimization
from gradtrain.config.regularization import Regularization
from gradtrain.config.sections import Run
from gradtrain.config.shapes import Shapes
from gradtrain.config.wiring import Wiring


def check(run: Run, composer: Composer, facts: Facts | None) -> None:
    """Every cross-check; problems are collected in the composer. `facts` None leaves out what depends on the data."""
    Consistency(run, composer, facts).all()
    Wiring(run, composer, facts).all()
    Optimization(run, composer, facts).all()
    Regularization(run, composer, facts).all()
    Shapes(run, composer, facts).all()
    Formulas(run, composer, facts).all()
