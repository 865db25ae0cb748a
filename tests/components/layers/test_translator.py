"""The encoder-decoder against torch's own blocks with the same weights; filling, and what must not be seen."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.layers.translator import Translator
from gradtrain.stage import Misfit
from gradtrain.training.selectors import parameters, select

SOURCE, TARGET = 5, 4
SETTINGS = {"source": SOURCE, "vocab": 9, "layers": 2, "heads": 2, "width": 8}
X = torch.tensor(
    [
        [3, 4, 5, 0, 0, 1, 5, 4, 3],
        [8, 7, 6, 5, 4, 1, 4, 5, 6],
        [6, 0, 0, 0, 0, 1, 6, 0, 0],
        [0, 0, 0, 0, 0, 1, 3, 3, 3],
    ]
)


def built(**settings: object) -> nn.Module:
    """The module in float64, every parameter away from where it starts."""
    module = Translator(**{**SETTINGS, **settings}).build((SOURCE + TARGET,)).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return module


def torch_blocks(module: nn.Module) -> tuple[nn.TransformerEncoder, nn.TransformerDecoder]:
    """nn.TransformerEncoder and nn.TransformerDecoder with the weights of our module."""
    settings = {"d_model": 8, "nhead": 2, "dim_feedforward": 32, "dropout": 0.0, "activation": "gelu"}
    settings |= {"batch_first": True, "norm_first": True}
    norms = nn.LayerNorm(8), nn.LayerNorm(8)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**settings), 2, norms[0], enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**settings), 2, norms[1])
    attention = {"in_proj_": "qkv.", "out_proj.": "proj."}
    inside = {"linear1.": "up.", "linear2.": "proj.", "norm1.": "attention_norm."}
    for theirs, name, renamed in (
        (encoder, "encoder", {"self_attn.": "attention.", "norm2.": "mlp_norm."}),
        (decoder, "decoder", {"self_attn.": "attention.", "multihead_attn.": "memory.", "norm2.": "memory_norm.",
                              "norm3.": "mlp_norm."}),
    ):  # fmt: skip
        state = {}
        for key in theirs.state_dict():
            own = key.replace("norm.", f"{name}_norm.") if key.startswith("norm.") else key
            own = own.replace("layers.", f"{name}.")
            for there, here in {**renamed, **inside, **attention}.items():
                own = own.replace(f".{there}", f".{here}")
            state[key] = module.get_parameter(own)
        theirs.double().eval().load_state_dict(state)
    return encoder, decoder


def test_torchs_blocks_with_the_same_weights_give_the_same(seeded) -> None:
    module, x = built(), X[:3]
    encoder, decoder = torch_blocks(module)
    vectors = math.sqrt(8) * module.tokens.weight[x]
    filling = x[:, :SOURCE] == 0
    memory = encoder(vectors[:, :SOURCE] + module.source_positions.weight, src_key_padding_mask=filling)
    later = torch.ones(TARGET, TARGET, dtype=torch.bool).triu(1)
    read = vectors[:, SOURCE:] + module.target_positions.weight
    y = decoder(read, memory, tgt_mask=later, memory_key_padding_mask=filling)
    torch.testing.assert_close(module(x), y @ module.tokens.weight.T, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_source_of_filling_alone_is_no_division_by_zero(dropout: float) -> None:
    layer = Translator(**SETTINGS, dropout=dropout)
    module = built(dropout=dropout).train()
    weights = dict(module.named_parameters())
    g = torch.randn(len(X), TARGET, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def same_noise() -> None:
        torch.manual_seed(4)

    with torch.random.fork_rng(devices=[]):
        same_noise()
        y = module(X)
        found = torch.autograd.grad(y, list(weights.values()), g)
        same_noise()
        torch.testing.assert_close(layer.textbook(X, **weights), y)
        same_noise()
        by_hand = layer.gradient(g, X, **weights)
    assert y.isfinite().all()
    for name, gradient in zip(weights, found, strict=True):
        assert gradient.isfinite().all()
        torch.testing.assert_close(by_hand[name], gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_amount_of_filling_changes_nothing(positions: str, seeded) -> None:
    short = built(positions=positions)
    long = Translator(**{**SETTINGS, "source": SOURCE + 3}, positions=positions).build((SOURCE + 3 + TARGET + 2,))
    state = long.double().eval().state_dict()
    for name, value in short.state_dict().items():
        state[name][: len(value)] = value
    long.load_state_dict(state)
    padded = torch.zeros(len(X), SOURCE + 3 + TARGET + 2, dtype=torch.int64)
    padded[:, :SOURCE], padded[:, SOURCE + 3 : -2] = X[:, :SOURCE], X[:, SOURCE:]
    torch.testing.assert_close(long(padded)[:, :TARGET], short(X), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("fused", [True, False])
def test_slopes_at_filling_and_at_what_is_asked_are_exactly_zero(fused: bool, seeded) -> None:
    module, seen = built(), []
    for part in module.modules():
        if hasattr(part, "fused"):
            part.fused = fused

    def keep(of: nn.Module, inputs: object, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    module.tokens.register_forward_hook(keep)
    scores = module(X)
    for k in range(TARGET):
        (slope,) = torch.autograd.grad(scores[:, k].square().sum(), seen[0], retain_graph=True)
        there = slope.abs().amax(dim=-1) > 0
        assert there[:3, :SOURCE].equal(X[:3, :SOURCE] != 0)
        assert there[3, :SOURCE].tolist() == [True, False, False, False, False]
        assert there[:, SOURCE:].tolist() == [[j <= k for j in range(TARGET)]] * 4


def test_selectors_find_the_parts(seeded) -> None:
    named = parameters({"model": built()})
    assert [n.name for n in select("embeddings", named)] == ["tokens.weight"]
    assert len(select("norms", named)) == len(select({"of": "layer_norm"}, named)) == 2 * (2 * 2 + 2 * 3 + 2)
    assert len(select({"only": "*.proj.weight", "of": "linear"}, named)) == 2 * 2 + 2 * 3


def test_what_is_read_and_the_scores_begin_near_unit_variance(seeded) -> None:
    layer = Translator(source=6, vocab=500, layers=1, heads=4, width=64, positions="sinusoidal")
    module = layer.build((12,)).double().eval()
    x = torch.randint(3, 500, (50, 12), generator=seeded)
    with torch.no_grad():
        assert float((8 * module.tokens(x)).std()) == pytest.approx(1.0, abs=0.1)
        assert float(module(x).std()) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize(
    ("settings", "shape", "says"),
    [
        ({}, (SOURCE,), "leaves no target"),
        ({}, (SOURCE + 1, 2), "takes symbols"),
        ({"heads": 3}, (9,), "does not divide into 3 heads"),
        ({"width": 3, "heads": 1, "positions": "sinusoidal"}, (9,), "come in pairs"),
    ],
)
def test_what_does_not_fit(settings, shape, says) -> None:
    with pytest.raises(Misfit, match=says):
        Translator(**{**SETTINGS, **settings}).output_shape(shape)
