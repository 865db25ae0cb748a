"""Dice loss of segmentations."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._labels import is_class
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class Dice(Loss):
    """How little a predicted region overlaps the true one: 0 where they are the same, near 1 where they are disjoint.

    With p = sigmoid(prediction), or softmax(prediction) for classes, t = target (1 at the true class), and sums over
    every pixel of a sample, for classes one class at a time:

    value     1 - (2 Σ p t + smooth) / (Σ p^e + Σ t + smooth),  e = 2 with `squared`, else 1;  the mean over classes
    gradient  p (1 - p) a for sigmoid,  p_k (a_k - Σ_j p_j a_j) for softmax,  with respect to prediction, where
              a = (e p^(e-1) (1 - value) - 2 t) / (Σ p^e + Σ t + smooth), divided by the number of classes
    paper     Milletari, Navab & Ahmadi (2016), 3DV, V-Net, arXiv:1606.04797
    shape     yes or no: prediction and target [batch, ...], real; classes: prediction [batch, class, ...], target int64
              [batch, ...]; one number per sample: [batch]
    note      The paper has `squared: true` and no `smooth`. The background counts as a class like any other.
              It is for pixels: a sample of one label has nothing that could overlap in part; take `cross_entropy`.
    """

    kinds = ("binary", "multilabel", "class")
    scores_classes = True
    applies = ("softmax", "sigmoid")
    cases = [{}, {"smooth": 0.01}, {"squared": True}, {"squared": True, "smooth": 0.5, "reduce": "sum_per_sample"}]

    smooth: PositiveFloat = 1.0
    """Added above and below, in pixels: an empty region that is predicted empty costs nothing."""
    squared: bool = False
    """Square the probabilities below the line."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():
            p, t = torch.sigmoid(prediction).flatten(1).unsqueeze(1), target.flatten(1).unsqueeze(1)
        else:
            p = torch.softmax(prediction, dim=1).unsqueeze(-1).flatten(2)
            t = F.one_hot(target, prediction.shape[1]).movedim(-1, 1).unsqueeze(-1).flatten(2).to(p.dtype)
        size = p.square().sum(-1) if self.squared else p.sum(-1)
        overlap = (2 * (p * t).sum(-1) + self.smooth) / (size + t.sum(-1) + self.smooth)
        return 1 - overlap.mean(1)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        p, t, pixels = self._regions(prediction, target)
        below = (p**self._power).sum(pixels) + t.sum(pixels) + self.smooth
        lost = 1 - (2 * (p * t).sum(pixels) + self.smooth) / below
        return lost if target.is_floating_point() else lost.mean(dim=1)

    @property
    def _power(self) -> int:
        return 2 if self.squared else 1

    def _regions(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """p, t and the axes that are summed over; a sample of one column has one pixel."""
        if target.is_floating_point():
            return 1 / (1 + torch.exp(-prediction)), target, tuple(range(1, prediction.ndim))
        scaled = (prediction - prediction.max(dim=1, keepdim=True).values).exp()
        t = is_class(target, prediction)
        # A trailing axis of one pixel lets samples of a single label through: without axes `sum` would take them all.
        p, t = (scaled / scaled.sum(dim=1, keepdim=True)).unsqueeze(-1), t.unsqueeze(-1)
        return p, t, tuple(range(2, p.ndim))

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        p, t, pixels = self._regions(prediction, target)
        below = (p**self._power).sum(pixels, keepdim=True) + t.sum(pixels, keepdim=True) + self.smooth
        overlap = (2 * (p * t).sum(pixels, keepdim=True) + self.smooth) / below
        a = (self._power * p ** (self._power - 1) * overlap - 2 * t) / below
        a = a * g.reshape(-1, *[1] * (a.ndim - 1))
        if target.is_floating_point():
            return p * (1 - p) * a
        return (p * (a - (p * a).sum(dim=1, keepdim=True))).squeeze(-1) / prediction.shape[1]

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction),)

    def count(self, target: Tensor) -> Tensor | float:
        return float(len(target))

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Regions of yes and no, the family's and an empty one; labels with and without pixels."""
        points = super().samples(generator)
        empty = torch.zeros(2, 1, 4, 3, dtype=torch.float64)
        points.append((torch.randn(empty.shape, generator=generator, dtype=torch.float64), empty))
        for size, *shape in ((2, 3, 5, 4), (20, 2, 6), (1, 4)):
            drawn = torch.randn(shape[0], 3, *shape[1:], generator=generator, dtype=torch.float64)
            points.append((size * drawn, torch.randint(0, 3, shape, generator=generator)))
        return points
