"""The published rule that an optimizer is compared with: by name, its numbers read from the optimizer; or an object."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import torch
from pydantic import ValidationError
from torch import Tensor

from gradtrain import registry
from gradtrain.components.optimizers import Optimizer, State
from gradtrain.gradcheck.course import Course, Trail
from gradtrain.problems import Problem, did_you_mean, quote

SPELLED: Mapping[str, Mapping[str, str]] = {
    "lbfgs": {"history": "history_size", "line_search": "line_search_fn"},
    "momentum": {"beta": "momentum"},
    "muon": {"iterations": "ns_steps"},
    "rprop": {"factors": "etas", "steps": "step_sizes"},
    "schedule_free": {"warmup": "warmup_steps"},
    "yogi": {"start": "initial_accumulator"},
    "adafactor": {"clip": "d", "decay": "beta2_decay", "eps1": "eps", "eps2": "eps"},
}
"""Rule → field → the option that PyTorch, or the rule's authors, call otherwise."""

MATRICES_ONLY: Mapping[str, tuple[str, ...]] = {"muon": ("vectors", "betas", "eps")}
"""Rule → fields that say how vectors learn, which the authors' own optimizer refuses."""

FIXED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "muon": {"ns_coefficients": ((3.4445, -4.7750, 2.0315),), "adjust_lr_fn": (None, "original")},
}
"""Rule → option → the values that the rule is published with; it has no field for others."""

DECOUPLES = ("nadam", "radam")
"""Rules of which PyTorch offers the form that shrinks the weights directly: `decoupled_weight_decay`."""

COARSE = ("muon",)
"""Rules that their authors compute in bfloat16."""

Update: TypeAlias = Callable[["Published", Tensor, Tensor, State, int, float], tuple[Tensor, State]]


