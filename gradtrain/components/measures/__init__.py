"""The family of measures."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gradtrain.lazy import Tensor, nn, torch
from gradtrain.registry import Component


@dataclass
class Weight:
    """One parameter tensor at a step."""

    name: str
    """As selectors spell it."""
    layer: str
    """The layer that owns it, as a finding names it."""
    component: str
    value: Tensor
    """After the step, detached."""
    gradient: Tensor | None
    """As the update took it: after clipping; None where no gradient arrived."""
    before: Tensor | None = None
    """Before the step; None where no one kept it."""
    learns: bool = True
    """Whether any phase of the run moves it."""
    moves: bool = True
    """Whether this phase moves it."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the optimizer remembers of it, by torch's names."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Its parameter group: `lr`, `eps`, `betas` …"""
    parts: Sequence[Tensor] = ()
    """Its gradient by micro-batch, weighted by their shares, where there were several."""


@dataclass
class Heard:
    """One layer at a step: what went in and out at its first call, and what came back to its output."""

    name: str
    """As a finding names it."""
    component: str
    module: nn.Module
    input: Tensor | None = None
    output: Tensor | None = None
    gradient: Tensor | None = None
    """The gradient of the total by the output."""
    inputs: tuple[Any, ...] = ()
    """Everything that the module was called with."""
    answers: int = 0
    """How often a gradient came back to the output."""


@dataclass
class Progress:
    """How the run goes."""

    first: float | None = None
    """The total at the first step."""
    now: float | None = None
    """The total, averaged over some recent steps that were looked at."""
    least: float | None = None
    """The smallest such average."""
    uniform: float | None = None
    """The loss of an answer that holds every class for equally likely, ln K; None where the loss has none."""
    chance: float | None = None
    """The loss of the best answer that does not look at the input; None where it is not known."""
    chance_val: float | None = None
    """The same for the val split."""
    val: float | None = None
    """The loss of the val split at the last evaluation."""
    least_val: float | None = None
    falls: bool = True
    """Whether a smaller total means better networks; not so in a game of two networks."""
    known: bool = False
    """Whether the networks began with weights that another run had trained."""

    @property
    def fallen(self) -> float:
        """The share of the first total that is gone: 0 at the start, 1 where nothing is left; below 0 where it grew."""
        if self.first is None or self.now is None:
            return 0.0
        return (self.first - self.now) / max(abs(self.first), 1e-12)

    @property
    def stuck(self) -> bool:
        """Whether less than a tenth of the first total is gone, in a run whose total should fall."""
        return self.falls and self.fallen < 0.1


@dataclass
class Look:
    """What is known of one network at one step. Layers stand in the order of their first call."""

    step: int
    weights: Sequence[Weight] = ()
    layers: Sequence[Heard] = ()
    """Empty where only what a step leaves behind is looked at."""
    progress: Progress = field(default_factory=Progress)
    rate: float = 0.0
    """The learning rate of the step."""
    peak: float = 0.0
    """The highest learning rate of the phase."""
    norm: float | None = None
    """Norm of the network's gradient before clipping, where it is clipped."""
    clip: float | None = None
    """Where the norm is cut."""
    clip_value: float | None = None
    """Where every element is cut."""
    samples: int = 0
    """Samples in a batch; 0 where they are not known."""
    penalties: Mapping[str, Sequence[tuple[Weight, Tensor]]] = field(default_factory=dict)
    """Penalty on weights → its gradient by each of them."""
    strengths: Mapping[str, tuple[Component, float]] = field(default_factory=dict)
    """Penalty on weights → what it is, and the factor on top."""
    rule: Component | None = None
    """What turns gradients into steps."""
    role: str = ""
    """The network, where each has an optimizer of its own."""

    @functools.cached_property
    def lengths(self) -> dict[str, float]:
        """Norm of the gradient by every tensor that has one, by name."""
        heard = [(weight.name, weight.gradient) for weight in self.moving if weight.gradient is not None]
        return dict(zip([name for name, _ in heard], norms([gradient for _, gradient in heard]), strict=True))

    @functools.cached_property
    def moving(self) -> list[Weight]:
        """The weights that this phase moves."""
        return [weight for weight in self.weights if weight.moves]

    @property
    def matrices(self) -> list[Weight]:
        """Of these the ones with two axes or more: vectors may begin at zero, where ratios mean nothing."""
        return [weight for weight in self.moving if weight.value.ndim >= 2]


