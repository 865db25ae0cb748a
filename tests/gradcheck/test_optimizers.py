"""Planted wrong torch optimizers are caught and their mistake named; those that ship with torch are accepted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain import registry
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.optimizers.adamw import Adamw
from gradtrain.components.optimizers.nadam import Nadam
from gradtrain.gradcheck.optimizers import gradcheck_optimizer
from gradtrain.gradcheck.report import Report
from gradtrain.problems import Problem


class Own(torch.optim.Optimizer):
    """What people write themselves: one method a weight, the state in dictionaries."""

    options: dict[str, Any] = {}

    def __init__(self, params: Any, lr: float = 0.01, **options: Any) -> None:
        super().__init__(params, {"lr": lr, **self.options, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["t"] = state.get("t", 0) + self.counted
                    self.move(p, p.grad, state, group, state["t"])
        return loss

    counted = 1

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        raise NotImplementedError


def remembered(state: dict[str, Any], p: Tensor, *names: str) -> list[Tensor]:
    for name in names:
        if name not in state:
            state[name] = torch.zeros_like(p)
    return [state[name] for name in names]


class OwnAdamW(Own):
    options = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        lr, decay = self.rate(group), group["weight_decay"]
        b1, b2 = group["betas"]
        m, v = remembered(state, p, "m", "v")
        g = self.pulled(p, g, lr, decay)
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        p.sub_(lr * self.direction(m, v, 1 - b1**t, 1 - b2**t, group["eps"]))
        self.after(p, lr, decay)

    def rate(self, group: dict[str, Any]) -> float:
        return float(group["lr"])

    def pulled(self, p: Tensor, g: Tensor, lr: float, decay: float) -> Tensor:
        p.mul_(1 - lr * decay)
        return g

    def after(self, p: Tensor, lr: float, decay: float) -> None:
        pass

    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / first / ((v / second).sqrt() + eps)


class EpsInside(OwnAdamW):
    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / first / (v / second + eps).sqrt()


class EpsInsideSquared(OwnAdamW):
    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / first / (v / second + eps**2).sqrt()


class EpsUnscaled(OwnAdamW):
    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / first * math.sqrt(second) / (v.sqrt() + eps)


class EpsByHeart(OwnAdamW):
    """The number that it was written with, whatever the group says."""

    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return super().direction(m, v, first, second, 1e-8)


class EpsElsewhere(OwnAdamW):
    """No known mistake: eps is added to m's part of the quotient as well."""

    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / first / ((v / second).sqrt() + eps * (1 + m.abs() / (m.abs() + eps)))


class Uncorrected(OwnAdamW):
    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return m / (v.sqrt() + eps)


class Penalized(OwnAdamW):
    def pulled(self, p: Tensor, g: Tensor, lr: float, decay: float) -> Tensor:
        return g + decay * p


class DecayAfter(OwnAdamW):
    def pulled(self, p: Tensor, g: Tensor, lr: float, decay: float) -> Tensor:
        return g

    def after(self, p: Tensor, lr: float, decay: float) -> None:
        p.mul_(1 - lr * decay)


class CountsTwice(OwnAdamW):
    counted = 2


class Climbs(OwnAdamW):
    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return -super().direction(m, v, first, second, eps)


class FirstBetasForAll(OwnAdamW):
    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        super().move(p, g, state, {**group, "betas": self.param_groups[0]["betas"]}, t)


class FirstRateForAll(OwnAdamW):
    def rate(self, group: dict[str, Any]) -> float:
        return float(self.param_groups[0]["lr"])


class DefaultRateForAll(OwnAdamW):
    def rate(self, group: dict[str, Any]) -> float:
        return float(self.defaults["lr"])


class KeepsItsRate(OwnAdamW):
    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        self.rates = [group["lr"] for group in self.param_groups]

    def rate(self, group: dict[str, Any]) -> float:
        return float(self.rates[self.param_groups.index(group)])


class OneStateForAll(OwnAdamW):
    """The numbers of the second moment are kept by shape only: [1] numbers shared by all weights."""

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        first = self.param_groups[0]["params"][0]
        shared = self.state[first]
        scale = shared.setdefault("largest", torch.zeros((), dtype=p.dtype))
        torch.maximum(scale, g.abs().max(), out=scale)
        super().move(p, g / (1 + scale), state, group, t)


