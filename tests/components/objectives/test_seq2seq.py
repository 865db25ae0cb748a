"""Sequence to sequence: what counts, what must not be seen, and texts that are written symbol by symbol."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.datasets.reversal import Reversal
from gradtrain.components.layers.translator import Translator
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives.seq2seq import Seq2seq, written
from gradtrain.predict import predicted
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import start

ROOT = Path(__file__).parents[3]
SOURCE = Reversal(longest=4, letters=10, train=1500, test=100)
FACTS, END, NONE = SOURCE.facts(), 2, -1


def task(facts: Facts = FACTS) -> Task:
    return Seq2seq().start([WeightedLoss(part=CrossEntropy())], "class", facts)


def translator(source: int = 4, target: int = 5) -> nn.Module:
    layer = Translator(source=source, vocab=13, layers=1, heads=2, width=8, positions="sinusoidal")
    return layer.build((source + target,)).double()


class Scripted(nn.Module):
    """Whatever it reads, its next symbol is the source's at the number of symbols written so far; then END."""

    def __init__(self, vocab: int, source: int) -> None:
        super().__init__()
        self.vocab, self.source, self.calls = vocab, source, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        source, target = x[:, : self.source], x[:, self.source :]
        asked = torch.cat([source, torch.zeros_like(target)], dim=1)[:, : target.shape[1]]
        right = target[:, 1:].eq(asked[:, :-1]).cumprod(dim=1).bool()  # what was written, up to a place
        right = torch.cat([torch.ones_like(right[:, :1]), right], dim=1)
        answer = asked.where(asked != 0, END).where(right, 12)
        return nn.functional.one_hot(answer, self.vocab).double()


def test_the_loss_is_the_mean_over_symbols_that_are_no_filling(seeded) -> None:
    fields, network = SOURCE.load(Path()).fields, translator()
    batch = {name: value[:20] for name, value in fields.items()}
    terms, scores, target = task().measure({"model": network}, batch)
    log_p = network(batch["x"]).log_softmax(dim=-1)
    chosen = [log_p[i, k, s] for i, row in enumerate(batch["y"].tolist()) for k, s in enumerate(row) if s != NONE]
    torch.testing.assert_close(terms.total, -torch.stack(chosen).mean())
    assert float(task().count(batch)) == len(chosen)
    assert scores.shape == (20, 13, 5)
    assert target is batch["y"]


def test_the_amount_of_filling_changes_neither_loss_nor_gradient(seeded) -> None:
    network, fields = translator(), SOURCE.load(Path()).fields
    long = translator(7, 9)
    long.load_state_dict(network.state_dict())
    x, y = fields["x"][:20], fields["y"][:20]
    x_long, y_long = torch.zeros(20, 16, dtype=torch.int64), torch.full((20, 9), NONE)
    x_long[:, :4], x_long[:, 7:12], y_long[:, :5] = x[:, :4], x[:, 4:], y
    for module, batch in ((network, {"x": x, "y": y}), (long, {"x": x_long, "y": y_long})):
        task().losses("model", {"model": module}, batch).total.backward()
    for one, other in zip(network.parameters(), long.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-12)


def test_what_was_written_is_read_again_until_the_end() -> None:
    x = torch.tensor([[5, 6, 0, 0, 1, 9, 9, 9, 9], [7, 8, 9, 0, 1, 9, 9, 9, 9], [0, 0, 0, 0, 1, 9, 9, 9, 9]])
    before, network = x.clone(), Scripted(13, 4)
    assert written(network, x, 4).tolist() == [[5, 6, END, NONE, NONE], [7, 8, 9, END, NONE], [END] + 4 * [NONE]]
    assert network.calls == 4  # the longest text and its end
    assert torch.equal(x, before)


def test_a_text_without_an_end_fills_its_places() -> None:
    x = torch.tensor([[5, 6, 7, 8, 1, 9, 9]])  # three places for a text of four symbols
    assert written(Scripted(13, 4), x, 4).tolist() == [[5, 6, 7]]


