"""Forecasts: one step ahead while training, its own answers when it runs free."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.datasets import Facts
from gradtrain.components.layers import Placed
from gradtrain.components.layers._chain import build
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.lstm import Lstm
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.mse import Mse
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives.forecast import Forecast
from gradtrain.problems import Problem

X = torch.randn(3, 5, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Y = torch.randn(3, 5, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def task(loss_over: str = "all_steps") -> Task:
    return Forecast(loss_over=loss_over).start([WeightedLoss(part=Mse())], "value", Facts(shape=(5, 1)))


def lstm() -> nn.Module:
    torch.manual_seed(0)
    return build((Placed(part=Lstm(size=4, layers=2)), Placed(part=Linear(out=1))), (5, 1)).double()


class Doubling(nn.Module):
    """Says twice the last value, or twice each."""

    def __init__(self, flat: bool) -> None:
        super().__init__()
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x[:, -1] if self.flat else 2 * x


def test_the_total_over_all_steps_and_over_the_last() -> None:
    network = {"model": Doubling(flat=False)}
    batch = {"x": X, "y": Y}
    torch.testing.assert_close(task().losses("model", network, batch).total, (2 * X - Y).square().mean())
    last = (2 * X[:, -1] - Y[:, -1]).square().mean()
    torch.testing.assert_close(task("last_step").losses("model", network, batch).total, last)
    torch.testing.assert_close(task("last_step").losses("model", {"model": Doubling(flat=True)}, batch).total, last)


def test_a_flat_answer_stands_for_the_steps_after_the_window() -> None:
    network = {"model": nn.Sequential(nn.Flatten(), nn.Linear(5, 2).double())}
    y = Y[:, :2]
    _, prediction, _ = task().measure(network, {"x": X, "y": y})
    assert torch.equal(prediction, network["model"](X).unsqueeze(2))
    with pytest.raises(Problem) as caught:
        task().measure(network, {"x": X, "y": Y})
    assert caught.value.code == "output-width"


@pytest.mark.parametrize("flat", [True, False])
def test_a_free_run_reads_its_own_answers(flat: bool) -> None:
    made = task().sample({"model": Doubling(flat)}, Wish(length=4, batch={"x": X[:2]}))
    assert made.table is not None
    assert list(made.table) == ["given_0", "run_0", "given_1", "run_1"]
    for i in range(2):
        given, run = made.table[f"given_{i}"], made.table[f"run_{i}"]
        assert given.shape == run.shape == (9,)
        assert torch.equal(given[:5], X[i, :, 0])
        assert bool(given[5:].isnan().all())
        assert bool(run[:5].isnan().all())
        torch.testing.assert_close(run[5:], X[i, -1, 0] * 2.0 ** torch.arange(1, 5, dtype=torch.float64))


def test_a_network_with_a_memory_goes_on_as_if_it_read_everything_again() -> None:
    network = lstm()
    with torch.no_grad():
        made = task().sample({"model": network}, Wish(length=7, batch={"x": X})).table
        run = X
        for _ in range(7):
            run = torch.cat([run, network(run)[:, -1:]], dim=1)
    assert made is not None
    for i in range(3):
        torch.testing.assert_close(made[f"run_{i}"][5:], run[i, 5:, 0])
    assert all(module.carried is None for module in network.modules() if hasattr(module, "carried"))


def test_complaints() -> None:
    def told(output: tuple[int, ...], loss_over: str = "all_steps") -> list[str]:
        outlines = {"model": Outline((5, 1), output, ())}
        return [p.code for _, p in Forecast(loss_over=loss_over).complaints(outlines, Facts())]

    assert told((5, 1)) == told((3,)) == told((5, 2), "last_step") == []
    assert told((5, 2)) == told((4, 1)) == ["output-width"]
