"""Running statistics: torch's own layers keep the law, every way to break it is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradtrain


class Norm(nn.Module):
    """Batch normalization by hand, with one thing changed."""

    def __init__(self, broken: str = "") -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.tensor([0.3, -0.1, 0.2]))
        self.register_buffer("running_var", torch.tensor([1.3, 0.7, 0.9]))
        self.momentum, self.broken = 0.2, broken

    def forward(self, x: Tensor) -> Tensor:
        mean, var = x.mean(0), x.var(0, unbiased=False)
        if self.training:
            m = 0.8 if self.broken == "momentum" else 0.2
            kept = var if self.broken == "biased" else x.var(0, unbiased=True)
            if self.broken != "still":
                self.running_mean = ((1 - m) * self.running_mean + m * mean).detach()
                self.running_var = ((1 - m) * self.running_var + m * kept).detach()
        elif self.broken != "batch":
            mean, var = self.running_mean, self.running_var
        if not self.training and self.broken == "moves":
            self.running_mean = self.running_mean + 1
        return (x - mean) / (var + 1e-5).sqrt()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def failures(module: nn.Module, x: Tensor) -> dict[str, str]:
    return {finding.check: finding.note for finding in gradtrain.gradcheck(module, x).failures}


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.BatchNorm1d(3), draw(5, 3)), (nn.BatchNorm1d(3, momentum=0.37), draw(5, 3, 4)),
        (nn.BatchNorm2d(3, affine=False), draw(2, 3, 2, 2)), (nn.BatchNorm1d(3, momentum=None), draw(5, 3)),
        (nn.BatchNorm1d(3, track_running_stats=False), draw(5, 3)), (nn.BatchNorm1d(3).eval(), draw(5, 3)),
        (nn.InstanceNorm1d(3, track_running_stats=True), draw(2, 3, 4)), (Norm(), draw(5, 3)),
        (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Tanh()), draw(5, 3).float()),
    ],
)  # fmt: skip
def test_layers_that_keep_the_law(module: nn.Module, x: Tensor) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert failures(module, x) == {}
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("broken", "check", "words"),
    [
        ("momentum", "running mean", "turned round"), ("biased", "running variance", "biased"),
        ("still", "running mean", "does not move"), ("batch", "evaluation mode", "other samples"),
        ("moves", "evaluation mode", "changes the buffers"),
    ],
)  # fmt: skip
def test_every_way_to_break_it_is_named(broken: str, check: str, words: str) -> None:
    found = failures(Norm(broken), draw(5, 3))
    assert words in found[check]


def test_layers_in_another_mode_than_the_rest_stay_in_theirs() -> None:
    """A frozen batch norm in a network that trains: every later point sees it frozen."""
    modes: list[Any] = []

    class Watches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3).eval()
            self.free = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            modes.append((self.training, self.norm.training, self.free.training))
            answer: Tensor = self.free(self.norm(x))
            return answer

    assert failures(Watches(), draw(5, 3)) == {}
    assert modes[0] == (True, False, True)
    assert {(True, False, True), (True, True, True), (False, False, False)} >= set(modes)
    assert modes.count((True, False, True)) > 0.7 * len(modes)
