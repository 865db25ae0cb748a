"""The attention module: masks, and both ways of computing the same."""

from __future__ import annotations

import math

import pytest
import torch

from gradtrain.modules.attention import Attention


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_a_mask_is_joined_with_the_past(causal: bool, fused: bool, seeded) -> None:
    module = Attention(6, 2, causal=causal, dropout=0.0, bias=True).double()
    module.fused = fused
    x = torch.randn(3, 5, 6, generator=seeded, dtype=torch.float64)
    keep = torch.tensor([[1, 1, 0, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    q, k, v = (part.reshape(3, 5, 2, 3).transpose(1, 2) for part in module.qkv(x).chunk(3, dim=-1))
    scores = q @ k.transpose(-2, -1) / math.sqrt(3)
    seen = keep[:, None, None, :] & (torch.arange(5) <= torch.arange(5)[:, None] if causal else torch.tensor(True))
    shares = scores.exp() * seen
    y = (shares / shares.sum(dim=-1, keepdim=True)) @ v
    torch.testing.assert_close(module(x, keep[:, None, None, :]), module.proj(y.transpose(1, 2).reshape(3, 5, 6)))


def test_a_memory_of_itself_is_attention_to_itself(seeded) -> None:
    module = Attention(6, 3, causal=False, dropout=0.0, bias=False).double()
    x = torch.randn(2, 4, 6, generator=seeded, dtype=torch.float64)
    torch.testing.assert_close(module(x, memory=x.clone()), module(x))