@dataclass(frozen=True)
class Published:
    """A rule as the optimizer is meant to follow it for one weight."""

    rule: Any
    """A component of the optimizers' family, or an object with `init` and `update`."""
    ascends: bool = False
    """PyTorch's `maximize`: the gradient enters with a minus."""
    decoupled: float = 0.0
    """Share lr λ of the weight that is taken away before the step."""
    fills: Mapping[str, float] | None = None
    """What parts of the memory start at instead."""
    damped: float = 0.0
    """PyTorch's `dampening`: the share of a gradient that never enters the buffer, the first one excepted."""

    def init(self, p: Tensor) -> State:
        state = dict(self.rule.init(p))
        return state | {name: torch.full_like(state[name], value) for name, value in (self.fills or {}).items()}

    def update(self, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
        if self.ascends:
            g = -g
        if self.decoupled:
            p = (1 - lr * self.decoupled) * p
        if self.damped and t > 1:
            return self._dampened(g, p, state, lr)
        return cast("tuple[Tensor, State]", self.rule.update(g, p, state, t, lr))

    def _dampened(self, g: Tensor, p: Tensor, state: State, lr: float) -> tuple[Tensor, State]:
        b = self.rule.momentum * state["b"] + (1 - self.damped) * (g + self.rule.weight_decay * p)
        return p - lr * b, {"b": b}

    def varied(self, **fields: Any) -> Published:
        """With other hyper-parameters; where the rule is no record, as it is."""
        return replace(self, rule=self.rule.model_copy(update=fields)) if self.has(*fields) else self

    def has(self, *fields: str) -> bool:
        return isinstance(self.rule, Optimizer) and all(name in type(self.rule).model_fields for name in fields)


def others(rule: Published, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Other numbers for the options of a group that the rule has too, one after another."""
    for name in ("betas", "eps", "momentum", "weight_decay"):
        value = options.get(name)
        if not value or not rule.has(name) or value != getattr(rule.rule, name):
            continue
        if isinstance(value, float):
            yield name, 100 * value if name == "eps" else 0.9 * value
        elif isinstance(value, tuple) and all(isinstance(each, float) for each in value):
            yield name, tuple(0.9 * each for each in value)


def known(textbook: Any) -> type[Optimizer] | None:
    """The component that a name means, None for an object. Raises `Problem` for what is neither."""
    if isinstance(textbook, str):
        try:
            return registry.find(Optimizer, textbook)
        except KeyError:
            raise Problem(
                "unknown-component", f"no optimizer is named {quote(textbook)}",
                help=did_you_mean(textbook, registry.names(Optimizer), "`gradtrain list optimizers` shows them all"),
            ) from None  # fmt: skip
    wants = ("init", "descend") if getattr(textbook, "closure", False) else ("init", "update")
    lacks = [name for name in wants if not callable(getattr(textbook, name, None))]
    if isinstance(textbook, type) or lacks:
        what = "the class " + textbook.__name__ if isinstance(textbook, type) else f"a {type(textbook).__name__}"
        raise Problem(
            "not-a-rule", f"the textbook of gradcheck_optimizer is {what}",
            why="it follows a rule step by step: init(p) gives the memory, update(g, p, state, t, lr) the new weight",
            help="build it first" if isinstance(textbook, type) and not lacks
            else f'give it {" and ".join(f"`{name}`" for name in lacks)}, or name a published rule: textbook="adamw"',
        )  # fmt: skip
    return None


def published(textbook: Any, optimizer: Any, group: Mapping[str, Any]) -> Published:
    """The rule with the numbers of an optimizer's group. Raises `Problem` where a number has no name."""
    cls = known(textbook)
    if cls is None:
        return Published(textbook)
    name = str(textbook)
    options = _options(optimizer, group)
    for option, values in FIXED.get(name, {}).items():
        if option in options and options[option] not in values:
            raise Problem(
                "rule-option", f"the optimizer has {quote(option)} = {options[option]!r}, and the rule {quote(name)} "
                f"has no such number: it is published with {values[0]!r}",
                help="give a rule of your own: an object with init(p) and update(g, p, state, t, lr)",
            )  # fmt: skip
    numbers = _numbers(cls, name, options)
    decoupled = 0.0
    if name in DECOUPLES and options.get("decoupled_weight_decay"):
        decoupled, numbers["weight_decay"] = float(numbers["weight_decay"]), 0.0
    try:
        rule = cls(**numbers)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Problem(
            "rule-option", f"the optimizer's numbers are none that the rule {quote(name)} takes: {said}",
            help="give a rule of your own: an object with init(p) and update(g, p, state, t, lr)",
        ) from error  # fmt: skip
    start = float(options.get("initial_accumulator_value") or 0.0)
    fills = {"a": start} if name == "adagrad" and start else None
    damped = float(options.get("dampening") or 0.0) if name == "sgd" else 0.0
    return Published(rule, bool(options.get("maximize")), decoupled, fills, damped)


def _options(optimizer: Any, group: Mapping[str, Any]) -> dict[str, Any]:
    """What the optimizer says of itself: the group's options before its defaults, its attributes, its own record."""
    record = getattr(optimizer, "rule", None)
    known = {} if not isinstance(record, Optimizer) else {n: getattr(record, n) for n in type(record).model_fields}
    plain = {name: value for name, value in vars(optimizer).items() if not name.startswith("_")}
    options = known | plain | dict(getattr(optimizer, "defaults", {})) | dict(group)
    return {name: float(v) if isinstance(v, Tensor) and v.numel() == 1 else v for name, v in options.items()}


def _numbers(cls: type[Optimizer], name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    missing = []
    for field, info in cls.model_fields.items():
        option = SPELLED.get(name, {}).get(field, field)
        if field in options:
            option = field
        if field in MATRICES_ONLY.get(name, ()) and "vectors" not in options:
            continue
        if field == "lr":
            numbers["lr"] = max(float(options.get("lr", 1.0)), 1e-300)
        elif option in options:
            numbers[field] = _respelled(name, field, options[option], field != option)
        elif info.default and not isinstance(info.default, bool):  # a switch, or what is 0 by default, needs no name
            missing.append(option)
    if missing:
        several = "s" * (len(missing) != 1)
        has = ", ".join(sorted(k for k in options if k not in ("params", "defaults", "state", "param_groups", "rule")))
        raise Problem(
            "rule-option", f"the rule {quote(name)} has the number{several} {', '.join(map(quote, missing))}, and the "
            f"optimizer names nothing so; it has {has}",
            why="a rule with other numbers than the optimizer's proves nothing",
            help=f"name {'them' if several else 'it'} so in the optimizer's param_groups, or give the rule itself: "
            f"textbook={cls.__name__}(...)",
        )  # fmt: skip
    return numbers


def _respelled(name: str, field: str, value: Any, foreign: bool) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    if not foreign:
        return value
    match name, field:
        case "adafactor", "decay":
            return -value
        case "adafactor", "eps1":  # None stands for a floor that only zeros reach
            return 1e-300 if value[0] is None else value[0]
        case "adafactor", "eps2":
            return value[1]
        case "lbfgs", "line_search":
            return value or "none"
    return value


def plainly(rule: Published, g: Tensor, p: Tensor, state: State, t: int, lr: float) -> tuple[Tensor, State]:
    """A step as it is published; the arguments are copies, whatever the rule does with them."""
    return rule.update(g.clone(), p.clone(), {name: value.clone() for name, value in state.items()}, t, lr)


def follow(rules: list[Published], course: Course, rates: list[list[float]], update: Update = plainly) -> Trail:
    """The way that the rules take, a rule a weight."""
    trail = Trail(rates=rates)
    p = [w.clone() for w in course.start]
    memory = [rule.init(w.clone()) for rule, w in zip(rules, p, strict=True)]
    for t in range(1, course.steps + 1):
        if course.evaluate is not None:
            p, memory = rules[0].rule.descend(course.evaluate, p, memory, t, rates[t - 1])
        else:
            steps = [
                update(rule, g, w, state, t, lr)
                for rule, g, w, state, lr in zip(rules, course.pulls[t - 1], p, memory, rates[t - 1], strict=True)
            ]
            p, memory = [weight for weight, _ in steps], [state for _, state in steps]
        trail.points.append([w.clone() for w in p])
        if getattr(rules[0].rule, "averages", False):
            pairs = zip(rules, p, memory, strict=True)
            trail.averages.append([rule.rule.average(w, state) for rule, w, state in pairs])
    return trail


def eps_of(optimizer: Any) -> float | None:
    """The optimizer's eps, where it has one that is a number."""
    for options in (*optimizer.param_groups, getattr(optimizer, "defaults", {})):
        eps = options.get("eps")
        if isinstance(eps, (int, float)) and 0 < eps < 1 and math.isfinite(eps):
            return float(eps)
    record = getattr(optimizer, "rule", None)
    eps = getattr(record, "eps", None)
    return float(eps) if isinstance(eps, float) and 0 < eps < 1 else None
