"""Recurrent modules with a memory that can outlive a batch. Imported where one is built: this file imports torch."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

State = tuple[Tensor, ...]
"""What is remembered, [layers · directions, batch, size] each; the first one is what is said."""


class Memory:
    """What a recurrent module does before its first step and after its last.

    Where `carry` is set, a batch begins with `carried`, the memory that the batch before left, and leaves its own
    there; no gradient flows back into the batch before. It begins with zeros after `forget`, and where the batch
    has another size.
    """

    carry: bool = False
    carried: State | None = None
    last: bool
    """Say only what the memory is at the end [batch, size], not at every step."""
    bidirectional: bool

    def forget(self) -> None:
        """Begin the next batch with a memory of zeros."""
        self.carried = None

    def start(self, x: Tensor) -> State | None:
        """The memory to begin with; None for zeros."""
        if not self.carry or self.carried is None:
            return None
        fits = all(
            part.shape[1] == len(x) and part.device == x.device and part.dtype == x.dtype for part in self.carried
        )
        return self.carried if fits else None

    def answer(self, said: Tensor, end: State) -> Tensor:
        """The module's output, from what was said at every step and the memory at the end."""
        if self.carry:
            self.carried = tuple(part.detach() for part in end)
        if not self.last:
            return said
        return torch.cat([end[0][-2], end[0][-1]], dim=-1) if self.bidirectional else end[0][-1]


class Lstm(Memory, nn.LSTM):
    """Long short-term memory, [batch, time, features] → [batch, time, size] or [batch, size]."""

    def __init__(
        self, features: int, size: int, layers: int, *, bidirectional: bool, dropout: float, last: bool
    ) -> None:
        super().__init__(features, size, layers, batch_first=True, bidirectional=bidirectional, dropout=dropout)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        start = self.start(x)
        said, end = super().forward(x, None if start is None else (start[0], start[1]))
        return self.answer(said, end)


class Gru(Memory, nn.GRU):
    """The gated recurrent unit, [batch, time, features] → [batch, time, size] or [batch, size]."""

    def __init__(
        self, features: int, size: int, layers: int, *, bidirectional: bool, dropout: float, last: bool
    ) -> None:
        super().__init__(features, size, layers, batch_first=True, bidirectional=bidirectional, dropout=dropout)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        start = self.start(x)
        said, end = super().forward(x, None if start is None else start[0])
        return self.answer(said, (end,))


class Rnn(Memory, nn.RNN):
    """The plain recurrent network, [batch, time, features] → [batch, time, size] or [batch, size]."""

    def __init__(
        self,
        features: int,
        size: int,
        layers: int,
        *,
        bidirectional: bool,
        dropout: float,
        last: bool,
        nonlinearity: str,
    ) -> None:
        super().__init__(
            features, size, layers, batch_first=True, bidirectional=bidirectional, dropout=dropout,
            nonlinearity=nonlinearity,
        )  # fmt: skip
        self.last = last

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        start = self.start(x)
        said, end = super().forward(x, None if start is None else start[0])
        return self.answer(said, (end,))
