"""What trains against what was published: every optimizer, case and implementation, step by step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from gradtrain import registry
from gradtrain.components.optimizers import Optimizer, fastest
from gradtrain.components.optimizers.adagrad import Adagrad
from gradtrain.components.optimizers.momentum import Momentum
from gradtrain.components.optimizers.rmsprop import Rmsprop
from gradtrain.components.optimizers.sgd import Sgd

STEPS, RESTING, STILL = 8, 6, 3
"""Steps in all; the one at which a weight has no gradient; the one at which every gradient is 0."""

SHAPES = [[(5, 4), (4,)], [(3, 2)]]
"""Two parameter groups."""


def cases() -> list[Any]:
    """Every optimizer's own cases, each as it is and made hard: a large eps, and weight decay."""
    found = []
    for name in registry.names(Optimizer):
        cls = registry.find(Optimizer, name)
        if cls.closure:
            continue  # tests/training/test_update.py
        hard = {"eps": 0.1, "weight_decay": 0.2}
        hard = {key: value for key, value in hard.items() if key in cls.model_fields}
        for number, case in enumerate(cls.cases):
            for label, settings in (("", case), ("-hard", case | hard)):
                found.append(pytest.param(cls(**settings), id=f"{name}-{number}{label}"))
    return found


def implementations() -> list[Any]:
    return [
        pytest.param(*case.values, implementation, id=f"{case.id}-{implementation}")
        for case in cases()
        for implementation in case.values[0].implementations
    ]


def weights(dtype: torch.dtype, seed: int = 0) -> list[list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(s, generator=generator, dtype=dtype).requires_grad_() for s in g] for g in SHAPES]


def gradient(shape: tuple[int, ...], generator: torch.Generator, t: int) -> torch.Tensor:
    g = torch.randn(shape, generator=generator, dtype=torch.float64)
    g[torch.rand(shape, generator=generator) < 0.3] = 0.0
    return g * 0 if t == STILL else g


class Run:
    """An optimizer at work beside its published rule."""

    def __init__(self, rule: Optimizer, implementation: str | None, dtype: torch.dtype = torch.float64) -> None:
        self.rule, self.weights = rule, weights(dtype)
        self.rates = [rule.lr, rule.lr / 3]
        self.groups: list[dict[str, Any]] = [
            {"params": group, "lr": rate} for group, rate in zip(self.weights, self.rates, strict=True)
        ]
        self.rules = [rule, rule]
        if "weight_decay" in type(rule).model_fields:
            self.groups[1]["weight_decay"] = 0.05
            self.rules[1] = rule.model_copy(update={"weight_decay": 0.05})
        self.built = rule.build(self.groups, implementation)
        self.expected = [[w.detach().double() for w in group] for group in self.weights]
        self.memory = [[rule.init(w) for w in group] for group in self.expected]
        self.times = [[0 for _ in group] for group in self.weights]
        self.generator = torch.Generator().manual_seed(1)

    def step(self, t: int) -> None:
        if t == 5:  # as a schedule does it
            self.rates = [rate / 2 for rate in self.rates]
            for group, rate in zip(self.built.param_groups, self.rates, strict=True):
                group["lr"] = rate
        for i, group in enumerate(self.weights):
            for j, weight in enumerate(group):
                g = gradient(tuple(weight.shape), self.generator, t)
                if t == RESTING and (i, j) == (0, 1):
                    weight.grad = None
                    continue
                weight.grad = g.to(weight.dtype)
                self.times[i][j] += 1
                self.expected[i][j], self.memory[i][j] = self.rules[i].update(
                    g.to(weight.dtype).double(), self.expected[i][j], self.memory[i][j], self.times[i][j],
                    self.rates[i],
                )  # fmt: skip
        self.built.step()


@pytest.mark.parametrize(("rule", "implementation"), implementations())
def test_every_implementation_is_the_published_rule(rule: Optimizer, implementation: str) -> None:
    run = Run(rule, implementation)
    start = [w.detach().clone() for group in run.weights for w in group]
    for t in range(1, STEPS + 1):
        run.step(t)
        torch.testing.assert_close(run.weights, run.expected, rtol=1e-12, atol=1e-14)
    assert all((a != b).any() for a, b in zip(start, (w for g in run.weights for w in g), strict=True))


@pytest.mark.parametrize("rule", [case for case in cases() if getattr(case.values[0], "eps", 1.0) > 1e-3])
def test_the_default_in_float32_follows_the_rule_in_float64(rule: Optimizer) -> None:
    """With a large eps, lest a rounding error be divided by its own size."""
    run = Run(rule, None, torch.float32)
    for t in range(1, STEPS + 1):
        run.step(t)
    torch.testing.assert_close([[w.double() for w in g] for g in run.weights], run.expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("rule", "implementation"), implementations())
