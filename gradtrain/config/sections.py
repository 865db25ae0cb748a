"""The sections of a config: a `Run` is everything that one YAML file says, validated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gradtrain.components.augmentations import Augmentation
from gradtrain.components.datasets import Dataset
from gradtrain.components.initializers import Initializer
from gradtrain.components.layers import Layers
from gradtrain.components.loggers import Logger
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.measures import Measure
from gradtrain.components.metrics import Metric
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization
from gradtrain.components.objectives import Objective
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.regularizers import Regularizer
from gradtrain.components.schedules import Scheduled
from gradtrain.components.transforms import TransformUse
from gradtrain.config.policies import OnNonfinite, Rollback, Skip
from gradtrain.config.values import Device, Duration, Every, Name, Percent, Percentage
from gradtrain.registry import Record, Use
from gradtrain.stage import Misfit, Shape
from gradtrain.training.selectors import Selector

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
    order: Literal["random", "contiguous"] | None = None
    """`contiguous` cuts train, val, test in the stored order; by default a series is cut so, other data at random."""
    seed: NonNegativeInt | None = None
    """Seed of the split; the run's seed by default."""


class Target(Record):
    """What the target means."""

    kind: TargetKind | None = None
    """`class`, `binary`, `pm1`, `value` or `multilabel`; by default what the source publishes."""


class Windows(Record):
    """Samples cut from sequences, after the split, so that no window crosses from one split into another."""

    length: PositiveInt | Literal["all"]
    """Steps that the network reads; `all` takes whole sequences."""
    start: Literal["random", "stream"] | PositiveInt = "random"
    """`random` places; a number: one window every so many steps; `stream`: one after the other, row by row (TBPTT)."""
    predict: Literal["next"] | PositiveInt = "next"
    """`next`: the same sequence one step later; a number: so many steps after the window."""

    def shape(self, shape: Shape, series: bool) -> Shape:
        """The shape of one window, from that of one sample (of one moment, for a series). Raises `Misfit`."""
        features = shape if series else shape[1:]
        if self.length != "all":
            if not series and self.length >= shape[0]:
                raise Misfit(f"a window of {self.length} steps and its target do not fit a sequence of {shape[0]}")
            return (self.length, *features)
        if series:
            raise Misfit("`length: all` of one long sequence is one sample", "write a number of steps")
        return (shape[0] - (1 if self.predict == "next" else self.predict), *features)


