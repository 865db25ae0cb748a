"""The words for what a field takes and for what is wrong; and that pydantic has no finding without a code of ours."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from gradtrain import registry
from gradtrain.config import words
from gradtrain.config.compose import Composer
from gradtrain.config.sections import Run
from gradtrain.problems import exit_codes
from gradtrain.registry import Record

WRONG: list[Any] = [
    None, True, -1, 0, 1, 0.5, -0.5, 1.5, 10**9, 2**63 - 1, -(2**63), float("inf"), float("nan"), "", "x", "../x",
    "a b", "x" * 300, ";;", "\n", (), (1,), (-1,), ("x",), ("",), (None,), (0.5,) * 9, (1,) * 9, ((1,),), {},
    {"a": 1}, {"a": "x"},
]  # fmt: skip
"""Whatever YAML can hold, as the composer hands it to a record."""


def records() -> list[type[Record]]:
    """The sections, what stands inside of them, and every component."""
    seen: dict[type[Record], None] = {}

    def walk(annotation: Any) -> None:
        for member in words.alternatives(annotation):
            bare = words.unwrap(member)[0]
            if typing.get_origin(bare) in (tuple, dict):
                for inner in typing.get_args(bare):
                    walk(inner)
            elif isinstance(bare, type) and issubclass(bare, Record) and bare not in seen:
                seen[bare] = None
                for info in bare.model_fields.values():
                    walk(info.annotation)

    walk(Run)
    for _, _, cls in registry.everything():
        walk(cls)
    return list(seen)


def findings(cls: type[Record]) -> Iterator[Any]:
    """What pydantic says about every plain field of a record under every value; the composer sees to the others."""
    plain = [name for name, info in cls.model_fields.items() if not Composer().holds_records(info.annotation)]
    for given in [{}, *({name: value} for name in plain for value in WRONG)]:
        try:
            cls.model_validate(given)
        except ValidationError as error:
            yield from error.errors(include_url=False)


@pytest.mark.parametrize("cls", records(), ids=lambda cls: cls.__name__)
def test_every_finding_has_a_code_of_ours(cls: type[Record]) -> None:
    assert {error["type"] for error in findings(cls)} <= set(words.ERROR_TYPES)


def test_the_mutations_reach_what_matters() -> None:
    """Otherwise the test above would prove nothing."""
    reached = {error["type"] for cls in records() for error in findings(cls)}
    assert len(records()) > 100
    assert reached >= {
        "missing", "int_type", "float_type", "string_type", "bool_type", "tuple_type", "literal_error",
        "greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number", "value_error",
        "too_short", "too_long", "string_pattern_mismatch",
    }  # fmt: skip


def test_every_code_has_its_page() -> None:
    assert {exit_codes()[code] for code in words.ERROR_TYPES.values()} == {2}


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (int, "an integer"),
        (float, "a number"),
        (str, "a text"),
        (bool, "`true` or `false`"),
        (Path, "a path"),
        (PositiveInt, "an integer greater than 0"),
        (PositiveFloat | None, "a number greater than 0"),
        (Annotated[float, Field(ge=0, lt=1)], "a number of at least 0 and below 1"),
        (Literal["a"], "`a`"),
        (Literal["a", "b"], "`a` or `b`"),
        (Literal["a", "b", "c"], "`a`, `b` or `c`"),
        (PositiveInt | Literal["full"], "an integer greater than 0 or `full`"),
        (tuple[int, ...], "a list of integers"),
        (tuple[PositiveInt, ...], "a list of integers greater than 0"),
        (Annotated[tuple[float, ...], Field(min_length=1)], "a list of one or more numbers"),
        (Annotated[tuple[float, ...], Field(min_length=2)], "a list of at least 2 numbers"),
        (Annotated[tuple[int, ...], Field(min_length=1, max_length=2)], "a list of 1 to 2 integers"),
        (tuple[float, int], "a list of 2: a number, an integer"),
        (tuple[PositiveInt, PositiveInt], "a list of 2 integers greater than 0"),
        (dict[str, int], "a mapping"),
        (Annotated[str, Field(pattern="a+")], "a text of the form `a+`"),
    ],
)
def test_what_a_field_takes(annotation: Any, said: str) -> None:
    assert words.takes(annotation) == said


@pytest.mark.parametrize(
    ("text", "annotation", "help"),
    [
        ("1,5", float, "write `1.5`: a comma begins the next item"),
        ("10_000", int, "write `10000`"),
        ("1_0.5", float, "write `10.5`"),
        ("1e-3", float, "write `1e-3` without quotes"),
        ("“3”", int, "write `3`"),
        ("3.0", int, "write `3`"),
        ("1e2", int, "write `100`"),
        ("-1e2", int, "write `-100`"),
        ("1.5", int, ""),
        ("1e300", int, ""),
        ("1e999", int, ""),
        ("12:30", int, "write the plain number: `12:30` is a text"),
        ("no", bool, "write `false`"),
        ("On", bool, "write `true`"),
        ("maybe", bool, ""),
        ("no", str | bool, "write `false`"),
        ("men", Literal["mean", "sum"], "did you mean `mean`?"),
        ("ful", int | Literal["full"], "did you mean `full`?"),
        ("$data.classes", int, "write `$data.classes` without quotes"),
        ("1.10", str, 'write `"1.10"` in quotes if you mean the text'),
        ("x", int, ""),
        ("", int, ""),
    ],
)
def test_how_a_value_is_mended(text: str, annotation: Any, help: str) -> None:
    assert words.mend(text, annotation) == help


def test_of_a_unions_errors_the_one_that_was_meant_is_told() -> None:
    wrong: Any = {"type": "int_type", "loc": ("kernel", "int")}
    item: Any = {"type": "int_type", "loc": ("kernel", "tuple", 1)}
    length: Any = {"type": "too_long", "loc": ("kernel", "tuple")}
    assert words.meant([wrong, item]) is item
    assert words.meant([wrong, item, length]) is length
    assert words.meant([wrong]) is wrong


def test_what_an_item_of_a_list_is_to_be() -> None:
    assert words.inside(tuple[int, float], 1) is float
    assert words.inside(int | tuple[str, ...], 5) is str
    assert words.inside(int, 0) is None
