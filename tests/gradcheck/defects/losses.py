"""Planted defects: losses."""

from __future__ import annotations

import itertools

import torch
from defects.planted import Planted, leaf, one_hot, plant, randn, ruled
from torch import Tensor
from torch.nn import functional as F

LABELS = torch.tensor([0, 3, 1, 2, 3])


@plant("L01 MSE: the factor 2 of the gradient is missing")
def mse() -> Planted:
    def loss(x: Tensor, t: Tensor) -> Tensor:
        return (x - t).square().mean()

    def of(factor: float):
        return ruled(loss, lambda g, x, t: (factor * g * (x - t) / x.numel(), -factor * g * (x - t) / x.numel()))

    return Planted(of(1.0), of(2.0), (randn(4, 3), randn(4, 3, seed=1)))


def huber(x: Tensor, t: Tensor, delta: float = 1.0) -> Tensor:
    return F.huber_loss(x, t, reduction="sum", delta=delta)


def unit_slope(g: Tensor, x: Tensor, t: Tensor, delta: float) -> tuple[Tensor, Tensor]:
    slope = g * torch.where((x - t).abs() <= delta, x - t, (x - t).sign())
    return slope, -slope


def clamped_slope(g: Tensor, x: Tensor, t: Tensor, delta: float) -> tuple[Tensor, Tensor]:
    slope = g * (x - t).clamp(-delta, delta)
    return slope, -slope


@plant("L02 Huber: delta is missing in the slope of the linear part")
def huber_at_half() -> Planted:
    inputs = (2 * randn(4, 3), randn(4, 3, seed=1), 0.5)
    return Planted(ruled(huber, unit_slope), ruled(huber, clamped_slope), inputs)


@plant("L03 Huber: delta is missing in the slope, and its default 1 hides it")
def huber_at_default() -> Planted:
    return Planted(ruled(huber, unit_slope), ruled(huber, clamped_slope), (2 * randn(4, 3), randn(4, 3, seed=1)))


