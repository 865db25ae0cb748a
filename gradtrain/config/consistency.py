"""Sections against one another: lengths, names, what is watched, schedules, decay, kinds of target."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrain.components.schedules.constant import Constant
from gradtrain.components.schedules.cosine import Cosine
from gradtrain.components.schedules.linear import Linear
from gradtrain.components.schedules.plateau import Plateau
from gradtrain.config.findings import Findings, listed
from gradtrain.problems import Place, did_you_mean, quote


class Consistency(Findings):
    """Mistakes between sections that need no shapes."""

    def all(self) -> None:
        self.lengths()
        self.names()
        self.shares()
        self.selection()
        self.schedule()
        self.decay()
        self.targets()

    def lengths(self) -> None:
        training = self.run.training
        if training.epochs is not None and training.steps is not None:
            self.add(
                "run-length",
                "`epochs` and `steps` are both given",
                self.at("training", "steps"),
                "a run has one length",
                "keep one of the two",
            )
        elif training.epochs is None and training.steps is None:
            self.add(
                "run-length",
                "neither `epochs` nor `steps` is given",
                self.at("training"),
                "a run has a length",
                "add `epochs: 10` or `steps: 1000`",
            )
        if self.run.evaluation.use_ema and training.ema is None:
            self.add(
                "ema-missing",
                "`use_ema` measures an average that is not kept",
                self.at("evaluation", "use_ema"),
                "`training.ema` is its decay",
                "add `ema: 0.999` under `training:`",
            )

    def names(self) -> None:
        run, roles = self.run, self.run.objective.roles
        for one, many in (("model", "models"), ("optimizer", "optimizers")):
            given = [key for key in (one, many) if getattr(run, key) is not None]
            if len(given) == 2:
                self.add(
                    "two-sections",
                    f"`{one}` and `{many}` are both given",
                    self.at(many),
                    f"`{one}:` is short for one entry of `{many}:`",
                    "keep one of the two",
                )
            elif not given:
                self.add(
                    "missing-key",
                    f"the config needs `{one}`",
                    self.at(),
                    f"`{one}:` says what {'trains' if one == 'model' else 'changes the weights'}",
                    f"add `{one}: …`",
                )
        if run.models is not None and set(run.models) != set(roles):
            self.add(
                "roles",
                f"`models` names {listed(run.models) or 'no network'}",
                self.at("models"),
                f"`{run.objective.name()}` has the networks {listed(roles)}",
                "use exactly these names",
            )
        if run.optimizers is not None and set(run.optimizers) != set(run.networks):
            self.add(
                "roles",
                f"`optimizers` names {listed(run.optimizers) or 'no network'}",
                self.at("optimizers"),
                f"the networks are {listed(run.networks)}",
                "every network needs its optimizer, under the same name",
            )
        for role, network in run.networks.items():
            place = self.of(network) or self.at("model")
            if network.part is not None and network.layers is not None:
                self.add(
                    "two-sections",
                    f"{quote(network.part.name())} and `layers` are both given",
                    place,
                    "a network is an architecture by name or a list of layers",
                    "keep one of the two",
                )
            elif network.part is None and not network.layers and (run.model is not None or run.models is not None):
                self.add(
                    "missing-key",
                    f"the network {quote(role)} has no layers",
                    place,
                    help="add `layers:`, or an architecture such as `mlp: {hidden: [64], out: 10}`",
                )
        for item in run.loss:
            if item.weight <= 0:
                said = "counts nothing" if item.weight == 0 else "is maximised"
                self.add(
                    "loss-weight",
                    f"`{item.part.name()}` with the weight {item.weight:g} {said}",
                    self.of(item),
                    help="give it a positive weight, or remove it",
                    warn=True,
                )

    def shares(self) -> None:
        """Micro-batches must add up to what the whole batch would have been."""
        if self.run.training.accumulate == 1:
            return
        place = self.at("training", "accumulate")
        uneven = [item for item in self.run.loss if getattr(item.part, "ignore_index", None) is not None]
        uneven += [item for item in self.run.loss if getattr(item.part, "weights", None) is not None]
        if summed := [item for item in self.run.loss if item.part.reduce == "sum"]:
            name = summed[0].part.name()
            why = "a sum has no mean that micro-batches could share: it would depend on how the batch is cut"
            self.add(
                "accumulate-shares",
                f"`{name}` with `reduce: sum` cannot be accumulated",
                place,
                why,
                "write `reduce: sum_per_sample`",
            )
        elif uneven and len(self.run.loss) > 1:
            what = f"`{uneven[0].part.name()}` counts other targets than the losses beside it"
            why = "each micro-batch would need another share for every loss"
            self.add("accumulate-shares", what, place, why, "leave out `accumulate`, and make `batch_size` larger")

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
                self.add(
                    "unknown-metric",
                    f"{quote(watch)} is never measured",
                    place,
                    f"`evaluation.metrics` measures {listed(measured)}",
                    did_you_mean(metric, measured, f"add `{metric}` to `evaluation.metrics`"),
                )
            elif split == "val" and not has_val:
                self.add(
                    "no-val-split",
                    f"{quote(watch)} needs a val split, and there is none",
                    place,
                    "`data.split.val` is 0",
                    "add `split: {val: 0.1}` under `data:`",
                )
            elif split not in run.evaluation.splits:
                self.add(
                    "unknown-metric",
                    f"{quote(watch)} is never measured while training",
                    place,
                    f"`evaluation.splits` is {listed(run.evaluation.splits)}",
                    f"add `{split}` to `evaluation.splits`",
                )
            if split == "test" and not run.checkpoint.allow_test_selection:
                self.add(
                    "test-selection",
                    f"{quote(watch)} lets the test split decide",
                    place,
                    "a result on data that was used for choosing says nothing about new data",
                    f"watch `val.{metric}`, or write `allow_test_selection: true` under `checkpoint:`",
                )

    def schedule(self) -> None:
        run, section = self.run, self.run.schedule
        if section is None:
            return
        place = self.at("schedule")
        if section.by is None and not isinstance(section.part, Constant):
            self.add(
                "schedule-unit",
                f"`{section.part.name()}` has no unit of time",
                place,
                "a schedule counts steps or epochs",
                "add `by: step` or `by: epoch` beside it",
            )
            return
        unit = f"{section.by}s"
        total = run.training.steps if section.by == "step" else run.training.epochs
        if total is None and self.facts is not None and run.training.epochs is not None:
            total = run.training.epochs * self.per_epoch()
        part = section.part
        if isinstance(part, Cosine) and total is not None and part.warmup >= (part.over or total):
            self.add(
                "warmup-too-long",
                f"a warm-up of {part.warmup} {unit} does not end before the schedule's {part.over or total}",
                self.at("schedule", "cosine"),
                help="make `warmup` shorter",
            )
        if isinstance(part, (Cosine, Linear)) and part.over is not None and total is not None and part.over > total:
            self.add(
                "schedule-too-long",
                f"the schedule takes {part.over} {unit}, the run {total}",
                self.at("schedule", part.name()),
                "the run ends before its learning rate is down",
                "leave out `over`, or train longer",
                warn=True,
            )

    def decay(self) -> None:
        adaptive = {"adam", "adamw", "rmsprop", "adagrad"}
        for item in self.run.regularization:
            for rule in self.run.rules.values():
                decayed = getattr(rule.part, "weight_decay", 0.0)
                if item.part.name() not in ("l2", "elastic_net"):
                    continue
                if item.form == "decoupled" and item.part.name() != "l2":
                    self.add("bad-value", "only `l2` can be decoupled", self.of(item), help="write `form: penalty`")
                elif decayed and "weight_decay" in rule.part.model_fields_set:
                    self.add(
                        "decay-twice",
                        f"`{item.part.name()}` and `weight_decay: {decayed:g}` shrink the same weights",
                        self.of(item),
                        "each is a pull towards zero; together nobody knows which",
                        "keep one of the two",
                    )
                elif item.form == "penalty" and rule.part.name() in adaptive:
                    self.add(
                        "penalty-with-adam",
                        f"`{item.part.name()}` as a penalty is rescaled by `{rule.part.name()}`",
                        self.of(item),
                        "the penalty's gradient is divided by the gradient's size, so large gradients are pulled less",
                        "write `form: decoupled` beside it if you mean AdamW's decay",
                        warn=True,
                    )

    def targets(self) -> None:
        run = self.run
        kind = self.kind()
        if kind is None:
            return
        for item in run.loss:
            if kind in item.part.kinds:
                continue
            wants = {
                "pm1": "-1/+1",
                "class": "class indices",
                "binary": "0/1",
                "value": "values",
                "multilabel": "0/1 in columns",
            }
            why = f"the target holds {wants[kind]}"
            if item.part.kinds == ("pm1",):
                why += ": class 0 would always cost the same and teach nothing"
            self.add(
                "target-kind",
                f"`{item.part.name()}` needs {wants[item.part.kinds[0]]}",
                self.of(item),
                why,
                f"write `target: {{kind: {item.part.kinds[0]}}}` under `data:`, or another loss",
            )
        for metric in run.evaluation.metrics:
            if kind not in metric.kinds:
                self.add(
                    "metric-kind",
                    f"`{metric.name()}` does not measure targets of kind `{kind}`",
                    self.of(metric) or self.at("evaluation", "metrics"),
                    f"it is for {listed(metric.kinds)}",
                )
