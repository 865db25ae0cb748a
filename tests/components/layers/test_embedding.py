from __future__ import annotations

import math

import pytest
import torch

from gradtrain.components.layers import Placed, _chain
from gradtrain.components.layers.embedding import Embedding
from gradtrain.components.layers.gaussian import Gaussian
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.positions import Positions
from gradtrain.components.layers.reparameterize import Reparameterize
from gradtrain.stage import Misfit
from gradtrain.training.selectors import parameters


def test_a_symbol_that_occurs_twice_collects_both_gradients() -> None:
    module = Embedding(width=2, vocab=4).build((3,))
    module(torch.tensor([[1, 1, 3]])).sum().backward()
    assert module.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]


def test_sinusoids_are_those_of_the_paper() -> None:
    table = Positions(kind="sinusoidal").build((7, 6)).double()(torch.zeros(1, 7, 6, dtype=torch.float64))[0]
    for t in (0, 3, 6):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)


def test_a_shorter_sequence_takes_the_first_positions() -> None:
    module = Positions().build((7, 4))
    torch.testing.assert_close(module(torch.zeros(2, 3, 4))[0], module.weight[:3].detach())


TIED = (
    Placed(part=Embedding(width=3, vocab=5), name="tokens"),
    Placed(part=Linear(out=5, bias=False), name="head", share="tokens"),
)


def test_a_shared_weight_is_one_parameter_and_collects_both_gradients() -> None:
    torch.manual_seed(0)
    tied = _chain.build(TIED, (4,)).double()
    assert [named.name for named in parameters({"model": tied})] == ["tokens.weight"]
    apart = _chain.build((TIED[0], Placed(part=TIED[1].part, name="head")), (4,)).double()
    with torch.no_grad():
        apart.tokens.weight.copy_(tied.tokens.weight)
        apart.head.weight.copy_(tied.tokens.weight)
    x = torch.randint(0, 5, (2, 4))
    for module in (tied, apart):
        module(x).square().sum().backward()
    torch.testing.assert_close(tied.tokens.weight.grad, apart.tokens.weight.grad + apart.head.weight.grad)


def test_the_chain_rule_by_hand_knows_shared_weights() -> None:
    torch.manual_seed(0)
    tied = _chain.build(TIED, (4,)).double()
    x = torch.randint(0, 5, (2, 4))
    y = tied(x)
    g = torch.randn_like(y)
    y.backward(g)
    by_hand = _chain.gradient(TIED, g, x, {"tokens.weight": tied.tokens.weight.detach()})
    torch.testing.assert_close(by_hand["tokens.weight"], tied.tokens.weight.grad)


@pytest.mark.parametrize(
    ("share", "out", "word"), [("nobody", 5, "nothing before"), ("tokens", 4, "can share nothing")]
)
def test_sharing_is_refused_where_it_means_nothing(share: str, out: int, word: str) -> None:
    layers = (TIED[0], Placed(part=Linear(out=out, bias=False), name="head", share=share))
    with pytest.raises(Misfit, match=word):
        _chain.build(layers, (4,))


def test_a_draw_has_the_mean_and_spread_that_the_heads_say() -> None:
    torch.manual_seed(0)
    x = torch.tensor([2.0, math.log(9.0)]).reshape(1, 2, 1).expand(200_000, 2, 1)
    module = Reparameterize().build((2, 1))
    drawn = module(x)
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.03)
    assert float(drawn.std()) == pytest.approx(3.0, rel=0.02)
    assert module.eval()(x).eq(2.0).all()


def test_gaussian_heads_stand_one_above_the_other() -> None:
    module = Gaussian(size=3).build((4,))
    x = torch.randn(2, 4)
    torch.testing.assert_close(module(x)[:, 0], module.mean(x))
    torch.testing.assert_close(module(x)[:, 1], module.log_variance(x))