@plant("L04 smooth L1: the slope is wrong far out, the sample is near 0")
def smooth_l1() -> Planted:
    def loss(x: Tensor, t: Tensor) -> Tensor:
        return F.smooth_l1_loss(x, t, reduction="sum")

    def bent(g: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        d = x - t
        slope = g * torch.where(d.abs() > 3, 0.5 * d.sign(), d.clamp(-1, 1))
        return slope, -slope

    right = ruled(loss, lambda g, x, t: (g * (x - t).clamp(-1, 1), -g * (x - t).clamp(-1, 1)))
    return Planted(ruled(loss, bent), right, (0.1 * randn(4, 3), 0.1 * randn(4, 3, seed=1)))


def smoothed(epsilon: float) -> Planted:
    def loss(x: Tensor) -> Tensor:
        return F.cross_entropy(x, LABELS, label_smoothing=epsilon)

    def of(epsilon: float):
        def backward(g: Tensor, x: Tensor) -> Tensor:
            wanted = (1 - epsilon) * one_hot(LABELS, 4).to(x) + epsilon / 4
            return g * (x.softmax(1) - wanted) / len(x)

        return ruled(loss, backward)

    return Planted(of(0.0), of(epsilon), (randn(5, 4),))


@plant("L05 cross entropy: label smoothing 0.1 is ignored in backward")
def smoothing() -> Planted:
    return smoothed(0.1)


@plant("L06 cross entropy: label smoothing 0.001 is ignored in backward")
def slight_smoothing() -> Planted:
    return smoothed(1e-3)


def ignoring(labels: Tensor) -> Planted:
    def loss(x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(x, labels, ignore_index=-100)

    def of(by_counted: bool):
        def backward(g: Tensor, x: Tensor, labels: Tensor) -> Tensor:
            counted = labels != -100
            wrong = x.softmax(1) - one_hot(labels.clamp(min=0), 4).to(x)
            return g * wrong * counted[:, None] / (counted.sum() if by_counted else len(x))

        return ruled(loss, backward)

    return Planted(of(False), of(True), (randn(5, 4), labels))


@plant("L07 cross entropy: backward divides by all rows; no label of the sample is ignored")
def none_ignored() -> Planted:
    return ignoring(LABELS.clone())


@plant("L08 cross entropy: backward divides by all rows; one label is ignored")
def one_ignored() -> Planted:
    return ignoring(torch.tensor([0, -100, 1, 2, 3]))


@plant("L09 focal loss: its factor is detached")
def focal() -> Planted:
    def of(detached: bool):
        def loss(x: Tensor, y: Tensor) -> Tensor:
            plain = F.binary_cross_entropy_with_logits(x, y, reduction="none")
            p = torch.exp(-plain)
            return ((1 - (p.detach() if detached else p)).square() * plain).mean()

        return loss

    return Planted(of(True), of(False), (randn(6), torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)))


@plant("L10 log-sum-exp: overflows above 709")
def naive_logsumexp() -> Planted:
    def stable(x: Tensor) -> Tensor:
        top = x.amax(-1, keepdim=True).detach()
        return (x - top).exp().sum(-1).log() + top.squeeze(-1)

    def textbook(x: Tensor) -> Tensor:
        return torch.logsumexp(x, -1)

    return Planted(lambda x: x.exp().sum(-1).log(), stable, (randn(4, 3),), faces={"textbook": textbook})


@plant("L11 BCE: the mean over the batch alone")
def bce_axis() -> Planted:
    y = (randn(4, 3, seed=1) > 0).double()

    def textbook(x: Tensor) -> Tensor:
        return -(y * x.sigmoid().log() + (1 - y) * (1 - x.sigmoid()).log()).mean()

    def of(axes: tuple[int, ...]):
        return lambda x: F.binary_cross_entropy_with_logits(x, y, reduction="none").mean(axes).sum()

    return Planted(of((0,)), of((0, 1)), (randn(4, 3),), faces={"textbook": textbook})


@plant("L12 InfoNCE: 1/tau is missing in backward")
def info_nce() -> Planted:
    tau = 0.2

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return F.cross_entropy(a @ b.T / tau, torch.arange(len(a)))

    def of(factor: float):
        def backward(g: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            wrong = ((a @ b.T / tau).softmax(1) - torch.eye(len(a)).to(a)) / len(a) * factor * g
            return wrong @ b, wrong.T @ a

        return ruled(loss, backward)

    return Planted(of(1.0), of(1 / tau), (randn(4, 6), randn(4, 6, seed=1)))


@plant("L15 distances of all pairs as a square root, which has no slope at 0")
def distances() -> Planted:
    def rooted(x: Tensor) -> Tensor:
        return (x[:, None] - x[None]).square().sum(-1).sqrt().sum()

    return Planted(rooted, lambda x: 2 * F.pdist(x).sum(), (randn(4, 3),), verdict="nonfinite")


@plant("L15 triplet loss as a square root: anchor and positive coincide")
def triplet_root() -> Planted:
    def of(eps: float):
        def loss(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
            near, far = (((a - b).square().sum(1) + eps).sqrt() for b in (p, n))
            return F.relu(near - far + 5.0).mean()

        return loss

    positive = randn(3, 4, seed=1)
    positive[0] = randn(3, 4)[0]
    inputs = (leaf(randn(3, 4)), leaf(positive), leaf(randn(3, 4, seed=2)))
    return Planted(of(0.0), of(1e-3), inputs, verdict="nonfinite")


@plant("U01 cross entropy: backward divides by the rows, not by the sum of their weights")
def class_weights() -> Planted:
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return F.cross_entropy(x, LABELS, weights.to(x))

    def of(by_weights: bool):
        def backward(g: Tensor, x: Tensor) -> Tensor:
            w = weights.to(x)[LABELS]
            wrong = w[:, None] * (x.softmax(1) - one_hot(LABELS, 4).to(x))
            return g * wrong / (w.sum() if by_weights else len(x))

        return ruled(loss, backward)

    return Planted(of(False), of(True), (randn(5, 4),))


@plant("U02 BCE: pos_weight is ignored in backward, its default 1 hides it")
def positive_weight() -> Planted:
    y = (randn(4, 3, seed=1) > 0).double()

    def loss(x: Tensor, weight: float = 1.0) -> Tensor:
        return F.binary_cross_entropy_with_logits(x, y.to(x), pos_weight=torch.tensor(weight).to(x), reduction="sum")

    def right(g: Tensor, x: Tensor, weight: float) -> Tensor:
        t = y.to(x)
        return g * (x.sigmoid() * (1 - t + weight * t) - weight * t)

    return Planted(ruled(loss, lambda g, x, weight: g * (x.sigmoid() - y.to(x))), ruled(loss, right), (randn(4, 3),))


def divergence(x: Tensor, y: Tensor) -> Tensor:
    """KL(softmax y | softmax x) for each row."""
    return (y.softmax(1) * (y.log_softmax(1) - x.log_softmax(1))).sum(1).mean()


def kl(reduction: str, swapped: bool = False):
    def loss(x: Tensor, y: Tensor) -> Tensor:
        a, b = (y, x) if swapped else (x, y)
        return F.kl_div(a.log_softmax(1), b.softmax(1), reduction=reduction)

    return loss


@plant("U03 KL divergence: the arguments are swapped")
def kl_swapped() -> Planted:
    inputs = (randn(4, 3), randn(4, 3, seed=1))
    return Planted(kl("batchmean", swapped=True), kl("batchmean"), inputs, faces={"textbook": divergence})


@plant("U04 KL divergence: mean instead of batchmean")
def kl_mean() -> Planted:
    return Planted(
        kl("mean"), kl("batchmean"), (randn(4, 3), randn(4, 3, seed=1)), faces={"textbook": divergence}
    )  # fmt: skip


@plant("U05 Dice: the denominator is detached")
def dice() -> Planted:
    y = (randn(8, seed=1) > 0).double()

    def of(detached: bool):
        def loss(x: Tensor) -> Tensor:
            p = x.sigmoid()
            total = p.sum() + y.sum() + 1
            return 1 - (2 * (p * y).sum() + 1) / (total.detach() if detached else total)

        return loss

    return Planted(of(True), of(False), (randn(8),))


@plant("U06 hinge: the other slope at the margin itself")
def hinge() -> Planted:
    y = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)

    def loss(s: Tensor) -> Tensor:
        return F.relu(1 - y.to(s) * s).sum()

    def right(g: Tensor, s: Tensor) -> Tensor:
        return -g * y.to(s) * (y.to(s) * s < 1)

    wrong = ruled(loss, lambda g, s: -g * y.to(s) * (y.to(s) * s <= 1))
    at_the_margin = torch.tensor([1.0, -0.3, 2.0, -1.0], dtype=torch.float64)
    return Planted(wrong, ruled(loss, right), (at_the_margin,), faces={"gradient": right})


@plant("U07 triplet loss: eps outside the norm")
def triplet_eps() -> Planted:
    def textbook(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
        near, far = ((a - b + 1e-6).square().sum(1).sqrt() for b in (p, n))
        return F.relu(near - far + 1).mean()

    def wrong(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
        near, far = ((a - b).norm(dim=1) + 1e-6 for b in (p, n))
        return F.relu(near - far + 1).mean()

    inputs = (randn(4, 3), randn(4, 3, seed=1), randn(4, 3, seed=2))
    return Planted(wrong, lambda a, p, n: F.triplet_margin_loss(a, p, n), inputs, faces={"textbook": textbook})


@plant("U08 CTC: the blank is another class")
def ctc_blank() -> Planted:
    target, steps, classes = [1, 2], 4, 4

    def textbook(x: Tensor) -> Tensor:
        """Minus log of the sum over every path that collapses to the target; class 0 is the blank."""
        logs = x.log_softmax(-1)
        total = []
        for path in itertools.product(range(classes), repeat=steps):
            kept = [k for t, k in enumerate(path) if k and (t == 0 or path[t - 1] != k)]
            if kept == target:
                total.append(torch.stack([logs[t, k] for t, k in enumerate(path)]).sum())
        return -torch.logsumexp(torch.stack(total), 0)

    def of(blank: int):
        def loss(x: Tensor) -> Tensor:
            logs = x.log_softmax(-1)[:, None]
            return F.ctc_loss(logs, torch.tensor([target]), [steps], [2], blank=blank, reduction="sum")

        return loss

    return Planted(of(3), of(0), (randn(steps, classes),), faces={"textbook": textbook})


@plant("U09 GAN: the saturating loss for the non-saturating one")
def generator_loss() -> Planted:
    return Planted(
        lambda f: F.logsigmoid(-f).mean(), lambda f: -F.logsigmoid(f).mean(), (randn(6),),
        faces={"textbook": lambda f: -f.sigmoid().log().mean()},
    )  # fmt: skip


@plant("U48 the loss goes through .item()")
def through_item() -> Planted:
    def wrong(x: Tensor, t: Tensor) -> Tensor:
        return torch.tensor((x - t).square().mean().item(), dtype=x.dtype, requires_grad=True)

    return Planted(wrong, F.mse_loss, (randn(4), randn(4, seed=1)), verdict="detached")


@plant("U48 the loss goes through numpy")
def through_numpy() -> Planted:
    def wrong(x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy().copy()).square().sum()

    return Planted(wrong, lambda x: x.square().sum(), (randn(4),), verdict="detached")


@plant("U48 a scale goes through .item()")
def scale_item() -> Planted:
    return Planted(lambda x: (x / x.std().item()).tanh(), lambda x: (x / x.std()).tanh(), (randn(5),))
