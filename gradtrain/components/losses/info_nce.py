"""Contrastive learning with many negatives at once."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat

from gradtrain.components.losses import Loss
from gradtrain.components.losses._pairs import embedded, partners, products
from gradtrain.lazy import F, Tensor, torch
from gradtrain.stage import Shape


class InfoNce(Loss):
    """Each embedding is to pick those of its own kind out of the whole batch: a softmax over similarities.

    With u = prediction/|prediction|, s_ij = u_i·u_j / temperature, P(i) the other samples with the label of i and
    q_ij = exp(s_ij) / Σ_{a ≠ i} exp(s_ia):

    value     -1/|P(i)| Σ_{p in P(i)} log q_ip  for anchor i,  and 0 where P(i) is empty
    gradient  Σ_j (G_ij + G_ji) (u_j - u_i (u_i·u_j)) / (temperature |prediction_i|)  with respect to prediction_i,
              where G_ij = g_i (q_ij - [j in P(i)]/|P(i)|), and 0 where j = i or P(i) is empty
    paper     Khosla et al. (2020), NeurIPS, Supervised Contrastive Learning, arXiv:2004.11362
    shape     prediction [batch, features], target int64 [batch]; one number per anchor: [batch]
    note      Where every label occurs twice, for two views of one image, it is NT-Xent of SimCLR (Chen et al. 2020,
              arXiv:2002.05709), which has temperature 0.5; InfoNCE is van den Oord et al. (2018), arXiv:1807.03748.
              The mean is over anchors that have a partner, and 0 for a batch without any. Each micro-batch of
              `accumulate` stands alone: fewer negatives, another loss.
    """

    kinds = ("class",)
    cases = [{}, {"temperature": 0.5}, {"similarity": "dot", "temperature": 1.0}, {"reduce": "sum_per_sample"}]

    temperature: PositiveFloat = 0.1
    """Divides the similarities: the smaller, the more the nearest negatives weigh."""
    similarity: Literal["cosine", "dot"] = "cosine"
    """Compare directions, or embeddings as they are (`dot`: without the division by their lengths)."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        u = embedded(prediction, target, "info_nce")
        if self.similarity == "cosine":
            u = F.normalize(u, dim=1)
        same = partners(target)
        itself = torch.eye(len(u), dtype=torch.bool, device=u.device)
        # Not -inf: the row of a batch of one would be nan.
        log_q = F.log_softmax((products(u) / self.temperature).masked_fill(itself, torch.finfo(u.dtype).min), dim=1)
        return -log_q.where(same, 0.0).sum(1) / same.sum(1).clamp(min=1)

    def mean(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.forward(prediction, target).sum() / self._anchors(target).clamp(min=1)

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        s, _ = self._similarities(prediction)
        costs = []
        for i, label in enumerate(target):
            others = [a for a in range(len(target)) if a != i]
            friends = [a for a in others if target[a] == label]
            top = s[i, others].max() if others else s.new_zeros(())
            log_sum = top + (s[i, others] - top).exp().sum().log()
            costs.append(-(s[i, friends] - log_sum).sum() / len(friends) if friends else 0 * prediction[i].sum())
        return torch.stack(costs)

    def _similarities(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """s and the lengths that the embeddings were divided by `[batch, 1]`."""
        lengths = (prediction**2).sum(dim=1, keepdim=True).sqrt()
        lengths = lengths if self.similarity == "cosine" else torch.ones_like(lengths)
        u = prediction / lengths
        return u @ u.T / self.temperature, lengths

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        s, lengths = self._similarities(prediction)
        others = 1 - torch.eye(len(s), dtype=s.dtype)
        same = (target.unsqueeze(1) == target).to(s.dtype) * others
        count = same.sum(dim=1, keepdim=True)
        top = s.masked_fill(others == 0, s.min()).max(dim=1, keepdim=True).values
        q = (s - top).clamp(max=0).exp() * others
        q = q / q.sum(dim=1, keepdim=True).clamp(min=torch.finfo(q.dtype).tiny)
        by_s = g.unsqueeze(1) * (q - same / count.clamp(min=1)) * (count > 0)
        by_s = (by_s + by_s.T) / self.temperature
        u = prediction / lengths
        by_u = by_s @ u
        if self.similarity == "dot":
            return by_u
        return (by_u - u * (u * by_u).sum(dim=1, keepdim=True)) / lengths

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction),)

    def count(self, target: Tensor) -> Tensor | float:
        return self._anchors(target)

    def _anchors(self, target: Tensor) -> Tensor:
        return partners(target).any(1).sum()

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Two views of each, several of a kind, loners among them, nothing but loners, one kind only."""
        points = []
        for labels in ([0, 0, 1, 1, 2, 2], [2, 0, 1, 0, 2, 0, 7], [0, 1, 2], [1, 1, 1], [4, 4], [3]):
            drawn = torch.randn(len(labels), 5, generator=generator, dtype=torch.float64)
            points.append((drawn, torch.tensor(labels)))
        return [*points, (20 * points[0][0], points[0][1])]