def test_samples_are_lines_of_source_and_answer() -> None:
    wish = Wish(batch={"x": torch.tensor([[3, 4, 0, 0, 1, 9, 9, 9, 9], [5, 5, 3, 12, 1, 9, 9, 9, 9]])})
    assert task().sample({"model": Scripted(13, 4)}, wish).text == "ab → ab\nccaj → ccaj\n"


class Bag(nn.Module):
    """Scores from the mean of all vectors, of all but the filling, or of the target's past alone."""

    def __init__(self, sees: str) -> None:
        super().__init__()
        self.table, self.sees = nn.Embedding(13, 13), sees

    def forward(self, x: Tensor) -> Tensor:
        vectors = self.table(x)
        kept = x != 0 if self.sees == "everything but filling" else torch.ones_like(x)
        text = (vectors * kept.unsqueeze(-1))[:, :4].sum(dim=1, keepdim=True)
        target = vectors[:, 4:].cumsum(dim=1)
        return text + (target.flip(1) if self.sees == "what is asked" else target)


@pytest.mark.parametrize(("sees", "code"), [("filling", "sees-filling"), ("what is asked", "looks-ahead")])
def test_networks_that_look_at_the_wrong_places_are_refused(sees: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        task().bind({"model": Bag(sees)}, Examples({}, FACTS))
    assert caught.value.code == code
    assert "place 0" in caught.value.what


def test_networks_that_look_at_the_right_places_are_left_as_they_were() -> None:
    for network in (Bag("everything but filling"), translator().train()):
        task().bind({"model": network}, Examples({}, FACTS))
        assert network.training
        assert all(parameter.grad is None for parameter in network.parameters())
        assert not any(module._forward_hooks for module in network.modules())


def test_data_without_pairs_is_refused() -> None:
    outline = Outline((8,), (4, 13), ("gpt",))
    (place, problem), *rest = Seq2seq().complaints({"model": outline}, Facts(count=9, shape=(8,), vocab=13))
    assert (place, problem.code, rest) == ("data", "no-pairs", [])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped config on shorter words of fewer letters."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    overrides = [
        "data.source.reversal.longest=4", "data.source.reversal.letters=10", "data.source.reversal.train=2000",
        "data.source.reversal.test=200", "data.split.val=200", "model.width=32", "training.steps=200",
        "optimizer.lr=1e-2",
    ]  # fmt: skip
    start(ROOT / "configs" / "reverse-seq2seq.yaml", overrides=overrides, folder=folder, shown=Lines(io.StringIO()))
    return folder


def test_a_run_learns_to_write_words_backwards(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    metrics = next(line["metrics"] for line in lines if line.get("split") == "test")
    assert metrics["sequence_accuracy"] > 0.95
    assert metrics["bleu"] > 0.95
    pairs = [line.split(" → ") for line in (run / "samples" / "step-00000200.txt").read_text().splitlines()]
    assert len(pairs) == 8
    assert sum(answer == word[::-1] for word, answer in pairs) >= 7


def test_new_words_are_written_backwards_too(run: Path, tmp_path: Path) -> None:
    words = ["abcd", "jihg", "fee", "bad"]
    x = np.zeros((4, 9), dtype=np.int64)
    for row, word in zip(x, words, strict=True):
        row[: len(word)] = [ord(letter) - ord("a") + 3 for letter in word]
    np.savez(tmp_path / "words.npz", x=x)
    texts = [record["text"] for record in predicted(run, tmp_path / "words.npz")]
    assert sum(text == word[::-1] for text, word in zip(texts, words, strict=True)) >= 3
    np.savez(tmp_path / "words.npz", x=x + 10)
    with pytest.raises(Problem, match="no symbols") as caught:
        predicted(run, tmp_path / "words.npz")
    assert caught.value.code == "input-shape"
