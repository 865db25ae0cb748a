"""Where the cells of a table stand, and what is said about bad ones: always the line, and the column of the caret."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtrain.components.datasets._table import Table, read_table, spans
from gradtrain.problems import Problem


def table(folder: Path, content: str | bytes, delimiter: str = ",") -> Table:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, delimiter)


def caret(problem: Problem) -> str:
    """The text under the caret."""
    at = problem.at
    assert at is not None
    return at.text[at.column - 1 : at.column - 1 + at.length]


def test_header_cells_and_numbers(tmp_path) -> None:
    read = table(tmp_path, 'a, b ,"c,d"\r\n1, 2.5 ,"-3e2"\r\n\r\n4,.5,+6.\r\n')
    assert read.header == ["a", "b", "c,d"]
    assert [read.numbers(i) for i in range(3)] == [[1.0, 4.0], [2.5, 0.5], [-300.0, 6.0]]
    assert read.lines == [(1, 1), (2, 2), (4, 4)]


def test_a_byte_order_mark_and_old_line_ends(tmp_path) -> None:
    assert table(tmp_path, b"\xef\xbb\xbfa,b\r1,2\r").header == ["a", "b"]


@given(st.lists(st.text(alphabet='ab,"\n ü', max_size=6), min_size=1, max_size=5))
def test_spans_are_where_the_csv_module_finds_the_cells(cells) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerow(cells)
    record = file.getvalue()[:-1]
    found = [record[start:end] for start, end in spans(record, ",")]
    assert [next(csv.reader(io.StringIO(cell, newline="")), [""]) for cell in found] == [[cell] for cell in cells]


@pytest.mark.parametrize(
    ("content", "code", "line", "under", "says"),
    [
        ("a,b\n1,2\n3\n", "csv-ragged", 3, "3", ("line 3 has 1 cells, the header has 2", "1 of 2 rows")),
        ("a,b\n1,2\n3,4,5,6\n7,8,9\n", "csv-ragged", 3, "5", ("line 3 has 4 cells", "2 of 3 rows")),
        ('a,b\n"1\n2",3\n4\n', "csv-ragged", 4, "4", ()),
        ("a,a\n1,2\n", "csv-columns", 1, "a", ("`a` stands twice",)),
        ("a,b\n", "data-empty", 1, "a,b", ("a header and no rows",)),
        ("\n\n\n", "data-empty", 0, "", ("no header and no rows",)),
        ('a,b\n1,"2\n3,4\n', "data-format", 3, "", ("is not a table",)),
    ],
)
def test_a_table_out_of_shape(tmp_path, refused, content, code, line, under, says) -> None:
    problem = refused(code, table, tmp_path, content, says=says)
    assert problem.at.line == line
    if under:
        assert caret(problem) == under


@pytest.mark.parametrize(
    ("content", "code", "line", "under", "says"),
    [
        ("a,b\n1,2\n1,many\n", "csv-number", 3, "many", ("column `b`", "leave the column out")),
        ('a,b\n"x,\ny",2\n"1","two"\n', "csv-number", 4, '"two"', ()),
        ('a,b\n"x\ny",two\n', "csv-number", 3, "two", ()),
        ("a,b\n1,1_000\n", "csv-number", 2, "1_000", ("without separators",)),
        ('a,b\n1,"1,000,000"\n', "csv-number", 2, '"1,000,000"', ("without separators",)),
        ('a,b\n1,"3,5"\n', "csv-number", 2, '"3,5"', ("write a decimal point",)),
        ("a,b\n1,١٢\n", "csv-number", 2, "١٢", ()),
        ("a,b\n1,0x10\n", "csv-number", 2, "0x10", ()),
        ("a,b\n1,2\n3,\n4, \n", "csv-missing", 3, "", ("line 3 has no value in column `b`", "2 of 3 rows")),
        ("a,b\n1,NA\n", "csv-missing", 2, "NA", ()),
        ("a,b\n1,?\n", "csv-missing", 2, "?", ()),
        ("a,b\n1,2\n1,nan\n1,-inf\n", "input-not-finite", 3, "nan", ("2 cells", "line 3: `nan`, line 4: `-inf`")),
        ("a,b\n1,1e39\n", "input-not-finite", 2, "1e39", ("float32 ends at",)),
        ("a,b\n1,1e999\n", "input-not-finite", 2, "1e999", ()),
        ("a,b\n1,\x1b[31mred\n", "csv-number", 2, "\x1b[31mred", ("\\x1b[31mred",)),
    ],
)
def test_a_cell_that_is_no_number(tmp_path, refused, content, code, line, under, says) -> None:
    problem = refused(code, table(tmp_path, content).numbers, 1, says=says)
    assert problem.at.line == line
    assert caret(problem) == under


def test_the_largest_number_of_float32_is_a_number(tmp_path) -> None:
    assert table(tmp_path, "a\n3.4028234663852886e38\n").numbers(0) == [3.4028234663852886e38]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("height,weight\n1,2\n", "wieght", ("did you mean `weight`", "`height`, `weight`")),
        ("height;weight\n1;2\n", "weight", ("separated by `;`", 'delimiter: ";"')),
        ("height\tweight\n1\t2\n", "weight", ('delimiter: "\\t"',)),
        ("1.5,2\n3,4\n", "weight", ("the first line holds numbers",)),
    ],
)
def test_an_absent_column(tmp_path, refused, content, name, says) -> None:
    assert refused("csv-columns", table(tmp_path, content).index, name, says=says).at.line == 1


def test_latin_1_is_refused_with_its_offset(tmp_path, refused) -> None:
    problem = refused("data-encoding", table, tmp_path, "a,b\ngrün,1\n".encode("latin-1"), says=("0xfc at offset 6",))
    assert problem.at.line == 2


def test_utf_16_is_refused_with_its_name(tmp_path, refused) -> None:
    refused("data-encoding", table, tmp_path, "a,b\n1,2\n".encode("utf-16"), says=("UTF-16",))


def test_a_picture_is_no_table(tmp_path, refused) -> None:
    refused("data-format", table, tmp_path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", says=("a PNG picture",))
