"""Triplet loss over a batch of embeddings."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._pairs import embedded, partners, products, strangers
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class Triplet(Loss):
    """An embedding is to lie nearer to its own kind than to any other, by a margin.

    With D_ij the distance of two predictions, P(a) the other samples with the label of anchor a and N(a) those with
    another label:

    value     batch_hard  max(0, margin + max_{p in P(a)} D_ap - min_{n in N(a)} D_an)
              batch_all   Σ_{p in P(a)} Σ_{n in N(a)} max(0, margin + D_ap - D_an)
              and 0 for an anchor without partner or stranger
    gradient  Σ_j (W_ij + W_ji) ∂D_ij/∂prediction_i,  where W_ap counts the triplets (a, p, ·) above 0 and W_an those
              (·, n) of a, negative, each times g_a;  ∂D_ij/∂prediction_i = (x_i - x_j)/D_ij  for euclidean,
              2 (x_i - x_j)  for squared,  (cos_ij u_i - u_j)/|x_i|  with u = x/|x| for cosine
    paper     Hermans, Beyer & Leibe (2017), In Defense of the Triplet Loss, arXiv:1703.07737
    shape     prediction [batch, features], target int64 [batch]; one number per anchor: [batch]
    note      The mean is over anchors that have partner and stranger (batch_hard) or over their triplets, those at 0
              included (batch_all); it is 0 for a batch without any. Distances: euclidean |x_i - x_j|, squared
              |x_i - x_j|², which FaceNet has (Schroff et al. 2015, arXiv:1503.03832), cosine 1 - x_i·x_j/(|x_i| |x_j|).
              Each micro-batch of `accumulate` is mined alone.
    """

    kinds = ("class",)
    cases = [
        {},
        {"margin": 1.0, "distance": "squared"},
        {"distance": "cosine"},
        {"mining": "batch_all"},
        {"mining": "batch_all", "distance": "squared", "margin": 1.0, "reduce": "sum_per_sample"},
        {"mining": "batch_all", "distance": "cosine"},
    ]

    margin: PositiveFloat = 0.2
    """How much nearer the own kind must be, in units of the distance."""
    mining: Literal["batch_hard", "batch_all"] = "batch_hard"
    """The farthest of the own kind against the nearest of the others, or every triplet."""
    distance: Literal["euclidean", "squared", "cosine"] = "euclidean"
    """How two embeddings are compared."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        d = self._distances(embedded(prediction, target, "triplet"))
        same, other = partners(target), strangers(target)
        if self.mining == "batch_all":
            real = same.unsqueeze(2) & other.unsqueeze(1)
            return torch.relu(self.margin + d.unsqueeze(2) - d.unsqueeze(1)).where(real, 0.0).sum((1, 2))
        farthest = d.masked_fill(~same, -torch.inf).max(dim=1).values
        nearest = d.masked_fill(~other, torch.inf).min(dim=1).values
        return torch.relu(self.margin + farthest - nearest)

    def _distances(self, x: Tensor) -> Tensor:
        if self.distance == "cosine":
            return 1 - products(F.normalize(x, dim=1))
        # The other way of `cdist`, by a product of matrices, loses half of the digits of near points.
        d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
        return d.square() if self.distance == "squared" else d

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.forward(prediction, target).sum() / self._real(target).clamp(min=1)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        d, _ = self._published(prediction)
        costs = []
        for a, label in enumerate(target):
            ps = [i for i in range(len(target)) if i != a and target[i] == label]
            ns = [i for i in range(len(target)) if target[i] != label]
            cost = 0 * prediction[a].sum()
            if ps and ns and self.mining == "batch_hard":
                cost = torch.clamp(self.margin + d[a, ps].max() - d[a, ns].min(), min=0)
            elif ps and ns:
                cost = torch.clamp(self.margin + d[a, ps].unsqueeze(1) - d[a, ns], min=0).sum()
            costs.append(cost)
        return torch.stack(costs)

    def _published(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """D `[batch, batch]`, and ∂D_ij/∂x_i `[batch, batch, features]`."""
        apart = x.unsqueeze(1) - x
        if self.distance == "squared":
            return (apart**2).sum(dim=2), 2 * apart
        if self.distance == "euclidean":
            d = (apart**2).sum(dim=2).sqrt()
            return d, torch.where(d.unsqueeze(2) > 0, apart / d.unsqueeze(2), 0.0)
        lengths = (x**2).sum(dim=1, keepdim=True).sqrt()
        u = x / lengths
        cosine = u @ u.T
        return 1 - cosine, (cosine.unsqueeze(2) * u.unsqueeze(1) - u) / lengths.unsqueeze(2)

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        d, by_x = self._published(prediction)
        w = torch.zeros_like(d)
        for a, label in enumerate(target):
            ps = [i for i in range(len(target)) if i != a and target[i] == label]
            ns = [i for i in range(len(target)) if target[i] != label]
            if ps and ns and self.mining == "batch_hard":
                ps, ns = [ps[int(d[a, ps].argmax())]], [ns[int(d[a, ns].argmin())]]
            for p in ps:
                for n in ns:
                    if self.margin + d[a, p] - d[a, n] > 0:
                        w[a, p] += g[a]
                        w[a, n] -= g[a]
        return ((w + w.T).unsqueeze(2) * by_x).sum(dim=1)

    def kink(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Triplets at the margin, and pairs that are equally far or near: rounding decides which of them pulls."""
        d, _ = self._published(prediction)
        same, other = partners(target), strangers(target)
        real = same.unsqueeze(2) & other.unsqueeze(1)
        at_margin = (self.margin + d.unsqueeze(2) - d.unsqueeze(1))[real]
        pairs = torch.ones_like(same).triu(1)
        ties = [(d.unsqueeze(2) - d.unsqueeze(1))[(of.unsqueeze(2) & of.unsqueeze(1)) & pairs] for of in (same, other)]
        return at_margin if self.mining == "batch_all" else torch.cat([at_margin, *ties])

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction),)

    def count(self, target: Tensor) -> Tensor | float:
        return self._real(target)

    def _real(self, target: Tensor) -> Tensor:
        """Anchors that have partner and stranger, or their triplets."""
        triplets = partners(target).sum(1) * strangers(target).sum(1)
        return triplets.sum() if self.mining == "batch_all" else (triplets > 0).sum()

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Several of a kind, loners, a batch without triplets, near and far embeddings, two that are the same."""
        points = []
        for size, labels in (
            (0.3, [0, 0, 0, 1, 1, 1]),
            (0.5, [2, 0, 1, 0, 2, 0, 7]),
            (1.0, [0, 1, 2]),
            (1.0, [1, 1, 1]),
            (20.0, [0, 1, 0, 1]),
        ):
            drawn = size * torch.randn(len(labels), 4, generator=generator, dtype=torch.float64)
            points.append((drawn, torch.tensor(labels)))
        twins = 0.3 * torch.randn(4, 4, generator=generator, dtype=torch.float64)
        twins[1] = twins[0]
        return [*points, (twins, torch.tensor([0, 0, 1, 2]))] if self.distance != "cosine" else points
