"""The flow of differentiation of a run: its stages with formula, shapes, derivative and the parameters they reach.

Names of stages and parameters are those that selectors use: they are read off the networks that were built.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from gradtrain.components.activations import Activation
from gradtrain.components.datasets import Facts
from gradtrain.components.layers import Layer
from gradtrain.components.normalizations import Normalization
from gradtrain.config.sections import Run
from gradtrain.modules import Sequence as Chain
from gradtrain.modules import Skips
from gradtrain.problems import safe
from gradtrain.registry import Component, about, find
from gradtrain.stage import Shape
from gradtrain.training.selectors import Named, matches, parameters


@dataclass(frozen=True)
class Fed:
    """What happens to a sample before the networks see it."""

    kind: str
    """`source`, `transform`, `augmentation` or `windows`."""
    name: str
    output: Shape | None
    """Shape of one sample afterwards; None where it is not the input that changes, or the shape is not known."""
    value: str


@dataclass(frozen=True)
class Reached:
    """A parameter tensor of a stage."""

    name: str
    shape: Shape
    learns: bool
    """False for the weights of a frozen network."""
    shared: bool
    """Whether it is the tensor of an earlier stage, whose name it keeps."""


@dataclass(frozen=True)
class Stage:
    """One stage of a network; what runs in a container stands in `inner`."""

    name: str
    """As its parameters are named; with several networks the role stands first."""
    component: str
    input: Shape | None
    """Without the batch axis; None inside of a component that is one module to its users."""
    output: Shape | None
    value: str
    gradient: str
    parameters: tuple[Reached, ...]
    """Its own, without those of the stages inside."""
    inner: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network and what it reads."""

    role: str
    input: Shape
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Term:
    """A part of the total that is differentiated."""

    kind: str
    """`objective`, `game`, `loss`, `penalty` or `constraint`."""
    name: str
    weight: float
    value: str
    gradient: str


@dataclass(frozen=True)
class Weight:
    """A parameter tensor: who moves it and who pulls."""

    name: str
    shape: Shape
    count: int
    lr: float
    decay: str
    penalties: tuple[str, ...]
    start: str
    """The initializer, or `default` for PyTorch's own."""


@dataclass(frozen=True)
class Flow:
    """From a batch to the loss and back to the weights."""

    name: str
    seed: int
    precision: str
    data: tuple[Fed, ...]
    networks: tuple[Network, ...]
    """In the order in which the objective names them."""
    terms: tuple[Term, ...]
    updates: tuple[str, ...]
    """The updates of one step, each named like the network that it changes."""
    rules: tuple[str, ...]
    """What happens to the gradient, line by line: clipping, the optimizers' rules, learning rates."""
    parameters: tuple[Weight, ...]

    @property
    def stages(self) -> Iterator[Stage]:
        """Every stage of every network, containers before what they hold."""
        for network in self.networks:
            yield from every(network.stages)


def every(stages: Sequence[Stage]) -> Iterator[Stage]:
    """All of them, containers before what they hold."""
    for stage in stages:
        yield stage
        yield from every(stage.inner)


def flow_of(run: Run, facts: Facts, networks: Mapping[str, nn.Module], inputs: Mapping[str, Shape]) -> Flow:
    """The flow of a run over data of these facts, through networks that read these shapes."""
    named = parameters(networks)
    order = [role for role in run.objective.roles if role in networks]
    known = {id(one.tensor): one for one in named}
    return Flow(
        name=run.name,
        seed=run.seed,
        precision=run.precision,
        data=tuple(_data(run, facts)),
        networks=tuple(
            Network(
                role,
                inputs[role],
                _stages(networks[role], f"{role}." if len(networks) > 1 else "", known),
            )
            for role in order
        ),
        terms=tuple(_terms(run)),
        updates=tuple(dict.fromkeys(run.objective.updates)),
        rules=tuple(_rules(run)),
        parameters=tuple(_weight(run, one) for one in named),
    )


def _stages(module: nn.Module, prefix: str, known: Mapping[int, Named]) -> tuple[Stage, ...]:
    """The stages below a module: the items of lists of layers, and modules that say which component they are."""
    if isinstance(module, (Chain, Skips)) and module.links:
        return tuple(
            _stage(module._modules.get(link.name), prefix + link.name, link.item.part, (link.before, link.after), known)
            for link in module.links
        )
    found: list[Stage] = []
    for name, child in module.named_children():
        if (part := getattr(child, "component", None)) is not None:
            found.append(_stage(child, prefix + name, str(part), (None, None), known))
        else:
            found += _stages(child, f"{prefix}{name}.", known)
    return tuple(found)


def _stage(
    module: nn.Module | None,
    name: str,
    part: Component | str,
    shapes: tuple[Shape | None, Shape | None],
    known: Mapping[int, Named],
) -> Stage:
    component = part if isinstance(part, str) else part.name()
    kind = _class(part) if isinstance(part, str) else type(part)
    inner = () if module is None else _stages(module, f"{name}.", known)
    own = () if module is None else tuple(_reached(module, name, {stage.name for stage in inner}, known))
    value, gradient = (_said(kind, "value"), _said(kind, "gradient")) if kind is not None else ("", "")
    if kind is not None and issubclass(kind, Activation) and not gradient.startswith("d"):
        gradient = f"dx_k = {gradient}" if "g_" in gradient else f"dx = g f'(x), f'(x): {gradient}"
    return Stage(name, component, *shapes, value, gradient, own, inner)


