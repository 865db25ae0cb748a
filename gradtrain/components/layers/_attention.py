"""Attention in plain tensor algebra: scores, probabilities, sums; and their derivatives, by hand."""

from __future__ import annotations

import math
from typing import NamedTuple

from gradtrain.lazy import Tensor, torch


class Seen(NamedTuple):
    """What the forward pass computed on the way."""

    y: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    p: Tensor
    """Probabilities [batch, heads, time, other time]."""
    mask: Tensor
    """Of dropout: 0 or 1 / (1 - dropout), of the shape of p."""


def attend(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, dropout: float) -> Seen:
    """y = dropout(softmax(q kᵀ / √d)) v for [batch, heads, time, d]; where `keep` is False nothing is looked at."""
    scores = (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(dim=-1) / math.sqrt(q.shape[-1])
    if keep is not None:
        scores = torch.where(keep, scores, float("-inf"))
    below = (scores - scores.max(dim=-1, keepdim=True).values).exp()
    p = below / below.sum(dim=-1, keepdim=True)
    mask = torch.ones_like(p) if dropout == 0 else torch.empty_like(p).bernoulli_(1 - dropout) / (1 - dropout)
    return Seen((p * mask) @ v, q, k, v, p, mask)


def attend_gradient(g: Tensor, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv) of `attend`."""
    dv = (seen.p * seen.mask).transpose(-2, -1) @ g
    dp = (g @ seen.v.transpose(-2, -1)) * seen.mask
    ds = seen.p * (dp - (dp * seen.p).sum(dim=-1, keepdim=True)) / math.sqrt(seen.q.shape[-1])
    return ds @ seen.k, ds.transpose(-2, -1) @ seen.q, dv


def split(x: Tensor, heads: int) -> Tensor:
    """[batch, time, width] → [batch, heads, time, width / heads]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """The reverse of `split`."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


def past(time: int) -> Tensor:
    """[time, time], True where a step looks at itself or at what came before it."""
    return torch.ones(time, time, dtype=torch.bool).tril()


def angles(time: int, size: int, base: float = 10_000.0) -> Tensor:
    """[time, size / 2]: how far a pair of coordinates is turned at a step."""
    rates = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    return torch.arange(time, dtype=torch.float64)[:, None] * rates


def turn(x: Tensor, by: Tensor) -> Tensor:
    """The pairs (x_i, x_{i + size/2}) of [..., time, size] as complex numbers, times e^{i angle}."""
    half = x.shape[-1] // 2
    z = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous())
    turned = z * torch.polar(torch.ones_like(by), by).to(z.dtype)
    return torch.cat([turned.real, turned.imag], dim=-1)
