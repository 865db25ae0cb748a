"""Sources and targets in one row each: marks, shifts, and what is left out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gradtrain.components.datasets.pairs import Pairs
from gradtrain.components.tokenizers import vocabulary
from gradtrain.components.tokenizers.chars import Chars


def write(folder, text: str) -> None:
    (folder / "p.tsv").write_text(text, "utf-8")


def test_rows_are_source_padding_mark_target(tmp_path) -> None:
    write(tmp_path, "ab\tc\nb\tca\n")
    made = Pairs(path="p.tsv", tokenizer=Chars()).load(tmp_path)  # a 3, b 4, c 5
    assert made.fields["x"].tolist() == [[3, 4, 1, 5, 0], [4, 0, 1, 5, 3]]
    assert made.fields["y"].tolist() == [[5, 2, -1], [5, 3, 2]]
    assert made.facts.vocabulary["lengths"] == {"source": 2, "target": 3}
    assert (made.facts.shape, made.facts.vocab, made.facts.count) == ((5,), 6, 2)
    assert vocabulary(made.facts.vocabulary).decode([4, 0, 1, 5, 3, 2]) == "bca"


def test_words_share_one_vocabulary(tmp_path) -> None:
    write(tmp_path, "Go now .\tVa !\tattribution\nGo .\tVa maintenant\tattribution\n")
    made = Pairs(path="p.tsv").load(tmp_path)
    assert made.facts.vocabulary["words"] == [".", "Go", "Va", "!", "maintenant", "now"]
    assert vocabulary(made.facts.vocabulary).decode(made.fields["x"][1].tolist()) == "Go .Va maintenant"
    assert made.facts.vocab == 3 + 1 + 6


def test_preparation_of_words(tmp_path) -> None:
    write(tmp_path, "Go! Now...;OUI, \u00c7a va?\n")
    made = Pairs(path="p.tsv", delimiter=";", lower=True, punctuation=True).load(tmp_path)
    assert sorted(made.facts.vocabulary["words"]) == sorted(["go", "!", "now", ".", "oui", ",", "\u00e7a", "va", "?"])
    assert made.fields["x"].shape[1] == 6 + 6


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no delimiter", ("line 2", "no delimiter", "a tab", "`delimiter:`")),
        ("\ttarget", ("no source",)),
        ("source\t ", ("no target",)),
    ],
)
def test_a_line_without_a_pair(tmp_path, refused, line, says) -> None:
    write(tmp_path, f"a\tb\n{line}\n")
    refused("pair-incomplete", Pairs(path="p.tsv").load, tmp_path, says=(*says, "p.tsv:2"))


def test_long_pairs_are_refused_or_left_out(tmp_path, refused) -> None:
    write(tmp_path, "a b c\td\na\tb\nb\ta b c d\n")
    says = ("line 1", "3 symbols", "2 of 3 lines", "skip_longer")
    refused("line-too-long", Pairs(path="p.tsv", longest=2).load, tmp_path, says=says)
    made = Pairs(path="p.tsv", longest=2, skip_longer=True).load(tmp_path)
    assert (made.facts.count, made.facts.shape) == (1, (3,))
    write(tmp_path, "a b\tc d\n")
    load = Pairs(path="p.tsv", longest=1, skip_longer=True).load
    refused("data-empty", load, tmp_path, says=("every pair", "`longest`"))


def test_blank_lines_and_bad_delimiters(tmp_path, refused) -> None:
    write(tmp_path, "a\tb\n\nc\td\n")
    refused("blank-line", Pairs(path="p.tsv").load, tmp_path, says=("line 2",))
    with pytest.raises(ValidationError):
        Pairs(path="p.tsv", delimiter="\n")
