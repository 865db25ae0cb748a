"""Recurrent layers: torch's names and sizes, numbers by hand, `last`, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gradtrain.components.layers._recurrent import Recurrent
from gradtrain.components.layers.gru import Gru
from gradtrain.components.layers.lstm import Lstm
from gradtrain.components.layers.rnn import Rnn
from gradtrain.stage import Misfit
from gradtrain.training.selectors import parameters, select

CELLS: list[tuple[type[Recurrent], type[nn.RNNBase]]] = [(Lstm, nn.LSTM), (Gru, nn.GRU), (Rnn, nn.RNN)]
IDS = ["lstm", "gru", "rnn"]


def of(**numbers: float) -> dict[str, Tensor]:
    """Parameters of one feature and a memory of one number: the same for every gate."""
    return {f"{name}_l0": torch.full((1, 1) if "weight" in name else (1,), value) for name, value in numbers.items()}


def test_two_steps_of_an_rnn_by_hand() -> None:
    own = of(weight_ih=2.0, weight_hh=3.0, bias_ih=-1.0, bias_hh=0.5)
    x = torch.tensor([[[1.0], [-1.0]]])
    first = 1.5
    assert Rnn(size=1, activation="relu").textbook(x, **own).flatten().tolist() == [first, -2.0 + 3.0 * first - 0.5]
    found = Rnn(size=1, activation="relu").gradient(torch.tensor([[[1.0], [10.0]]]), x, **own)
    assert {name: value.flatten().tolist() for name, value in found.items()} == {
        "x": [(1 + 10 * 3) * 2.0, 10 * 2.0], "weight_ih_l0": [31.0 - 10.0], "weight_hh_l0": [10 * first],
        "bias_ih_l0": [41.0], "bias_hh_l0": [41.0],
    }  # fmt: skip


def test_one_step_of_an_lstm_by_hand() -> None:
    own = {
        "weight_ih_l0": torch.tensor([[1.0], [5.0], [2.0], [-1.0]]), "weight_hh_l0": torch.zeros(4, 1),
        "bias_ih_l0": torch.zeros(4), "bias_hh_l0": torch.zeros(4),
    }  # fmt: skip
    i, g, o = 1 / (1 + math.exp(-1)), math.tanh(2), 1 / (1 + math.exp(1))
    assert float(Lstm(size=1).textbook(torch.ones(1, 1, 1), **own)) == pytest.approx(o * math.tanh(i * g), rel=1e-6)


def test_the_reset_gate_of_a_gru_acts_after_the_product() -> None:
    own = {
        "weight_ih_l0": torch.zeros(3, 1), "weight_hh_l0": torch.zeros(3, 1),
        "bias_ih_l0": torch.zeros(3), "bias_hh_l0": torch.tensor([0.0, 0.0, 2.0]),
    }  # fmt: skip
    # r = z = 1/2: the bias of the product is halved; had r acted on h before it, tanh(2) / 2 would come out
    assert float(Gru(size=1).textbook(torch.ones(1, 1, 1), **own)) == pytest.approx(math.tanh(1) / 2, rel=1e-6)


@pytest.mark.parametrize(("cell", "torchs"), CELLS, ids=IDS)
def test_names_sizes_and_numbers_are_those_of_torch(
    cell: type[Recurrent], torchs: type[nn.RNNBase], seeded: torch.Generator
) -> None:
    layer = cell(size=4, layers=2, bidirectional=True)
    module = layer.build((6, 3))
    oracle = torchs(3, 4, 2, batch_first=True, bidirectional=True)  # type: ignore[arg-type]
    oracle.load_state_dict(module.state_dict())
    x = torch.randn(5, 6, 3, generator=seeded)
    torch.testing.assert_close(module(x), oracle(x)[0])
    assert layer.output_shape((6, 3)) == (6, 8)


@pytest.mark.parametrize("cell", [Lstm, Gru, Rnn], ids=IDS)
@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
def test_last_is_what_each_way_says_when_it_has_read_everything(cell: type[Recurrent], both: bool) -> None:
    whole = cell(size=4, bidirectional=both).build((6, 3))
    last = cell(size=4, bidirectional=both, output="last").build((6, 3))
    last.load_state_dict(whole.state_dict())
    x = torch.linspace(-1, 1, 5 * 6 * 3).reshape(5, 6, 3)
    said = whole(x)
    expected = torch.cat([said[:, -1, :4], said[:, 0, 4:]], dim=-1) if both else said[:, -1]
    assert torch.equal(last(x), expected)


@pytest.mark.parametrize("cell", [Lstm, Gru, Rnn], ids=IDS)
def test_a_long_sequence(cell: type[Recurrent], seeded: torch.Generator) -> None:
    layer = cell(size=5, layers=3, output="last")
    module = layer.build((40, 2)).double()
    own = dict(module.named_parameters())
    x = torch.randn(3, 40, 2, generator=seeded, dtype=torch.float64).requires_grad_()
    y = module(x)
    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    torch.testing.assert_close(layer.textbook(x, **own), y, rtol=1e-10, atol=1e-12)
    found = layer.gradient(g, x, **own)
    for name, expected in zip(["x", *own], torch.autograd.grad(y, [x, *own.values()], g), strict=True):
        torch.testing.assert_close(found[name], expected, rtol=1e-9, atol=1e-12)


def test_dropout_between_layers_only_while_training() -> None:
    module = Lstm(size=4, layers=2, dropout=0.5).build((6, 3))
    x = torch.ones(2, 6, 3)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


@pytest.mark.parametrize("cell", [Lstm, Gru, Rnn], ids=IDS)
def test_dropout_without_a_second_layer_is_refused(cell: type[Recurrent]) -> None:
    with pytest.raises(ValidationError, match="`dropout` acts between layers"):
        cell(size=4, dropout=0.5)


@pytest.mark.parametrize("cell", [Lstm, Gru, Rnn], ids=IDS)
def test_only_sequences_are_read(cell: type[Recurrent]) -> None:
    for shape in ((3,), (1, 8, 8)):
        with pytest.raises(Misfit, match=rf"takes \[time, features\], got \[{shape[0]}") as refused:
            cell(size=4).build(shape)
        assert "before it" in refused.value.help


def test_selectors_know_weights_and_biases() -> None:
    named = parameters({"model": Lstm(size=2).build((3, 1))})
    assert [n.name for n in select("weights", named)] == ["weight_ih_l0", "weight_hh_l0"]
    assert [n.name for n in select("biases", named)] == ["bias_ih_l0", "bias_hh_l0"]


def test_the_sine_model_of_pytorch_examples() -> None:
    module = Lstm(size=51, layers=2).build((999, 1))
    assert sum(p.numel() for p in module.parameters()) == 4 * 51 * (1 + 51 + 2) + 4 * 51 * (51 + 51 + 2)
