"""Planted wrong layers and normalizations are caught and named; right ones never refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradtrain import registry
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.components.normalizations.rms_norm import RmsNorm
from gradtrain.gradcheck import check


class RmsModule(nn.Module):
    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(features)), eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x / ((x**2).mean(dim=-1, keepdim=True).sqrt() + self.eps)


class RmsEpsOutside(RmsNorm):
    inputs = ((6,), (4, 5))
    cases = [{}]

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        return RmsModule(shape[-1], self.eps)


class BatchUnbiased(BatchNorm):
    inputs = ((6,),)
    cases = [{"affine": False}]

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return (x - x.mean(dim=0)) / (x.var(dim=0, unbiased=True) + self.eps).sqrt()


class LayerNormDropsMean(LayerNorm):
    cases = [{}]

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        right = dict(super().gradient(g, x, **parameters))
        h = g * parameters["weight"]
        axes = list(range(x.ndim - parameters["weight"].ndim, x.ndim))
        s = (x.var(dim=axes, unbiased=False, keepdim=True) + self.eps).sqrt()
        return {**right, "x": right["x"] + h.mean(dim=axes, keepdim=True) / s}


class SquareLinear(Linear):
    inputs = ((6,),)
    cases = [{"out": 6}]


class WeightTransposed(SquareLinear):
    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        right = super().gradient(g, x, **parameters)
        return {**right, "weight": right["weight"].T}


class BiasOverFeatures(Linear):
    inputs = ((6,),)
    cases = [{"out": 5}]  # as many as samples in the batch: the shape does not give it away

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        return {**super().gradient(g, x, **parameters), "bias": g.sum(dim=1)}


class ForgetsBias(SquareLinear):
    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        right = super().gradient(g, x, **parameters)
        return {"x": right["x"], "weight": right["weight"]}


class DetachedModule(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.detach(), self.bias)


class WeightDetached(SquareLinear):
    def build(self, shape: tuple[int, ...]) -> nn.Module:
        return DetachedModule(shape[-1], self.out)


class DropoutUnscaled(Dropout):
    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return x * self._mask(x)


class DropoutFreshMask(Dropout):
    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> dict[str, Tensor]:
        torch.rand(1)
        return {"x": g * self._mask(x) / (1 - self.p)}


WRONG: list[tuple[str, type[registry.Component], str, set[str]]] = [
    ("normalizations", RmsEpsOutside, "forward", set()),
    ("normalizations", BatchUnbiased, "forward", {"forward"}),
    ("normalizations", LayerNormDropsMean, "gradient of x", {"gradient of x"}),
    ("layers", WeightTransposed, "gradient of weight", {"gradient of weight"}),
    ("layers", BiasOverFeatures, "gradient of bias", {"gradient of bias"}),
    ("layers", ForgetsBias, "gradient of bias", {"gradient of bias"}),
    ("layers", WeightDetached, "gradient of weight", {"gradient of weight"}),
    ("layers", DropoutUnscaled, "forward", {"forward"}),
    ("layers", DropoutFreshMask, "gradient of x", {"gradient of x"}),
]
"""(family, wrong component, a check that must fail, and, for a single mistake, all that may fail)."""

RIGHT: list[tuple[str, type[registry.Component]]] = [
    ("normalizations", BatchNorm),
    ("normalizations", RmsNorm),
    ("layers", Linear),
    ("layers", Dropout),
]


@pytest.mark.parametrize(("family", "cls", "named", "only"), WRONG, ids=[row[1].__name__ for row in WRONG])
def test_a_planted_mistake_is_caught_and_named(caught, family, cls, named, only):
    caught(family, cls, named, only)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("family", "cls"), RIGHT, ids=[row[1].__name__ for row in RIGHT])
def test_a_right_component_is_accepted_whatever_the_seed(family, cls, seed):
    assert [f for f in check(family, "right", cls, seed) if not f.ok] == []


def test_the_detached_parameter_is_called_detached():
    notes = {f.note for f in check("layers", "planted", WeightDetached) if f.check == "gradient of weight"}
    assert notes == {"detached: no path leads from the result back to weight"}