class StepOfTheGroup(OwnAdamW):
    """One counter for a group, moved on by every one of its weights."""

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        group["count"] = group.get("count", 0) + 1
        super().move(p, g, state, group, group["count"])


class SpoilsTheGradient(OwnAdamW):
    def pulled(self, p: Tensor, g: Tensor, lr: float, decay: float) -> Tensor:
        return (
            super().pulled(p, g, lr, decay).mul_(1.0).add_(0.0) if decay < 0 else g.mul_(2).div_(2).add_(p * 0 + 1e-3)
        )


class Forgets(OwnAdamW):
    """Its second moment is in an attribute that no state_dict knows."""

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        kept = self.__dict__.setdefault("kept", {})
        if p in kept:
            state["v"] = kept[p]
        super().move(p, g, state, group, t)
        kept[p] = state.pop("v")


class SingleInside(OwnAdamW):
    """The moments in float32."""

    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        return super().direction(m.float().double(), v.float().double(), first, second, eps)


class PullsTheIdle(OwnAdamW):
    """Shrinks weights that have no gradient."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        answer = super().step(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    p.data.mul_(1 - group["lr"] * group["weight_decay"])
        return answer


class NoClosure(OwnAdamW):
    def step(self) -> None:  # type: ignore[override]
        super().step()


class AsksTwice(OwnAdamW):
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is not None:
            with torch.enable_grad():
                closure()
        return super().step(closure)


class LosesTheLoss(OwnAdamW):
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        super().step(closure)


class NoGradientsInside(OwnAdamW):
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = closure() if closure else None
        super().step()
        return loss


class Noisy(OwnAdamW):
    calls = 0

    def direction(self, m: Tensor, v: Tensor, first: float, second: float, eps: float) -> Tensor:
        Noisy.calls += 1
        return super().direction(m, v, first, second, eps) * (1 + 1e-3 * math.sin(Noisy.calls))


class TwoPaths(torch.optim.AdamW):
    """The foreach path lacks what the single one does."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        for group in self.param_groups:
            if group["foreach"]:
                group["weight_decay"] = 0.0
        return super().step(closure)


class OwnSgd(Own):
    options = {"momentum": 0.9, "weight_decay": 0.1}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        g = g + group["weight_decay"] * p
        self.roll(p, g, state, group["lr"], group["momentum"])

    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        (b,) = remembered(state, p, "b")
        p.sub_(lr * b.mul_(mu).add_(g))


class Damped(OwnSgd):
    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        (b,) = remembered(state, p, "b")
        p.sub_(lr * b.mul_(mu).add_(g, alpha=1 - mu))


class DampedLater(OwnSgd):
    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        state["b"] = mu * state["b"] + (1 - mu) * g if "b" in state else g.clone()
        p.sub_(lr * state["b"])


class RateInside(OwnSgd):
    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        (b,) = remembered(state, p, "b")
        p.sub_(b.mul_(mu).add_(g, alpha=lr))


class LooksBack(OwnSgd):
    options = {**OwnSgd.options, "nesterov": True}

    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        (b,) = remembered(state, p, "b")
        p.sub_(lr * (g + mu * b))
        b.mul_(mu).add_(g)


class HoldsTheGradient(OwnSgd):
    """The buffer begins as the first gradient itself, which `zero_grad(set_to_none=False)` empties."""

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        state["b"] = state["b"] * group["momentum"] + g if t > 1 else g
        p.sub_(group["lr"] * state["b"])


class Leaky(OwnSgd):
    """No known mistake: the buffer loses a little more than momentum says."""

    def roll(self, p: Tensor, g: Tensor, state: dict[str, Any], lr: float, mu: float) -> None:
        super().roll(p, g, state, lr, mu * 0.99)


class OwnLion(Own):
    options = {"betas": (0.9, 0.99), "weight_decay": 0.1}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        (m,) = remembered(state, p, "m")
        lr, b2 = group["lr"], group["betas"][1]
        m.mul_(b2).add_(g, alpha=1 - b2)
        p.mul_(1 - lr * group["weight_decay"]).sub_(lr * m.sign())


