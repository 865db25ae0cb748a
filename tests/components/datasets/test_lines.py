"""One sample a line: marks, padding and targets that do not count."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.datasets import IGNORED, _text
from gradtrain.components.datasets.lines import Lines
from gradtrain.components.tokenizers import vocabulary
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.components.tokenizers.words import Words


def test_a_line_is_between_two_marks_and_padded(tmp_path) -> None:
    (tmp_path / "n.txt").write_text("abc\nb\nca", "utf-8")
    made = Lines(path="n.txt").load(tmp_path)
    assert made.fields["x"].tolist() == [[0, 1, 2, 3], [0, 2, 0, 0], [0, 3, 1, 0]]
    assert made.fields["y"].tolist() == [[1, 2, 3, 0], [2, 0, -1, -1], [3, 1, 0, -1]]
    assert (made.facts.count, made.facts.shape, made.facts.vocab, made.facts.series) == (3, (4,), 4, False)
    text = vocabulary(made.facts.vocabulary)
    assert text.decode([0, 2, 0]) == "\nb\n"
    assert text.encode("\nca\n") == [0, 3, 1, 0]


def test_every_target_that_counts_is_the_next_input(real_data) -> None:
    path = real_data("names.txt")
    made = Lines(path=str(path)).load(path.parent)
    x, y = made.fields["x"], made.fields["y"]
    assert (made.facts.count, made.facts.vocab, made.facts.shape) == (32_033, 27, (16,))
    counts = y != IGNORED
    assert int(counts.sum()) == len(path.read_text("utf-8").replace("\n", "")) + 32_033
    assert torch.equal(x[:, 1:][counts[:, :-1]], y[:, :-1][counts[:, :-1]])
    text = vocabulary(made.facts.vocabulary)
    names = [text.decode(row[real].tolist()).removesuffix("\n") for row, real in zip(y[:50], counts[:50], strict=True)]
    assert names == path.read_text("utf-8").split("\n")[:50]


@pytest.mark.parametrize("tokenizer", [Bytes(), Words()])
def test_other_tokenizers_begin_after_the_mark_too(tmp_path, tokenizer) -> None:
    (tmp_path / "n.txt").write_text("to be\nor not\n", "utf-8")
    made = Lines(path="n.txt", tokenizer=tokenizer).load(tmp_path)
    text = vocabulary(made.facts.vocabulary)
    assert made.facts.vocab == text.size
    assert int(made.fields["y"].max()) < text.size
    assert text.decode(made.fields["x"][0].tolist()).strip("\n") == "to be"


def test_a_blank_line_is_refused_but_for_the_files_end(tmp_path, refused) -> None:
    (tmp_path / "n.txt").write_text("a\n\nb\n \n", "utf-8")
    refused("blank-line", Lines(path="n.txt").load, tmp_path, says=("line 2", "2 of 4 lines", "n.txt:2"))
    (tmp_path / "n.txt").write_text("a\nb\n", "utf-8")
    assert Lines(path="n.txt").load(tmp_path).facts.count == 2


def test_a_line_above_the_limit_is_shown(tmp_path, refused) -> None:
    (tmp_path / "n.txt").write_text("abc\nabcdefgh\n", "utf-8")
    says = ("line 2", "8 symbols", "the limit is 7", "`longest`", "n.txt:2")
    refused("line-too-long", Lines(path="n.txt", longest=7).load, tmp_path, says=says)
    assert Lines(path="n.txt", longest=8).load(tmp_path).facts.shape == (9,)


def test_padding_that_does_not_fit_into_memory(tmp_path, refused, monkeypatch) -> None:
    (tmp_path / "n.txt").write_text("a\n" * 50 + "b" * 60, "utf-8")
    monkeypatch.setattr(_text, "most", lambda: 10_000)
    refused("data-limit", Lines(path="n.txt").load, tmp_path, says=("symbols",))
