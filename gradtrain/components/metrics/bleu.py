"""BLEU."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradtrain.components.datasets import END, IGNORED, Facts
from gradtrain.components.metrics import Accumulator, Metric, Value
from gradtrain.components.metrics._torchmetrics import missing
from gradtrain.lazy import Tensor, torch


class Bleu(Metric):
    """How much of the written texts stands in the true ones: symbols, pairs, triples and runs of four.

    With p_n the share of written runs of n symbols that the true text has as well (each as often as there), w written
    and r true symbols:

    value     min(1, exp(1 - r/w)) · (p_1 p_2 … p_longest)^(1/longest),  from counts over the whole split, in 0..1
    paper     Papineni, Roukos, Ward & Zhu (2002), ACL, doi:10.3115/1073083.1073135
    note      Measured by torchmetrics (extra `metrics`). The network writes the texts by itself, greedily, which takes
              a forward pass a symbol. A symbol is what the tokenizer makes: numbers compare with published ones where
              it makes words. The end mark does not count; 0 where no run of `longest` symbols is right.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)
    mode: ClassVar[Literal["min", "max"]] = "max"
    written: ClassVar[bool] = True
    cases = [{}, {"longest": 2}]

    longest: Annotated[int, Field(ge=1, le=10)] = 4
    """Symbols in the longest runs that are compared."""

    def start(self, kind: str, facts: Facts) -> Accumulator:
        try:
            from torchmetrics.text import BLEUScore
        except ImportError:
            raise missing("bleu") from None
        return _Texts(BLEUScore(n_gram=self.longest).set_dtype(torch.float64))


class _Texts:
    def __init__(self, metric: Any) -> None:
        self.metric, self.count = metric, 0

    def add(self, prediction: Tensor, target: Tensor) -> None:
        """Symbols as `target` has them; of scores [batch, class, ...] the likeliest ones."""
        symbols = prediction.argmax(dim=1) if prediction.is_floating_point() else prediction
        self.metric.update(_lines(symbols), [[line] for line in _lines(target)])
        self.count += len(target)

    def value(self) -> Value:
        return float(self.metric.compute()) if self.count else float("nan")


def _lines(symbols: Tensor) -> list[str]:
    """Every row [batch, time] up to its end, as words."""
    lines = []
    for row in symbols.reshape(len(symbols), -1).tolist():
        end = row.index(END) if END in row else len(row)
        lines.append(" ".join(str(symbol) for symbol in row[:end] if symbol != IGNORED))
    return lines
