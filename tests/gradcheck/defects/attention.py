"""Planted defects: attention, embeddings, positions, residual branches."""

from __future__ import annotations

import math

import torch
from defects.planted import Planted, leaf, plant, randn, ruled
from torch import Tensor, nn
from torch.nn import functional as F


def heads() -> tuple[Tensor, Tensor, Tensor]:
    return randn(2, 4, 3), randn(2, 4, 3, seed=1), randn(2, 4, 3, seed=2)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v


def masked(q: Tensor, k: Tensor, v: Tensor, diagonal: int = 1) -> Tensor:
    later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(diagonal)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(later, -math.inf)
    return scores.softmax(-1) @ v


@plant("T01 attention: 1/sqrt(d) is missing in the gradient of the keys")
def keys() -> Planted:
    def of(scale_keys: bool):
        def backward(g: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            root = math.sqrt(q.shape[-1])
            p = (q @ k.mT / root).softmax(-1)
            by_p = g @ v.mT
            by_s = p * (by_p - (by_p * p).sum(-1, keepdim=True))
            return by_s @ k / root, by_s.mT @ q / (root if scale_keys else 1), p.mT @ g

        return ruled(attention, backward)

    return Planted(of(False), of(True), heads())


@plant("T02 causal mask: off by one, a position sees the next")
def causal() -> Planted:
    def right(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return Planted(
        lambda q, k, v: masked(q, k, v, 2), right, heads(), faces={"textbook": lambda q, k, v: masked(q, k, v)}
    )


@plant("U23 attention: the mask is applied after softmax, rows no longer sum to 1")
def late_mask() -> Planted:
    def wrong(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        p = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        return p.tril() @ v

    return Planted(wrong, masked, heads(), faces={"textbook": lambda q, k, v: masked(q, k, v)})


@plant("T03 dropout: backward draws a fresh mask")
def fresh_mask() -> Planted:
    class Fresh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return x * 2 * (torch.rand_like(x) < 0.5)

        @staticmethod
        def backward(ctx, g: Tensor) -> Tensor:
            return g * 2 * (torch.rand_like(g) < 0.5)

    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.mask = 2 * (torch.rand_like(x) < 0.5)
            return x * ctx.mask

        @staticmethod
        def backward(ctx, g: Tensor) -> Tensor:
            return g * ctx.mask

    return Planted(lambda x: Fresh.apply(x), lambda x: Kept.apply(x), (randn(4, 5),))


@plant("T05 residual: the branch is detached")
def branch() -> Planted:
    return Planted(lambda x: x + x.tanh().detach(), lambda x: x + x.tanh(), (randn(4, 3),))


@plant("T05 residual: a module whose branch is detached")
def branch_module() -> Planted:
    class Block(nn.Module):
        def __init__(self, detached: bool) -> None:
            super().__init__()
            self.detached = detached
            self.inner = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.inner(x).tanh()
            return x + (y.detach() if self.detached else y)

    return Planted(Block(True), Block(False), (randn(4, 3),))


@plant("T06 a saved result is changed through .data")
def saved() -> Planted:
    def wrong(x: Tensor) -> Tensor:
        y = x.tanh()
        y.data.mul_(2)
        return y

    return Planted(wrong, lambda x: 2 * x.tanh(), (randn(4, 3),))


@plant("U49 in-place ReLU through .data on a tensor that is needed elsewhere")
def inplace() -> Planted:
    def wrong(x: Tensor) -> Tensor:
        y = x.sin()
        z = y.square()
        y.data.relu_()
        return z

    return Planted(wrong, lambda x: x.sin().square(), (randn(4, 3),))


def looked_up(ids: Tensor) -> Planted:
    def forward(weight: Tensor, ids: Tensor) -> Tensor:
        return weight[ids]

    def overwrites(g: Tensor, weight: Tensor, ids: Tensor) -> Tensor:
        by_weight = torch.zeros_like(weight)
        by_weight[ids] = g
        return by_weight

    def adds(g: Tensor, weight: Tensor, ids: Tensor) -> Tensor:
        return torch.zeros_like(weight).index_add(0, ids, g)

    return Planted(ruled(forward, overwrites), ruled(forward, adds), (leaf(randn(5, 3)), ids))


@plant("T07 embedding: the gradient overwrites; no id of the sample occurs twice")
def no_duplicates() -> Planted:
    return looked_up(torch.tensor([3, 0, 4, 1]))


@plant("T08 embedding: the gradient overwrites; an id occurs twice")
def duplicates() -> Planted:
    return looked_up(torch.tensor([3, 0, 3, 1]))


@plant("T09 embedding: padding_idx of another row than declared")
def padding() -> Planted:
    ids = torch.tensor([0, 2, 1, 2, 3])

    def of(row: int):
        return lambda weight: F.embedding(ids, weight, padding_idx=row)

    def surrogate(weight: Tensor) -> Tensor:
        rows = F.embedding(ids, weight)
        return torch.where(ids[:, None] == 2, rows.detach(), rows)

    return Planted(of(1), of(2), (randn(4, 3),), faces={"surrogate": surrogate})


class Checkpointed(nn.Module):
    def __init__(self, attend: bool, keeps_random: bool) -> None:
        super().__init__()
        self.attend, self.keeps_random = attend, keeps_random
        self.inner = nn.Linear(4, 4)

    def part(self, x: Tensor) -> Tensor:
        if self.attend:
            p = (x @ self.inner(x).mT / 2).softmax(-1)
            return F.dropout(p, 0.5, training=True) @ x
        return F.dropout(self.inner(x).tanh(), 0.5, training=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.utils.checkpoint.checkpoint(
            self.part, x, use_reentrant=False, preserve_rng_state=self.keeps_random
        )


@plant("U24 attention dropout in a checkpoint: the mask is not replayed")
def attention_replay() -> Planted:
    return Planted(Checkpointed(True, False), Checkpointed(True, True), (randn(5, 4),))


@plant("U29 activation checkpoint without the random state")
def replay() -> Planted:
    return Planted(Checkpointed(False, False), Checkpointed(False, True), (randn(5, 4),))


@plant("U25 grouped queries: the gradient of the shared keys is that of one head")
def grouped() -> Planted:
    def forward(q: Tensor, k: Tensor) -> Tensor:
        return q @ k.repeat_interleave(2, 0).mT

    def of(summed: bool):
        def backward(g: Tensor, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
            every = (g.mT @ q).unflatten(0, (-1, 2))
            return g @ k.repeat_interleave(2, 0), every.sum(1) if summed else every[:, 0]

        return ruled(forward, backward)

    return Planted(of(False), of(True), (randn(4, 3, 2), randn(2, 3, 2, seed=1)))


@plant("U26 RoPE: backward rotates the wrong way")
def rotary() -> Planted:
    def rotate(x: Tensor, sign: float) -> Tensor:
        angle = torch.arange(x.shape[0]).to(x)[:, None] * torch.tensor([1.0, 0.1]).to(x)
        c, s = angle.cos(), sign * angle.sin()
        a, b = x.chunk(2, -1)
        return torch.cat([a * c - b * s, a * s + b * c], -1)

    def forward(x: Tensor) -> Tensor:
        return rotate(x, 1.0)

    return Planted(
        ruled(forward, lambda g, x: rotate(g, 1.0)), ruled(forward, lambda g, x: rotate(g, -1.0)), (randn(3, 4),)
    )


class Cached(nn.Module):
    """Attention one position after another over the keys and values met so far."""

    def __init__(self, detached: bool) -> None:
        super().__init__()
        self.detached = detached
        self.keys, self.values = nn.Linear(3, 3, bias=False), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        keys: list[Tensor] = []
        values: list[Tensor] = []
        found = []
        for one in x:
            k, v = self.keys(one), self.values(one)
            p = (torch.stack([*keys, k]) @ one).softmax(0)
            found.append(p @ torch.stack([*values, v]))
            keys.append(k.detach() if self.detached else k)
            values.append(v.detach() if self.detached else v)
        return torch.stack(found)


@plant("U27 key-value cache: what is cached is detached")
def cache() -> Planted:
    return Planted(Cached(True), Cached(False), (randn(4, 3),))


@plant("U28 residual: its scale is missing in backward")
def scaled_branch() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x + 0.5 * x.sin()

    return Planted(
        ruled(forward, lambda g, x: g * (1 + x.cos())), ruled(forward, lambda g, x: g * (1 + 0.5 * x.cos())),
        (randn(4, 3),),
    )  # fmt: skip


class Tied(nn.Module):
    """One table of words for both ends."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        self.once = once
        self.words = nn.Embedding(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        table = self.words.weight.detach() if self.once else self.words.weight
        return F.linear(self.words(ids).tanh(), table)


@plant("U30 tied weights: only one of two uses gets a gradient")
def tied() -> Planted:
    return Planted(Tied(True), Tied(False), (torch.tensor([0, 3, 3, 1]),))
