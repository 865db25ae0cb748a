from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.layers.attention import Attention
from gradtrain.stage import Misfit


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_it_is_torchs_multi_head_attention(causal: bool, fused: bool) -> None:
    torch.manual_seed(0)
    ours = Attention(heads=2, causal=causal).build((5, 8)).double()
    ours.fused = fused
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    x = torch.randn(3, 5, 8, dtype=torch.float64)
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    expected, _ = theirs(x, x, x, attn_mask=hidden, need_weights=False)
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("fused", [False, True])
def test_a_mask_is_true_where_something_may_be_looked_at(fused: bool) -> None:
    torch.manual_seed(0)
    ours = Attention(heads=2).build((4, 6)).double()
    ours.fused = fused
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    keep = torch.tensor([True, True, True, False]).expand(2, 1, 1, 4)
    other = x.clone()
    other[:, 3] = 100.0  # what nobody may look at changes nothing for the others
    torch.testing.assert_close(ours(x, keep)[:, :3], ours(other, keep)[:, :3])
    assert not torch.allclose(ours(x)[:, :3], ours(other)[:, :3])


def test_a_causal_step_does_not_depend_on_later_ones() -> None:
    torch.manual_seed(0)
    ours = Attention(heads=2, causal=True).build((5, 4)).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(ours(x)[0, 2].sum(), x)
    assert g[0, 3:].eq(0).all()
    assert g[0, :3].ne(0).all()


def test_rotary_products_depend_on_the_distance_only() -> None:
    from gradtrain.components.layers._attention import angles
    from gradtrain.modules.attention import turned

    by = angles(10, 6)
    torch.manual_seed(0)
    q, k = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    turned_q, turned_k = (turned(v.expand(10, 6), by.cos(), by.sin()) for v in (q, k))
    products = turned_q @ turned_k.T
    for distance in (-3, 0, 2):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along))
    assert products[0, 0] != pytest.approx(float(products[0, 3]))
    torch.testing.assert_close(turned_q.norm(dim=1), q.norm().expand(10))


def test_the_separate_products_have_a_second_derivative() -> None:
    torch.manual_seed(0)
    ours = Attention(heads=1, causal=True).build((3, 2)).double()
    ours.fused = False
    x = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(ours, (x,))


@pytest.mark.parametrize(
    ("layer", "shape", "word"),
    [
        (Attention(heads=3), (5, 8), "3 heads"),
        (Attention(heads=2), (8,), "[time, width]"),
        (Attention(heads=2, rotary=True), (5, 6), "pairs"),
    ],
)
def test_it_refuses_what_does_not_divide(layer: Attention, shape: tuple[int, ...], word: str) -> None:
    with pytest.raises(Misfit, match=word.replace("[", r"\[")):
        layer.output_shape(shape)
