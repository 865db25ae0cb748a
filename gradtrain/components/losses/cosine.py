"""Cosine distance."""

from __future__ import annotations

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class Cosine(Loss):
    """How far two vectors are from pointing the same way, whatever their lengths: 0 the same way, 2 opposite.

    With p = prediction, y = target and |.| the Euclidean length, no shorter than eps:

    value     1 - p·y / (|p| |y|)
    gradient  (p (p·y)/|p|² - y) / (|p| |y|),  and -y/(eps |y|) where |p| < eps,  with respect to prediction
    paper     PyTorch documentation, CosineSimilarity
    shape     prediction and target [batch, features, ...]; one number per vector: [batch, ...]
    """

    kinds = ("value",)
    cases = [{}, {"eps": 0.5}, {"reduce": "sum_per_sample"}]

    eps: PositiveFloat = 1e-8
    """The least length of a vector, so that the zero vector has a direction to be divided by."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        p, y = F.normalize(prediction, dim=1, eps=self.eps), F.normalize(target, dim=1, eps=self.eps)
        return 1 - (p * y).sum(dim=1)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        lengths = self._length(prediction) * self._length(target)
        return 1 - ((prediction * target).sum(dim=1, keepdim=True) / lengths).squeeze(1)

    def _length(self, x: Tensor) -> Tensor:
        return (x**2).sum(dim=1, keepdim=True).sqrt().clamp(min=self.eps)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        p, y = self._length(prediction), self._length(target)
        turned = prediction * (prediction * target).sum(dim=1, keepdim=True) / p**2
        return g.unsqueeze(1) * (turned * (p > self.eps) - target) / (p * y)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction**2).sum(dim=1).sqrt() - self.eps

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction), *prediction.shape[2:])

    def count(self, target: Tensor) -> Tensor | float:
        return float(target.numel() // target.shape[1])

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Short and long vectors, the same way and opposite, one sample, extra axes, a target of length zero."""
        draw = {"generator": generator, "dtype": torch.float64}
        points = []
        for size, *shape in ((1, 7, 3), (0.1, 5, 4), (100, 4, 3), (1, 1, 5), (1, 2, 3, 2)):
            prediction = size * torch.randn(*shape, **draw)  # type: ignore[call-overload]
            points.append((prediction, torch.randn(*shape, **draw)))  # type: ignore[call-overload]
        first = points[0][0]
        return [*points, (first, 2 * first), (first, -first), (first, torch.zeros_like(first))]
