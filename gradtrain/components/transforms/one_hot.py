"""One column a class."""

from __future__ import annotations

from pydantic import PositiveInt

from gradtrain.components.transforms import Fitted, Transform
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem
from gradtrain.stage import Misfit, Shape


class OneHot(Transform):
    """Turns a whole number into a row of zeros with a single one: probabilities that are sure.

    value     y_k = 1 where k = x, else 0
    shape     [count] or [count, 1] → [count, classes]
    """

    cases = [{"classes": 3}]

    classes: PositiveInt
    """Number of columns."""

    def output_shape(self, shape: Shape) -> Shape:
        if shape not in ((), (1,)):
            raise Misfit(f"`one_hot` takes one number a sample, got {list(shape)}")
        return (self.classes,)

    def span(self, low: float, high: float) -> tuple[float, float]:
        return 0.0, 1.0

    def forward(self, x: Tensor, fitted: Fitted) -> Tensor:
        numbers = x.reshape(len(x))
        if bool(((numbers < 0) | (numbers >= self.classes) | (numbers != numbers.round())).any()):
            raise Problem(
                "label-out-of-range",
                f"`one_hot` met a value outside 0 to {self.classes - 1}",
                help="raise `classes`",
            )
        return F.one_hot(numbers.long(), self.classes).to(torch.float32)