class RAdamAtFour(OwnAdamW):
    """The paper's threshold, where PyTorch and the record have 5."""

    options = {**OwnAdamW.options, "weight_decay": 0.0}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        b1, b2 = group["betas"]
        m, v = remembered(state, p, "m", "v")
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        longest = 2 / (1 - b2) - 1
        length = longest - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if length > 4:
            trust = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            step = step * math.sqrt(trust) * math.sqrt(1 - b2**t) / (v.sqrt() + group["eps"])
        p.sub_(group["lr"] * step)


class AdagradInside(Own):
    options = {"eps": 1e-10}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        (a,) = remembered(state, p, "a")
        p.sub_(group["lr"] * g / (a.addcmul_(g, g) + group["eps"]).sqrt())


class RmspropInside(Own):
    options = {"eps": 1e-8, "alpha": 0.99}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        (v,) = remembered(state, p, "v")
        v.mul_(group["alpha"]).addcmul_(g, g, value=1 - group["alpha"])
        p.sub_(group["lr"] * g / (v + group["eps"]).sqrt())


class AdamaxOutside(Own):
    options = {"eps": 1e-8, "betas": (0.9, 0.999)}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        m, u = remembered(state, p, "m", "u")
        b1, b2 = group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        torch.maximum(u.mul_(b2), g.abs(), out=u)
        p.sub_(group["lr"] / (1 - b1**t) * m / (u + group["eps"]))


class AdadeltaOutside(Own):
    options = {"eps": 1e-6, "rho": 0.9}

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        v, u = remembered(state, p, "v", "u")
        rho, eps = group["rho"], group["eps"]
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        s = (u.sqrt() + eps) / (v.sqrt() + eps) * g
        u.mul_(rho).addcmul_(s, s, value=1 - rho)
        p.sub_(group["lr"] * s)


class OwnSam(Own):
    """Sharpness-aware, as it is often written: the gradient is there when `step` is called."""

    options = {"rho": 0.05, "momentum": 0.9}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        weights = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        here = [p.clone() for p in weights]
        length = torch.stack([p.grad.norm() for p in weights]).norm() + 1e-12
        for p in weights:
            p.add_(self.reach(p) * p.grad / length)
        with torch.enable_grad():
            loss = closure()
        self.back(weights, here)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                (b,) = remembered(self.state[p], p, "b")
                p.sub_(group["lr"] * b.mul_(group["momentum"]).add_(p.grad))
        return loss

    def reach(self, p: Tensor) -> float:
        return 0.05

    def back(self, weights: list[Tensor], here: list[Tensor]) -> None:
        for p, before in zip(weights, here, strict=True):
            p.copy_(before)


class StaysAway(OwnSam):
    def back(self, weights: list[Tensor], here: list[Tensor]) -> None:
        pass


class ReachesFurther(OwnSam):
    def reach(self, p: Tensor) -> float:
        return 0.05 * len(p)


class EachItsLength(OwnSam):
    def reach(self, p: Tensor) -> float:
        lengths = torch.stack([q.grad.norm() for group in self.param_groups for q in group["params"]])
        return 0.05 * float(lengths.norm() / p.grad.norm())


class OwnScheduleFree(Own):
    options = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "warmup_steps": 0}
    averaged = False

    def eval(self) -> None:
        if not self.averaged:
            self.turn(lambda p, z, beta: p.lerp_(z, 1 - 1 / beta))
        self.averaged = True

    def train(self) -> None:
        if self.averaged:
            self.turn(lambda p, z, beta: p.lerp_(z, 1 - beta))
        self.averaged = False

    @torch.no_grad()
    def turn(self, change: Callable[[Tensor, Tensor, float], Any]) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if "z" in self.state[p]:
                    change(p, self.state[p]["z"], group["betas"][0])

    def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
        (v,) = remembered(state, p, "v")
        z = state.setdefault("z", p.clone())
        b1, b2 = group["betas"]
        x = (p - (1 - b1) * z) / b1
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        rate = group["lr"] * math.sqrt(1 - b2**t)
        state["sum"] = state.get("sum", 0.0) + rate**2
        z.sub_(rate * g / (v.sqrt() + group["eps"]))
        if rate:
            x = x + rate**2 / state["sum"] * (z - x)
        p.copy_((1 - b1) * z + b1 * x)


