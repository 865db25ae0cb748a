"""Metric learning: embeddings on the unit sphere, compared within the batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.triplet import Triplet
from gradtrain.components.objectives import Outline, Task
from gradtrain.components.objectives.metric_learning import MetricLearning

X = torch.randn(8, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Y = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    return {"model": nn.Linear(4, 3).double()}


def task(normalize: bool) -> Task:
    return MetricLearning(normalize=normalize).start([WeightedLoss(part=Triplet(margin=0.3))], "class", Facts())


@pytest.mark.parametrize("normalize", [True, False])
def test_the_total_by_loops_over_the_batch(networks, normalize: bool) -> None:
    e = networks["model"](X)
    e = e / e.norm(dim=1, keepdim=True) if normalize else e
    losses = []
    for i in range(8):
        distance = [(e[i] - e[j]).norm() for j in range(8)]
        far = max((distance[j] for j in range(8) if j != i and Y[j] == Y[i]), key=torch.Tensor.item)
        near = min((distance[j] for j in range(8) if Y[j] != Y[i]), key=torch.Tensor.item)
        losses.append((far - near + 0.3).clamp(min=0))
    terms, embedding, target = task(normalize).measure(networks, {"x": X, "y": Y})
    torch.testing.assert_close(embedding, e)
    assert target is Y
    torch.testing.assert_close(terms.total, torch.stack(losses).mean())


def test_the_gradient_through_the_norm(networks) -> None:
    e = networks["model"](X).detach().requires_grad_()
    g = torch.randn(8, 3, dtype=torch.float64)
    unit = nn.functional.normalize(e, dim=1)
    (found,) = torch.autograd.grad(unit, e, g)
    length = e.detach().norm(dim=1, keepdim=True)
    hat = e.detach() / length
    torch.testing.assert_close(found, (g - hat * (hat * g).sum(dim=1, keepdim=True)) / length)


def test_complaints() -> None:
    def told(output: tuple[int, ...]) -> list[str]:
        return [p.code for _, p in MetricLearning().complaints({"model": Outline((4,), output, ())}, Facts())]

    assert told((3,)) == []
    assert told((3, 2, 2)) == ["output-width"]
