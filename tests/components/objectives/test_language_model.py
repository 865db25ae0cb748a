"""Language models: the mean surprise, the probe that they do not look ahead, memories that are carried."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers._chain import build
from gradtrain.components.layers.attention import Attention
from gradtrain.components.layers.embedding import Embedding
from gradtrain.components.layers.gru import Gru
from gradtrain.components.layers.linear import Linear
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.models.gpt import Gpt
from gradtrain.components.models.rnn_lm import RnnLm
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives._text import drawn
from gradtrain.components.objectives.language_model import LanguageModel
from gradtrain.components.tokenizers.chars import Chars
from gradtrain.problems import Problem
from gradtrain.training.batches import Batch, Batches
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import Precision

VOCABULARY = Chars().learn("abcde")
FACTS = Facts(shape=(6,), vocab=5, vocabulary=VOCABULARY.plain())
LOSS = [WeightedLoss(part=CrossEntropy())]


def task(carry: bool = False, facts: Facts = FACTS) -> Task:
    return LanguageModel(carry=carry).start(LOSS, "class", facts)


def placed(*parts: object) -> Layers:
    return tuple(Placed(part=part) for part in parts)


def bound(network: nn.Module, carry: bool = False) -> Task:
    made = task(carry)
    made.bind({"model": network}, Examples({}, FACTS))
    return made


def gpt() -> nn.Module:
    return build(Gpt(layers=2, heads=2, width=8, vocab=5, dropout=0.1).expanded(), (6,))


def lstm(cell: str = "lstm", layers: int = 1) -> nn.Module:
    return build(RnnLm(cell=cell, width=4, size=7, vocab=5, layers=layers).expanded(), (6,))


class Table(nn.Module):
    """Scores of what comes after a symbol, looked up: a bigram model."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores[x]


def test_the_total_is_the_mean_surprise_over_places_that_count() -> None:
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = torch.tensor([[0, 1, 2], [3, 3, 4]]), torch.tensor([[1, 2, IGNORED], [IGNORED, 4, 0]])
    network = Table(scores)
    terms = task().losses("model", {"model": network}, {"x": x, "y": y})
    surprise = [
        math.log(sum(math.exp(float(s)) for s in scores[a])) - float(scores[a, b])
        for a, b in ((0, 1), (1, 2), (3, 4), (4, 0))
    ]
    assert terms.total.item() == pytest.approx(sum(surprise) / 4, rel=1e-12)
    assert float(task().count({"x": x, "y": y})) == 4
    terms.total.backward()
    assert network.scores.grad is not None
    assert network.scores.grad[2].abs().max() == 0  # the answer to `2` does not count
    expected = (scores[0].softmax(0) - torch.eye(5)[1]) / 4
    torch.testing.assert_close(network.scores.grad[0], expected.double())


@pytest.mark.parametrize("make", [gpt, lstm, lambda: lstm("gru", 2), lambda: lstm("rnn")])
def test_networks_that_look_back_only_are_accepted(make) -> None:
    network = make().train()
    before = torch.get_rng_state()
    bound(network)
    assert network.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("depth", [1, 2])
def test_attention_that_is_not_causal_is_refused(depth: int) -> None:
    blind, seeing = Attention(heads=2, causal=True), Attention(heads=2, causal=False)
    parts = [blind] * (depth - 1) + [seeing]
    network = build(placed(Embedding(vocab=5, width=4), *parts, Linear(out=5)), (6,))
    with pytest.raises(Problem) as caught:
        bound(network)
    assert (caught.value.code, caught.value.exit_code) == ("looks-ahead", 2)
    assert "place 0 depends on the symbol at place 1" in caught.value.what


def test_a_layer_that_reads_both_ways_is_refused() -> None:
    network = build(placed(Embedding(vocab=5, width=4), Gru(size=4, bidirectional=True), Linear(out=5)), (6,))
    with pytest.raises(Problem, match="sees what it is asked"):
        bound(network)


def test_a_network_without_a_memory_carries_nothing() -> None:
    with pytest.raises(Problem) as caught:
        bound(gpt(), carry=True)
    assert (caught.value.code, caught.value.exit_code) == ("nothing-to-carry", 2)


def windows(count: int, rows: int = 3, length: int = 6) -> list[Batch]:
    """Batches of a stream: rows x (count · length) symbols."""
    symbols = torch.randint(0, 5, (rows, count * length + 1), generator=torch.Generator().manual_seed(1))
    batches = []
    for i in range(count):
        here = slice(i * length, (i + 1) * length)
        batches.append(Batch({"x": symbols[:, here], "y": symbols[:, 1:][:, here]}))
    batches[0].first = True
    return batches


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_carried_memory_reads_a_stream_as_if_in_one_piece(cell: str) -> None:
    network = lstm(cell, 2).double()
    made, batches = bound(network, carry=True), windows(4)
    with torch.no_grad():
        parts = [float(made.losses("model", {"model": network}, batch).total) for batch in batches]
        for module in network.modules():
            if hasattr(module, "carried"):
                module.carry = False
        whole = {name: torch.cat([batch[name] for batch in batches], dim=1) for name in ("x", "y")}
        total = float(task().losses("model", {"model": network}, whole).total)
    assert sum(parts) / 4 == pytest.approx(total, rel=1e-12)


