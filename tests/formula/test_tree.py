"""The symbolic derivative against autograd, the simplifications, and values at the edge."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtrain.formula import Formula, parse
from gradtrain.formula.tree import (
    FUNCTIONS,
    Constant,
    Difference,
    Function,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
)

NAMES = ("x", "y")


def numbers() -> st.SearchStrategy[Formula]:
    return st.sampled_from([-2.5, -1.0, 0.5, 1.0, 2.0, 3.0, 1e-5]).map(Number)


def formulas() -> st.SearchStrategy[Formula]:
    leaves = st.one_of(numbers(), st.just(Constant("pi")), st.sampled_from(NAMES).map(Name))

    def grown(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
        pairs = [st.builds(kind, inner, inner) for kind in (Sum, Difference, Product, Quotient)]
        powers = st.builds(Power, inner, st.sampled_from([Number(2.0), Number(3.0), Number(-1.0), Name("y")]))
        calls = st.builds(Function, st.sampled_from(sorted(FUNCTIONS)), inner)
        negative = inner.filter(lambda part: not isinstance(part, Number)).map(Negative)
        return st.one_of(*pairs, powers, calls, negative)

    return st.recursive(leaves, grown, max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(formulas())
def test_what_is_written_reads_back_as_the_same_tree(formula):
    assert parse(str(formula), NAMES) == formula


@settings(max_examples=300, deadline=None)
@given(formulas(), st.floats(0.3, 1.7), st.floats(0.3, 1.7))
def test_the_derivative_is_that_of_autograd(formula, x, y):
    point = {
        "x": torch.tensor(x, dtype=torch.float64, requires_grad=True),
        "y": torch.tensor(y, dtype=torch.float64, requires_grad=True),
    }
    value = formula.value(point)
    for name, variable in point.items():
        closed = formula.derivative(name).value(point)
        if not value.requires_grad:
            assert closed == 0
            continue
        (found,) = torch.autograd.grad(value, variable, retain_graph=True, allow_unused=True, materialize_grads=True)
        if value.isfinite() and found.isfinite() and closed.isfinite() and abs(value) < 1e8:
            assert closed.item() == pytest.approx(found.item(), rel=1e-6, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(formulas())
def test_a_derivative_can_be_written_and_read(formula):
    slope = formula.derivative("x")
    again = parse(str(slope), NAMES)
    point = {"x": torch.linspace(0.4, 1.6, 5, dtype=torch.float64), "y": 0.7}
    torch.testing.assert_close(again.value(point), slope.value(point), rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_are_torchs_and_their_slopes_autograds(name):
    x = torch.linspace(0.2, 1.4, 7, dtype=torch.float64, requires_grad=True)
    formula = parse(f"{name}(x)", ["x"])
    value = formula.value({"x": x})
    assert torch.equal(value, getattr(torch, name)(x))
    (slope,) = torch.autograd.grad(value.sum(), x, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(formula.derivative("x").value({"x": x}).expand(7), slope)


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("(x - 3)^2 + 10 * y^2", "2 * (x - 3)"),
        ("x", "1"),
        ("y", "0"),
        ("3 * x + 1", "3"),
        ("-x^2", "-(2 * x)"),
        ("x^3", "3 * x^2"),
        ("x / 2", "1 / 2"),
        ("1 / x", "-1 / x^2"),
        ("sin(pi * x)", "pi * cos(pi * x)"),
        ("exp(-x)", "-exp(-x)"),
        ("2^x", "log(2) * 2^x"),
        ("sqrt(x)", "0.5 / sqrt(x)"),
    ],
)
def test_derivatives_are_as_short_as_in_a_book(text, slope):
    assert str(parse(text, NAMES).derivative("x")) == slope


def test_the_second_derivative_is_the_derivative_of_the_derivative():
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    second = parse("exp(-2 * x) * sin(3 * x)", ["x"]).derivative("x").derivative("x").value({"x": x})
    expected = torch.exp(-2 * x) * (-5 * torch.sin(3 * x) - 12 * torch.cos(3 * x))
    torch.testing.assert_close(second, expected)


def test_numbers_alone_are_float64_and_never_an_exception():
    assert parse("1 / 0", []).value({}).item() == math.inf
    assert math.isnan(parse("(-1)^0.5", []).value({}).item())
    assert parse("10^400", []).value({}).item() == math.inf
    assert parse("sin(1) + 2", []).value({}).dtype == torch.float64


def test_numbers_take_the_dtype_of_the_tensors():
    x = torch.ones(3, dtype=torch.float32)
    assert parse("x * pi + sin(2) / 3", ["x"]).value({"x": x}).dtype == torch.float32


def test_negative_bases_have_whole_powers():
    x = torch.tensor([-2.0, -0.5, 0.0])
    assert parse("x^3 - x^2", ["x"]).value({"x": x}).tolist() == [-12.0, -0.375, 0.0]


def test_names_are_those_that_matter():
    assert parse("sin(x) + pi * x - 2", NAMES).names == {"x"}