class EvaluatedWhereTrained(OwnScheduleFree):
    def eval(self) -> None:
        pass

    def train(self) -> None:
        pass


class NeverComesBack(OwnScheduleFree):
    def train(self) -> None:
        self.averaged = False


def said(report: Report, check: str) -> str:
    return next(f.note for f in report.failures if f.check == check)


WRONG: list[tuple[type[torch.optim.Optimizer], str, str, str]] = [
    (EpsInside, "adamw", "update", "eps stands inside the root: "),
    (EpsInsideSquared, "adamw", "update", "eps stands inside the root, squared"),
    (EpsUnscaled, "adamw", "update", "eps is added before the bias correction"),
    (EpsByHeart, "adamw", "group eps", 'group["eps"] = 1e-06, set in the last group alone, is not read'),
    (EpsElsewhere, "adamw", "update", "differs where the gradient is near eps"),
    (Uncorrected, "adamw", "update", "the bias of the moments is not corrected"),
    (Penalized, "adamw", "update", "an L2 penalty"),
    (DecayAfter, "adamw", "update", "the weight decay is applied after the step"),
    (CountsTwice, "adamw", "update", "the step is counted twice"),
    (Climbs, "adamw", "update", "the sign of the gradient: it steps up, not down"),
    (FirstBetasForAll, "adamw", "group betas", "set in the last group alone, is not read"),
    (FirstRateForAll, "adamw", "update", "every group learns at the rate of the first one"),
    (FirstRateForAll, "adamw", "split", "split into other groups"),
    (DefaultRateForAll, "adamw", "update", "neither the rate of the group nor that of a schedule is used"),
    (KeepsItsRate, "adamw", "update", "the rate is kept as it was built"),
    (OneStateForAll, "adamw", "order", "in another order"),
    (OneStateForAll, "adamw", "update", ""),
    (StepOfTheGroup, "adamw", "update", ""),
    (StepOfTheGroup, "adamw", "split", "split into other groups"),
    (SpoilsTheGradient, "adamw", "gradient kept", "step 1 changed the gradient of the weight [3, 4] in place"),
    (Forgets, "adamw", "state round trip", "the state is not complete"),
    (PullsTheIdle, "adamw", "no gradient", "weights without a gradient are changed: [3, 4], [4, 2]"),
    (NoClosure, "adamw", "closure", "TypeError"),
    (AsksTwice, "adamw", "closure", "calls it 2 times"),
    (LosesTheLoss, "adamw", "closure", "`step(closure)` returns None"),
    (NoGradientsInside, "adamw", "closure", "runs without gradients"),
    (Noisy, "adamw", "same twice", "two fresh optimizers"),
    (TwoPaths, "adamw", "implementations", "the foreach path takes another way"),
    (Damped, "sgd", "update", "the buffer is an average that starts at 0"),
    (DampedLater, "sgd", "update", "damped by 1 - momentum"),
    (RateInside, "sgd", "update", "the rate stands inside the buffer"),
    (LooksBack, "sgd", "update", "looking ahead along the old buffer"),
    (HoldsTheGradient, "sgd", "gradients in place", "it holds the gradient itself, from step 2 on"),
    (Leaky, "sgd", "update", "first differs at step 2, the first one that meets what a step before it left"),
    (OwnLion, "lion", "update", "the step is taken along the updated average"),
    (RAdamAtFour, "radam", "update", "only step 5 differs"),
    (AdagradInside, "adagrad", "update", "eps stands inside the root: "),
    (RmspropInside, "rmsprop", "update", "eps stands inside the root: "),
    (AdamaxOutside, "adamax", "update", "differs where the gradient is near eps"),
    (AdadeltaOutside, "adadelta", "update", "eps stands outside both roots"),
    (StaysAway, "sam", "update", "the weights are not restored"),
    (ReachesFurther, "sam", "update", ""),
    (EachItsLength, "sam", "update", "taken tensor by tensor"),
    (EvaluatedWhereTrained, "schedule_free", "average", "eval() shows the weights that are trained, not the average"),
    (NeverComesBack, "schedule_free", "eval and train", "leave the weight"),
]
"""(wrong optimizer, published rule, a check that must fail, a part of its note)."""

