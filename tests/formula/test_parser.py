"""What a text means, and where it goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtrain.formula import parse
from gradtrain.problems import Problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("16 / 4 / 2", 2),
        ("2^3^2", 512),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^-1", 0.5),
        ("2 * -3", -6),
        ("--3", 3),
        ("+3 - +2", 1),
        (".5 + 1.", 1.5),
        ("1e-3 * 1E3", 1),
        ("square(3) + abs(-2) + sign(-5)", 10),
        ("  2\n *  3\t", 6),
    ],
)
def test_precedence(text, value):
    assert parse(text, []).value({}).item() == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "column", "length", "what", "help"),
    [
        ("", 1, 1, "an empty formula", "write for example `x^2 + 1`"),
        ("x +", 3, 1, "the formula ends too early", "an operand is missing"),
        ("2x", 2, 1, "no operator between `2` and `x`", "write `2 * x`"),
        ("x y", 3, 1, "no operator between `x` and `y`", "write `x * y`"),
        ("(x + 1)(x - 1)", 8, 1, "no operator between `)` and `(`", "write a `*` between them"),
        ("x**2", 2, 2, "a formula has no `**`", "write `^` for powers"),
        ("x²", 2, 1, "a formula has no `²`", "write `^2`"),
        ("x > 1", 3, 1, "a formula has no `>`", ""),
        ("sin(x, y)", 6, 1, "a formula has no `,`", "functions take one argument; decimals are written `0.5`"),
        ("sin x", 1, 3, "`sin` needs an argument in parentheses", "write `sin(x)`"),
        ("sin", 1, 3, "`sin` needs an argument in parentheses", "write `sin(x)`"),
        (
            "1 + alhpa",
            5,
            5,
            "nothing here is named `alhpa`",
            "did you mean `alpha`? the names here are `x`, `y`, `alpha`",
        ),
        ("2 * sine(x)", 5, 4, "no function is named `sine`", None),
        ("x(2)", 1, 1, "`x` is a name, and no function", "write `x * (…)`"),
        ("(x + 1", 1, 1, "this `(` is never closed", "add a `)`"),
        ("x + 1)", 6, 1, "this `)` closes nothing", "remove it, or add a `(`"),
        ("* x", 1, 1, "`*` stands where a number or a name is expected", ""),
        ("x * 1e999", 5, 5, "the number `1e999` is too large", ""),
        ("__import__", 1, 10, "nothing here is named `__import__`", "the names here are `x`, `y`, `alpha`"),
    ],
)
def test_a_culprit_is_shown_where_it_stands(text, column, length, what, help):
    with pytest.raises(Problem) as caught:
        parse(text, ["x", "y", "alpha"])
    problem = caught.value
    assert (problem.code, problem.exit_code, problem.what) == ("formula", 2, what)
    assert (problem.at.column, problem.at.length) == (column, length)
    assert help is None or problem.help == help


def test_a_misspelled_function_is_recognised():
    with pytest.raises(Problem) as caught:
        parse("sinn(x)", ["x"])
    assert caught.value.help.startswith("did you mean `sin`?")


@pytest.mark.parametrize("text", ["(" * 500 + "x" + ")" * 500, "-" * 1500 + "x", "2^" * 900 + "x", "+".join("x" * 900)])
def test_depth_is_limited(text):
    with pytest.raises(Problem, match="more than 64 operations inside of one another"):
        parse(text, ["x"])


def test_length_is_limited():
    with pytest.raises(Problem, match="a formula of 2,001 characters"):
        parse("x" + " " * 2000, ["x"])


@given(st.text(alphabet="xy0123456789.e+-*/^() sincoep²,_\n", max_size=40))
def test_any_text_is_a_formula_or_a_problem_inside_of_it(text):
    try:
        formula = parse(text, ["x", "y"])
    except Problem as problem:
        column = problem.at.column
    else:
        column = 1
        assert parse(str(formula), ["x", "y"]) == formula
    assert 1 <= column <= max(1, len(text))
