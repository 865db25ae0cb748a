from __future__ import annotations

import pytest
import torch

from gradtrain.components.layers import _chain
from gradtrain.components.models.gpt import Gpt
from gradtrain.components.models.rnn_lm import RnnLm
from gradtrain.components.models.vit import Vit
from gradtrain.stage import Misfit


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("layers", "heads", "width", "length", "expected"),
    [(4, 4, 128, 64, 795_904), (6, 6, 384, 256, 10_646_784)],
)
def test_it_has_as_many_weights_as_nanogpt(layers: int, heads: int, width: int, length: int, expected: int) -> None:
    gpt = Gpt(layers=layers, heads=heads, width=width, vocab=65, bias=False)
    module = _chain.build(gpt.expanded(), (length,))
    assert count(module) - length * width == expected  # nanoGPT's own count leaves the table of positions out


def test_switches_change_what_they_name() -> None:
    small = {"layers": 1, "heads": 2, "width": 4, "vocab": 5}

    def names(**switches: object) -> set[str]:
        return set(dict(_chain.build(Gpt(**small, **switches).expanded(), (3,)).named_parameters()))  # type: ignore[arg-type]

    assert "head.weight" in names(tie_embeddings=False) - names()
    assert names() - names(positions="rotary") == {"positions.weight"}
    assert not [name for name in names(bias=False) if name.endswith("bias")]
    assert names() - names(norm_place="post") >= {"norm.weight", "norm.bias"}


def test_the_recurrent_model_ties_only_equal_widths() -> None:
    with pytest.raises(Misfit, match="share nothing"):
        _chain.build(RnnLm(width=3, size=4, vocab=5, tie_embeddings=True).expanded(), (6,))
    module = _chain.build(RnnLm(width=4, size=4, vocab=5, tie_embeddings=True).expanded(), (6,))
    assert module.head.weight is module.tokens.weight


def test_a_vision_transformer_reads_patches() -> None:
    vit = Vit(patch=4, layers=1, heads=2, width=8, out=3)
    module = _chain.build(vit.expanded(), (1, 8, 12))
    assert module(torch.zeros(2, 1, 8, 12)).shape == (2, 3)
    assert module.positions.weight.shape == (1 + 2 * 3, 8)
    with pytest.raises(Misfit):
        _chain.output_shape(vit.expanded(), (1, 9, 12))
