"""The family of losses."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component, Use
from gradtrain.stage import Shape

TargetKind = Literal["class", "binary", "pm1", "value", "multilabel"]


class Loss(Component):
    """A loss scores a prediction against a target; lower is better and 0-d after reduction.

    Shapes: `value`, `pm1`, `binary` and `multilabel` losses take prediction and target of one shape `[batch, ...]`
    and return one number per element; `class` losses take raw scores `[batch, class, ...]` and class indices
    `[batch, ...]` (int64) or class probabilities `[batch, class, ...]`, and return one number per sample
    `[batch, ...]`. A loss of another shape says so under `shape` in its docstring and in `result_shape`. Only the
    prediction is differentiable. Units: those of the target for `mae`, squared for `mse`, nats for the entropies.
    """

    kinds: ClassVar[tuple[TargetKind, ...]]
    """The kinds of target this loss is defined for; the first one is the domain its samples are drawn from."""

    scores_classes: ClassVar[bool] = False
    """Whether its prediction for a target of kind `class` holds one score a class."""

    distances: ClassVar[bool] = False
    """Whether its prediction is the distance of two samples: 0 or more, and small where they belong together."""

    applies: ClassVar[tuple[str, ...]] = ()
    """Activations that it applies itself: a network that ends in one would apply it twice."""

    reduce: Literal["mean", "sum_per_sample", "sum"] = "mean"
    """`mean` divides by the number of real targets, `sum_per_sample` by the number of samples, `sum` by nothing."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What trains: the loss per element or per sample, unreduced."""
        raise NotImplementedError

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What was published: the same numbers in plain tensor algebra."""
        raise NotImplementedError

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        """The closed-form derivative: `g` has the shape of `forward`'s result, the answer that of `prediction`."""
        raise NotImplementedError

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """A tensor with zeros where the derivative jumps or turns; None when the loss is smooth."""
        return None

    def outputs(self, columns: int) -> tuple[Shape, ...]:
        """What a network may put out for a target of so many columns, without the batch; the plainest first."""
        return ((columns,),)

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        """The shape of `forward`'s result: one number per element, or per sample for a loss of classes."""
        if self.kinds[0] == "class":
            return (len(prediction), *prediction.shape[2:])
        return tuple(prediction.shape)

    def count(self, target: Tensor) -> Tensor | float:
        """The number of real targets that `mean` divides by (class weights and ignored targets change it)."""
        return float(target.numel())

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`forward(...).sum() / count(target)`, 0-d; a loss may use a fused kernel here, checked to be the same."""
        return self.forward(prediction, target).sum() / self.count(target)

    def reduced(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, 0-d, by the rule of `reduce`."""
        if self.reduce == "mean":
            return self.mean(prediction, target)
        total = self.forward(prediction, target).sum()
        return total / len(prediction) if self.reduce == "sum_per_sample" else total

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """(prediction, target) pairs in float64 from the domain of `kinds[0]`: generic ones and boundary ones."""
        draw: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
        prediction = 2 * torch.randn(7, 3, **draw)
        bits = torch.randint(0, 2, (7, 3), generator=generator).double()
        match self.kinds[0]:
            case "class":
                logits, far = 2 * torch.randn(7, 4, **draw), 40 * torch.randn(5, 4, **draw)
                return [
                    (logits, torch.randint(0, 4, (7,), generator=generator)),
                    (
                        logits.reshape(7, 4, 1).expand(7, 4, 2),
                        torch.randint(0, 4, (7, 2), generator=generator),
                    ),
                    (far, torch.randint(0, 4, (5,), generator=generator)),
                ]
            case "pm1":
                return [
                    (prediction, 2 * bits - 1),
                    (2 * bits - 1, 2 * bits - 1),
                    (50 * prediction, 2 * bits - 1),
                ]
            case "binary" | "multilabel":
                return [
                    (prediction, bits),
                    (torch.zeros(4, 1, dtype=torch.float64), bits[:4, :1]),
                    (30 * prediction, bits),
                ]
            case "value":
                target = torch.randn(7, 3, **draw)
                return [
                    (prediction, target),
                    (target.clone(), target),
                    (100 * prediction, target),
                    (prediction[:1, :1], target[:1, :1]),
                ]


class WeightedLoss(Use):
    """One item of `loss:`."""

    part: Loss
    weight: float = 1.0
    """Its share in the total."""
