"""The loss itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from gradtrain.components.metrics import Metric


class Loss(Metric):
    """The weighted loss of the config, without penalties: always measured, named here only for completeness.

    value     Σ loss over the split's real targets / their number
    """

    kinds: ClassVar[tuple[str, ...]] = ("class", "binary", "pm1", "value", "multilabel")
    mode: ClassVar[Literal["min", "max"]] = "min"
