"""Cross-checks: mistakes that no single section can see, found before a byte of data is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from gradtrain.components.activations.softmax import Softmax
from gradtrain.components.activations.sigmoid import Sigmoid
from gradtrain.components.datasets import Facts
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers._chain import links
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.components.optimizers import Optimizer
from gradtrain.components.schedules.constant import Constant
from gradtrain.components.schedules.cosine import Cosine
from gradtrain.components.schedules.linear import Linear as LinearSchedule
from gradtrain.components.schedules.plateau import Plateau
from gradtrain.config.compose import Composer
from gradtrain.config.sections import Network, Run
from gradtrain.config.tree import Node
from gradtrain.problems import Place, Problem, did_you_mean, quote
from gradtrain.stage import Misfit, Shape

LARGEST = 2**31
"""No layer's output for one sample has more elements: it would not fit any memory together with its weights."""


class Checks:
    """All cross-checks of one run; `facts` None leaves out what depends on the data."""

    def __init__(self, run: Run, composer: Composer, facts: Facts | None) -> None:
        self.run, self.composer, self.facts = run, composer, facts
        self.sections: dict[str, Node] = composer.places[id(run)].mapping or {}

    def add(self, code: str, what: str, at: Place | None, why: str = "", help: str = "", *, warn: bool = False) -> None:
        self.composer.problems.append(Problem(code, what, at, why, help, severity="warning" if warn else "error"))

    def at(self, *path: str) -> Place:
        """Where a key was written; the nearest section above it when it was not."""
        node = self.composer.places[id(self.run)]
        for key in path:
            below = (node.mapping or {}).get(key)
            if below is None:
                break
            node = below
        return node.at if node.mapping is not None or node.sequence is not None else node.place

    def of(self, record: object) -> Place | None:
        node = self.composer.places.get(id(record))
        return node.at if node else None

    def all(self) -> None:
        self.lengths()
        self.names()
        self.selection()
        self.schedule()
        self.decay()
        self.targets()
        self.data()
        shape = self.input_shape()
        for role, network in self.run.networks.items():
            self.network(role, network, shape)

    def lengths(self) -> None:
        training = self.run.training
        if training.epochs is not None and training.steps is not None:
            self.add("run-length", "`epochs` and `steps` are both given", self.at("training", "steps"), "a run has one length", "keep one of the two")
        elif training.epochs is None and training.steps is None:
            self.add("run-length", "neither `epochs` nor `steps` is given", self.at("training"), "a run has a length", "add `epochs: 10` or `steps: 1000`")
        if self.run.evaluation.use_ema and training.ema is None:
            self.add("ema-missing", "`use_ema` measures an average that is not kept", self.at("evaluation", "use_ema"), "`training.ema` is its decay", "add `ema: 0.999` under `training:`")

    def names(self) -> None:
        run, roles = self.run, self.run.objective.roles
        for one, many in (("model", "models"), ("optimizer", "optimizers")):
            given = [key for key in (one, many) if getattr(run, key) is not None]
            if len(given) == 2:
                self.add("two-sections", f"`{one}` and `{many}` are both given", self.at(many), f"`{one}:` is short for one entry of `{many}:`", "keep one of the two")
            elif not given:
                self.add("missing-key", f"the config needs `{one}`", self.at(), f"`{one}:` says what {'trains' if one == 'model' else 'changes the weights'}", f"add `{one}: …`")
        if run.models is not None and set(run.models) != set(roles):
            self.add("roles", f"`models` names {_listed(run.models)}", self.at("models"), f"`{run.objective.name()}` has the networks {_listed(roles)}", "use exactly these names")
        if run.optimizers is not None and set(run.optimizers) != set(run.networks):
            self.add("roles", f"`optimizers` names {_listed(run.optimizers)}", self.at("optimizers"), f"the networks are {_listed(run.networks)}", "every network needs its optimizer, under the same name")
        for role, network in run.networks.items():
            place = self.of(network) or self.at("model")
            if network.part is not None and network.layers is not None:
                self.add("two-sections", f"{quote(network.part.name())} and `layers` are both given", place, "a network is an architecture by name or a list of layers", "keep one of the two")
            elif network.part is None and not network.layers and (run.model is not None or run.models is not None):
                self.add("missing-key", f"the network {quote(role)} has no layers", place, help="add `layers:`, or an architecture such as `mlp: {hidden: [64], out: 10}`")
        for item in run.loss:
            if item.weight <= 0:
                said = "counts nothing" if item.weight == 0 else "is maximised"
                self.add("loss-weight", f"`{item.part.name()}` with the weight {item.weight:g} {said}", self.of(item), help="give it a positive weight, or remove it", warn=True)

    def watched(self) -> Iterator[tuple[str, Place]]:
        """(what is watched, where that was written)."""
        run = self.run
        if run.checkpoint.best is not None:
            yield run.checkpoint.best, self.at("checkpoint", "best")
        if run.early_stopping is not None:
            yield run.early_stopping.watch, self.at("early_stopping", "watch")
        if run.schedule is not None and isinstance(run.schedule.part, Plateau):
            yield run.schedule.part.watch, self.at("schedule", "plateau")

    def selection(self) -> None:
        run = self.run
        measured = ["loss", *(metric.name() for metric in run.evaluation.metrics)]
        if len(run.loss) > 1:
            measured += [item.part.name() for item in run.loss]
        has_val = bool(run.data.split.val)
        for watch, place in self.watched():
            split, _, metric = watch.partition(".")
            if metric not in measured:
                self.add("unknown-metric", f"{quote(watch)} is never measured", place, f"`evaluation.metrics` measures {_listed(measured)}", did_you_mean(metric, measured, f"add `{metric}` to `evaluation.metrics`"))
            elif split == "val" and not has_val:
                self.add("no-val-split", f"{quote(watch)} needs a val split, and there is none", place, "`data.split.val` is 0", "add `split: {val: 0.1}` under `data:`")
            elif split not in run.evaluation.splits:
                self.add("unknown-metric", f"{quote(watch)} is never measured while training", place, f"`evaluation.splits` is {_listed(run.evaluation.splits)}", f"add `{split}` to `evaluation.splits`")
            if split == "test" and not run.checkpoint.allow_test_selection:
                self.add("test-selection", f"{quote(watch)} lets the test split decide", place, "a result on data that was used for choosing says nothing about new data", f"watch `val.{metric}`, or write `allow_test_selection: true` under `checkpoint:`")

    def schedule(self) -> None:
        run, section = self.run, self.run.schedule
        if section is None:
            return
        place = self.at("schedule")
        if section.by is None and not isinstance(section.part, Constant):
            self.add("schedule-unit", f"`{section.part.name()}` has no unit of time", place, "a schedule counts steps or epochs", "add `by: step` or `by: epoch` beside it")
            return
        unit = f"{section.by}s"
        total = run.training.steps if section.by == "step" else run.training.epochs
        if total is None and self.facts is not None and run.training.epochs is not None:
            total = run.training.epochs * self.per_epoch()
        part = section.part
        if isinstance(part, Cosine) and total is not None:
            if part.warmup >= (part.over or total):
                self.add("warmup-too-long", f"a warm-up of {part.warmup} {unit} does not end before the schedule's {part.over or total}", self.at("schedule", "cosine"), help="make `warmup` shorter")
        if isinstance(part, (Cosine, LinearSchedule)) and part.over is not None and total is not None and part.over > total:
            self.add("schedule-too-long", f"the schedule takes {part.over} {unit}, the run {total}", self.at("schedule", part.name()), "the run ends before its learning rate is down", "leave out `over`, or train longer", warn=True)

    def per_epoch(self) -> int:
        """Steps of an epoch, by the sizes of the split."""
        size = self.train_size()
        if size is None:
            return 1
        data = self.run.data
        batch = size if data.batch_size == "full" else data.batch_size * self.run.training.accumulate
        return max(1, size // batch if data.drop_last else -(-size // batch))

    def train_size(self) -> int | None:
        """Samples that train, when the data's count is known (an official test split is not)."""
        facts, split = self.facts, self.run.data.split
        if facts is None or facts.count is None or self.run.data.source.name() in ("fashion_mnist",):
            return None
        count = facts.count
        rest = count - sum(round(s * count) if isinstance(s, float) else s for s in (split.val, split.test))
        if split.train is None:
            return rest
        return min(rest, round(split.train * count)) if isinstance(split.train, float) else split.train

    def decay(self) -> None:
        adaptive = {"adam", "adamw", "rmsprop", "adagrad"}
        for item in self.run.regularization:
            for rule in self.run.rules.values():
                decayed = getattr(rule.part, "weight_decay", 0.0)
                if item.part.name() not in ("l2", "elastic_net"):
                    continue
                if item.form == "decoupled" and item.part.name() != "l2":
                    self.add("bad-value", "only `l2` can be decoupled", self.of(item), help="write `form: penalty`")
                elif decayed and _written(self, rule.part):
                    self.add("decay-twice", f"`{item.part.name()}` and `weight_decay: {decayed:g}` shrink the same weights", self.of(item), "each is a pull towards zero; together nobody knows which", "keep one of the two")
                elif item.form == "penalty" and rule.part.name() in adaptive:
                    self.add(
                        "l2-with-adam", f"`{item.part.name()}` as a penalty is rescaled by `{rule.part.name()}`", self.of(item),
                        "the penalty's gradient is divided by the gradient's size like any other, so weights with large gradients are pulled less",
                        "write `form: decoupled` beside it if you mean AdamW's decay", warn=True,
                    )  # fmt: skip

    def targets(self) -> None:
        run = self.run
        kind = run.data.target.kind or (None if self.facts is None else "class" if self.facts.classes is not None else "value" if self.facts.outputs is not None else None)
        if kind is None:
            return
        for item in run.loss:
            if kind in item.part.kinds:
                continue
            wants = {"pm1": "-1/+1", "class": "class indices", "binary": "0/1", "value": "values", "multilabel": "0/1 in columns"}
            why = f"the target holds {wants[kind]}"
            if item.part.kinds == ("pm1",):
                why += ": class 0 would always cost the same and teach nothing"
            self.add("target-kind", f"`{item.part.name()}` needs {wants[item.part.kinds[0]]}", self.of(item), why, f"write `target: {{kind: {item.part.kinds[0]}}}` under `data:`, or another loss")
        for metric in run.evaluation.metrics:
            if kind not in metric.kinds:
                self.add("metric-kind", f"`{metric.name()}` does not measure targets of kind `{kind}`", self.of(metric) or self.at("evaluation", "metrics"), f"it is for {_listed(metric.kinds)}")
        self.kind = kind

    def data(self) -> None:
        run, data, split = self.run, self.run.data, self.run.data.split
        shares = [s for s in (split.train, split.val, split.test) if isinstance(s, float)]
        if sum(shares) > 1 + 1e-9:
            self.add("split-too-large", f"the shares of the split add up to {sum(shares):g}", self.at("data", "split"), "they are parts of one whole", "make them add up to 1 or less")
        if not data.shuffle and data.batch_size != "full":
            self.add("not-shuffled", "the training data is never shuffled", self.at("data", "shuffle"), "batches of neighbours repeat the same mistakes in every epoch", "leave `shuffle` at true", warn=True)
        size = self.train_size()
        if size is None or data.batch_size == "full":
            return
        step = data.batch_size * run.training.accumulate
        if data.drop_last and step > size:
            self.add("no-batches", f"a step takes {step} samples, the train split has {size}: with `drop_last` there is none", self.at("data", "batch_size"), help="make the batch smaller, or `drop_last: false`")
        if any(isinstance(stage, BatchNorm) for network in run.networks.values() for stage in _parts(_layers(network))):
            if data.batch_size == 1 or (not data.drop_last and size % step == 1 and run.training.accumulate == 1):
                why = "batch_norm cannot take the variance of one sample" if data.batch_size == 1 else f"{size} samples in batches of {step} leave a last one of 1, whose variance batch_norm cannot take"
                self.add("batch-of-one", "a batch of one sample reaches `batch_norm`", self.at("data", "batch_size"), why, "write `drop_last: true`, or another `batch_size`")

    def input_shape(self) -> Shape | None:
        """The shape of one sample as the network sees it; refuses transforms that do not fit."""
        if self.facts is None or self.facts.shape is None:
            return None
        shape, span = self.facts.shape, self.facts.range
        for item in (*self.run.data.transforms, *self.run.data.augment):
            part = getattr(item, "part", item)
            if getattr(item, "on", "x") != "x":
                continue
            try:
                shape = part.output_shape(shape)
            except Misfit as misfit:
                self.add("shape-mismatch", str(misfit), self.of(item) or self.at("data"), help=misfit.help)
                return None
            if hasattr(part, "span"):
                span = part.span(*span) if span is not None else None
        if span is not None and max(abs(span[0]), abs(span[1])) >= 100:
            self.add("unscaled-input", f"the inputs run from {span[0]:g} to {span[1]:g}", self.at("data"), "networks train badly on numbers that large", "add `to_float` or `standardize` to `transforms:`", warn=True)
        self.facts = replace(self.facts, shape=shape, range=span)
        return shape

    def network(self, role: str, network: Network, shape: Shape | None) -> None:
        if network.input is not None:
            shape = (network.input,) if isinstance(network.input, int) else network.input
        layers = _layers(network)
        if not layers:
            return
        self.order(layers)
        if shape is None or not (self.facts or network.input):
            return
        try:
            found = links(layers, shape)
        except Misfit as misfit:
            self.add("shape-mismatch", str(misfit), self.culprit(network, misfit.path), f"at `{_dotted(misfit.path)}`" if misfit.path else "", misfit.help)
            return
        for link in found:
            if math.prod(link.after) > LARGEST or (len(link.after) == len(link.before) == 1 and link.after[0] * link.before[0] > LARGEST * 4):
                self.add("too-large", f"`{link.item.part.name()}` turns {list(link.before)} into {list(link.after)}", self.of(link.item) or self.of(network), "that does not fit into memory")
                return
        if role == "model":
            self.output(found[-1].after, self.of(layers[-1]) or self.of(network))

    def output(self, shape: Shape, place: Place | None) -> None:
        """The last layer's width against the target."""
        facts, kind = self.facts, getattr(self, "kind", None)
        names = {item.part.name() for item in self.run.loss}
        if facts is None or kind is None:
            return
        if kind == "class" and "cross_entropy" in names:
            if shape[0] < 2:
                self.add("output-width", f"the network has {shape[0]} output, `cross_entropy` needs one a class", place, "with one output the loss and its gradient are always 0", "write `linear: $data.classes`, or `binary_cross_entropy` with `target: {kind: binary}`")
            elif facts.classes is not None and shape[0] != facts.classes:
                self.add("output-width", f"the network has {shape[0]} outputs, the data {facts.classes} classes", place, "every class needs its output", "write `linear: $data.classes`")
        elif kind in ("value", "binary", "pm1") and (facts.outputs or kind != "value"):
            width = facts.outputs if kind == "value" else 1
            if shape != (width,):
                self.add("output-width", f"the network puts out {list(shape)}, the target is {[width]}", place, "shapes that differ would be broadcast against each other without a word", f"end with `linear: {width}`")

    def order(self, layers: Layers) -> None:
        """What comes before what."""
        names = {item.part.name() for item in self.run.loss}
        last = layers[-1]
        if isinstance(last.part, Softmax) and "cross_entropy" in names:
            classes = self.facts.classes if self.facts is not None else None
            least = f"; with {classes} classes the loss could never fall below {math.log(math.e + classes - 1) - 1:.4f}" if classes else ""
            self.add("softmax-before-loss", "`softmax` before `cross_entropy`", self.of(last), f"`cross_entropy` applies it itself{least}", "remove the softmax")
        if isinstance(last.part, Sigmoid) and "binary_cross_entropy" in names:
            self.add("softmax-before-loss", "`sigmoid` before `binary_cross_entropy`", self.of(last), "`binary_cross_entropy` applies it itself: twice, every answer lies between ½ and 0.73", "remove the sigmoid")
        for before, after in zip(layers, layers[1:], strict=False):
            if getattr(before.part, "bias", False) is True and isinstance(after.part, Normalization) and before.part.name() in ("linear", "conv") and after.part.name() != "rms_norm":
                self.add("bias-before-norm", f"the bias of `{before.part.name()}` is taken away again by `{after.part.name()}`", self.of(before), "its gradient is always 0", "write `bias: false`", warn=True)
            if isinstance(before.part, Dropout) and isinstance(after.part, BatchNorm):
                self.add("dropout-before-norm", "`dropout` before `batch_norm`", self.of(before), "the variance is another one in evaluation, when nothing is dropped", "put dropout after it", warn=True)

    def culprit(self, network: Network, path: tuple[int | str, ...]) -> Place | None:
        """Where the item of a Misfit's path was written; the innermost one that is known."""
        place, record = self.of(network), None
        current: object = _layers(network)
        for key in path:
            current = current[key] if isinstance(key, int) and isinstance(current, tuple) else getattr(record, str(key), ())
            if isinstance(current, Placed):
                place, record = self.of(current) or place, current.part
        return place


def check(run: Run, composer: Composer, facts: Facts | None) -> None:
    """Every cross-check; problems are collected in the composer."""
    Checks(run, composer, facts).all()


def _layers(network: Network) -> Layers:
    return network.part.layers() if network.part is not None else network.layers or ()


def _parts(layers: Layers) -> Iterator[object]:
    for item in layers:
        yield item.part
        for inner in (getattr(item.part, "body", ()), getattr(item.part, "layers", ()), *getattr(item.part, "branches", ())):
            yield from _parts(inner)


def _written(checks: Checks, rule: Optimizer) -> bool:
    """Whether the config itself set the weight decay (a default is not a decision)."""
    return "weight_decay" in rule.model_fields_set


def _dotted(path: tuple[int | str, ...]) -> str:
    return "layers" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def _listed(names: object) -> str:
    return ", ".join(f"`{name}`" for name in names)  # type: ignore[attr-defined]
