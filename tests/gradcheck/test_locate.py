"""Which element of a gradient is wrong, and what the error looks like in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.gradcheck.locate import Located, locate
from gradtrain.gradcheck.probe import Probe
from gradtrain.gradcheck.reverse import pulls


class Planted(torch.autograd.Function):
    """w ∘ sin(x) whose gradient goes through any change."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.change = change
        return w * x.sin()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, w = ctx.saved_tensors
        return ctx.change(g * w * x.cos(), x), None, None


def located(shape: tuple[int, ...], change: Callable[[Tensor, Tensor], Tensor]) -> Located | None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    w = 1 + torch.rand(shape, generator=generator, dtype=torch.float64)
    probe = Probe({"x": x}, lambda point: Planted.apply(point["x"], w, change))
    (pull,) = pulls(probe, [("", {"output": torch.randn(shape, generator=generator, dtype=torch.float64)})])
    direction = torch.randn(shape, generator=generator, dtype=torch.float64)
    return locate(probe, "x", pull, direction, generator)


def at(*index: int) -> Callable[[Tensor, Tensor], Tensor]:
    def change(g: Tensor, x: Tensor) -> Tensor:
        g = g.clone()
        g[index] *= 3
        return g

    return change


@pytest.mark.parametrize(
    ("shape", "index"),
    [((5,), (3,)), ((), ()), ((4, 5), (3, 0)), ((70, 90), (69, 89)), ((70, 90), (0, 0)), ((7, 9, 11), (3, 8, 5)),
     ((513,), (512,))],
)  # fmt: skip
def test_a_single_wrong_element_is_named(shape: tuple[int, ...], index: tuple[int, ...]) -> None:
    found = located(shape, at(*index))
    assert found is not None
    assert found.element == index
    assert found.got == pytest.approx(3 * found.expected)
    assert found.wrong == 1
    assert "3 times the derivative" in found.looks


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert located((4, 5), lambda g, x: g) is None


LOOKS: list[tuple[tuple[int, ...], Callable[[Tensor, Tensor], Tensor], str]] = [
    ((5, 4), lambda g, x: 2 * g, "twice the derivative"),
    ((5, 4), lambda g, x: g / 2, "half the derivative"),
    ((5, 4), lambda g, x: -g, "the sign is wrong"),
    ((5, 4), lambda g, x: 5 * g, "5 times the derivative: as many as there are samples"),
    ((5, 4), lambda g, x: g / 5, "1/5 of the derivative"),
    ((5, 4), lambda g, x: g / 20, "1/20 of the derivative"),
    ((5, 4), lambda g, x: 0.37 * g, "0.37 times the derivative"),
    ((5, 4), lambda g, x: g + 0.5, "off by the same 0.5"),
    ((5, 5), lambda g, x: g.t(), "transposed"),
    ((5, 4), lambda g, x: 1.5 * g * (x > 0) + g * (x <= 0), "only where it is above"),
    ((5, 4), lambda g, x: 1.5 * g * (x < 0) + g * (x >= 0), "only where it is below"),
    ((50, 40), lambda g, x: torch.cat([g[:7], 2 * g[7:8], g[8:]]), "only in row 7"),
    ((50, 40), lambda g, x: torch.cat([g[:, :3], 0 * g[:, 3:4], g[:, 4:]], 1), "only in column 3"),
    ((8, 9, 10), lambda g, x: torch.cat([g[:, :2], 2 * g[:, 2:3], g[:, 3:]], 1), "only at index 2 of dimension 1"),
    ((5, 4), lambda g, x: torch.cat([0 * g[:1], g[1:]]), "a term or row is dropped"),
    ((5, 4), lambda g, x: g * x.abs(), "in every element measured"),
]


@pytest.mark.parametrize(("shape", "change", "words"), LOOKS)
def test_what_an_error_looks_like(
    shape: tuple[int, ...], change: Callable[[Tensor, Tensor], Tensor], words: str
) -> None:
    found = located(shape, change)
    assert found is not None
    assert words in found.looks


def test_a_dropped_row_of_a_square_matrix_is_not_called_transposed() -> None:
    found = located((5, 5), lambda g, x: torch.cat([0 * g[:1], g[1:]]))
    assert found is not None
    assert "transposed" not in found.looks
    assert "only in row 0" in found.looks


def test_two_elements_are_no_border() -> None:
    """Two numbers of sixteen are the largest ones once in 120 times: that says nothing of where the error is."""

    def change(g: Tensor, x: Tensor) -> Tensor:
        off = torch.ones_like(g)
        off.view(-1)[x.flatten().topk(2).indices] = torch.tensor([1.4, 1.7], dtype=g.dtype)
        return off * g

    found = located((16,), change)
    assert found is not None
    assert found.looks == "in 2 of 16 elements measured"
