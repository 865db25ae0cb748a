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
        if x.numel() != len(x):
            raise Problem("label-shape", f"`one_hot` takes one number a sample, got {list(x.shape[1:])}")
        numbers = x.reshape(len(x)).to(torch.float64)
        wrong = ~((numbers >= 0) & (numbers < self.classes) & (numbers == numbers.round()))
        if bool(wrong.any()):
            first = int(wrong.nonzero()[0])
            what = f"`one_hot` met {numbers[first].item():g}, expected a whole number from 0 to {self.classes - 1}"
            raise Problem(
                "label-out-of-range", what, why=f"{int(wrong.sum()):,} values are like that", help="raise `classes`"
            )
        return F.one_hot(numbers.long(), self.classes).to(torch.float32)