RIGHT: list[tuple[type[torch.optim.Optimizer], str]] = [
    (OwnAdamW, "adamw"),
    (OwnSgd, "sgd"),
    (OwnSam, "sam"),
    (OwnScheduleFree, "schedule_free"),
]


@pytest.mark.parametrize(("cls", "rule", "check", "note"), WRONG, ids=[f"{r[0].__name__}-{r[2]}" for r in WRONG])
def test_a_planted_mistake_is_caught_and_named(cls, rule, check, note):
    report = gradcheck_optimizer(cls, rule)
    assert check in {f.check for f in report.failures}
    assert note in said(report, check)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("cls", "rule"), RIGHT, ids=[row[0].__name__ for row in RIGHT])
def test_a_right_optimizer_is_accepted_whatever_the_seed(cls, rule, seed):
    assert gradcheck_optimizer(cls, rule, seed).failures == []
    assert gradcheck_optimizer(cls, None, seed).failures == []


RULELESS = {
    OneStateForAll: "order", StepOfTheGroup: "split", SpoilsTheGradient: "gradient kept", Forgets: "state round trip",
    PullsTheIdle: "no gradient", NoClosure: "closure", Noisy: "same twice", TwoPaths: "implementations",
    DefaultRateForAll: "rate of a group", FirstRateForAll: "split", NeverComesBack: "eval and train",
}  # fmt: skip


@pytest.mark.parametrize(("cls", "check"), RULELESS.items(), ids=[cls.__name__ for cls in RULELESS])
def test_what_needs_no_rule_is_caught_without_one(cls, check):
    assert check in {f.check for f in gradcheck_optimizer(cls).failures}
    assert "update" not in {f.check for f in gradcheck_optimizer(cls).findings}


def test_a_rate_that_nobody_reads_shows_at_zero():
    assert "is not used" in said(gradcheck_optimizer(DefaultRateForAll), "zero rate")


def test_a_wrong_eps_is_seen_at_its_default_and_nothing_else_is_blamed():
    report = gradcheck_optimizer(EpsInsideSquared, "adamw")
    assert {f.check for f in report.failures} == {"update"}
    assert report.verdict == "fail"


def test_a_finding_names_step_group_and_weight_and_holds_the_numbers():
    found = next(f for f in gradcheck_optimizer(Leaky, "sgd").failures)
    assert (found.family, found.component) == ("optimizers", "Leaky")
    assert found.point == "gradients of 1e-4 … 1, step 2, group 0, weight [3, 4]"
    assert found.disagree > 0
    assert found.elements == 12
    assert found.got != found.expected


def test_moments_in_float32_are_a_loss_of_precision():
    report = gradcheck_optimizer(SingleInside, "adamw")
    assert report.verdict == "precision"
    assert "a part of it is float32" in said(report, "update")


def test_weights_in_float32_are_a_loss_of_precision():
    class Rounded(OwnAdamW):
        def after(self, p: Tensor, lr: float, decay: float) -> None:
            p.copy_(p.float())

    report = gradcheck_optimizer(Rounded, "adamw")
    assert "the weights are float32 numbers" in said(report, "update")
    assert next(f for f in report.failures if f.check == "update").verdict == "precision"


