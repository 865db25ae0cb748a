"""CTC against every path written out, against torch's own loss, and against what no target may be."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gradtrain.components.losses.ctc import Ctc
from gradtrain.problems import Problem


def scores(batch: int, classes: int, steps: int) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    return 2 * torch.randn(batch, classes, steps, generator=draw, dtype=torch.float64)


def reads(path: tuple[int, ...], blank: int) -> list[int]:
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != blank]


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_it_is_the_sum_over_every_path(blank: int, steps: int) -> None:
    a, b = (k for k in range(3) if k != blank)
    for string in ([], [a], [a, b], [a, a], [a, b, a], [b, b, a]):
        if len(string) + sum(x == y for x, y in itertools.pairwise(string)) > steps:
            continue
        prediction = scores(1, 3, steps)
        y = prediction[0].softmax(dim=0)
        total = sum(
            math.prod(y[symbol, t].item() for t, symbol in enumerate(path))
            for path in itertools.product(range(3), repeat=steps)
            if reads(path, blank) == string
        )
        target = torch.tensor([string + [-1] * (4 - len(string))])

        assert Ctc(blank=blank).forward(prediction, target).item() == pytest.approx(-math.log(total), rel=1e-12)


@pytest.mark.parametrize("padding", [0, -1, -100])
def test_padding_is_no_part_of_a_target(padding: int) -> None:
    prediction = scores(3, 4, 6)
    strings = [[1, 2, 2], [3], []]
    target = torch.tensor([string + [padding] * (5 - len(string)) for string in strings])
    theirs = F.ctc_loss(
        prediction.log_softmax(1).permute(2, 0, 1),
        torch.tensor([1, 2, 2, 3]),
        (6, 6, 6),
        (3, 1, 0),
        reduction="none",
    )

    torch.testing.assert_close(Ctc().forward(prediction, target), theirs)
    torch.testing.assert_close(Ctc().mean(prediction, target), theirs.mean())


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    """By differences, since the kernel's own derivative is right only behind a log_softmax."""
    prediction, target = scores(2, 3, 4).requires_grad_(), torch.tensor([[1, 2], [2, 2]])
    (slope,) = torch.autograd.grad(Ctc().forward(prediction, target).sum(), prediction)
    with torch.no_grad():
        for place in itertools.product(range(2), range(3), range(4)):
            nudge = torch.zeros_like(prediction)
            nudge[place] = 1e-6
            rise = Ctc().forward(prediction + nudge, target) - Ctc().forward(prediction - nudge, target)
            assert slope[place].item() == pytest.approx(rise.sum().item() / 2e-6, abs=1e-8)


def test_a_constant_added_to_all_scores_changes_nothing() -> None:
    prediction, target = scores(2, 4, 5), torch.tensor([[1, 2], [3, -1]])
    shift = scores(2, 1, 5)

    torch.testing.assert_close(Ctc().forward(prediction + shift, target), Ctc().forward(prediction, target))


def test_half_precision_is_scored_in_single() -> None:
    prediction, target = scores(2, 4, 5).bfloat16(), torch.tensor([[1, 2], [3, -1]])

    torch.testing.assert_close(Ctc().forward(prediction, target), Ctc().forward(prediction.float(), target))


@pytest.mark.parametrize("string", [[1, 2, 3], [1, 1]], ids=str)
def test_a_target_without_enough_time_is_refused(string: list[int]) -> None:
    prediction, target = scores(2, 4, 2), torch.tensor([[1, 2, -1], string + [-1] * (3 - len(string))])
    with pytest.raises(Problem, match=f"of {len(string)} symbols needs 3 time steps, the prediction has 2") as refused:
        Ctc().forward(prediction, target)
    assert (refused.value.code, refused.value.exit_code) == ("ctc-too-long", 3)


def test_an_impossible_target_can_be_ignored() -> None:
    prediction, target = scores(2, 4, 2).requires_grad_(), torch.tensor([[1, 2], [1, 1]])
    loss = Ctc(impossible="ignore")
    cost = loss.forward(prediction, target)
    (slope,) = torch.autograd.grad(loss.mean(prediction, target), prediction)

    assert cost[0] > 0
    assert cost[1] == 0
    assert slope[0].abs().min() > 0
    assert slope[1].abs().max() == 0


@pytest.mark.parametrize(
    ("target", "what"),
    [([[1, 0, 2]], "before a symbol"), ([[-1, 1, 2]], "before a symbol"), ([[1, 4, 0]], "the symbol 4, the network 4")],
)
def test_a_target_that_cannot_be_read_is_refused(target: list[list[int]], what: str) -> None:
    with pytest.raises(Problem, match=what) as refused:
        Ctc().forward(scores(1, 4, 5), torch.tensor(target))
    assert (refused.value.code, refused.value.exit_code) == ("ctc-target", 3)


def test_scores_without_time_are_refused() -> None:
    with pytest.raises(Problem, match=r"prediction \[2, 4\] for a target \[2, 3\]") as refused:
        Ctc().forward(torch.zeros(2, 4), torch.ones(2, 3, dtype=torch.int64))
    assert refused.value.code == "loss-shape"
