"""Every schedule against torch.optim.lr_scheduler over whole runs, and where torch's own would fail."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradtrain import registry
from gradtrain.components.schedules import Schedule
from gradtrain.components.schedules.constant import Constant
from gradtrain.components.schedules.cosine import Cosine
from gradtrain.components.schedules.exponential import Exponential
from gradtrain.components.schedules.linear import Linear
from gradtrain.components.schedules.one_cycle import OneCycle
from gradtrain.components.schedules.plateau import Plateau
from gradtrain.components.schedules.step import Step

LR = 0.1
torchs = torch.optim.lr_scheduler


def optimizer(lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def theirs(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    """The learning rates of the updates 0 … steps - 1 under torch's scheduler."""
    of = optimizer()
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no gradient is ever computed here, and SequentialLR calls a deprecated form
        scheduler = make(of)
        for _ in range(steps):
            rates.append(of.param_groups[0]["lr"])
            of.step()
            scheduler.step()
    return rates


def ours(schedule: Schedule, steps: int, total: int) -> list[float]:
    return [schedule.at(t, total, LR, schedule.start()) for t in range(steps)]


def warm_cosine(of: torch.optim.Optimizer, warmup: int, over: int, low: float) -> Any:
    rise = torchs.LinearLR(of, start_factor=1 / (warmup + 1), total_iters=warmup)
    fall = torchs.CosineAnnealingLR(of, T_max=over - warmup, eta_min=low)
    return torchs.SequentialLR(of, [rise, fall], milestones=[warmup])


TWINS: list[tuple[Schedule, Callable[[torch.optim.Optimizer], Any], int]] = [
    (Constant(), lambda o: torchs.ConstantLR(o, factor=1.0), 50),
    (Step(every=7, gamma=0.3), lambda o: torchs.StepLR(o, 7, 0.3), 100),
    (Step(every=1, gamma=0.7), lambda o: torchs.StepLR(o, 1, 0.7), 20),
    (Step(every=30), lambda o: torchs.StepLR(o, 30), 100),
    (Exponential(gamma=0.97), lambda o: torchs.ExponentialLR(o, 0.97), 200),
    (Linear(), lambda o: torchs.LinearLR(o, 1.0, 0.0, total_iters=60), 60),
    (Linear(end=0.1, over=25), lambda o: torchs.LinearLR(o, 1.0, 0.1, total_iters=25), 60),
    (Cosine(), lambda o: torchs.CosineAnnealingLR(o, 80), 80),
    (Cosine(min_lr=0.01), lambda o: torchs.CosineAnnealingLR(o, 80, eta_min=0.01), 80),
    (Cosine(min_lr=0.01, warmup=9), lambda o: warm_cosine(o, 9, 80, 0.01), 80),
    (Cosine(warmup=5, over=60), lambda o: warm_cosine(o, 5, 60, 0.0), 60),
]


@pytest.mark.parametrize(
    ("schedule", "make", "total"), TWINS, ids=lambda x: x.name() if isinstance(x, Schedule) else ""
)
def test_a_whole_run_is_torchs(schedule: Schedule, make: Callable[[torch.optim.Optimizer], Any], total: int) -> None:
    assert ours(schedule, total, total) == pytest.approx(theirs(make, total), rel=1e-12, abs=1e-12 * LR)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 10, 97, 100])
@pytest.mark.parametrize("settings", OneCycle.cases)
def test_one_cycle_is_torchs_at_any_length(settings: dict[str, Any], total: int) -> None:
    schedule = OneCycle(**settings)

    def make(of: torch.optim.Optimizer) -> Any:
        return torchs.OneCycleLR(
            of, schedule.max_lr, total_steps=total, pct_start=schedule.warmup, div_factor=schedule.start_div,
            final_div_factor=schedule.end_div, cycle_momentum=False,
        )  # fmt: skip

    if schedule.warmup * total == 1:  # torch divides by zero here: the peak is the first step
        assert schedule.at(0, total, LR, {}) == schedule.max_lr
        return
    assert ours(schedule, total, total) == pytest.approx(theirs(make, total), rel=1e-12, abs=0)


def test_one_cycle_peaks_at_max_lr_and_ends_at_its_last_rate_for_good() -> None:
    schedule = OneCycle(max_lr=0.5, warmup=0.25, start_div=10.0, end_div=100.0)
    rates = ours(schedule, 150, 100)
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == rates[24] == pytest.approx(0.5)
    assert rates[99:] == pytest.approx([0.0005] * 51)


def test_the_published_warm_up_never_starts_at_zero() -> None:
    rates = ours(Cosine(warmup=4, min_lr=0.01), 12, 10)
    assert rates[:5] == pytest.approx([LR * k / 5 for k in (1, 2, 3, 4, 5)])
    assert rates[10:] == [0.01, 0.01]