def test_an_average_of_the_weights_taken_before_the_step_is_caught():
    class Averaged:
        """Plain descent, measured at the moving average of the weights."""

        averages = True

        def init(self, p: Tensor) -> dict[str, Tensor]:
            return {"ema": p.clone()}

        def update(self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float) -> Any:
            weight = p - lr * g
            return weight, {"ema": 0.9 * state["ema"] + 0.1 * weight}

        def average(self, p: Tensor, state: dict[str, Tensor]) -> Tensor:
            return state["ema"]

    class After(Own):
        shown = False

        def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
            ema = state.setdefault("ema", p.clone())
            p.sub_(group["lr"] * g)
            ema.lerp_(p, 0.1)

        def eval(self) -> None:
            self.swap(True)

        def train(self) -> None:
            self.swap(False)

        def swap(self, shown: bool) -> None:
            if shown != self.shown:
                for state, p in [(self.state[p], p) for p in self.state]:
                    p.data, state["ema"] = state["ema"], p.data.clone()
            self.shown = shown

    class Before(After):
        def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
            state.setdefault("ema", p.clone()).lerp_(p, 0.1)
            p.sub_(group["lr"] * g)

    assert gradcheck_optimizer(After, Averaged()).failures == []
    assert "average" in {f.check for f in gradcheck_optimizer(Before, Averaged()).failures}


@pytest.mark.parametrize("name", registry.names(Optimizer))
def test_every_component_is_accepted_by_name_and_as_an_object(name):
    cls = registry.find(Optimizer, name)
    for case in cls.cases:
        rule = cls(**case)

        def factory(params: list[Any], rule: Optimizer = rule) -> torch.optim.Optimizer:
            return rule.build(params if isinstance(params[0], dict) else [{"params": params}])

        assert gradcheck_optimizer(factory, name).failures == []
        assert gradcheck_optimizer(factory, rule).failures == []


PUBLISHED = {
    "Adadelta": "adadelta", "Adafactor": "adafactor", "Adagrad": "adagrad", "Adam": "adam", "AdamW": "adamw",
    "Adamax": "adamax", "LBFGS": "lbfgs", "Muon": "muon", "NAdam": "nadam", "RAdam": "radam", "RMSprop": "rmsprop",
    "Rprop": "rprop", "SGD": "sgd",
}  # fmt: skip
"""torch's class → the rule's name; ASGD and SparseAdam have no record."""


