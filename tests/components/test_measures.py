"""Measures against the numbers of small steps that can be reckoned by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import nn

from gradtrain import registry
from gradtrain.components.measures import Heard, Look, Measure, Progress, Weight
from gradtrain.modules.attention import Attention

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


def signs(name: str, *looks: Look) -> list[str]:
    """Findings that the last of these looks counts for, each look after the ones before it."""
    measure, past = registry.find(Measure, name)(), {}
    found: list[Any] = []
    for look in looks:
        found = [sign.name for sign in measure.signs(measure.of(look), look, past) if sign.excess >= 1]
    return found


def test_a_bias_that_the_loss_does_not_care_for_is_no_cut() -> None:
    """The last bias of a Wasserstein critic: its gradient is 0, that of its layer's weight is not."""
    layer = [weight(gradient=ONES), weight(name="0.bias", value=ONES[0], gradient=0 * ONES[0])]
    cut = weight(name="1.weight", layer="1.linear", gradient=0 * ONES)
    assert signs("missing_gradient", Look(step=1, weights=layer)) == []
    assert signs("missing_gradient", Look(step=1, weights=[*layer, cut])) == ["zero_gradient"]


def test_a_group_whose_rate_is_nothing_beside_the_others_is_frozen() -> None:
    def look(rate: float) -> Look:
        weights = [weight(name=name, gradient=ONES, options={"lr": lr}) for name, lr in (("a", 0.1), ("b", rate))]
        return Look(step=1, weights=weights)

    assert signs("missing_gradient", look(1e-7)) == ["frozen"]
    assert signs("missing_gradient", look(1e-3)) == []


def test_few_units_that_are_silent_by_coin_flip_are_not_dead() -> None:
    def look(units: int, dead: int) -> Look:
        output = torch.ones(64, units)
        output[:, :dead] = 0
        return Look(step=1, layers=[heard("relu", output)], samples=64)

    assert signs("dead_units", look(16, 12)) == []
    assert signs("dead_units", look(16, 14)) == ["dead_units"]
    assert signs("dead_units", look(400, 250)) == ["dead_units"]
    assert signs("dead_units", look(1, 1)) == ["dead_units"]


def test_units_that_fall_silent_while_the_loss_halves_are_a_sparse_code() -> None:
    def look(step: int, share: float, now: float) -> Look:
        output = torch.ones(64, 100)
        output[:, : int(100 * share)] = 0
        return Look(step=step, layers=[heard("relu", output)], progress=Progress(first=2.0, now=now), samples=64)

    assert signs("dead_units", look(1, 0.0, 2.0), look(64, 0.9, 0.5)) == []
    assert signs("dead_units", look(1, 0.0, 2.0), look(64, 0.9, 2.0)) == ["rate_too_high"]
    assert signs("dead_units", look(1, 0.9, 2.0), look(64, 0.9, 0.5)) == ["dead_units"]


def test_what_networks_read_of_one_another_may_grow() -> None:
    def look(step: int, size: float) -> Look:
        return Look(step=step, layers=[heard("linear", ONES, input=size * ONES)])

    assert signs("input_scale", look(1, 1.0), look(500, 100.0)) == []
    assert signs("input_scale", look(1, 100.0), look(500, 100.0)) == ["unscaled_inputs"]


def test_scores_that_grow_by_learning_are_no_growing_activations() -> None:
    """A Wasserstein critic's scores are free to grow."""

    def look(step: int, times: float) -> Look:
        sizes = [times ** (i / 4) for i in range(5)]
        layers = [Heard(f"{i}.linear", "linear", nn.Identity(), ONES, size * ONES) for i, size in enumerate(sizes)]
        return Look(step=step, layers=layers)

    assert signs("activation_scale", look(1, 2.0), look(12, 1000.0)) == []
    assert signs("activation_scale", look(1, 1000.0), look(12, 1000.0)) == ["growing_activations"]
    assert signs("activation_scale", look(1, 1000.0), look(12, 2.0), look(16, 1000.0)) == []


