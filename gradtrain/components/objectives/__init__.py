"""The family of objectives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.lazy import Tensor, nn
from gradtrain.problems import Problem
from gradtrain.registry import Component
from gradtrain.stage import Shape

Networks = Mapping[str, "nn.Module"]
"""Role → network."""

Batch = Mapping[str, "Tensor"]
"""Field → tensor `[batch, ...]`."""


class Terms(NamedTuple):
    """What one forward pass costs."""

    total: Tensor
    """The weighted sum that is differentiated, 0-d."""
    losses: Mapping[str, Tensor]
    """Each loss, and what the objective watches beside them, by its name: unweighted, 0-d, detached."""


@dataclass(frozen=True)
class Wish:
    """What to draw; each objective reads what concerns it."""

    count: int = 16
    """Images or texts."""
    prompt: str = "\n"
    """What a text begins with."""
    length: int = 500
    """Symbols of a text, or steps of a forecast."""
    temperature: float = 1.0
    """Divides the scores: below 1 the likely symbols become likelier; 0 takes the likeliest."""
    top_k: int | None = None
    """Draw from this many likeliest symbols only."""
    source: str = "prior"
    """`prior` (made up), or `reconstruction` (of the first samples of a split)."""
    batch: Batch = field(default_factory=dict)
    """The first `count` samples of a split, for what starts from data."""


@dataclass(frozen=True)
class Drawn:
    """What was drawn: one of the three."""

    text: str | None = None
    images: Tensor | None = None
    """[count, channel, height, width] in 0..1."""
    table: Mapping[str, Tensor] | None = None
    """Column → values [rows]."""


class Task:
    """An objective at work: it may keep state between steps (a carried hidden state, reused fakes)."""

    def bind(self, networks: Networks, examples: Examples) -> None:
        """Called once, before the first step: gives the networks what the data holds beside samples (a graph)."""

    def begin(self, step: int) -> None:
        """Called before every step with the number of steps made: what changes over time must not count batches."""

    def count(self, batch: Batch) -> Tensor | float:
        """The weight of a micro-batch in its batch: its number of real targets."""
        raise NotImplementedError

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        """The forward pass of one update: differentiable terms."""
        raise NotImplementedError

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        """(terms, prediction, target) of a batch in one forward pass, for evaluation."""
        raise NotImplementedError

    def points(self, update: str) -> Mapping[str, Tensor]:
        """What the last forward pass of an update read: `real` samples, and `fake` ones where there are any."""
        raise Problem(
            "no-points",
            "this objective does not offer the samples that a penalty on the slope is measured at",
            help="use a penalty on weights or outputs, or the objective `supervised` or `gan`",
        )

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        """What the model says about inputs without targets."""
        raise NotImplementedError

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        """What the networks make up: text, images or a table. Raises `Problem` where there is nothing to draw."""
        raise Problem("no-samples", "this objective draws no samples", help="leave out `sampling:`")

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""


class Outline(NamedTuple):
    """A network as its shapes tell it, before it is built."""

    input: Shape
    output: Shape
    parts: tuple[str, ...]
    """Names of all its components, in order."""


Complaint = tuple[str, Problem]
"""Where a problem lies (`data`, `objective`, or a network's role), and the problem."""


class Objective(Component):
    """An objective is the wiring of a run: which networks there are, what a batch goes through, what is minimised."""

    kind: ClassVar[TargetKind | None] = None
    """The kind of target that its losses and metrics see; None when the data says it (`data.target.kind`)."""

    accepts: ClassVar[tuple[TargetKind, ...]] = ()
    """Kinds of target whose losses serve as well, beside `kind`."""

    fields: ClassVar[tuple[str, ...] | None] = ("x", "y")
    """Fields of the data that it reads; None for all of them, as they are."""

    labelled: ClassVar[bool] = True
    """Whether y are targets of whole samples, as `data.target` describes them."""

    draws: ClassVar[Literal["text", "images", "table"] | None] = None
    """What `sampling:` writes; None where there is nothing to draw."""

    sources: ClassVar[tuple[Literal["prior", "reconstruction"], ...]] = ("prior",)
    """What it draws from, its usual one first: `prior` (chance alone), `reconstruction` (samples of the data)."""

    writes: ClassVar[bool] = False
    """Whether `predict` writes a whole text for every sample, laid out as y is, which metrics of texts compare."""

    ranked: ClassVar[bool] = True
    """Whether a smaller val loss means better networks; where not, the newest are kept as the best."""

    twice: ClassVar[bool] = False
    """Whether the loss holds derivatives of a network, so that training differentiates twice."""

    given: ClassVar[tuple[str, ...]] = ()
    """Networks that do not learn here: a run has trained them, and `complaints` may have to do without their shapes."""

    points: ClassVar[tuple[Literal["real", "fake"], ...]] = ()
    """Where a penalty on the slope of a network can be measured: what `Task.points` offers."""

    embeds: ClassVar[bool] = False
    """Whether `predict` says where a sample lies among others, and not what its target is."""

    graph: ClassVar[bool] = False
    """Whether its samples are the nodes of a graph, which `Task.bind` gives to the networks."""

    needs_loss: ClassVar[bool] = True
    """Whether `loss:` must be given; an objective that brings its own losses refuses it."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The networks it needs; `models:` has exactly these keys."""
        return ("model",)

    @property
    def updates(self) -> tuple[str, ...]:
        """One optimizer step each, in this order, on every batch; each names the role whose weights it changes."""
        return ("model",)

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        """Numbers that every evaluation yields beside the loss: name → which way is better."""
        return {}

    @property
    def distances(self) -> bool:
        """Whether its prediction is the distance of two samples, which few losses take and no other one."""
        return False

    @property
    def readers(self) -> tuple[str, ...]:
        """The networks that read samples; the others say what they read by `input:`."""
        return self.roles

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        """What does not fit together: the networks with one another, and with the data as they see it.

        `networks` has all roles, but those of `given` whose layers the config does not say.
        """
        return iter(())

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        """The task for this run's losses and data."""
        raise NotImplementedError


def width(network: str, has: Shape, wants: Shape, why: str, help: str) -> Complaint:
    """The complaint about an output of the wrong shape."""
    what = f"the network `{network}` puts out {list(has)}, wanted is {list(wants)}"
    return network, Problem("output-width", what, why=why, help=help)


__all__ = [
    "Batch", "Complaint", "Drawn", "Networks", "Objective", "Outline", "Task", "Terms", "Wish", "width",
]  # fmt: skip
