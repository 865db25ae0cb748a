"""How many processes train: alone is the null object; others speak the same verbs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from torch import nn


class Parallel:
    """One process."""

    _nothing: AbstractContextManager[None] = nullcontext()

    def sync(self, networks: Mapping[str, nn.Module], now: bool) -> AbstractContextManager[None]:
        """Average the gradients over the processes when the micro-batch is the last of its step."""
        return self._nothing