@pytest.mark.parametrize(("first", "name"), [(1.0, []), (0.01, ["vanishing"])], ids=["as-adam", "as-sgd"])
def test_a_gradient_that_falls_is_told_where_the_first_layer_stands_still(first: float, name: list[str]) -> None:
    def look(step: int) -> Look:
        layers = [heard("linear", ONES, gradient=10.0 ** (i - 4) * ONES) for i in range(5)]
        layers = [dataclasses.replace(layer, name=f"{i}.linear") for i, layer in enumerate(layers)]
        moved = [
            weight(name=f"{i}.weight", before=ONES, value=(1 + u) * ONES) for i, u in ((0, 0.01 * first), (4, 0.01))
        ]
        return Look(step=step, layers=layers, weights=moved, progress=Progress(first=2.3, now=2.3))

    assert signs("gradient_flow", look(2)) == name
    assert signs("gradient_flow", look(64)) == ["vanishing"]


def test_a_rate_is_too_high_from_where_the_loss_grew_until_it_came_back() -> None:
    def look(step: int, ratio: float, now: float) -> Look:
        return Look(
            step=step,
            weights=[weight(before=ONES, value=(1 + ratio) * ONES)],
            progress=Progress(first=2.0, now=now),
            rate=0.1,
            peak=0.1,
        )

    assert signs("update_ratio", look(2, 0.2, 2.0)) == []
    assert signs("update_ratio", look(2, 0.2, 3.0)) == ["rate_too_high"]
    assert signs("update_ratio", look(2, 0.2, 3.0), look(3, 0.2, 2.1)) == ["rate_too_high"]
    assert signs("update_ratio", look(2, 0.2, 3.0), look(3, 0.2, 1.0), look(4, 0.2, 1.0)) == []
    assert signs("update_ratio", look(2, 0.6, 2.0)) == ["rate_too_high"]


def test_what_chance_makes_of_the_loss_does_not_hide_a_rate_too_low() -> None:
    def look(step: int, ratio: float, now: float) -> Look:
        one = weight(before=ONES, value=(1 + ratio) * ONES)
        return Look(step=step, weights=[one], progress=Progress(first=2.0, now=now), rate=0.1, peak=0.1)

    assert signs("update_ratio", look(1, 1e-5, 2.0), look(64, 1e-5, 1.5)) == ["rate_too_low"]
    assert signs("update_ratio", look(1, 1e-2, 2.0), look(64, 1e-5, 1.5)) == []


def test_elements_that_are_all_cut_are_a_gradient_always_clipped() -> None:
    def look(size: float) -> Look:
        return Look(step=1, weights=[weight(gradient=size * ONES)], clip_value=0.1)

    assert measured("clip_rate", look(0.1)) == {"": 1.0}
    assert signs("clip_rate", *[look(0.1)] * 9) == ["always_clipped"]
    assert signs("clip_rate", *[look(0.05)] * 9) == []


def test_a_first_loss_counts_where_it_is_not_unlearned_soon() -> None:
    def look(step: int, now: float) -> Look:
        return Look(step=step, progress=Progress(first=9.0, now=now, uniform=2.3))

    assert signs("first_loss", look(1, 9.0), look(64, 8.0)) == ["first_loss"]
    assert signs("first_loss", look(1, 9.0), look(2, 8.0)) == []
    assert signs("first_loss", look(1, 9.0), look(2, 3.0), look(64, 9.0)) == []
    assert signs("first_loss", look(64, 9.0)) == []


def test_a_network_of_vectors_has_a_rate_too() -> None:
    one = weight(name="0.weight", before=ONES[0], value=7 * ONES[0])
    assert signs("update_ratio", Look(step=2, weights=[one], progress=Progress(first=1.0, now=9.0))) == [
        "rate_too_high"
    ]


def test_a_loss_on_its_way_down_says_nothing_of_the_targets() -> None:
    def look(least: float, val: float) -> Look:
        return Look(step=300, progress=Progress(first=30.0, now=least, least=least, chance=12.0, least_val=val))

    assert signs("beyond_chance", look(20.0, 21.0)) == []
    assert signs("beyond_chance", look(12.1, 12.1)) == ["targets"]
    assert signs("beyond_chance", look(2.0, 12.1)) == ["targets"]
    assert signs("beyond_chance", look(2.0, 3.0)) == []
