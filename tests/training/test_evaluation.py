"""Measuring a split gives what one batch of all its samples would, however the batches fall."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.augmentations.noise import Noise
from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.losses.mae import Mae
from gradtrain.components.losses.mse import Mse
from gradtrain.components.metrics import Metric, Value
from gradtrain.components.metrics.accuracy import Accuracy
from gradtrain.components.metrics.loss import Loss as LossMetric
from gradtrain.components.metrics.rmse import Rmse
from gradtrain.components.objectives.supervised import Supervised
from gradtrain.training.batches import Batches
from gradtrain.training.evaluation import measure
from gradtrain.training.precision import Precision

X = torch.randn(23, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.arange(23) % 3
VALUES = X.sum(dim=1, keepdim=True) + X[:, :1] ** 2


def linear(outputs: int) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, outputs).double()


def measured(
    network: nn.Module, y: Tensor, losses: Sequence[WeightedLoss], size: int, metrics: Sequence[Metric] = (),
    kind: str = "class", limit: int | None = None,
) -> dict[str, Value]:  # fmt: skip
    task = Supervised().start(losses, kind, Facts())
    batches = Batches({"x": X, "y": y}, size, seed=0, augment=(Noise(std=10.0),))
    return measure(task, {"model": network}, batches, metrics, kind, Facts(), Precision(), limit)


@pytest.mark.parametrize("size", [1, 4, 5, 22, 23, 100])
def test_unequal_batches_give_the_whole_splits_loss_and_metrics(size) -> None:
    network = linear(1)
    found = measured(network, VALUES, [WeightedLoss(part=Mse())], size, [Rmse()], "value")
    expected = ((network(X) - VALUES) ** 2).mean().item()
    assert found == pytest.approx({"loss": expected, "rmse": math.sqrt(expected)}, rel=1e-12)


@pytest.mark.parametrize("size", [1, 4, 23])
def test_class_weights_and_ignored_targets_count_as_they_do_in_one_batch(size) -> None:
    network, y = linear(3), LABELS.clone()
    y[3:12] = 9  # with batches of 1 or 4, some have no real target
    loss = CrossEntropy(ignore_index=9, weights=(1.0, 2.0, 5.0))
    found = measured(network, y, [WeightedLoss(part=loss)], size)
    log_p, real = network(X).log_softmax(dim=1), y != 9
    weight = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)[y[real]]
    picked = -log_p[real, y[real]]
    assert found == pytest.approx({"loss": ((weight * picked).sum() / weight.sum()).item()}, rel=1e-12)


def test_no_real_target_at_all_is_not_a_number() -> None:
    loss = CrossEntropy(ignore_index=9)
    assert math.isnan(measured(linear(3), torch.full((23,), 9), [WeightedLoss(part=loss)], 5)["loss"])


def test_several_losses_are_named_and_weighted() -> None:
    network = linear(1)
    items = [
        WeightedLoss(part=Mse(), weight=2.0),
        WeightedLoss(part=Mae(), weight=0.5),
        WeightedLoss(part=Mse(), weight=1.0),
    ]
    found = measured(network, VALUES, items, 5, kind="value")
    error = (network(X) - VALUES).detach()
    mse, mae = error.square().mean().item(), error.abs().mean().item()
    assert found == pytest.approx({"loss": 3 * mse + 0.5 * mae, "mse": mse, "mae": mae, "mse.2": mse}, rel=1e-12)


def test_a_limit_reads_the_first_batches_only() -> None:
    network = linear(3)
    found = measured(network, LABELS, [WeightedLoss(part=CrossEntropy())], 4, [Accuracy()], limit=2)
    right = (network(X[:8]).argmax(dim=1) == LABELS[:8]).double().mean()
    assert found["accuracy"] == pytest.approx(float(right), rel=1e-12)
    assert found["loss"] == pytest.approx(nn.functional.cross_entropy(network(X[:8]), LABELS[:8]).item(), rel=1e-12)


def test_the_metric_called_loss_is_measured_once() -> None:
    found = measured(linear(1), VALUES, [WeightedLoss(part=Mse())], 5, [LossMetric(), Rmse()], "value")
    assert sorted(found) == ["loss", "rmse"]


class TestModes:
    def test_the_network_is_in_evaluation_mode_and_comes_back(self) -> None:
        network = nn.Sequential(nn.Dropout(0.9), linear(1))
        one, two = (measured(network, VALUES, [WeightedLoss(part=Mse())], 5, kind="value") for _ in range(2))
        assert one == two, "dropout was at work"
        assert all(module.training for module in network.modules())
        network.eval()
        measured(network, VALUES, [WeightedLoss(part=Mse())], 5, kind="value")
        assert not network.training

    def test_it_comes_back_after_a_failure_too(self) -> None:
        network = linear(2)
        with pytest.raises(RuntimeError):
            measured(network, VALUES[:, :0], [WeightedLoss(part=CrossEntropy())], 5)
        assert network.training

    def test_no_graph_is_kept_and_nothing_is_learned(self) -> None:
        network = nn.Sequential(linear(1), nn.BatchNorm1d(1).double())
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        measured(network, VALUES, [WeightedLoss(part=Mse())], 5, kind="value")
        assert all(p.grad is None for p in network.parameters())
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
