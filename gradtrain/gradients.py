"""How large activations and gradients are at every stage: one batch, forward and backward, nothing changed.

What is measured is the root of the mean square (RMS) of a tensor's elements, over all calls of a stage in an update.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gradtrain.assemble import Parts
from gradtrain.flow import Flow, Stage, every
from gradtrain.training.update import Update

FADES, VANISHES, GONE = 1.0, 3.0, 6.0
"""Decades between the last stage and the first: noticed, warned of, too many to learn."""


@dataclass(frozen=True)
class Pull:
    """The gradient by one parameter tensor."""

    name: str
    weight: float
    """RMS of the tensor."""
    gradient: float | None
    """RMS of the gradient by it; None where it is not in the graph."""

    @property
    def ratio(self) -> float | None:
        """|gradient| / |weight|; None without a gradient, or for a tensor of zeros."""
        return None if self.gradient is None or not self.weight else self.gradient / self.weight


@dataclass(frozen=True)
class Size:
    """One stage in one update."""

    name: str
    calls: int
    """How often the stage was called."""
    activation: float
    """RMS of its output."""
    gradient: float | None
    """RMS of the gradient that arrives at its output; None where none arrives."""
    length: float | None
    """|g|, the root of the sum of its squares: it does not shrink because a layer is wide."""
    expected: bool
    """False where none can arrive: nothing at or before the stage learns in this update."""
    parameters: tuple[Pull, ...]
    """Of its own parameters that this update moves."""


@dataclass(frozen=True)
class Fall:
    """What becomes of the gradient between the stage next to the loss and the one farthest from it."""

    start: str
    end: str
    decades: float
    """log10 of the quotient of the lengths of their gradients: positive where it falls."""
    steepest: str
    """The stage on which it changes most in that direction."""


@dataclass(frozen=True)
class Backward:
    """One update: what was differentiated, and how far the gradient came."""

    update: str
    samples: int
    dtype: str
    """Of the forward pass, as `float32`."""
    total: float
    losses: Mapping[str, float]
    penalties: Mapping[str, float]
    sizes: tuple[Size, ...]
    """From the first stage to the last, containers before what they hold; only networks that a gradient reaches."""
    fall: Fall | None
    """None where it cannot be told: no gradient, zeros, numbers that are not finite."""
    verdict: str
    """`steady`, `fades`, `grows`, `vanishes`, `explodes`, `stops` or `nonfinite`."""
    says: str
    """The verdict in words."""


def measured(parts: Parts, flow: Flow) -> tuple[Backward, ...]:
    """Every update of the first step alone, at the weights as they start: the batch, the dtype, the random numbers are
    those of the run. Networks keep their weights; torch's generators and the networks' buffers move on.
    """
    phase = parts.phases[0]
    phase.begin()
    batch = next(iter(parts.splits["train"].starting_at(0)))
    parts.task.begin(0)
    samples = len(next(iter(batch.values())))
    ear = _Ear(parts.precision.state().get("scale", 1.0))
    results = []
    with ear.attached(_modules(flow, parts.networks)):
        for update in phase.distinct:
            ear.forget()
            update.zero_grad()
            whole = 0.0
            for micro, share, _ in batch.shares(update.accumulate, parts.task.count):
                with parts.precision.forward():
                    total, losses = parts.task.losses(update.name, parts.networks, micro)
                    total, owed = phase.penalties.added(update.name, total, parts.networks, parts.task)
                with ear.listening():
                    parts.precision.backward(total, share)
                whole += float(total.detach()) * float(share)
            sizes = tuple(_sizes(flow, parts, update, ear))
            told, added = ({name: float(value) for name, value in said.items()} for said in (losses, owed))
            fall, verdict, says = _verdict(flow, sizes)
            results.append(
                Backward(update.name, samples, _dtype(parts), whole, told, added, sizes, fall, verdict, says)
            )
            update.zero_grad()
    return tuple(results)


def _dtype(parts: Parts) -> str:
    name = parts.precision.name
    return str(parts.parameters[0].tensor.dtype).removeprefix("torch.") if name == "full" else name


def _modules(flow: Flow, networks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Name of a stage → its module; what a `save` or `take` does needs none."""
    several = len(networks) > 1
    found = {
        f"{role}.{path}" if several else path: module
        for role, network in networks.items()
        for path, module in network.named_modules(remove_duplicate=False)
    }
    return {stage.name: found[stage.name] for stage in flow.stages if stage.name in found}