def configurations() -> list[tuple[type[torch.optim.Optimizer], dict[str, Any]]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.testing._internal.common_optimizers import optim_db
    except ImportError:
        return []
    return [(i.optim_cls, dict(one.kwargs)) for i in optim_db for one in i.optim_inputs_func(device="cpu")]


FROM_TORCH = [(cls, kwargs) for cls, kwargs in configurations() if cls.__name__ != "SparseAdam"]


@pytest.mark.skipif(not FROM_TORCH, reason="torch's list of optimizers needs the package expecttest")
@pytest.mark.parametrize(("cls", "kwargs"), FROM_TORCH or [(torch.optim.SGD, {})], ids=[
    f"{cls.__name__}-{number}" for number, (cls, _) in enumerate(FROM_TORCH)] or ["none"])  # fmt: skip
def test_every_optimizer_of_torch_with_every_hyper_parameter_is_accepted(cls, kwargs):
    if "ns_coefficients" in kwargs:
        with pytest.raises(Problem, match="ns_coefficients") as refusal:
            gradcheck_optimizer(lambda params: cls(params, **kwargs), "muon")
        assert refusal.value.code == "rule-option"
        return
    name = cls.__name__
    report = gradcheck_optimizer(lambda params: cls(params, **kwargs), PUBLISHED.get(name))
    single = {"NAdam": {"update", "state round trip"}, "Muon": {"update"}, "ASGD": {"implementations"}}.get(name, set())
    assert {f.check for f in report.failures} == single
    assert report.verdict == ("precision" if single else "pass")


def test_the_differentiable_path_of_torch_is_led_as_well():
    report = gradcheck_optimizer(lambda params: torch.optim.SGD(params, momentum=0.9, differentiable=True), "sgd")
    assert report.failures == []


@pytest.mark.parametrize("cls", [torch.optim.Adam, torch.optim.AdamW])
def test_a_step_counted_in_a_float32_tensor_is_a_loss_of_precision(cls):
    report = gradcheck_optimizer(lambda params: cls(params, differentiable=True), cls.__name__.lower())
    failed = [finding for finding in report.failures if finding.check == "update"]
    assert {finding.verdict for finding in failed} == {"precision"}
    assert "the number of the step is a float32 tensor" in failed[0].note


def test_nadam_of_torch_against_its_own_component_differs_by_float32_only():
    report = gradcheck_optimizer(torch.optim.NAdam, Nadam())
    updates = [f for f in report.failures if f.check == "update"]
    assert {f.verdict for f in updates} == {"precision"}
    assert report.verdict == "precision"


def test_an_optimizer_that_contradicts_its_name_fails():
    report = gradcheck_optimizer(lambda params: torch.optim.AdamW(params, weight_decay=0.1), "adam")
    assert "shrinks the weights directly" in said(report, "update")
    report = gradcheck_optimizer(lambda params: torch.optim.Adam(params, weight_decay=0.1), "adamw")
    assert "an L2 penalty" in said(report, "update")
    assert gradcheck_optimizer(lambda params: torch.optim.Adam(params, amsgrad=True), "adam").ok


def test_groups_may_have_numbers_of_their_own():
    def split(params: list[Any]) -> torch.optim.Optimizer:
        flat = [p for item in params for p in (item["params"] if isinstance(item, dict) else [item])]
        rates = {id(p): item.get("lr", 0.01) for item in params if isinstance(item, dict) for p in item["params"]}
        groups = [
            {"params": [p], "weight_decay": 0.1 if p.ndim > 1 else 0.0, "lr": rates.get(id(p), 0.01)} for p in flat
        ]
        return torch.optim.AdamW(groups)

    assert gradcheck_optimizer(split, "adamw").failures == []


def test_an_optimizer_built_for_a_warm_up_from_0_is_proven_at_another_rate():
    assert gradcheck_optimizer(lambda params: torch.optim.AdamW(params, lr=0.0), "adamw").failures == []
    report = gradcheck_optimizer(lambda params: EpsUnscaled(params, lr=0.0), "adamw")
    assert "eps is added before the bias correction" in said(report, "update")


def test_a_factory_without_groups_is_proven_with_one():
    def flat(params: list[Any]) -> torch.optim.Optimizer:
        return torch.optim.Adam([p for p in params if p.requires_grad])

    report = gradcheck_optimizer(flat, "adam")
    assert report.ok
    assert "two parameter groups are refused" in next(f.note for f in report.findings if f.check == "groups")


class Poison(OwnAdamW):
    def after(self, p: Tensor, lr: float, decay: float) -> None:
        p.mul_(math.nan)


class Shortens(OwnAdamW):
    def after(self, p: Tensor, lr: float, decay: float) -> None:
        p.data = p.data[:1]


class Narrows(OwnAdamW):
    def after(self, p: Tensor, lr: float, decay: float) -> None:
        p.data = p.data.float()


class Crashes(OwnAdamW):
    def after(self, p: Tensor, lr: float, decay: float) -> None:
        raise ZeroDivisionError("no step today")


class NeverLoads(OwnAdamW):
    def load_state_dict(self, state_dict: Any) -> None:
        raise KeyError("moments")


class DropsState(OwnAdamW):
    def state_dict(self) -> Any:
        return {**super().state_dict(), "state": {}}


def raises(params: list[Any]) -> Any:
    raise ValueError("not today")


def elsewhere(params: list[Any]) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(3, requires_grad=True)])


ODD: list[tuple[Any, str, str, str]] = [
    (raises, "build", "fail", "the factory raises ValueError: not today"),
    (lambda params: None, "build", "fail", "returns NoneType"),
    (elsewhere, "build", "fail", "does not hold the parameters that it was given"),
    (Poison, "finite", "nonfinite", "step 1 makes nan in the weight [3, 4] from finite gradients"),
    (Shortens, "shape", "fail", "shape [3, 4] into [1, 4]"),
    (Narrows, "dtype", "fail", "torch.float32"),
    (Crashes, "step", "fail", "`step` raises ZeroDivisionError: no step today"),
    (NeverLoads, "state round trip", "fail", "KeyError"),
    (DropsState, "state round trip", "fail", "the state is not complete"),
]


@pytest.mark.parametrize("textbook", ["adamw", None])
@pytest.mark.parametrize(("factory", "check", "verdict", "note"), ODD, ids=[row[2] + row[3][:12] for row in ODD])
def test_what_an_optimizer_does_wrong_is_a_finding_never_a_traceback(factory, check, verdict, note, textbook):
    report = gradcheck_optimizer(factory, textbook)
    found = next(f for f in report.failures if f.check == check)
    assert found.verdict == verdict
    assert note in found.note