class Pairs(Record):
    """Samples taken two at a time: fields a, b, and whether they have the same label."""

    positive: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of pairs with the same label."""


class Balanced(Record):
    """Batches of a few classes with several samples each, for losses that compare within the batch."""

    classes: Annotated[int, Field(ge=2)] = 8
    """Classes in a batch."""
    per_class: Annotated[int, Field(ge=2)] = 4
    """Samples of each."""


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
    windows: Windows | None = None
    """Samples cut from sequences."""
    pairs: Pairs | None = None
    """Samples taken two at a time."""
    balanced: Balanced | None = None
    """Batches with several samples of every class in them; they replace `batch_size`."""
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
    trained: str | None = None
    """Folder of a run whose network of this role (or only one) it is, with the weights that run calls best."""
    frozen: bool = False
    """Its weights never change, and no optimizer sees them."""


class Penalty(Use):
    """One item of `regularization:`."""

    part: Regularizer
    params: Selector = "weights"
    """The parameters it applies to, for penalties on weights."""
    of: str | None = None
    """The network whose outputs or slope it applies to; by default the only one, or the critic."""
    at: str | None = None
    """For a penalty on outputs: pattern of the names of layers; by default what the network puts out."""
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
    on_nonfinite: Literal["stop", "skip", "rollback"] | OnNonfinite = "stop"
    """What a loss or gradient that is not finite does, before the update: `stop`, `skip`, or `rollback`."""

    @property
    def patience(self) -> Skip | Rollback | None:
        """The bounds of the policy; None where it is to stop."""
        if isinstance(self.on_nonfinite, OnNonfinite):
            return self.on_nonfinite.skip or self.on_nonfinite.rollback
        return Skip() if self.on_nonfinite == "skip" else Rollback() if self.on_nonfinite == "rollback" else None


class Phase(Record):
    """One part of a run that has an optimizer of its own; the networks go through all of them."""

    epochs: PositiveInt | None = None
    """Its length in passes over the train split; exactly one of `epochs` and `steps`."""
    steps: PositiveInt | None = None
    """Its length in optimizer steps; exactly one of `epochs` and `steps`."""
    optimizer: Grouped | None = None
    """One optimizer over everything."""
    optimizers: dict[str, Grouped] | None = None
    """One optimizer for each network."""
    schedule: Scheduled | None = None
    """The learning rate over the phase; constant by default."""
    freeze: Selector | None = None
    """Parameters that do not change in this phase."""

    @property
    def rules(self) -> dict[str, Grouped]:
        """The optimizers: by role, or one under the name `all`."""
        if self.optimizers is not None:
            return self.optimizers
        return {"all": self.optimizer} if self.optimizer is not None else {}


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


class Sampling(Record):
    """What the networks make up while they train, and when; files in the run's folder `samples/`."""

    every: Every = Duration(1, "epochs")
    """Time between two drawings; there is always one at the end."""
    source: Literal["prior", "reconstruction"] = "prior"
    """`prior`: made up from noise; `reconstruction`: of samples of the val (or train) split."""
    count: Annotated[int, Field(ge=1, le=1024)] = 16
    """Images, texts or forecasts."""
    prompt: str = "\n"
    """What a text begins with."""
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Symbols of a text, steps of a forecast."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """Divides the scores of the next symbol: below 1 the likely ones become likelier, 0 takes the likeliest."""
    top_k: PositiveInt | None = None
    """Draw from this many likeliest symbols only."""
    seed: NonNegativeInt = 0
    """Seed of the noise: the same every time, so that pictures can be compared."""


class Diagnostics(Record):
    """What is watched while the networks train, and what a finding does."""

    every: Every | None = None
    """Time between two close looks (activations, their gradients, weights before and after), and what a step leaves
    behind is measured with every line of the journal; by default looks grow apart: steps 1, 2, 3, 4, 6, 8, 12, …"""
    budget: Percent = Percentage(2.0)
    """Largest share of the time that looks take: where `every` asks for more, the interval is doubled."""
    measures: Literal["all", "none"] | tuple[Measure, ...] = "all"
    """What is measured; `none` turns it off."""
    on: dict[str, Literal["stop", "ignore"]] = {}
    """Name of a finding → what it does: `stop` saves the state and ends the run, `ignore` keeps it silent."""


class Logging(Record):
    """What the journal holds, and who is told besides."""

    every: Every = Duration(10, "steps")
    """Time between two lines about steps."""
    layers: bool = False
    """The gradient's norm of every parameter tensor as well: where it vanishes or explodes."""
    to: tuple[Logger, ...] = ()
    """Viewers of other programs that the journal's numbers are passed on to."""


class Run(Record):
    """One run."""

    gradtrain: Literal[1] = 1
    """Version of the config format."""
    name: Name
    """Name of the run: its folder is `runs/NAME/001`."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Every random number of the run follows from it."""
    device: Device = "auto"
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
    loss: tuple[WeightedLoss, ...] = ()
    """One loss or a weighted list; objectives that bring their own have none."""
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
    training: Training = Training()
    """How long, and what happens around an update."""
    phases: tuple[Phase, ...] = ()
    """Parts of the run with optimizers of their own, one after the other; they replace `optimizer:` and its length."""
    evaluation: Evaluation = Evaluation()
    """When and how the model is measured."""
    checkpoint: Checkpoint = Checkpoint()
    """What is kept on disk."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the end."""
    sampling: tuple[Sampling, ...] = ()
    """What the networks make up while they train."""
    diagnostics: Diagnostics = Diagnostics()
    """What is watched while the networks train."""
    logging: Logging = Logging()
    """What the journal holds."""

    @property
    def networks(self) -> dict[str, Network]:
        """The networks by role, whichever way they were written."""
        return self.models if self.models is not None else {"model": self.model or Network()}

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """The phases; a run without any is one phase."""
        if self.phases:
            return self.phases
        given = {key: getattr(self, key) for key in ("optimizer", "optimizers", "schedule")}
        return (Phase(epochs=self.training.epochs, steps=self.training.steps, **given),)

    @property
    def rules(self) -> tuple[Grouped, ...]:
        """Every optimizer of every phase."""
        return tuple(rule for phase in self.all_phases for rule in phase.rules.values())

    @property
    def averaged(self) -> bool:
        """Whether an average of the weights is measured: their moving one, or one that an optimizer keeps."""
        return self.evaluation.use_ema or any(rule.part.averages for rule in self.rules)
