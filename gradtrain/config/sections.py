"""The sections of a config: a `Run` is everything that one YAML file says, validated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from gradtrain.components.augmentations import Augmentation
from gradtrain.components.datasets import Dataset
from gradtrain.components.initializers import Initializer
from gradtrain.components.layers import Layers
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.metrics import Metric
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization
from gradtrain.components.objectives import Objective
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.regularizers import Regularizer
from gradtrain.components.schedules import Scheduled
from gradtrain.components.transforms import TransformUse
from gradtrain.registry import Record, Use
from gradtrain.training.selectors import Selector


@dataclass(frozen=True)
class Duration:
    """A length of training, written `10 steps` or `1 epoch`."""

    number: int
    unit: Literal["steps", "epochs"]

    def steps(self, per_epoch: int) -> int:
        """The same length in optimizer steps."""
        return self.number * (per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.number} {self.unit if self.number > 1 else self.unit[:-1]}"


def _duration(text: Any) -> Any:
    if isinstance(text, Duration):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        raise ValueError(f"`{text}` has no unit: write `{text} steps` or `{text} epochs`")
    found = re.fullmatch(r"\s*(\d{1,12})\s+(step|epoch)s?\s*", text) if isinstance(text, str) else None
    if not found or int(found[1]) == 0:
        raise ValueError("a duration is written `10 steps` or `1 epoch`")
    return Duration(int(found[1]), f"{found[2]}s")  # type: ignore[arg-type]


Every = Annotated[Duration, BeforeValidator(_duration)]

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(text: str) -> str:
    if not RUN_NAME.fullmatch(text) or ".." in text:
        raise ValueError(
            "a name is up to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit: a folder gets it"
        )
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise ValueError(f"no device is called `{text}`: write `auto`, `cpu`, `cuda`, `cuda:0` or `mps`")
    return text


Share = Annotated[float, Field(ge=0, lt=1)] | NonNegativeInt


class Split(Record):
    """Sizes are fractions of the data (below 1) or counts; what is not named keeps the rest."""

    train: Annotated[float, Field(gt=0, le=1)] | PositiveInt | None = None
    """Size of the part that trains; by default what the others leave."""
    val: Share = 0.0
    """Size of the part that decides: early stopping, the best checkpoint."""
    test: Share = 0.0
    """Size of the part that is measured once, at the end; an official test split stays as it is."""
    stratify: bool = False
    """Keep the share of every class equal in all parts."""
    seed: NonNegativeInt | None = None
    """Seed of the split; the run's seed by default."""


class Target(Record):
    """What the target means."""

    kind: TargetKind | None = None
    """`class`, `binary`, `pm1`, `value` or `multilabel`; by default what the source publishes."""


class Data(Record):
    """Where samples come from and how they reach the network."""

    source: Dataset
    """The dataset."""
    target: Target = Target()
    """What the target means."""
    split: Split = Split()
    """Which samples train, decide and test."""
    transforms: tuple[TransformUse, ...] = ()
    """Changes to every sample, fitted on the train split."""
    augment: tuple[Augmentation, ...] = ()
    """Random changes to the samples of training batches."""
    batch_size: PositiveInt | Literal["full"] = 32
    """Samples in one forward pass, or `full` for the whole train split."""
    shuffle: bool = True
    """A new order of the train split in every epoch."""
    drop_last: bool = False
    """Leave out an epoch's last, smaller batch."""


class Init(Use):
    """One item of `init:`."""

    part: Initializer
    params: Selector = "weights"
    """The parameters it fills."""


class Network(Use):
    """One network: an architecture by name, or a list of layers."""

    part: Model | None = None  # type: ignore[assignment]
    layers: Layers | None = None
    """The layers, in order."""
    input: PositiveInt | tuple[PositiveInt, ...] | None = None
    """Shape of one input; by default that of the data."""
    init: tuple[Init, ...] = ()
    """How its parameters start; later items win."""


class Penalty(Use):
    """One item of `regularization:`."""

    part: Regularizer
    params: Selector = "weights"
    """The parameters it applies to."""
    weight: PositiveFloat = 1.0
    """A factor on top of the penalty's own strength."""
    form: Literal["penalty", "decoupled"] = "penalty"
    """`penalty` adds it to the loss; `decoupled` shrinks the weights beside the step, as AdamW does (l2 only)."""


class Group(Record):
    """Parameters with hyper-parameters of their own; the first group that matches wins."""

    params: Selector
    """The parameters of the group."""
    lr: PositiveFloat | None = None
    """Their learning rate at the start."""
    lr_scale: PositiveFloat | None = None
    """Their learning rate as a multiple of the optimizer's."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Their weight decay."""


