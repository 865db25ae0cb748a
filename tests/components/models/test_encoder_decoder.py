"""The encoder-decoder by name: its size, and the sizes that come from the data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradtrain.components.layers import _chain
from gradtrain.components.models.encoder_decoder import EncoderDecoder
from gradtrain.config.validate import validated

CONFIG = """name: reverse
data: {source: {reversal: {longest: 6, letters: 20, train: 100, test: 20}}}
model: {encoder_decoder: {source: SOURCE, vocab: VOCAB, layers: 1, heads: 2, width: WIDTH}}
objective: seq2seq
loss: cross_entropy
optimizer: {adam: 1e-3}
training: {steps: 1}
"""


def problems(folder: Path, source: str = "$data.source", vocab: str = "$data.vocab", width: str = "8"):
    config = folder / "config.yaml"
    config.write_text(CONFIG.replace("SOURCE", source).replace("VOCAB", vocab).replace("WIDTH", width))
    return validated(config)


def test_the_original_transformer_has_its_published_size() -> None:
    """Attention Is All You Need counts 65 million parameters for its base model with a shared vocabulary of 37,000."""
    model = EncoderDecoder(
        source=32, vocab=37_000, layers=6, heads=8, width=512, dropout=0.1, positions="sinusoidal"
    ).expanded()
    with torch.device("meta"):
        module = _chain.build(model, (64,))
    attention, mlp, norm = 4 * 512 * 512 + 4 * 512, 2 * 512 * 2048 + 2048 + 512, 2 * 512
    blocks = 6 * (attention + mlp + 2 * norm) + 6 * (2 * attention + mlp + 3 * norm) + 2 * norm
    size = sum(parameter.numel() for parameter in module.parameters())
    assert size == 37_000 * 512 + blocks
    assert 60e6 < size < 66e6


def test_the_data_tells_the_sizes(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        ({"source": "5"}, "output-width", "[8, 23], wanted is [7, 23]"),
        ({"vocab": "24"}, "output-width", "[7, 24], wanted is [7, 23]"),
        ({"source": "13"}, "shape-mismatch", "a source of 13 places leaves no target in [13]"),
        ({"width": "9"}, "shape-mismatch", "a width of 9 does not divide into 2 heads"),
    ],
)
def test_other_sizes_are_refused(settings, code, says, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, **settings)
    assert problem.code == code
    assert says in problem.what