def _reached(module: nn.Module, name: str, inner: set[str], known: Mapping[int, Named]) -> Iterator[Reached]:
    """The parameters of a stage without those of the stages inside; a tensor keeps the name of its first stage."""
    for path, tensor in module.named_parameters(prefix=name, remove_duplicate=False):
        places = itertools.accumulate(path.split("."), lambda above, below: f"{above}.{below}")
        if inner.isdisjoint(places):
            one = known[id(tensor)]
            yield Reached(one.name, tuple(tensor.shape), tensor.requires_grad, not one.name.startswith(f"{name}."))


def _class(name: str) -> type[Component] | None:
    """The component that a module inside of another component says it is."""
    for family in (Layer, Normalization, Activation):
        try:
            return find(family, name)
        except KeyError:
            continue
    return None


def _said(component: type[Component], section: str) -> str:
    return " ".join(about(component).sections.get(section, "").split())


def _data(run: Run, facts: Facts) -> Iterator[Fed]:
    data, shape = run.data, facts.shape
    source = type(data.source)
    yield Fed("source", data.source.name(), shape, about(source).summary)
    for use in data.transforms:
        on = "" if use.on == "x" else f" on {use.on}"
        if not on and shape is not None:
            shape = use.part.output_shape(shape)
        value = _said(type(use.part), "value") or about(type(use.part)).summary
        yield Fed("transform", f"{use.part.name()}{on}", None if on else shape, value)
    for part in data.augment:
        shape = None if shape is None else part.output_shape(shape)
        yield Fed("augmentation", part.name(), shape, about(type(part)).summary)
    if data.windows is not None and shape is not None:
        window = data.windows
        after = window.shape(shape, facts.series)
        value = f"Windows of {window.length} steps, starting at {window.start}, to predict {window.predict}."
        yield Fed("windows", "windows", after, value)


def _terms(run: Run) -> Iterator[Term]:
    if run.objective.name() != "supervised":
        yield _term("objective", run.objective)
    for game in (value for value in vars(run.objective).values() if isinstance(value, Component)):
        yield _term("game", game)
    for item in run.loss:
        yield _term("loss", item.part, item.weight)
    for penalty in run.regularization:
        if penalty.form == "penalty":
            kind = "constraint" if penalty.part.of == "constraint" else "penalty"
            yield _term(kind, penalty.part, penalty.weight)


def _term(kind: str, part: Component, weight: float = 1.0) -> Term:
    return Term(kind, part.name(), weight, _said(type(part), "value"), _said(type(part), "gradient"))


def _rules(run: Run) -> Iterator[str]:
    training = run.training
    if training.accumulate > 1:
        yield f"g is summed over {training.accumulate} micro-batches, weighted by their share of the real targets"
    if training.clip_value is not None:
        yield f"every element of g is cut to ±{training.clip_value:g}"
    if training.clip_norm is not None:
        yield f"g ← g · min(1, {training.clip_norm:g} / ‖g‖) over all weights together"
    for number, phase in enumerate(run.all_phases, 1):
        stretch = f"phase {number}, " if run.phases else ""
        for name, rule in phase.rules.items():
            who = stretch if name == "all" else f"{stretch}{safe(name)}: "
            yield f"{who}{rule.part.name()}: {_said(type(rule.part), 'value')}"
        if phase.schedule is not None:
            by = phase.schedule.by or "step"
            yield f"{stretch}lr over time, by {by}: {_said(type(phase.schedule.part), 'value')}"
    if training.ema is not None:
        yield f"average ← {training.ema:g} average + {1 - training.ema:.3g} weight, after every step"


def _weight(run: Run, named: Named) -> Weight:
    shape = tuple(named.tensor.shape)
    lr, decay = _group(run, named)
    own = (p for p in run.regularization if p.form == "penalty" and p.part.of in ("weight", "constraint"))
    penalties = tuple(p.part.name() for p in own if matches(p.params, named))
    return Weight(named.name, shape, math.prod(shape), lr, decay, penalties, _start(run, named))


def _group(run: Run, named: Named) -> tuple[float, str]:
    """Learning rate and decay in the first phase."""
    rules = run.all_phases[0].rules
    rule = rules.get(named.name.partition(".")[0]) or next(iter(rules.values()))
    lr, decay = rule.part.lr, getattr(rule.part, "weight_decay", 0.0)
    for group in rule.groups:
        if matches(group.params, named):
            lr = (group.lr or lr) * (group.lr_scale or 1.0)
            decay = decay if group.weight_decay is None else group.weight_decay
            break
    pulls = [f"{decay:g}"] if decay else []
    pulls += [
        f"2·{p.part.strength:g} decoupled"  # type: ignore[attr-defined]
        for p in run.regularization
        if p.form == "decoupled" and matches(p.params, named)
    ]
    return lr, " + ".join(pulls) or "none"


def _start(run: Run, named: Named) -> str:
    chosen = [
        init.part.name() for network in run.networks.values() for init in network.init if matches(init.params, named)
    ]
    chosen += [init.part.name() for init in run.init if matches(init.params, named)]
    return chosen[-1] if chosen else "default"
