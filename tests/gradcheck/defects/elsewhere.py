"""Defects that show at points of the checker's own alone, and correct code that is hard to follow there."""

from __future__ import annotations

import torch
from defects.planted import Correct, Planted, correct, plant, rand, randn, ruled
from torch import Tensor


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