@dataclass(frozen=True)
class Sign:
    """What a measure holds against a network at one step."""

    name: str
    """Of the finding."""
    excess: float
    """How far it is over its threshold: from 1 on it counts, below 0.7 it is over."""
    layer: str
    """Where it is worst, or where it begins; empty where it is the network as a whole."""
    evidence: str
    cause: str
    remedy: str
    """A line of a config to paste, or what to do where no line does it."""


class Measure(Component):
    """A measure turns a look at a training step into numbers, and says what is wrong with them.

    It reads what a step leaves behind: weights, gradients and the optimizer's memory; a `close` one also reads what
    layers put out and what comes back to them, or the weights before the step, which are kept at sampled steps only,
    or takes too long to be measured whenever the journal gets a line.
    It changes nothing. Its fields are its thresholds. Numbers are keyed by tensor or by layer.

    Under `value` a docstring states the formula, under `paper` where thresholds come from.
    """

    close: ClassVar[bool] = False
    """Whether it is measured at close looks only."""

    finds: ClassVar[tuple[str, ...]] = ()
    """Names of the findings it can lead to."""

    lasts: ClassVar[int] = 2
    """Looks in a row that a sign must last before it is a finding."""

    def of(self, look: Look) -> Mapping[str, float]:
        """Tensor or layer → number; empty where there is nothing to measure. A name of "" is the network's."""
        raise NotImplementedError

    def signs(self, values: Mapping[str, float], look: Look, past: dict[str, Any]) -> Iterator[Sign]:
        """What these values mean, at most one sign a name.

        `past` is this measure's memory of this network: plain numbers, texts, lists, which checkpoints keep.
        """
        return iter(())


def norms(tensors: Sequence[Tensor]) -> list[float]:
    """The Euclidean norm of each, read at once; in double precision where squares would overflow or vanish."""
    if not tensors:
        return []
    wide = [tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor for tensor in tensors]
    found: list[float] = torch.stack(list(torch._foreach_norm(wide))).tolist()
    return [
        float(torch.linalg.vector_norm(tensor.double())) if not 1e-18 < value < 1e18 else value
        for value, tensor in zip(found, tensors, strict=True)
    ]


def sizes(tensors: Sequence[Tensor]) -> list[float]:
    """The root of the mean square of the elements of each."""
    return [norm / math.sqrt(max(1, x.numel())) for norm, x in zip(norms(tensors), tensors, strict=True)]


def rms(tensor: Tensor) -> float:
    """Root of the mean square of the elements."""
    return sizes([tensor])[0]


def middle(values: Iterable[float]) -> float:
    """The median; nan of nothing."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else math.nan


def optimizer(look: Look, **changes: float) -> str:
    """The section `optimizer:` of the run, with some numbers changed, on one line."""
    section = "sgd" if look.rule is None else look.rule.name()
    options = f"{{{section}: {_options(look.rule, changes)}}}"
    return f"optimizers: {{{look.role}: {options}}}" if look.role else f"optimizer: {options}"


def weaker(look: Look, name: str) -> str:
    """The section `regularization:` with a tenth of one penalty."""
    part, weight = look.strengths[name]
    return f"regularization: [{{{part.name()}: {_options(part, {})}, weight: {weight / 10:.3g}}}]"


def _options(part: Component | None, changes: Mapping[str, float]) -> str:
    given = {} if part is None else {name: getattr(part, name) for name in sorted(part.model_fields_set)}
    inside = ", ".join(f"{name}: {_spelled(value)}" for name, value in {**given, **changes}.items())
    return f"{{{inside}}}"


def _spelled(value: Any) -> str:
    """A hyper-parameter in YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(_spelled(item) for item in value)}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names as they stand in a sentence."""
    said = ", ".join(f"`{name}`" for name in names[:most])
    return said if len(names) <= most else f"{said} and {len(names) - most} more"
