"""Attention as a module. Imported where one is built, never before: this file imports torch."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Attention(nn.Module):
    """Multi-head attention of [batch, time, width] to itself, or to a `memory` [batch, other time, width].

    `keep` (bool, True = may be looked at) broadcasts to [batch, heads, time, other time]. torch's fused kernel has no
    second derivative; where one is needed `fused` is False, and the same numbers come from separate products.
    """

    def __init__(
        self, width: int, heads: int, *, causal: bool, dropout: float, bias: bool, angles: Tensor | None = None
    ) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.fused = True
        self.cosine: Tensor | None
        self.sine: Tensor | None
        self.register_buffer("cosine", None if angles is None else angles.cos(), persistent=False)
        self.register_buffer("sine", None if angles is None else angles.sin(), persistent=False)

    def forward(self, x: Tensor, keep: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        q, k, v = self._heads(x, memory)
        if self.cosine is not None and self.sine is not None:
            q, k = turned(q, self.cosine, self.sine), turned(k, self.cosine, self.sine)
        drop = self.dropout if self.training else 0.0
        fused = drop == 0.0 and self.fused
        if self.causal and not (fused and keep is None):  # torch's kernel takes a mask or `is_causal`, not both
            past = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
            keep = past if keep is None else keep & past
        if fused:
            y = F.scaled_dot_product_attention(q, k, v, keep, is_causal=self.causal and keep is None)
        else:
            y = self._separate(q, k, v, keep, drop)
        return self.proj(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, ...]:
        """Queries, keys and values [batch, heads, time, width / heads]."""
        if memory is None:
            parts: tuple[Tensor, ...] = self.qkv(x).chunk(3, dim=-1)
        else:
            width, bias = x.shape[-1], self.qkv.bias
            q = F.linear(x, self.qkv.weight[:width], None if bias is None else bias[:width])
            kv = F.linear(memory, self.qkv.weight[width:], None if bias is None else bias[width:])
            parts = (q, *kv.chunk(2, dim=-1))
        return tuple(part.view(*part.shape[:-1], self.heads, -1).transpose(1, 2) for part in parts)

    def _separate(self, q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None, drop: float) -> Tensor:
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if keep is not None:
            scores = scores.masked_fill(~keep, float("-inf"))
        return F.dropout(scores.softmax(dim=-1), drop) @ v


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions: the halves of every head as the coordinates of points, turned by an angle a step."""
    first, second = x.chunk(2, dim=-1)
    time = x.shape[-2]
    c, s = cosine[:time], sine[:time]
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)


class Positions(nn.Module):
    """Adds a vector for its place to every step of [batch, time, width]; learned, or fixed in a buffer."""

    def __init__(self, table: Tensor, learned: bool) -> None:
        super().__init__()
        if learned:
            self.weight = nn.Parameter(table)
        else:
            self.register_buffer("weight", table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[: x.shape[1]]


class Gaussian(nn.Module):
    """Two linear heads, stacked on axis 1: mean and log-variance."""

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.mean, self.log_variance = nn.Linear(features, size), nn.Linear(features, size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.mean(x), self.log_variance(x)], dim=1)


class Prefixed(nn.Module):
    """Puts a learned vector before the first step of [batch, time, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.weight.expand(len(x), 1, -1), x], dim=1)


class Reparameterize(nn.Module):
    """A draw from N(mean, exp(log-variance)) of [batch, 2, size]; the mean in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        mean, log_variance = x.unbind(dim=1)
        return mean + torch.randn_like(mean) * (log_variance * 0.5).exp() if self.training else mean