def test_what_a_textbook_does_wrong_is_a_finding():
    class Rule:
        def init(self, p: Tensor) -> dict[str, Tensor]:
            return {}

        def update(self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float) -> Any:
            return self.told(p, t)

        def told(self, p: Tensor, t: int) -> Any:
            raise KeyError("b")

    class Infinite(Rule):
        def told(self, p: Tensor, t: int) -> Any:
            return p / 0, {}

    class Flat(Rule):
        def told(self, p: Tensor, t: int) -> Any:
            return p.flatten()[:1], {}

    assert "the textbook raises KeyError" in said(gradcheck_optimizer(torch.optim.SGD, Rule()), "update")
    assert "no finite numbers" in said(gradcheck_optimizer(torch.optim.SGD, Infinite()), "update")
    assert "no weights of their own shape" in said(gradcheck_optimizer(torch.optim.SGD, Flat()), "update")


def missing(params: list[Any], rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=rate)


class Unnamed(Own):
    """Calls its betas otherwise than the rule."""

    options = {"eps": 1e-8, "weight_decay": 0.01}

    def __init__(self, params: Any, beta1: float = 0.9, beta2: float = 0.999) -> None:
        super().__init__(params, beta1=beta1, beta2=beta2)


REFUSED: list[tuple[Any, Any, str, str]] = [
    (missing, None, "not-a-factory", "rate"),
    (torch.optim.SGD([torch.zeros(1)]), None, "not-a-factory", "SGD"),
    ("adam", None, "not-a-factory", "str"),
    (torch.optim.SGD, "sdg", "unknown-component", "sdg"),
    (torch.optim.SGD, Adamw, "not-a-rule", "Adamw"),
    (torch.optim.SGD, object(), "not-a-rule", "object"),
    (torch.optim.Adam, "rmsprop", "rule-option", "alpha"),
    (torch.optim.SGD, "adamw", "rule-option", "`betas`, `eps`"),
    (lambda params: torch.optim.Adam(params, eps=0), "adam", "rule-option", "eps"),
]


@pytest.mark.parametrize(("factory", "textbook", "code", "named"), REFUSED, ids=[f"{r[2]}-{r[3]}" for r in REFUSED])
def test_what_cannot_be_compared_is_refused_with_the_reason(factory, textbook, code, named):
    with pytest.raises(Problem) as refusal:
        gradcheck_optimizer(factory, textbook)
    assert refusal.value.code == code
    assert named in refusal.value.what
    assert refusal.value.help
    assert refusal.value.exit_code == 2


def test_the_rule_itself_can_be_given_where_names_do_not_match():
    with pytest.raises(Problem, match="`betas`"):
        gradcheck_optimizer(Unnamed, "adamw")
    rule = Adamw(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)

    class Otherwise(OwnAdamW):
        options: dict[str, Any] = {}

        def move(self, p: Tensor, g: Tensor, state: dict[str, Any], group: dict[str, Any], t: int) -> None:
            super().move(p, g, state, {**OwnAdamW.options, **group}, t)

    assert gradcheck_optimizer(Otherwise, rule).failures == []


def test_an_optimizer_that_asks_for_the_loss_is_proven_without_a_rule_too():
    assert gradcheck_optimizer(torch.optim.LBFGS).failures == []
    assert {f.point for f in gradcheck_optimizer(torch.optim.LBFGS).findings if f.point} == {"a convex function"}


def test_the_callers_random_numbers_and_gradient_mode_are_left_alone(seeded):
    expected = torch.Generator().manual_seed(0)
    with torch.no_grad():
        assert gradcheck_optimizer(torch.optim.Adam, "adam").ok
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), torch.rand(3, generator=expected))


def test_the_same_seed_finds_the_same():
    one, other = (gradcheck_optimizer(torch.optim.Adam, "adam", seed=3) for _ in range(2))
    assert one.findings == other.findings
    assert one.findings != gradcheck_optimizer(torch.optim.Adam, "adam", seed=4).findings
