"""How two tensors are compared: what must count as equal, and what must not."""

from __future__ import annotations

import math

import pytest
import torch

from gradtrain.gradcheck.finding import EXACT, Ledger, agreement, largest


@pytest.fixture
def expected(seeded):
    return torch.randn(6, 5, generator=seeded, dtype=torch.float64)


@pytest.mark.parametrize("power", [3, 6, 9, 12])
def test_the_digits_are_those_of_the_relative_error(expected, power):
    found = agreement(expected * (1 + 10**-power), expected)
    assert found.digits == pytest.approx(power, abs=0.1)
    assert (found.disagree > 0) == (power < 10)


def test_equal_tensors_agree_exactly(expected):
    found = agreement(expected.clone(), expected)
    assert (found.digits, found.disagree, found.elements) == (EXACT, 0, 30)


def test_one_wrong_element_is_found_by_its_index(expected):
    got = expected.clone()
    got[4, 2] *= 2
    found = agreement(got, expected)
    assert (found.element, found.disagree) == ((4, 2), 1)
    assert (found.got, found.expected) == (float(got[4, 2]), float(expected[4, 2]))


def test_a_small_wrong_element_does_not_hide_behind_a_large_one():
    expected = torch.tensor([1e4, 1e-3], dtype=torch.float64)
    assert agreement(torch.tensor([1e4, 1.1e-3], dtype=torch.float64), expected).disagree == 1


def test_rounding_of_a_cancelled_element_is_no_disagreement():
    a = torch.tensor([1.0, 0.1], dtype=torch.float64)
    difference = (a + 0.2) - a - 0.2  # zero but for rounding
    assert float(difference.abs().max()) > 0
    assert agreement(difference, torch.zeros(2, dtype=torch.float64), scale=1.0).disagree == 0


def test_without_numbers_that_explain_it_a_nonzero_for_zero_disagrees():
    zero = torch.zeros(3, dtype=torch.float64)
    assert agreement(zero + 1e-9, zero, scale=1.0).disagree == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["got", "expected"])
def test_a_nonfinite_number_never_agrees(expected, bad, side):
    broken = expected.clone()
    broken[1, 1] = bad
    found = agreement(broken, expected) if side == "got" else agreement(expected, broken)
    assert not found.finite
    assert found.digits == 0.0
    assert found.element == (1, 1)


def test_a_single_number_has_an_empty_index():
    assert agreement(torch.tensor(2.0), torch.tensor(1.0)).element == ()


def test_nothing_agrees_with_nothing():
    assert agreement(torch.empty(0), torch.empty(0)).disagree == 0


def test_tensors_of_different_shapes_are_never_broadcast():
    ledger = Ledger("layers", "linear", {})
    ledger.compare("forward", torch.zeros(3, 1), torch.zeros(3, 3))
    assert [(f.verdict, f.note) for f in ledger.findings] == [
        ("fail", "shape [3, 1] against [3, 3] by the closed form")
    ]


def test_the_largest_magnitude_skips_what_has_none():
    values = [torch.tensor([-3.0, math.inf]), torch.tensor([7, 8]), torch.empty(0)]
    assert largest(*values) == 3.0
    assert largest() == 0.0
