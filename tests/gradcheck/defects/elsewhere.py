"""Defects that show at points of the checker's own alone, and correct code that is hard to follow there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from defects.planted import Correct, Planted, correct, plant, rand, randn, ruled
from torch import Tensor, nn


@plant("maximum: each of several equal largest numbers gets the whole gradient, and the sample has none")
def equal_largest() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x.amax(1)

    def of(shared: bool):
        def backward(g: Tensor, x: Tensor) -> Tensor:
            largest = (x == x.amax(1, keepdim=True)).double()
            return g[:, None] * (largest / largest.sum(1, keepdim=True) if shared else largest)

        return ruled(forward, backward)

    return Planted(of(False), of(True), (randn(3, 4),), "fail")


@plant("mean of padded sequences: the padding counts, and all sequences of the sample are full")
def full_sequences() -> Planted:
    def textbook(x: Tensor, lengths: Tensor) -> Tensor:
        return torch.stack([row[:length].mean(0) for row, length in zip(x, lengths.tolist(), strict=True)])

    def right(x: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(x.shape[1])[None] < lengths[:, None]
        return (x * inside[..., None]).sum(1) / lengths[:, None]

    def wrong(x: Tensor, lengths: Tensor) -> Tensor:
        return x.mean(1)

    return Planted(wrong, right, (randn(2, 5, 3), torch.tensor([5, 5])), "fail", {"textbook": textbook})


@correct("the median of numbers that are all equal: its gradient is spread over them")
def equal_median() -> Correct:
    return Correct(torch.median, (torch.ones(5),), "kink")


@correct("Newton's root of a number: where others are negative it is chaos")
def newton() -> Correct:
    def root(x: Tensor) -> Tensor:
        y = torch.ones_like(x)
        for _ in range(30):
            y = (y + x / y) / 2
        return y

    return Correct(root, (rand(3) + 0.5,))


@correct("noise from a generator that every call makes anew")
def fresh_generator() -> Correct:
    def noisy(x: Tensor) -> Tensor:
        own = torch.Generator().manual_seed(3)
        return (x + torch.rand(x.shape, generator=own, dtype=x.dtype).log()).softmax(-1)

    return Correct(noisy, (randn(2, 3),))


@plant("backward reads the incoming gradient as if its numbers lay one after another")
def incoming_in_order() -> Planted:
    def of(in_order: bool):
        def backward(g: Tensor, x: Tensor) -> Tensor:
            return 2 * (g.as_strided(g.shape, (g.shape[1], 1)) if in_order else g)

        return ruled(lambda x: 2 * x, backward)

    return Planted(of(True), of(False), (randn(3, 4),), "fail")


@plant("backward writes into the incoming gradient")
def incoming_written() -> Planted:
    def of(in_place: bool):
        return ruled(lambda x: x**2, lambda g, x: g.mul_(2 * x) if in_place else g * 2 * x)

    return Planted(of(True), of(False), (randn(4),), "fail")


@plant("backward takes a view of the incoming gradient, which that of a sum does not have")
def incoming_viewed() -> Planted:
    def of(flat: str):
        return ruled(lambda x: x.exp(), lambda g, x: getattr(g, flat)(-1).view(g.shape) * x.exp())

    return Planted(of("view"), of("reshape"), (randn(3, 4),), "fail")


@plant("a kernel reads its input as if its numbers lay one after another")
def input_in_order() -> Planted:
    def doubled(x: Tensor) -> Tensor:
        kind = {torch.float64: ctypes.c_double, torch.float32: ctypes.c_float}[x.dtype]
        numbers = (kind * x.numel()).from_address(x.data_ptr())
        return 2 * torch.tensor(list(numbers), dtype=x.dtype).view(x.shape)

    def of(forward):
        return ruled(forward, lambda g, x: 2 * g)

    return Planted(of(doubled), of(lambda x: doubled(x.contiguous())), (randn(3, 4),), "fail")


@correct("a keyword that moves, and a declared surrogate that does not take it")
def surrogate_without_keyword() -> Correct:
    def rounded(x: Tensor, scale: float = 1.0) -> Tensor:
        return scale * (x + (x.round() - x).detach())

    return Correct(rounded, (randn(4),), "intended", {"surrogate": lambda x: x})


@correct("the inverse of a matrix that is nearly singular: its slope turns within a thousandth of the numbers")
def nearly_singular() -> Correct:
    def inverse(a: Tensor) -> Tensor:
        return torch.linalg.inv(a + 1e-5 * torch.eye(3, dtype=a.dtype))

    return Correct(
        inverse, (torch.ones(3, 3, dtype=torch.float64) * torch.tensor([1.0, -1.0, 1.0]) + 1e-5 * randn(3, 3),)
    )


class Stack(nn.Module):
    def __init__(self, hold: Callable[[list[nn.Module]], Any], several: bool = True) -> None:
        super().__init__()
        self.layers = hold([nn.Linear(4, 4) for _ in range(2 if several else 1)])
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).tanh()
        return self.head(x)


@plant("layers in a plain list, which no optimizer over the parameters moves")
def plain_list() -> Planted:
    return Planted(Stack(list), Stack(nn.ModuleList), (randn(3, 4),), "fail")


@correct("a critic that is held in a list of one, not to be owned")
def held_on_purpose() -> Correct:
    return Correct(Stack(list, several=False), (randn(3, 4).float(),))


@correct("teachers in a list, asked without gradients")
def teachers() -> Correct:
    class Distilled(Stack):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                target = sum(layer(torch.ones_like(x)) for layer in self.layers)
            return (self.head(x) - target) ** 2

    return Correct(Distilled(list), (randn(3, 4).float(),))
