"""Measures against the numbers of small steps that can be reckoned by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradtrain import registry
from gradtrain.attention import Attention
from gradtrain.components.measures import Heard, Look, Measure, Progress, Weight

ONES = torch.ones(2, 2)


def measured(name: str, look: Look) -> dict[str, float]:
    return dict(registry.find(Measure, name)().of(look))


def weight(**given: object) -> Weight:
    usual = {"name": "0.weight", "layer": "0.linear", "component": "linear", "value": ONES, "gradient": None}
    return Weight(**{**usual, **given})  # type: ignore[arg-type]


def heard(component: str, output: torch.Tensor, **given: object) -> Heard:
    return Heard(f"1.{component}", component, nn.Identity(), output=output, **given)  # type: ignore[arg-type]


def test_update_ratio_is_the_step_by_the_weight() -> None:
    look = Look(step=1, weights=[weight(before=2 * ONES, value=1.5 * ONES)])
    assert measured("update_ratio", look) == {"0.weight": pytest.approx(0.25)}


def test_a_tensor_of_zeros_has_no_update_ratio() -> None:
    assert measured("update_ratio", Look(step=1, weights=[weight(before=0 * ONES)])) == {}


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_norms_neither_vanish_nor_overflow(scale: float) -> None:
    look = Look(step=1, weights=[weight(gradient=scale * ONES)])
    assert measured("gradient_norm", look) == {"0.weight": pytest.approx(2 * scale)}


def test_dead_units_are_silent_for_all_samples() -> None:
    output = torch.tensor([[0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
    assert measured("dead_units", Look(step=1, layers=[heard("relu", output)])) == {"1.relu": 0.5}


def test_dead_channels_are_silent_at_all_places() -> None:
    output = torch.zeros(2, 4, 3, 3)
    output[1, 0, 2, 2] = 1.0
    assert measured("dead_units", Look(step=1, layers=[heard("relu", output)])) == {"1.relu": 0.75}


@pytest.mark.parametrize(
    ("component", "ends"), [("tanh", (0.98, -0.98, 0.9, 0.0)), ("sigmoid", (0.98, 0.02, 0.9, 0.5))]
)
def test_saturation_counts_both_ends_and_not_the_last_layer(component: str, ends: tuple[float, ...]) -> None:
    layer = heard(component, torch.tensor([ends]))
    last = heard("linear", ONES)
    assert measured("saturation", Look(step=1, layers=[layer, last])) == {f"1.{component}": 0.5}
    assert measured("saturation", Look(step=1, layers=[layer])) == {}


def test_batch_statistics_count_samples_and_places() -> None:
    look = Look(step=1, layers=[heard("batch_norm", torch.zeros(4, 3, 5, 5))], samples=4)
    assert measured("batch_statistics", look) == {"1.batch_norm": 100.0}


def test_the_last_batch_of_an_epoch_is_no_tiny_batch() -> None:
    measure = registry.find(Measure, "batch_statistics")()
    look = Look(step=1, layers=[heard("batch_norm", torch.zeros(2, 3))], samples=64)
    assert list(measure.signs(measure.of(look), look, {})) == []


def test_missing_frozen_and_zero_gradients_are_told_apart() -> None:
    weights = [
        weight(name="a"), weight(name="b", gradient=0 * ONES), weight(name="c", learns=False, moves=False),
        weight(name="d", gradient=ONES),
    ]  # fmt: skip
    assert measured("missing_gradient", Look(step=1, weights=weights)) == {"a": 1.0, "b": 0.5, "c": 0.25}


def test_the_cosine_is_that_with_the_memory_before_the_step() -> None:
    m = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    g = torch.tensor([[-2.0, 0.0], [0.0, 0.0]])
    adam = weight(gradient=g, memory={"exp_avg": 0.9 * m + 0.1 * g}, options={"betas": (0.9, 0.999)})
    momentum = weight(gradient=g, memory={"momentum_buffer": 0.9 * m + g}, options={"dampening": 0.0})
    for one in (adam, momentum):
        assert measured("gradient_cosine", Look(step=9, weights=[one])) == {"0.weight": pytest.approx(-1.0)}


def test_adams_step_is_near_one_at_first() -> None:
    g = torch.full((2, 2), 1e-3)
    memory = {"exp_avg": 0.1 * g, "exp_avg_sq": 0.001 * g**2, "step": torch.tensor(1.0)}
    one = weight(gradient=g, memory=memory, options={"betas": (0.9, 0.999), "eps": 1e-8})
    assert measured("adam_health", Look(step=1, weights=[one])) == {"0.weight": pytest.approx(1.0, abs=1e-4)}


def test_lost_updates_have_a_gradient_and_the_same_bits() -> None:
    value = torch.tensor([[1.0, 1.0], [1.5, 1.0]])
    gradient = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    look = Look(step=1, weights=[weight(value=value, before=ONES, gradient=gradient)])
    assert measured("lost_updates", look) == {"0.weight": pytest.approx(2 / 3)}


def test_the_noise_scale_of_gradients_of_known_noise(seeded: torch.Generator) -> None:
    """Signal 1 in every one of n weights, noise of variance 8 a sample: tr Σ / |G|² = 8."""
    n, k, b = 20_000, 4, 16
    parts = [(1 + math.sqrt(8 / b) * torch.randn(n, generator=seeded)) / k for _ in range(k)]
    look = Look(step=1, weights=[weight(parts=parts)], samples=b)
    assert measured("noise_scale", look)[""] == pytest.approx(8, rel=0.1)


def test_attention_that_looks_at_everything_alike_has_the_entropy_one() -> None:
    module = Attention(8, 2, causal=True, dropout=0.0, bias=False)
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    layer = Heard("0.attention", "attention", module, input=torch.randn(2, 5, 8))
    with torch.no_grad():
        assert measured("attention_entropy", Look(step=1, layers=[layer])) == {"0.attention": pytest.approx(1.0)}


def test_the_share_of_a_penalty_is_its_pull_beside_the_rest() -> None:
    one = weight(gradient=ONES, before=ONES)
    look = Look(step=1, weights=[one], penalties={"l2": [(one, 0.25 * ONES)]})
    assert measured("penalty_share", look) == {"l2": pytest.approx(0.25)}
    clipped = Look(step=1, weights=[one], penalties={"l2": [(one, 0.25 * ONES)]}, norm=2.0, clip=1.0)
    assert measured("penalty_share", clipped) == {}


def test_the_first_loss_is_measured_once() -> None:
    progress = Progress(first=6.9, now=6.9, uniform=2.3)
    assert measured("first_loss", Look(step=1, progress=progress)) == {"": pytest.approx(3.0)}
    assert measured("first_loss", Look(step=2, progress=progress)) == {}


def test_inputs_that_are_zero_do_not_count() -> None:
    layer = heard("linear", ONES, input=torch.tensor([[0.0, 3.0], [0.0, -3.0]]))
    assert measured("input_scale", Look(step=1, layers=[layer])) == {
        "1.linear": pytest.approx(3.0),
        "1.linear mean": 0.0,
    }
