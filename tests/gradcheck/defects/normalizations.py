"""Planted defects: normalizations and the statistics that they keep."""

from __future__ import annotations

import torch
from defects.planted import Planted, plant, randn, ruled
from torch import Tensor, nn
from torch.nn import functional as F


def normalized(x: Tensor, axis: int, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """(centred and scaled by the biased standard deviation, that deviation)."""
    s = (x.var(axis, unbiased=False, keepdim=True) + eps).sqrt()
    return (x - x.mean(axis, keepdim=True)) / s, s


def along(axis: int, mean: bool, projection: bool):
    """Backward of `normalized` along an axis, with or without its two mean terms."""

    def backward(g: Tensor, x: Tensor) -> Tensor:
        y, s = normalized(x, axis)
        inner = g - g.mean(axis, keepdim=True) if mean else g
        return (inner - y * (g * y).mean(axis, keepdim=True) if projection else inner) / s

    return ruled(lambda x: normalized(x, axis)[0], backward)


@plant("N01 layer norm: backward drops mean(g)")
def layer_norm() -> Planted:
    return Planted(along(-1, False, True), along(-1, True, True), (randn(4, 5),))


@plant("N02 batch norm: the training step has evaluation's backward")
def batch_norm() -> Planted:
    return Planted(along(0, False, False), along(0, True, True), (randn(6, 3),))


@plant("N03 batch norm: normalizes with the unbiased variance")
def unbiased() -> Planted:
    def of(correction: bool):
        return lambda x: (x - x.mean(0)) / (x.var(0, unbiased=correction) + 1e-5).sqrt()

    def textbook(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    return Planted(of(True), of(False), (randn(6, 3),), faces={"textbook": textbook})


@plant("N04 RMS norm: eps outside the root")
def rms_norm() -> Planted:
    def textbook(x: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()

    return Planted(
        lambda x: x / (x.square().mean(-1, keepdim=True).sqrt() + 1e-6),
        lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-6),
        (randn(4, 5),),
        faces={"textbook": textbook},
    )


@plant("N05 weight norm: the gradient of v lacks its projection")
def weight_norm() -> Planted:
    def forward(v: Tensor, g: Tensor) -> Tensor:
        return g * v / v.norm(dim=1, keepdim=True)

    def of(projected: bool):
        def backward(out: Tensor, v: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
            n = v.norm(dim=1, keepdim=True)
            by_g = (out * v).sum(1, keepdim=True) / n
            return (g / n) * (out - by_g * v / n if projected else out), by_g

        return ruled(forward, backward)

    return Planted(of(False), of(True), (randn(4, 3), randn(4, 1, seed=1)))


class Running(nn.Module):
    """Batch normalization by hand, with three places to go wrong."""

    def __init__(self, turned: bool = False, biased: bool = False, blind: bool = False) -> None:
        super().__init__()
        self.momentum = 0.1
        self.turned, self.biased, self.blind = turned, biased, blind
        self.weight = nn.Parameter(1 + 0.1 * randn(3, seed=5))
        self.bias = nn.Parameter(randn(3, seed=6))
        self.register_buffer("running_mean", torch.full((3,), 0.2, dtype=torch.float64))
        self.register_buffer("running_var", torch.full((3,), 1.5, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            m = 1 - self.momentum if self.turned else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(0), m)
                self.running_var.lerp_(x.var(0, unbiased=not self.biased), m)
        if self.training or self.blind:
            mean, var = x.mean(0), x.var(0, unbiased=False)
        else:
            mean, var = self.running_mean, self.running_var
        return self.weight * (x - mean) / (var + 1e-5).sqrt() + self.bias


@plant("U18 batch norm: eps 1e-3 for 1e-5")
def eps() -> Planted:
    def of(eps: float):
        return lambda x: F.batch_norm(x, None, None, training=True, eps=eps)

    def textbook(x: Tensor) -> Tensor:
        return normalized(x, 0)[0]

    return Planted(of(1e-3), of(1e-5), (randn(6, 3),), faces={"textbook": textbook})


@plant("U18 batch norm: momentum is turned round")
def momentum() -> Planted:
    return Planted(Running(turned=True), Running(), (randn(6, 3),))


@plant("U18 batch norm: the running variance is biased")
def biased() -> Planted:
    return Planted(Running(biased=True), Running(), (randn(6, 3),))


@plant("U19 batch norm: evaluation uses the batch's statistics")
def blind() -> Planted:
    return Planted(Running(blind=True), Running(), (randn(6, 3),))


@plant("U20 group norm: the groups run over the wrong axis")
def group_norm() -> Planted:
    def textbook(x: Tensor) -> Tensor:
        groups = x.view(x.shape[0], 2, -1)
        return normalized(groups, -1)[0].view(x.shape)

    def wrong(x: Tensor) -> Tensor:
        turned = x.transpose(1, 2).contiguous()
        return F.group_norm(turned, 2).transpose(1, 2)

    return Planted(wrong, lambda x: F.group_norm(x, 2), (randn(2, 4, 4),), faces={"textbook": textbook})


@plant("U21 spectral norm: sigma is detached")
def spectral() -> Planted:
    u, v = F.normalize(randn(4, seed=1), dim=0), F.normalize(randn(3, seed=2), dim=0)

    def of(detached: bool):
        def function(weight: Tensor) -> Tensor:
            sigma = u @ weight @ v
            return weight / (sigma.detach() if detached else sigma)

        return function

    return Planted(of(True), of(False), (randn(4, 3) + 2,))


@plant("U21 spectral norm: a module whose sigma is detached")
def spectral_module() -> Planted:
    class Spectral(nn.Module):
        def __init__(self, detached: bool) -> None:
            super().__init__()
            self.detached = detached
            self.weight = nn.Parameter((randn(4, 3) + 1).float())
            self.register_buffer("u", F.normalize(randn(4, seed=1), dim=0).float())

        def forward(self, x: Tensor) -> Tensor:
            v = F.normalize(self.weight.detach().T @ self.u, dim=0)
            if self.training:
                self.u.copy_(F.normalize(self.weight.detach() @ v, dim=0))
            sigma = self.u.clone() @ self.weight @ v
            return F.linear(x, self.weight / (sigma.detach() if self.detached else sigma))

    sigma_held = Spectral(True).eval()
    return Planted(sigma_held, nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)).eval(), (randn(2, 3),))


@plant("U22 layer norm: the gradient of gamma is summed over the features")
def gamma() -> Planted:
    def forward(x: Tensor, gamma: Tensor) -> Tensor:
        return normalized(x, -1)[0] * gamma

    def of(axis: int):
        def backward(g: Tensor, x: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
            y, s = normalized(x, -1)
            h = g * gamma
            by_x = (h - h.mean(-1, keepdim=True) - y * (h * y).mean(-1, keepdim=True)) / s
            return by_x, (g * y).sum(axis)

        return ruled(forward, backward)

    return Planted(of(1), of(0), (randn(4, 4), randn(4, seed=1)))
