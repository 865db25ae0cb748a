"""Sequence to sequence: one text into another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from gradtrain.components.datasets import BEGIN, END, IGNORED, PADDING, Examples, Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import (
    Batch,
    Complaint,
    Drawn,
    Networks,
    Objective,
    Outline,
    Task,
    Terms,
    Wish,
    width,
)
from gradtrain.components.objectives._text import dependence, refuse_later
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.components.tokenizers import vocabulary
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.problems import Problem


class Seq2seq(Objective):
    """The network reads a text and writes another one; while it learns, it reads its answer's true beginning.

    With source s, target t_0 … t_n, scores_k = model(s, t_<k), over the symbols that are no filling:

    value     total = mean_k loss(scores_k, t_k)
    gradient  ∂total/∂scores_k = ∂loss/∂scores_k / symbols;  filling is never looked at and has none
    paper     Sutskever, Vinyals & Le (2014), NeurIPS, arXiv:1409.3215; teacher forcing: Williams & Zipser (1989)
    shape     x int64 [batch, source + target]: the source, then the target moved one place to the right behind a mark;
              scores [batch, target, vocab]
    note      `pairs` and `reversal` make such samples. Before the first step the run measures ∂scores_k/∂t_j for j >= k
              and the slope at the filling of a source, and refuses a network where one is not 0. Decoding is greedy:
              the likeliest symbol is written and read again, until the text ends.
    """

    kind: ClassVar[TargetKind | None] = "class"
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "text"
    sources: ClassVar[tuple[Literal["prior", "reconstruction"], ...]] = ("reconstruction",)
    writes: ClassVar[bool] = True

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        if facts.source is None or facts.vocab is None or facts.shape is None:
            what = "this data has no texts to read beside texts to write"
            why = "`seq2seq` learns from pairs of them"
            yield "data", Problem("no-pairs", what, why=why, help="use `pairs`, or `reversal`")
            return
        wanted = (facts.shape[0] - facts.source, facts.vocab)
        if networks["model"].output != wanted:
            why = "every place of the target needs one score a symbol"
            help = "write `source: $data.source` and `vocab: $data.vocab` in `encoder_decoder`"
            yield width("model", networks["model"].output, wanted, why, help)

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Seq2seq(losses, facts)


class _Seq2seq(Task):
    def __init__(self, losses: Sequence[WeightedLoss], facts: Facts) -> None:
        self.facts, self.terms = facts, Weighted(losses, ignored=IGNORED)
        self.source = facts.source or 0

    def bind(self, networks: Networks, examples: Examples) -> None:
        refuse_looking_wrongly(networks["model"], self.source, self.facts)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"].flatten())

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(networks["model"](batch["x"]).flatten(0, 1), batch["y"].flatten())

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        scores, target = networks["model"](batch["x"]), batch["y"]
        return self.terms(scores.flatten(0, 1), target.flatten()), scores.transpose(1, 2), target

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        """The written texts, greedily: int64 [batch, target], the end mark included and `IGNORED` after it."""
        return written(networks["model"], batch["x"], self.source)

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        if self.facts.vocabulary is None:
            raise Problem("no-samples", "this data has no text to write", help="leave out `sampling:`")
        words, sources = vocabulary(self.facts.vocabulary), wish.batch["x"][:, : self.source]
        lines = [
            " → ".join(words.decode([symbol for symbol in text if symbol > END]) for text in pair)
            for pair in zip(sources.tolist(), self.predict(networks, wish.batch).tolist(), strict=True)
        ]
        return Drawn(text="\n".join(lines) + "\n")


def written(network: nn.Module, x: Tensor, source: int) -> Tensor:
    """Greedy decoding: the target part of x [batch, source + target] is written symbol by symbol, as y has it."""
    x = x.clone()
    x[:, source:] = PADDING
    x[:, source] = BEGIN
    y = torch.full_like(x[:, source:], IGNORED)
    going = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for k in range(y.shape[1]):
        likeliest = network(x)[:, k].argmax(dim=-1)
        y[:, k] = likeliest.where(going, IGNORED)
        going = going & (likeliest != END)
        if not going.any():
            break
        if k + 1 < y.shape[1]:
            x[:, source + k + 1] = likeliest.where(going, PADDING)
    return y


def refuse_looking_wrongly(network: nn.Module, source: int, facts: Facts) -> None:
    """Raises `Problem` where scores depend on the filling of a source, or on what comes after them in the target."""
    length = facts.shape[0] if facts.shape else 0
    symbols = torch.arange(length) % max((facts.vocab or 0) - END - 1, 1) + END + 1
    symbols[(source + 1) // 2 : source] = PADDING
    symbols[source : source + 1] = BEGIN
    found = dependence(network, symbols)
    if found is None or found.shape[1] != length:
        return
    for place, slopes in enumerate(found):
        refuse_later(place, slopes[source + place + 1 :])
        if slopes[:source][symbols[:source] == PADDING].any():
            raise Problem(
                "sees-filling",
                f"the network looks at filling: its answer at place {place} depends on how a short source is filled up",
                why=f"the symbol {PADDING} means nothing, and the gradient there must be exactly 0",
                help="use `encoder_decoder`, whose attention leaves it out",
            )
