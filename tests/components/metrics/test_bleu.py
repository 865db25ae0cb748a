"""BLEU against the definition, counted in plain loops."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from gradtrain.components.datasets import Facts
from gradtrain.components.metrics.bleu import Bleu
from gradtrain.config.validate import validated
from gradtrain.problems import Problem

END, NONE = 2, -1
TRUE = [[5, 6, 7, 8, 9, END, NONE], [5, 5, 6, 7, END, NONE, NONE], [9, 8, 7, 6, 5, 4, END]]
WRITTEN = [[5, 6, 7, 8, 4, 9, END], [5, 5, 5, 6, 7, 8, 9], [9, 8, 7, 6, END, NONE, NONE]]


def score(written: list[list[int]], true: list[list[int]], *, longest: int = 4, cut: int = 3) -> float:
    measured = Bleu(longest=longest).start("class", Facts())
    for p, t in zip(torch.tensor(written).split(cut), torch.tensor(true).split(cut), strict=True):
        measured.add(p, t)
    return measured.value()


def text(row: list[int]) -> list[int]:
    return row[: row.index(END)] if END in row else row


def runs(row: list[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(row[i : i + n]) for i in range(len(row) - n + 1))


def by_definition(written: list[list[int]], true: list[list[int]], longest: int) -> float:
    pairs = [(text(p), text(t)) for p, t in zip(written, true, strict=True)]
    w, r = sum(len(p) for p, _ in pairs), sum(len(t) for _, t in pairs)
    product = 1.0
    for n in range(1, longest + 1):
        right = sum((runs(p, n) & runs(t, n)).total() for p, t in pairs)
        product *= right / sum(runs(p, n).total() for p, _ in pairs)
    return min(1.0, math.exp(1 - r / w)) * product ** (1 / longest)


@pytest.mark.parametrize("cut", [1, 2, 3])
@pytest.mark.parametrize("longest", [1, 2, 4])
def test_the_whole_split_is_counted_as_one(longest: int, cut: int) -> None:
    expected = by_definition(WRITTEN, TRUE, longest)
    assert 0.3 < expected < 0.95
    assert score(WRITTEN, TRUE, longest=longest, cut=cut) == pytest.approx(expected, rel=1e-12)


def test_a_short_text_is_punished_and_a_long_one_pays_by_its_shares() -> None:
    """Four of five symbols right in place: all runs are right, exp(1 - 5/4) remains; one too many: 5/6 of 1-runs."""
    assert score([[5, 6, 7, 8, END, NONE, NONE]], TRUE[:1]) == pytest.approx(math.exp(-0.25))
    assert score([[5, 6, 7, 8, 9, 4, END]], TRUE[:1], longest=1) == pytest.approx(5 / 6)


def test_the_end_mark_and_what_follows_do_not_count() -> None:
    assert score([[5, 6, 7, 8, 9, END, 4]], TRUE[:1]) == 1.0
    assert score([[END, NONE, NONE]], [[5, 6, END]]) == 0.0


def test_of_scores_the_likeliest_symbols_count() -> None:
    scores = torch.nn.functional.one_hot(torch.tensor(WRITTEN).clamp(min=0), 10).double().movedim(-1, 1)
    measured = Bleu().start("class", Facts())
    measured.add(scores, torch.tensor(TRUE))
    assert measured.value() == pytest.approx(by_definition(WRITTEN, TRUE, 4))


def test_a_missing_extra_says_what_to_paste(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.text", None)
    with pytest.raises(Problem) as caught:
        Bleu().start("class", Facts())
    assert (caught.value.code, caught.value.help) == ("extra-missing", 'pip install "gradtrain[metrics]"')


def test_an_objective_that_writes_no_texts_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "name: x\ndata: {source: digits}\nmodel: {layers: [flatten, {linear: 10}]}\nloss: cross_entropy\n"
        "optimizer: {sgd: 0.1}\ntraining: {steps: 1}\nevaluation: {metrics: [bleu]}\n"
    )
    assert [(p.code, "writes none" in p.what) for p in validated(config)] == [("metric-kind", True)]
