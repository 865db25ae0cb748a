"""The weight of a positive answer: per column, and refused where there are not as many columns."""

from __future__ import annotations

import pytest
import torch

from gradtrain.components.losses.binary_cross_entropy import BinaryCrossEntropy
from gradtrain.problems import Problem


def test_every_column_has_its_own_weight() -> None:
    score = torch.tensor([[0.4, -1.2], [2.0, 0.3], [-0.7, 1.1]], dtype=torch.float64)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    both = BinaryCrossEntropy(pos_weight=(3.0, 0.5)).forward(score, target)

    for column, weight in enumerate((3.0, 0.5)):
        alone = BinaryCrossEntropy(pos_weight=weight).forward(score[:, column], target[:, column])
        assert torch.equal(both[:, column], alone)


def test_a_positive_answer_counts_as_often_as_its_weight_says() -> None:
    score = torch.tensor([[0.4], [-1.2]], dtype=torch.float64)
    plain = BinaryCrossEntropy().forward(score, torch.ones_like(score))
    no = BinaryCrossEntropy().forward(score, torch.zeros_like(score))
    thrice = BinaryCrossEntropy(pos_weight=3.0)

    torch.testing.assert_close(thrice.forward(score, torch.ones_like(score)), 3 * plain)
    torch.testing.assert_close(thrice.forward(score, torch.zeros_like(score)), no)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 2.0), (1.0, 2.0, 3.0, 4.0)], ids=str)
def test_a_weight_without_a_column_is_refused(weights: tuple[float, ...]) -> None:
    loss = BinaryCrossEntropy(pos_weight=weights)
    for cost in (loss.forward, loss.mean):
        with pytest.raises(Problem) as refused:
            cost(torch.zeros(5, 3), torch.zeros(5, 3))
        assert refused.value.code == "loss-weights"
        assert refused.value.exit_code == 2
