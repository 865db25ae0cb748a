"""Correct modules, and functions with state, randomness or derivatives inside."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from defects.planted import Correct, correct, leaf, randn, ruled
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def layer(name: str, build: Callable[[], nn.Module], *inputs: Tensor, trains: bool = True, order: int = 2) -> None:
    """Enter a module."""
    correct(name)(lambda: Correct(build().train(trains), inputs, faces={"order": order}))


PICTURE = randn(2, 2, 4, 4)
layer("dropout in training", lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.4)), randn(5, 3))
layer("batch norm in training", lambda: nn.BatchNorm1d(3), randn(6, 3))
layer("batch norm in evaluation", lambda: nn.BatchNorm1d(3), randn(6, 3), trains=False)
layer("batch norm without statistics", lambda: nn.BatchNorm1d(3, track_running_stats=False), randn(6, 3))
layer("batch norm of pictures with a cumulative average", lambda: nn.BatchNorm2d(2, momentum=None), PICTURE)
layer("batch norm after a layer with a bias", lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), randn(6, 3))
layer("instance norm", lambda: nn.InstanceNorm2d(2, affine=True, track_running_stats=True), PICTURE)
layer("layer norm", lambda: nn.LayerNorm(4), randn(3, 4))
layer("group norm", lambda: nn.GroupNorm(1, 2), PICTURE)
layer("GRU", lambda: nn.GRU(3, 2, batch_first=True), randn(2, 4, 3))
layer("LSTM, two layers, both directions", lambda: nn.LSTM(3, 2, 2, bidirectional=True), randn(3, 2, 3))
layer("RNN with ReLU", lambda: nn.RNN(3, 4, nonlinearity="relu"), randn(4, 2, 3))
layer("convolution", lambda: nn.Conv2d(2, 3, 3, padding=1, stride=2), PICTURE)
layer("transposed convolution", lambda: nn.ConvTranspose2d(2, 2, 2), PICTURE)
layer("max pooling", lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.MaxPool2d(2)), PICTURE)
layer("an encoder layer", lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), randn(2, 3, 4))
layer("an encoder layer in evaluation", lambda: nn.TransformerEncoderLayer(4, 2, 8), randn(3, 2, 4), trains=False)
layer("a bilinear layer", lambda: nn.Bilinear(3, 2, 2), randn(4, 3), randn(4, 2, seed=1))
layer("an embedding of repeated ids", lambda: nn.Embedding(5, 3), torch.tensor([0, 3, 3, 1]))
layer("PReLU", lambda: nn.PReLU(3), randn(4, 3))
layer("a float32 network on float32 numbers", lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU()), randn(4, 3).float())
layer(
    # torch 2.13's `_weight_norm` has a wrong second derivative by v on CPU; gradgradcheck refuses it too
    "weight norm",
    lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)),
    randn(4, 3),
    order=1,
)
layer("spectral norm in training", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)), randn(2, 3))
layer("orthogonal weights", lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)), randn(2, 3))


@correct("a deep ReLU network with thousands of corners")
def deep() -> Correct:
    widths = [20, 200, 200, 200, 200, 200, 5]
    parts: list[nn.Module] = []
    for one, two in itertools.pairwise(widths):
        parts += [nn.Linear(one, two), nn.ReLU()]
    return Correct(nn.Sequential(*parts[:-1]), (randn(16, 20),))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        answer: Tensor = self.heads(x, x, x, attn_mask=later, need_weights=False)[0]
        return answer


layer("multi-head attention with a causal mask and dropout", Attention, randn(2, 3, 4))


class Counting(nn.Module):
    """Keeps a count and an average; answers with the average of what it saw before."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("average", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        before = self.average
        self.count += 1
        self.average = 0.9 * before + 0.1 * y.detach().mean(0)
        return y / self.count + before


layer("a module that counts its calls", Counting, randn(4, 3))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.out.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.out(self.words(ids).tanh())
        return answer


layer("tied weights", Tied, torch.tensor([0, 3, 3, 1]))


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.outer(self.inner(x).tanh())
        return answer


layer("a frozen part", Frozen, randn(4, 3))