def test_a_saved_state_goes_on_bit_for_bit(rule: Optimizer, implementation: str) -> None:
    run = Run(rule, implementation)
    for t in range(1, 5):
        run.step(t)
    fresh = [[w.detach().clone().requires_grad_() for w in group] for group in run.weights]
    twin = rule.build([{"params": group} for group in fresh], implementation)
    twin.load_state_dict(copy.deepcopy(run.built.state_dict()))
    for t in range(5, STEPS + 1):
        run.step(t)
        for theirs, ours in zip(run.built.param_groups, twin.param_groups, strict=True):
            ours["lr"] = theirs["lr"]
            for p, q in zip(theirs["params"], ours["params"], strict=True):
                q.grad = None if p.grad is None else p.grad.clone()
        twin.step()
        pairs = zip((w for g in run.weights for w in g), (w for g in fresh for w in g), strict=True)
        assert all(torch.equal(p, q) for p, q in pairs)
    for mine, other in zip(run.built.state.values(), twin.state.values(), strict=True):
        assert mine.keys() == other.keys()
        assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(other[key])) for key in mine)


@pytest.mark.parametrize("rule", cases())
def test_update_changes_none_of_its_arguments(rule: Optimizer) -> None:
    generator = torch.Generator().manual_seed(2)
    p = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    memory = rule.init(p)
    for t in range(1, 4):
        g = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        kept = copy.deepcopy((g, p, memory))
        new, new_memory = rule.update(g, p, memory, t, rule.lr)
        assert torch.equal(g, kept[0])
        assert torch.equal(p, kept[1])
        assert all(torch.equal(memory[name], kept[2][name]) for name in memory)
        p, memory = new, new_memory


@pytest.mark.parametrize("rule", cases())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_fused_kernel_is_taken_where_there_is_one(rule: Optimizer, dtype: torch.dtype) -> None:
    group = rule.build([{"params": [w for g in weights(dtype) for w in g]}]).param_groups[0]
    assert bool(group.get("fused")) == ("fused" in rule.implementations)


def test_no_fused_kernel_is_asked_of_parameters_that_it_refuses() -> None:
    complex_weight = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    assert fastest(Adagrad(), None, [{"params": [complex_weight]}]) == {"foreach": True}
    mixed = [torch.zeros(2, requires_grad=True), complex_weight]
    assert fastest(Adagrad(), None, [{"params": mixed}]) == {"foreach": True}
    assert fastest(Adagrad(), "single", [{"params": mixed}]) == {"foreach": False}
    assert fastest(Rmsprop(), None, [{"params": mixed[:1]}]) == {"foreach": True}


@pytest.mark.parametrize("implementation", Momentum.implementations)
@pytest.mark.parametrize(("beta", "decay"), [(0.9, 0.0), (0.5, 0.1)])
def test_momentum_is_pytorchs_at_a_smaller_rate(implementation: str, beta: float, decay: float) -> None:
    """An average is (1 - beta) times the discounted sum: torch's SGD walks the same path at lr (1 - beta)."""
    ours, theirs = weights(torch.float64), weights(torch.float64)
    averaging = Momentum(lr=0.3, beta=beta, weight_decay=decay).build([{"params": g} for g in ours], implementation)
    summing = torch.optim.SGD([{"params": g} for g in theirs], lr=0.3 * (1 - beta), momentum=beta, weight_decay=decay)
    generator = torch.Generator().manual_seed(3)
    for t in range(1, STEPS + 1):
        for a, b in zip((w for g in ours for w in g), (w for g in theirs for w in g), strict=True):
            a.grad = gradient(tuple(a.shape), generator, t)
            b.grad = a.grad.clone()
        averaging.step()
        summing.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_a_rule_evaluates_the_closure_that_it_is_given() -> None:
    weight = torch.ones(3, requires_grad=True)
    optimizer = Momentum(lr=0.5, beta=0.0).build([{"params": [weight]}])

    def closure() -> float:
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 3.0
    torch.testing.assert_close(weight.detach(), torch.zeros(3))


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValidationError, match="`nesterov` needs `momentum` above 0"):
        Sgd(lr=0.1, nesterov=True)


@pytest.mark.parametrize("name", registry.names(Optimizer))
def test_the_learning_rate_is_the_main_parameter_and_positive(name: str) -> None:
    cls = registry.find(Optimizer, name)
    assert cls.main_parameter() == "lr"
    for wrong in (0.0, -0.1, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            cls(lr=wrong)
