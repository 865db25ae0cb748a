"""Where the first number that is not finite comes from: forward, backward, in a loss, in a mask, in what was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.losses.poisson_nll import PoissonNll
from gradtrain.nonfinite.origin import OURS, Made, Origin, wrong


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def traced(function: Callable[[Tensor], Tensor], x: Tensor, *, of_gradients: bool) -> list[Made]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), Applied(function), nn.Linear(4, 2))
    with Origin({"model": network}) as origin:
        network(x).square().mean().backward()
    return list(origin.found([p.grad for p in network.parameters()] if of_gradients else []))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


def test_a_logarithm_of_zero_is_named_with_its_layer(x: Tensor) -> None:
    first, then = traced(lambda h: h.relu().log(), x, of_gradients=False)
    assert (first.operation, first.gave, first.layer, first.kind, first.direction) == (
        "log", "inf", "1", "Applied", "forward",
    )  # fmt: skip
    assert first.shape == (5, 4)
    assert (then.gave, then.layer, then.operation) == ("nan", "2", "addmm")


def test_a_root_at_zero_is_named_in_the_backward_pass(x: Tensor) -> None:
    first, *_ = traced(lambda h: h.relu().sqrt(), x, of_gradients=True)
    assert first.operation.startswith("SqrtBackward0")
    assert (first.layer, first.direction, first.gave) == ("1", "backward", "inf")


def test_an_operation_outside_of_all_layers_is_of_the_loss(x: Tensor) -> None:
    network = nn.Linear(3, 2)
    with Origin({"model": network}) as origin:
        (network(x).square().sum() * 0).log().backward()
    (first, *_) = origin.found([])
    assert (first.operation, first.layer, first.gave) == ("log", "", "inf")
    assert "in the loss" in str(first)


def test_the_line_of_a_component_is_told(x: Tensor) -> None:
    with Origin({"model": nn.Linear(3, 2)}) as origin:
        PoissonNll().forward(x + 200, torch.ones_like(x))
    (first, *_) = origin.found([])
    file, _, line = first.where.partition(":")
    assert file == "components/losses/poisson_nll.py"
    assert int(line) > 1


def test_what_every_operation_passes_through_is_no_place() -> None:
    assert all(Path(path).is_file() for path in OURS)


def test_the_mask_of_an_attention_is_no_origin(x: Tensor) -> None:
    """Minus infinity in scores is meant: softmax makes 0 of it."""

    def attention(h: Tensor) -> Tensor:
        scores = (h @ h.T).masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
        return (scores.softmax(-1) @ h).relu().log()

    first, *_ = traced(attention, x, of_gradients=False)
    assert first.operation == "log"


def test_a_mask_that_leaves_nothing_is_the_origin(x: Tensor) -> None:
    first, then = traced(lambda h: (h * 1).masked_fill(h == h, float("-inf")).softmax(-1), x, of_gradients=False)
    assert (first.operation, first.gave) == ("masked_fill", "inf")
    assert (then.operation, then.gave) == ("_softmax", "nan")


def test_nothing_is_found_where_nothing_is_wrong(x: Tensor) -> None:
    assert traced(torch.tanh, x, of_gradients=True) == []


def test_looking_changes_no_bit(x: Tensor) -> None:
    def gradients(look: bool) -> list[Tensor]:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))
        if look:
            with Origin({"model": network}):
                network(x).square().mean().backward()
        else:
            network(x).square().mean().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    assert all(torch.equal(one, other) for one, other in zip(gradients(True), gradients(False), strict=True))


def test_hooks_are_gone_afterwards(x: Tensor) -> None:
    network = nn.Linear(3, 2)
    with Origin({"model": network}):
        network(x)
    assert not network._forward_hooks
    assert not network._forward_pre_hooks


@pytest.mark.parametrize(
    ("tensor", "gave"),
    [
        (torch.tensor([1.0, float("nan"), float("inf")]), "nan"),
        (torch.tensor([1.0, -float("inf")]), "inf"),
        (torch.ones(3), None),
        (torch.ones(0), None),
        (torch.arange(3), None),
    ],
)
def test_a_tensor_is_nan_infinite_or_sound(tensor: Tensor, gave: str | None) -> None:
    assert wrong(tensor) == gave