class Checkpointed(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.part = nn.Sequential(nn.Linear(3, 4), nn.Dropout(p), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = checkpoint(self.part, x, use_reentrant=False)
        return answer


layer("a checkpoint", lambda: Checkpointed(0.0), randn(4, 3))
layer("a checkpoint with dropout", lambda: Checkpointed(0.5), randn(4, 3))


@correct("a module with a list, a mapping and a keyword")
def structured() -> Correct:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
            self.scales = nn.ParameterList([nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(()))])

        def forward(self, xs: dict[str, Tensor], *, root: bool = False) -> dict[str, Tensor]:
            return {name: self.parts[name](x).sin() * self.scales[0] * self.scales[1] for name, x in xs.items()}

    return Correct(Several(), ({"a": randn(2, 3), "b": randn(2, 3, seed=1)},))


@correct("a lazy layer")
def lazy() -> Correct:
    return Correct(nn.LazyLinear(2), (randn(4, 3),))


@correct("a penalty of gradients by autograd inside")
def penalty() -> Correct:
    def function(x: Tensor, w: Tensor) -> Tensor:
        with torch.enable_grad():
            at = x if x.requires_grad else x.detach().requires_grad_()
            (slope,) = torch.autograd.grad((at @ w).tanh().sum(), at, create_graph=True)
        return (slope.norm(dim=1) - 1).square().mean()

    return Correct(function, (randn(4, 3), randn(3, 2, seed=1)))


@correct("a gradient by torch.func inside")
def functional() -> Correct:
    return Correct(lambda x: torch.func.grad(lambda y: y.sin().square().sum())(x), (randn(4),))


@correct("a function of once_differentiable backward and no jvp")
def once() -> Correct:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.square()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return 2 * g * x

    return Correct(lambda x: Square.apply(x), (randn(4),))


@correct("a function of two outputs, one of them not differentiable")
def marked() -> Correct:
    class Largest(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> tuple[Tensor, Tensor]:
            values, where = x.max(1)
            ctx.mark_non_differentiable(where)
            ctx.save_for_backward(where, x)
            return values, where

        @staticmethod
        def backward(ctx, g: Tensor, _: Tensor) -> Tensor:
            where, x = ctx.saved_tensors
            return torch.zeros_like(x).scatter(1, where[:, None], g[:, None])

    return Correct(lambda x: Largest.apply(x), (randn(3, 4),))


@correct("an in-place operation on a copy")
def in_place() -> Correct:
    def function(x: Tensor) -> Tensor:
        y = x.clone()
        y[0] = 0
        y.mul_(2).add_(x.sin())
        return y

    return Correct(function, (randn(4),))


@correct("a closure over trainable tensors")
def closure() -> Correct:
    w, b = leaf(randn(3, 2, seed=1)), leaf(randn(2, seed=2))
    return Correct(lambda x: (x @ w + b).tanh(), (randn(4, 3),))


@correct("a loss around a module")
def around() -> Correct:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 1))
    return Correct(lambda x, t: F.mse_loss(network(x), t), (leaf(randn(5, 3)), randn(5, 1, seed=1)))


@correct("straight-through rounding, declared")
def rounding() -> Correct:
    return Correct(
        lambda x: x + (x.round() - x).detach(), (3 * randn(4),), "intended", {"surrogate": lambda x: x}
    )  # fmt: skip


@correct("a sign with a clipped straight-through gradient, declared")
def binary() -> Correct:
    sign = ruled(lambda x: x.sign(), lambda g, x: g * (x.abs() <= 1))
    return Correct(sign, (2 * randn(6),), "intended", {"surrogate": lambda x: x.clamp(-1, 1)})


@correct("gradient reversal, declared")
def reversal() -> Correct:
    reverse = ruled(lambda x: x.clone(), lambda g, x: -0.5 * g)
    return Correct(lambda x: reverse(x), (randn(4),), "intended", {"surrogate": lambda x: -0.5 * x})


@correct("a stopped gradient, declared")
def stopped() -> Correct:
    def function(x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(x, y.detach())

    return Correct(function, (randn(4), randn(4, seed=1)), "intended", {"surrogate": function})


@correct("padding_idx, declared")
def padding() -> Correct:
    ids = torch.tensor([0, 2, 1, 2])

    def surrogate(table: Tensor) -> Tensor:
        rows = table[ids]
        return torch.where(ids[:, None] == 2, rows.detach(), rows)

    return Correct(
        lambda table: F.embedding(ids, table, padding_idx=2), (randn(4, 3),), "intended", {"surrogate": surrogate}
    )  # fmt: skip


@correct("a module with a declared straight-through layer")
def quantized() -> Correct:
    class Quantized(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight + ((self.weight * 8).round() / 8 - self.weight).detach()
            return F.linear(x, weight, self.bias)

    def surrogate(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rounded = weight + ((weight * 8).round() / 8 - weight).detach()
        return F.linear(x, rounded, bias)

    return Correct(Quantized(3, 2), (randn(4, 3),), "intended", {"surrogate": surrogate})