@dataclass
class _Mean:
    """A mean of squares that grows."""

    squares: float = 0.0
    count: int = 0

    def add(self, tensor: Tensor) -> _Mean:
        norm = float(torch.linalg.vector_norm(tensor.detach(), dtype=_wide(tensor)))
        self.squares += norm * norm
        self.count += tensor.numel()
        return self

    def join(self, other: _Mean) -> None:
        self.squares += other.squares
        self.count += other.count

    @property
    def length(self) -> float:
        return math.sqrt(self.squares)

    @property
    def root(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else 0.0


def _wide(tensor: Tensor) -> torch.dtype:
    """Where squares neither overflow nor vanish."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


@dataclass
class _Heard:
    """What was heard of one stage in one update."""

    spoken: _Mean = field(default_factory=_Mean)
    """Of all its outputs."""
    answered: _Mean = field(default_factory=_Mean)
    """Of the outputs that a gradient arrived at: they may come from the forward pass of an update before."""
    gradient: _Mean = field(default_factory=_Mean)
    calls: int = 0
    answers: int = 0
    waits: bool = False
    """Whether an output is in the graph."""


class _Ear:
    """Hears what modules put out, and what comes back to these outputs while it listens.

    A penalty on a slope differentiates within the forward pass; what comes back then is no gradient of the total.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.heard: dict[str, _Heard] = {}
        self.listens = False

    @contextlib.contextmanager
    def attached(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        handles = [
            module.register_forward_hook(functools.partial(self._spoken, name)) for name, module in modules.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        self.listens = True
        try:
            yield
        finally:
            self.listens = False

    def forget(self) -> None:
        """Begin another update; gradients may still arrive at what was put out before."""
        self.heard = {}

    def _spoken(self, name: str, module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        heard, call = self.heard.setdefault(name, _Heard()), _Mean().add(output)
        heard.spoken.join(call)
        heard.calls += 1
        heard.waits |= output.requires_grad
        if output.requires_grad:
            output.register_hook(functools.partial(self._answered, name, call))  # type: ignore[no-untyped-call]

    def _answered(self, name: str, call: _Mean, gradient: Tensor) -> None:
        if self.listens:
            heard = self.heard.setdefault(name, _Heard())
            heard.answered.join(call)
            heard.answers += 1
            heard.gradient.add(gradient / self.scale if self.scale != 1.0 else gradient)


def _sizes(flow: Flow, parts: Parts, update: Update, ear: _Ear) -> Iterator[Size]:
    """The stages of the networks that a gradient reaches or should reach."""
    moved = {id(tensor) for tensor in update.parameters}
    pulls = {one.name: _pull(one.name, one.tensor, ear.scale) for one in parts.parameters if id(one.tensor) in moved}
    for network in flow.networks:
        own = list(every(network.stages))
        reached = any(ear.heard.get(s.name, _Heard()).answers for s in own)
        if reached or any(one.name in pulls for stage in own for one in stage.parameters):
            yield from (_size(stage, ear.heard[stage.name], pulls) for stage in own if stage.name in ear.heard)


def _size(stage: Stage, heard: _Heard, pulls: Mapping[str, Pull]) -> Size:
    own = tuple(pulls[one.name] for one in stage.parameters if one.name in pulls)
    if heard.answers:
        return Size(
            stage.name, heard.answers, heard.answered.root, heard.gradient.root, heard.gradient.length, True, own
        )
    return Size(stage.name, heard.calls, heard.spoken.root, None, None, heard.waits, own)


def _pull(name: str, tensor: Tensor, scale: float) -> Pull:
    gradient = None if tensor.grad is None else _Mean().add(tensor.grad).root / scale
    return Pull(name, _Mean().add(tensor).root, gradient)


def _verdict(flow: Flow, sizes: Sequence[Size]) -> tuple[Fall | None, str, str]:
    """What became of the gradient, and what is to be said of it."""
    holders = {stage.name for stage in flow.stages if stage.inner}
    path = [(s.name, s.length) for s in reversed(sizes) if s.length is not None and s.name not in holders]
    pulls = [pull for size in sizes for pull in size.parameters]
    lost = list(dict.fromkeys(pull.name for pull in pulls if pull.gradient is None))
    more = f" No gradient reaches {_listed(lost)}." if lost else ""
    wild = [name for name, gradient in path if not math.isfinite(gradient)]
    wild += [pull.name for pull in pulls if pull.gradient is not None and not math.isfinite(pull.gradient)]
    if wild:
        return None, "nonfinite", f"The gradient is not finite, first at `{wild[0]}`.{more}"
    if not path:
        return None, "stops", f"No gradient reaches any stage.{more}"
    silent = [name for name, gradient in path if gradient == 0]
    if silent:
        end = "from there to the first stage nothing can learn"
        return None, "stops", f"The gradient is exactly 0 at `{silent[0]}`: {end}.{more}"
    fall = _fall(path)
    size, sign = abs(fall.decades), 1 if fall.decades > 0 else -1
    verb = "falls" if sign > 0 else "grows"
    told = f"In length the gradient {verb} by {size:.1f} decades from `{fall.start}` to `{fall.end}`"
    if lost:
        return fall, "stops", f"{told}.{more}"
    if len(path) == 1:
        return fall, "steady", f"The gradient arrives at `{fall.end}`."
    if size <= FADES:
        return fall, "steady", f"{told}: it arrives."
    told += f", most of it at `{fall.steepest}`" if size <= VANISHES else f", fastest at `{fall.steepest}`"
    if size <= VANISHES:
        return fall, "fades" if sign > 0 else "grows", f"{told}: it {'fades, but arrives' if sign > 0 else 'grows'}."
    if sign < 0:
        return fall, "explodes", f"{told}: it explodes."
    return fall, "vanishes", f"{told}: it vanishes{', and the first stages stand still' if size > GONE else ''}."


def _fall(path: Sequence[tuple[str, float]]) -> Fall:
    """Between the ends of the path of the gradient, the stage next to the loss first."""
    (start, first), (end, last) = path[0], path[-1]
    decades = math.log10(first) - math.log10(last)
    sign = 1 if decades > 0 else -1
    steps = [
        (sign * (math.log10(above) - math.log10(below)), name) for (name, above), (_, below) in itertools.pairwise(path)
    ]
    return Fall(start, end, decades, max(steps)[1] if steps else start)


def _listed(names: Sequence[str], most: int = 4) -> str:
    said = ", ".join(f"`{name}`" for name in names[:most])
    return said if len(names) <= most else f"{said} and {len(names) - most} more"