class Grouped(Use):
    """The section `optimizer:`."""

    part: Optimizer
    groups: tuple[Group, ...] = ()
    """Parameter groups; what no group names uses the optimizer's own values."""


class Training(Record):
    """How long, and what happens around an update."""

    epochs: PositiveInt | None = None
    """Passes over the train split; exactly one of `epochs` and `steps`."""
    steps: PositiveInt | None = None
    """Optimizer steps; exactly one of `epochs` and `steps`."""
    accumulate: PositiveInt = 1
    """Micro-batches of `batch_size` samples whose gradients add up to one step."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the whole gradient; a larger one is scaled down to it."""
    clip_value: PositiveFloat | None = None
    """Largest magnitude of a gradient element; larger ones are cut."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the exponential moving average of the weights."""
    on_nonfinite: Literal["stop"] = "stop"
    """What a loss or gradient that is not finite does: the run stops before the update."""


class Evaluation(Record):
    """When and how the model is measured."""

    every: Every = Duration(1, "epochs")
    """Time between two evaluations; there is always one at the end."""
    splits: tuple[Literal["train", "val", "test"], ...] = ("val",)
    """Splits that are measured while training; `test` is measured once at the end in any case."""
    metrics: tuple[Metric, ...] = ()
    """Metrics beside the loss."""
    batches: PositiveInt | Literal["all"] = "all"
    """How many batches of a split."""
    use_ema: bool = False
    """Measure the moving average of the weights instead of the weights."""


WATCH = r"(train|val|test)\.[a-z][a-z0-9_]*"


class Checkpoint(Record):
    """What is kept on disk."""

    every: Every = Duration(1, "epochs")
    """Time between two checkpoints; there is always one at the end."""
    keep: Annotated[int, Field(ge=2)] = 3
    """Newest checkpoints kept, beside the best one."""
    best: Annotated[str, Field(pattern=WATCH)] | None = None
    """The metric that decides which checkpoint is best, as `val.loss`."""
    mode: Literal["min", "max"] | None = None
    """Which way is better; by default the metric knows."""
    allow_test_selection: bool = False
    """Permit a best checkpoint chosen on the test split, which makes its test result worthless."""


class EarlyStopping(Record):
    """When to stop before the end."""

    patience: PositiveInt
    """Evaluations without improvement before the run stops."""
    watch: Annotated[str, Field(pattern=WATCH)] = "val.loss"
    """The metric that must improve."""
    mode: Literal["min", "max"] | None = None
    """Which way is better; by default the metric knows."""


class Logging(Record):
    """What the journal holds."""

    every: Every = Duration(10, "steps")
    """Time between two lines about steps."""
    layers: bool = False
    """The gradient's norm of every parameter tensor as well: where it vanishes or explodes."""


class Run(Record):
    """One run."""

    gradtrain: Literal[1] = 1
    """Version of the config format."""
    name: Annotated[str, AfterValidator(_name)]
    """Name of the run: its folder is `runs/NAME/001`."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random number of the run follows from it."""
    device: Annotated[str, AfterValidator(_device)] = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:0` or `mps`."""
    precision: Literal["float32", "float64", "bfloat16", "float16", "auto"] = "float32"
    """Number format of the forward and backward pass."""
    data: Data
    """Where samples come from and how they reach the network."""
    model: Network | None = None
    """The network; short for `models: {model: …}`."""
    models: dict[str, Network] | None = None
    """The networks by role."""
    objective: Objective
    """The wiring of the run."""
    loss: Annotated[tuple[WeightedLoss, ...], Field(min_length=1)]
    """One loss or a weighted list."""
    regularization: tuple[Penalty, ...] = ()
    """Penalties on parameters, added to the loss."""
    normalization: Normalization | None = None
    """What the word `norm` means in this model."""
    init: tuple[Init, ...] = ()
    """How parameters of all networks start; later items win."""
    optimizer: Grouped | None = None
    """One optimizer over everything."""
    optimizers: dict[str, Grouped] | None = None
    """One optimizer for each network."""
    schedule: Scheduled | None = None
    """The learning rate over time; constant by default."""
    training: Training
    """How long, and what happens around an update."""
    evaluation: Evaluation = Evaluation()
    """When and how the model is measured."""
    checkpoint: Checkpoint = Checkpoint()
    """What is kept on disk."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the end."""
    logging: Logging = Logging()
    """What the journal holds."""

    @property
    def networks(self) -> dict[str, Network]:
        """The networks by role, whichever way they were written."""
        return self.models if self.models is not None else {"model": self.model or Network()}

    @property
    def rules(self) -> dict[str, Grouped]:
        """The optimizers: by role, or one under the name `all`."""
        if self.optimizers is not None:
            return self.optimizers
        return {"all": self.optimizer} if self.optimizer is not None else {}