def test_no_gradient_flows_into_the_batch_before_and_an_epoch_begins_anew() -> None:
    network = lstm()
    made, (one, two, *_) = bound(network, carry=True), windows(3)
    networks = {"model": network}
    made.losses("model", networks, one).total.backward()
    made.losses("model", networks, two).total.backward()  # would complain about a freed graph
    first = float(made.losses("model", networks, one).total.detach())
    assert first == float(made.losses("model", networks, one).total.detach())
    again = made.losses("model", networks, two).total
    two.first = True
    assert float(again.detach()) != float(made.losses("model", networks, two).total.detach())


def test_an_evaluation_in_between_disturbs_neither_memories_nor_random_numbers() -> None:
    torch.manual_seed(0)
    network = lstm()
    made, batches = bound(network, carry=True), windows(4)
    networks = {"model": network}
    other = {"x": torch.randint(0, 5, (6, 6)), "y": torch.randint(0, 5, (6, 6))}
    val = Batches(other, 3, 0, shuffle=False, stream=True)
    straight = [float(made.losses("model", networks, batch).total.detach()) for batch in batches]
    measured = []
    interrupted = []
    for batch in batches:
        interrupted.append(float(made.losses("model", networks, batch).total.detach()))
        state = torch.get_rng_state()
        measured.append(measure(made, networks, val, [], "class", FACTS, Precision()))
        assert torch.equal(torch.get_rng_state(), state)
        made.sample(networks, Wish(prompt="ab", length=3, temperature=0))
    assert interrupted == straight
    assert all(values == measured[0] for values in measured)


def test_a_carried_memory_is_kept_in_the_checkpoint() -> None:
    network = lstm()
    networks = {"model": network}
    made, (one, two, *_) = bound(network, carry=True), windows(3)
    assert made.state() == {}
    made.losses("model", networks, one)
    kept = {name: tensor.clone() for name, tensor in made.state().items()}
    assert {name: tuple(t.shape) for name, t in kept.items()} == {
        "carried.0.0": (1, 3, 7),
        "carried.0.1": (1, 3, 7),
    }
    ahead = made.losses("model", networks, two).total.detach()
    again = bound(network, carry=True)
    assert not torch.equal(again.losses("model", networks, two).total.detach(), ahead)
    again.restore(kept)
    assert torch.equal(again.losses("model", networks, two).total.detach(), ahead)


def test_a_text_follows_the_likeliest_symbols() -> None:
    cycle = torch.full((5, 5), -9.0)
    cycle[torch.arange(5), (torch.arange(5) + 1) % 5] = 9.0
    made = task().sample({"model": Table(cycle)}, Wish(prompt="ab", length=7, temperature=0))
    assert made.text == "abcdeabcd"


def test_a_text_is_the_same_with_a_memory_and_with_its_window() -> None:
    torch.manual_seed(0)
    network = lstm().double().eval()
    plain = task().sample({"model": network}, Wish(prompt="abc", length=30, temperature=0)).text
    ids = VOCABULARY.encode("abc")
    with torch.no_grad():
        for _ in range(30):
            ids.append(int(network(torch.tensor([ids]))[0, -1].argmax()))
    assert plain == VOCABULARY.decode(ids)


def test_an_empty_prompt_is_refused_and_data_without_text_has_none_to_write() -> None:
    with pytest.raises(Problem, match="the prompt is empty"):
        task().sample({"model": Table(torch.zeros(5, 5))}, Wish(prompt=""))
    with pytest.raises(Problem) as caught:
        task(facts=Facts(shape=(6,), vocab=5)).sample({"model": Table(torch.zeros(5, 5))}, Wish())
    assert caught.value.code == "no-samples"


def test_temperature_and_top_k(seeded) -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).repeat(40_000, 1)
    for temperature in (0.5, 1.0, 2.0):
        share = torch.bincount(drawn(scores, temperature, None).flatten(), minlength=4) / 40_000
        torch.testing.assert_close(share, (scores[0] / temperature).softmax(0), atol=0.01, rtol=0)
    share = torch.bincount(drawn(scores, 1.0, 2).flatten(), minlength=4) / 40_000
    torch.testing.assert_close(share, torch.tensor([0.731, 0.269, 0, 0]), atol=0.01, rtol=0)
    assert set(drawn(scores, 0, None).flatten().tolist()) == {0}


def test_one_score_a_symbol_at_every_place() -> None:
    def complaints(output: tuple[int, ...]) -> list[str]:
        outline = {"model": Outline((6,), output, ())}
        return [problem.code for _, problem in LanguageModel().complaints(outline, FACTS)]

    assert complaints((6, 5)) == []
    assert complaints((5,)) == complaints((6, 4)) == ["output-width"]
