"""The encoder-decoder as a module. Imported where one is built, never before: this file imports torch."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from gradtrain.modules.attention import Attention


class Translator(nn.Module):
    """Scores [batch, target, vocab] of x int64 [batch, source + target]; the symbol 0 of a source is filling.

    One table of vectors serves the source, the target and the scores. The children carry the names of their
    components, so that selectors find them.
    """

    def __init__(
        self, source_positions: nn.Module, target_positions: nn.Module, *,
        source: int, vocab: int, layers: int, heads: int, width: int, hidden: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.source = source
        self.tokens = nn.Embedding(vocab, width)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        self.source_positions, self.target_positions = source_positions, target_positions
        source_positions.component = target_positions.component = "positions"  # type: ignore[assignment]
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.ModuleList(
            [_Block(width, heads, hidden, self.drop, causal=False, reads=False) for _ in range(layers)]
        )
        self.encoder_norm = _norm(width)
        self.decoder = nn.ModuleList(
            [_Block(width, heads, hidden, self.drop, causal=True, reads=True) for _ in range(layers)]
        )
        self.decoder_norm = _norm(width)

    def forward(self, x: Tensor) -> Tensor:
        vectors = self.tokens(x) * math.sqrt(self.tokens.embedding_dim)
        keep = readable(x[:, : self.source])[:, None, None, :]
        memory = self.drop(self.source_positions(vectors[:, : self.source]))
        for block in self.encoder:
            memory = block(memory, keep)
        memory = self.encoder_norm(memory)
        y = self.drop(self.target_positions(vectors[:, self.source :]))
        for block in self.decoder:
            y = block(y, None, memory, keep)
        return F.linear(self.decoder_norm(y), self.tokens.weight)


def readable(source: Tensor) -> Tensor:
    """Where a source [batch, time] is no filling, bool; of one that is filling alone the first place is read.

    A softmax over nothing would be 0/0.
    """
    keep = source != 0
    return torch.cat([keep[:, :1] | ~keep.any(dim=1, keepdim=True), keep[:, 1:]], dim=1)


class _Block(nn.Module):
    """Pre-norm: attention to itself, attention to a memory where it `reads` one, and an mlp; each adds to x."""

    def __init__(self, width: int, heads: int, hidden: int, drop: nn.Dropout, *, causal: bool, reads: bool) -> None:
        super().__init__()
        self.attention_norm = _norm(width)
        self.attention = Attention(width, heads, causal=causal, dropout=drop.p, bias=True)
        self.attention.component = "attention"  # type: ignore[assignment]
        self.reads = reads
        if reads:
            self.memory_norm = _norm(width)
            self.memory = Attention(width, heads, causal=False, dropout=drop.p, bias=True)
            self.memory.component = "attention"  # type: ignore[assignment]
        self.mlp_norm = _norm(width)
        self.up, self.proj = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = drop

    def forward(
        self, x: Tensor, keep: Tensor | None, memory: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor:
        x = x + self.drop(self.attention(self.attention_norm(x), keep))
        if self.reads:
            x = x + self.drop(self.memory(self.memory_norm(x), seen, memory))
        return x + self.drop(self.proj(F.gelu(self.up(self.mlp_norm(x)))))  # type: ignore[no-any-return]


def _norm(width: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(width)
    norm.component = "layer_norm"  # type: ignore[assignment]
    return norm
