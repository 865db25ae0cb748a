from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers.transformer_block import TransformerBlock


@pytest.mark.parametrize("place", ["pre", "post"])
def test_it_is_torchs_encoder_layer(place: str) -> None:
    torch.manual_seed(0)
    part = TransformerBlock(heads=2, expand=2.0, norm_place=place, activation=Relu())  # type: ignore[arg-type]
    ours = part.build((5, 8)).double()
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=place == "pre").double()
    own = dict(ours.named_parameters())
    with torch.no_grad():
        for parameter in own.values():
            parameter.normal_()
        norms = {"pre": ("attention.body.norm", "mlp.body.norm"), "post": ("attention_norm", "mlp_norm")}[place]
        names = {
            "self_attn.in_proj_": "attention.body.attention.qkv.",
            "self_attn.out_proj.": "attention.body.attention.proj.",
            "linear1.": "mlp.body.up.",
            "linear2.": "mlp.body.proj.",
            "norm1.": f"{norms[0]}.",
            "norm2.": f"{norms[1]}.",
        }
        for name, parameter in theirs.named_parameters():
            prefix = next(prefix for prefix in names if name.startswith(prefix))
            parameter.copy_(own.pop(names[prefix] + name.removeprefix(prefix)))
    assert not own
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-10)


def test_an_untrained_deep_stack_lets_the_gradient_through() -> None:
    torch.manual_seed(0)
    blocks = nn.Sequential(*(TransformerBlock(heads=2).build((5, 8)) for _ in range(12)))
    x = torch.randn(3, 5, 8, requires_grad=True)
    (g,) = torch.autograd.grad(blocks(x).square().mean(), x)
    assert 1e-3 < float(g.norm() / (2 * x.detach() / x.numel()).norm()) < 1e3
