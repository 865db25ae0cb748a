"""Planted defects: recurrences, routing, filters, pictures that are sampled, caches; and what surrounds them."""

from __future__ import annotations

import torch
from defects.planted import Correct, Planted, correct, plant, rand, randn, ruled
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


@plant("Fourier filter: the sign of the imaginary part's gradient, at a point drawn from seed 0")
def filtered() -> Planted:
    """Random numbers of the checker's that repeat the caller's make this gradient vanish."""

    def forward(x: Tensor, re: Tensor, im: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.complex(re, im), n=8)

    def turned(g: Tensor, x: Tensor, re: Tensor, im: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in (x, re, im)]
            by_x, by_re, by_im = torch.autograd.grad(forward(*leaves), leaves, g)
        return by_x, by_re, -by_im

    return Planted(ruled(forward, turned), forward, (randn(2, 8), randn(5, seed=1), randn(5, seed=2)))


@plant("scan: the decay's gradient takes the state of the same step, not of the one before")
def scan() -> Planted:
    def forward(a: Tensor, x: Tensor) -> Tensor:
        states = [x[0]]
        for now in x[1:]:
            states.append(a * states[-1] + now)
        return torch.stack(states)

    def of(lag: int):
        def backward(g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            states, by_x, by_a = forward(a, x), [g[-1]], torch.zeros_like(a)
            for t in range(len(x) - 1, 0, -1):
                by_a = by_a + by_x[-1] * states[t - lag]
                by_x.append(g[t - 1] + a * by_x[-1])
            return by_a, torch.stack(by_x[::-1])

        return ruled(forward, backward)

    return Planted(of(0), of(1), (rand(3), randn(5, 3, seed=1)))


class Memory(nn.Module):
    """An LSTM by hand."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.gates, self.cut = nn.Linear(5, 12), cut

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[1], 3)
        for now in x:
            i, f, g, o = self.gates(torch.cat([now, h], -1)).chunk(4, -1)
            c = (c.detach() if self.cut else c) * f.sigmoid() + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


@plant("LSTM: the cell is detached from step to step")
def memory() -> Planted:
    return Planted(Memory(True), Memory(False), (randn(4, 2, 2),))


class Routed(nn.Module):
    """The two best of four experts, weighted by a gate."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.gate, self.cut = nn.Linear(3, 4), cut
        self.experts = nn.ModuleList(nn.Linear(3, 2) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        share, chosen = self.gate(x).softmax(-1).topk(2, -1)
        every = torch.stack([expert(x) for expert in self.experts], 1)
        best = every.gather(1, chosen[..., None].expand(-1, -1, 2))
        return ((share.detach() if self.cut else share)[..., None] * best).sum(1)


@plant("experts: the gate's shares are detached")
def routed() -> Planted:
    return Planted(Routed(True), Routed(False), (randn(5, 3),))


@plant("convolution: the kernel is not turned round in the gradient of the picture")
def convolution() -> Planted:
    def forward(x: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(x, kernel, padding=1)

    def of(turned: bool):
        def backward(g: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
            back = (kernel.flip(2, 3) if turned else kernel).transpose(0, 1)
            by_kernel = F.conv2d(F.pad(x, (1, 1, 1, 1)).transpose(0, 1), g.transpose(0, 1)).transpose(0, 1)
            return F.conv2d(g, back, padding=1), by_kernel

        return ruled(forward, backward)

    return Planted(of(False), of(True), (randn(2, 2, 4, 4), randn(3, 2, 3, 3, seed=1)))


def sampled(theta: Tensor, x: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(x.shape), align_corners=True)
    return F.grid_sample(x, grid, align_corners=True)


@plant("spatial transformer: the picture is sampled, the transformation detached")
def transformer() -> Planted:
    theta = torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 0.8, 0.02]]], dtype=torch.float64)
    return Planted(lambda t, x: sampled(t.detach(), x), sampled, (theta, randn(1, 2, 4, 4)), verdict="detached")


@correct("a spatial transformer that begins as the identity: every sample lies on a pixel")
def identity() -> Correct:
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=torch.float64)
    return Correct(sampled, (theta, randn(1, 2, 4, 4)), "kink")


@correct("a spatial transformer of which several samples, moving opposite ways, lie on pixels")
def crossing() -> Correct:
    def function(theta: Tensor, x: Tensor) -> Tensor:
        return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)

    theta = torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 0.8, 0.02]]], dtype=torch.float64)
    return Correct(function, (theta, randn(1, 2, 4, 4)))


@correct("a checkpoint of the older, reentrant kind")
def reentrant() -> Correct:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = checkpoint(self.inner, x, use_reentrant=True).tanh()
            return answer

    return Correct(Block(), (randn(4, 3),))
