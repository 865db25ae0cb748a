"""A text as one series of symbols."""

from __future__ import annotations

from pathlib import Path

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.tokenizers import Tokenizer
from gradtrain.lazy import torch


def of_text(text: str, tokenizer: Tokenizer, path: Path, learn: int | None = None) -> Examples:
    """x int64 [symbols]; the tokenizer learns from the first `learn` characters. Raises `Problem` (data)."""
    vocabulary = tokenizer.learn(text[:learn])
    x = torch.from_numpy(vocabulary.array(text))
    facts = Facts(count=len(x), shape=(), vocab=vocabulary.size, vocabulary=vocabulary.plain(), series=True)
    return Examples({"x": x}, facts, files=(path,))
