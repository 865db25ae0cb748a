"""Tables as examples: which columns are inputs, and what the target column means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets import Examples
from gradtrain.components.datasets.csv import Csv


def load(folder: Path, content: str, **fields: object) -> Examples:
    (folder / "table.csv").write_text(content, "utf-8")
    return Csv(path="table.csv", **{"target": "t", **fields}).load(folder)


def test_all_columns_but_the_target_are_inputs(tmp_path) -> None:
    read = load(tmp_path, "a,t,b\n1,0.5,2\n3,1.5,4\n")
    assert read.fields["x"].tolist() == [[1, 2], [3, 4]]
    assert read.fields["x"].dtype == torch.float32
    assert read.fields["y"].tolist() == [0.5, 1.5]
    assert read.features == ("a", "b")
    assert (read.facts.count, read.facts.shape, read.facts.classes, read.facts.outputs) == (2, (2,), None, 1)
    assert read.facts.range == (1.0, 4.0)
    assert read.files == (tmp_path / "table.csv",)


def test_named_inputs_keep_the_order_of_the_config_and_leave_text_alone(tmp_path) -> None:
    read = load(tmp_path, "name,a,t,b\nAnn,1,0.5,2\nBo,3,1.5,4\n", features=("b", "a"))
    assert read.fields["x"].tolist() == [[2, 1], [4, 3]]


def test_another_delimiter(tmp_path) -> None:
    assert load(tmp_path, "a;t\n1;2.5\n", delimiter=";").fields["x"].tolist() == [[1]]


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_what_is_no_delimiter(delimiter) -> None:
    with pytest.raises(ValidationError, match="one character"):
        Csv(path="a", target="t", delimiter=delimiter)


def test_classes_in_words_are_numbered_by_the_alphabet(tmp_path) -> None:
    read = load(tmp_path, "a,t\n1,pear\n2, apple\n3,pear\n4,fig\n")
    assert read.fields["y"].tolist() == [2, 0, 2, 1]
    assert read.labels == ("apple", "fig", "pear")
    assert read.facts.classes == 3


@pytest.mark.parametrize(
    ("cells", "classes", "dtype"),
    [
        ("0 1 2 1", 3, torch.int64),
        ("1 2 3 3", 3, torch.int64),
        ("0 1 1 0", 2, torch.int64),
        ("-1 1 1 -1", None, torch.int64),
        ("100 250000 7 9", None, torch.int64),
        ("20 30 40 50", None, torch.int64),
        ("0.0 1.0 2.0 1.0", None, torch.float32),
        ("1e300 1 2 3", None, None),
    ],
)
def test_what_numbers_in_the_target_column_mean(tmp_path, refused, cells, classes, dtype) -> None:
    content = "a,t\n" + "".join(f"1,{cell}\n" for cell in cells.split())
    if dtype is None:
        refused("input-not-finite", load, tmp_path, content)
        return
    read = load(tmp_path, content)
    assert read.fields["y"].dtype == dtype
    assert read.facts.classes == classes


def test_a_class_without_a_name_is_a_missing_target(tmp_path, refused) -> None:
    assert refused("csv-missing", load, tmp_path, "a,t\n1,pear\n2,\n").at.line == 3


def test_numbers_and_words_in_the_target_column(tmp_path, refused) -> None:
    problem = refused("csv-number", load, tmp_path, "a,t\n1,2\n2,pear\n", says=("other targets",))
    assert (problem.at.line, problem.at.column) == (3, 3)


def test_the_target_is_no_input(tmp_path, refused) -> None:
    (tmp_path / "table.csv").write_text("a,t\n1,2\n")
    source = Csv(path="table.csv", target="t", features=("a", "t"))
    assert refused("csv-columns", source.load, tmp_path, says=("is an input too",)).at.column == 3


@pytest.mark.parametrize("target", ["a", "l", "al", "all"])
def test_a_target_whose_name_is_part_of_the_word_all(tmp_path, target) -> None:
    assert load(tmp_path, f"x,{target}\n1,0\n2,1\n", target=target).features == ("x",)


def test_a_column_without_a_name(tmp_path, refused) -> None:
    content = ",a,t\n0,1,2\n1,3,4\n"
    refused("csv-columns", load, tmp_path, content, says=("column 1 has no name", "row numbers"))
    assert load(tmp_path, content, features=("a",)).fields["x"].tolist() == [[1], [3]]


def test_only_a_target(tmp_path, refused) -> None:
    refused("csv-columns", load, tmp_path, "t\n1\n", says=("only column",))


def test_inputs_alone_need_no_target(tmp_path) -> None:
    (tmp_path / "new.csv").write_text("b,a,note\n1,2,x\n")
    source = Csv(path=str(tmp_path / "new.csv"), target="t", features=("a", "b"))
    assert source.inputs(Path()).tolist() == [[2, 1]]


def test_a_missing_file(tmp_path, refused) -> None:
    refused("data-missing", Csv(path="no.csv", target="t").load, tmp_path)