@pytest.mark.parametrize(("warmup", "over"), [(10, 10), (15, 10), (3, 1)])
def test_a_warm_up_as_long_as_the_fall_divides_by_nothing(warmup: int, over: int) -> None:
    rates = ours(Cosine(warmup=warmup, over=over, min_lr=0.01), 40, 10)
    assert rates[:warmup] == pytest.approx([LR * (t + 1) / (warmup + 1) for t in range(warmup)])
    assert rates[-1] == 0.01
    assert max(rates) <= LR


@pytest.mark.parametrize(("schedule", "last"), [(Linear(end=0.2), 0.02), (Cosine(min_lr=0.03), 0.03)])
def test_after_its_end_a_schedule_stays_there(schedule: Schedule, last: float) -> None:
    assert [schedule.at(t, 5, LR, {}) for t in (5, 6, 500)] == pytest.approx([last] * 3)


TRACES = {
    "falls, then stalls": [
        1.0,
        0.8,
        0.7,
        0.69999,
        0.71,
        0.7,
        0.7,
        0.7,
        0.7,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
        0.6,
    ],
    "rises": [0.1 * k for k in range(1, 20)],
    "flat": [1.0] * 30,
    "noise": [abs(math.sin(37.0 * k)) + 0.1 for k in range(60)],
    "not a number at times": [1.0, math.nan, 0.5, math.nan, math.nan, math.nan, 0.4, math.inf, 0.39999, 0.3],
    "not a number at first": [math.nan, math.nan, 1.0, 0.9, 0.9, 0.9, 0.9, 0.8],
}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"factor": 0.5, "patience": 0},
        {"factor": 0.5, "patience": 2, "min_lr": 0.02},
        {"factor": 0.3, "patience": 1, "threshold": 0.1},
        {"patience": 0, "min_lr": 0.5},
    ],
)
def test_plateau_is_torchs_over_a_trace(settings: dict[str, Any], mode: Any, trace: list[float]) -> None:
    if mode == "max" and any(map(math.isinf, trace)):
        trace = [0.2 if math.isinf(value) else value for value in trace]  # a best value that JSON cannot keep
    schedule, of = Plateau(mode=mode, **settings), optimizer()
    keywords = {"factor": 0.1, "patience": 10, "threshold": 1e-4, "min_lr": 0.0} | settings
    twin = torchs.ReduceLROnPlateau(of, mode=mode, eps=0.0, **keywords)
    memory = schedule.start()
    for t, value in enumerate(trace):
        assert schedule.at(t, len(trace), LR, memory) == pytest.approx(of.param_groups[0]["lr"], rel=1e-12)
        twin.step(value)
        memory = json.loads(json.dumps(schedule.observe(value, memory), allow_nan=False))
    assert schedule.at(len(trace), len(trace), LR, memory) == pytest.approx(of.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize(("mode", "better"), [("min", -1.5), ("max", -0.5)])
def test_plateau_below_zero_tells_standing_still_from_improving(mode: Any, better: float) -> None:
    schedule = Plateau(factor=0.5, patience=1, mode=mode)
    memory = schedule.start()
    for value in (-1.0, -1.0, -1.0):
        memory = schedule.observe(value, memory)
    assert schedule.at(3, 10, LR, memory) == LR / 2
    memory = schedule.observe(-1.0, memory)
    memory = schedule.observe(better, memory)
    memory = schedule.observe(better, memory)
    assert schedule.at(6, 10, LR, memory) == LR / 2


def test_observe_leaves_the_memory_that_it_was_given() -> None:
    schedule = Plateau(patience=0)
    memory = schedule.start()
    for value in (1.0, 1.0, 0.5):
        kept = dict(memory)
        after = schedule.observe(value, memory)
        assert memory == kept
        memory = after


def every_case() -> list[Any]:
    return [
        pytest.param(cls(**case), id=f"{name}-{number}")
        for name in registry.names(Schedule)
        for cls in [registry.find(Schedule, name)]
        for number, case in enumerate(cls.cases)
    ]


@pytest.mark.parametrize("schedule", every_case())
@given(
    t=st.integers(0, 10**7),
    total=st.integers(1, 10**7),
    lr=st.floats(1e-12, 1e3),
    seen=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20),
)
def test_the_rate_is_finite_and_never_negative(
    schedule: Schedule, t: int, total: int, lr: float, seen: list[float]
) -> None:
    memory = schedule.start()
    for value in seen:
        memory = schedule.observe(value, memory)
    rate = schedule.at(t, total, lr, memory)
    assert isinstance(rate, float)
    assert math.isfinite(rate)
    assert rate >= 0


@pytest.mark.parametrize("schedule", every_case())
def test_only_a_schedule_that_watches_remembers(schedule: Schedule) -> None:
    memories = list(
        itertools.accumulate([1.0, 1.0, 2.0], lambda m, v: schedule.observe(v, m), initial=schedule.start())
    )
    assert (len({json.dumps(memory) for memory in memories}) > 1) == schedule.watches
