"""Forecasting: a sequence of values, one step ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import (
    Batch,
    Complaint,
    Drawn,
    Networks,
    Objective,
    Outline,
    Task,
    Terms,
    Wish,
    width,
)
from gradtrain.components.objectives._memory import stepwise
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.problems import Problem


class Forecast(Objective):
    """The network reads a sequence and says what follows; free-running, it reads its own answers.

    value     total = loss(model(x), y);  y is x one step later, or the steps after the window (`data.windows.predict`)
    gradient  ∂total/∂w = (∂loss/∂prediction) · (∂prediction/∂w), backwards through time
    paper     Williams & Zipser (1989), Neural Computation 1(2):270-280
    shape     x [batch, time, features]; the network puts out the shape of y
    note      A free run feeds every answer back as the next input: errors add up, which one-step losses do not show.
    """

    kind: ClassVar[TargetKind | None] = "value"
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "table"
    sources: ClassVar[tuple[Literal["prior", "reconstruction"], ...]] = ("reconstruction",)

    cases = [{}, {"loss_over": "last_step"}]

    loss_over: Literal["all_steps", "last_step"] = "all_steps"
    """Count every step of the answer, or the last one only."""

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model = networks["model"]
        if self.loss_over == "all_steps" and len(model.output) == 2 and model.output != model.input:
            why = "one answer a step, as wide as a step of the input"
            yield width("model", model.output, model.input, why, "change the width of the last layer")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Forecast(self, losses)


class _Forecast(Task):
    def __init__(self, forecast: Forecast, losses: Sequence[WeightedLoss]) -> None:
        self.last, self.terms = forecast.loss_over == "last_step", Weighted(losses)

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(self._target(batch))

    def _target(self, batch: Batch) -> Tensor:
        return batch["y"][:, -1] if self.last else batch["y"]

    def _answer(self, networks: Networks, batch: Batch) -> tuple[Tensor, Tensor]:
        target, prediction = self._target(batch), networks["model"](batch["x"])
        if self.last and prediction.ndim == 3:
            prediction = prediction[:, -1]
        return (prediction if prediction.shape == target.shape else _like(prediction, target)), target

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(*self._answer(networks, batch))

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        prediction, target = self._answer(networks, batch)
        return self.terms(prediction, target), prediction, target

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        """Free runs of the first samples: columns `given_i`, and `run_i`, what the network goes on with."""
        x = wish.batch["x"]
        window = x.shape[1]
        run = _went_on(networks["model"], x, wish.length)
        columns: dict[str, Tensor] = {}
        for i in range(len(x)):
            gap = torch.full((wish.length,), torch.nan, dtype=x.dtype)
            columns[f"given_{i}"] = torch.cat([x[i, :, 0].cpu(), gap])
            columns[f"run_{i}"] = torch.cat([torch.full((window,), torch.nan, dtype=x.dtype), run[i, window:, 0].cpu()])
        return Drawn(table=columns)


def _went_on(network: nn.Module, x: Tensor, steps: int) -> Tensor:
    """x [batch, time, features] and `steps` answers of the network, each read as the next input."""
    with stepwise(network, x) as remembers:
        run, window, new = x, x.shape[1], x
        for _ in range(steps):
            answer = network(new if remembers else run[:, -window:])
            new = answer[:, -1:] if answer.ndim == 3 else answer.unsqueeze(1)[..., : x.shape[-1]]
            run = torch.cat([run, new], dim=1)
    return run


def _like(prediction: Tensor, target: Tensor) -> Tensor:
    """A flat answer as the steps and features that it stands for; torch would broadcast other shapes."""
    if prediction.numel() != target.numel():
        raise Problem(
            "output-width",
            f"the network puts out {list(prediction.shape[1:])} a sample, the target is {list(target.shape[1:])}",
            why="every value of the target needs its answer",
            help="change the width of the last layer",
        )
    return prediction.reshape(target.shape)
