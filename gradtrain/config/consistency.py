"""Sections against one another: lengths, names, what is watched, schedules, decay, kinds of target."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrain.components.measures import Measure
from gradtrain.components.schedules import Scheduled
from gradtrain.components.schedules.constant import Constant
from gradtrain.components.schedules.cosine import Cosine
from gradtrain.components.schedules.linear import Linear
from gradtrain.components.schedules.plateau import Plateau
from gradtrain.config.findings import Findings, listed
from gradtrain.config.sections import Phase, Run
from gradtrain.problems import Place, did_you_mean, quote
from gradtrain.registry import find, names


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
        self.diagnosed()

    def diagnosed(self) -> None:
        """What is to happen at findings that there are."""
        known = (
            list(dict.fromkeys(name for measure in names(Measure) for name in find(Measure, measure).finds))
            if self.run.diagnostics.on
            else []
        )
        for name in self.run.diagnostics.on:
            if name not in known:
                self.add(
                    "unknown-finding",
                    f"no finding is named {quote(name)}",
                    self.at("diagnostics", "on", name),
                    "`on` says what happens when one begins",
                    did_you_mean(name, known, f"there are {listed(known)}"),
                )

    def lengths(self) -> None:
        training = self.run.training
        if self.run.phases and (training.epochs is not None or training.steps is not None):
            self.add(
                "run-length",
                "the run has a length of its own beside its phases",
                self.at("training", "epochs" if training.epochs is not None else "steps"),
                "a run is as long as its phases together",
                "leave out `epochs` and `steps` under `training:`",
            )
        for section in self.run.phases or (training,):
            where = self.of(section) or self.at("training")
            if section.epochs is not None and section.steps is not None:
                self.add(
                    "run-length",
                    "`epochs` and `steps` are both given",
                    self.at("training", "steps") if section is training else where,
                    "a run has one length",
                    "keep one of the two",
                )
            elif section.epochs is None and section.steps is None:
                self.add(
                    "run-length",
                    "neither `epochs` nor `steps` is given",
                    where,
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
        self.either("model", "models", run, "trains")
        if run.phases:
            for key in ("optimizer", "optimizers", "schedule"):
                if getattr(run, key) is not None:
                    self.add(
                        "two-sections",
                        f"`{key}` and `phases` are both given",
                        self.at(key),
                        "each phase says how its weights change",
                        f"move `{key}` into the phases",
                    )
        for phase in run.phases:
            self.either("optimizer", "optimizers", phase, "changes the weights")
        if not run.phases:
            self.either("optimizer", "optimizers", run, "changes the weights")
        if run.models is not None and set(run.models) != set(roles):
            self.add(
                "roles",
                f"`models` names {listed(run.models) or 'no network'}",
                self.at("models"),
                f"`{run.objective.name()}` has the networks {listed(roles)}",
                "use exactly these names",
            )
        elif run.models is None and roles != ("model",):
            self.add(
                "roles",
                f"`{run.objective.name()}` has the networks {listed(roles)}",
                self.at("model"),
                "`model:` is short for one network",
                "write `models:` and each of them below it",
            )
        updates = tuple(dict.fromkeys(run.objective.updates))
        for phase in run.all_phases:
            if phase.optimizers is not None and set(phase.optimizers) != set(updates):
                self.add(
                    "roles",
                    f"`optimizers` names {listed(phase.optimizers) or 'no network'}",
                    self.of(phase) or self.at("optimizers"),
                    f"`{run.objective.name()}` changes {listed(updates)}",
                    "use exactly these names" if len(updates) > 1 else "write one `optimizer:`",
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
            elif network.trained is not None:
                if network.part is not None or network.layers is not None:
                    self.add(
                        "two-sections",
                        "`trained` and layers are both given",
                        place,
                        "a trained network brings its own layers",
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

    def either(self, one: str, many: str, record: Run | Phase, does: str) -> None:
        """Exactly one of two keys, of which the first is short for one entry of the second."""
        given = [key for key in (one, many) if getattr(record, key) is not None]
        place = self.of(record) if isinstance(record, Phase) else None
        if len(given) == 2:
            self.add(
                "two-sections",
                f"`{one}` and `{many}` are both given",
                place or self.at(many),
                f"`{one}:` is short for one entry of `{many}:`",
                "keep one of the two",
            )
        elif not given:
            self.add(
                "missing-key",
                f"the {'phase' if place else 'config'} needs `{one}`",
                place or self.at(),
                f"`{one}:` says what {does}",
                f"add `{one}: …`",
            )

    def shares(self) -> None:
        """Micro-batches must add up to what the whole batch would have been."""
        if self.run.training.accumulate == 1:
            return
        place, size, parts = self.at("training", "accumulate"), self.run.data.batch_size, self.run.training.accumulate
        if isinstance(size, int) and parts > size:
            what = f"a batch of {size:,} samples cannot be cut into {parts:,} parts"
            self.add("accumulate-shares", what, place, "each part has a sample at least", f"write at most `{size}`")
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
        for phase in run.all_phases:
            if phase.schedule is not None and isinstance(phase.schedule.part, Plateau):
                place = self.at("schedule", "plateau") if not run.phases else self.of(phase)
                yield phase.schedule.part.watch, place or self.at("phases")

    def selection(self) -> None:
        run = self.run
        measured = ["loss", *(metric.name() for metric in run.evaluation.metrics)]
        measured += run.objective.measures
        if len(run.loss) > 1:
            measured += [item.part.name() for item in run.loss]
        has_val = bool(run.data.split.val) or "val" in run.data.source.official
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
            elif split not in run.evaluation.splits and (split != "test" or run.checkpoint.allow_test_selection):
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
        for phase in self.run.all_phases:
            if phase.schedule is not None:
                self.scheduled(phase, phase.schedule)

    def scheduled(self, phase: Phase, section: Scheduled) -> None:
        alone = not self.run.phases
        place = self.at("schedule") if alone else self.of(section)
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
        total = phase.steps if section.by == "step" else phase.epochs
        if total is None and self.facts is not None and phase.epochs is not None:
            total = phase.epochs * self.per_epoch()
        part = section.part
        if isinstance(part, Cosine) and total is not None and part.warmup >= (part.over or total):
            self.add(
                "warmup-too-long",
                f"a warm-up of {part.warmup} {unit} does not end before the schedule's {part.over or total}",
                self.at("schedule", "cosine") if alone else place,
                help="make `warmup` shorter",
            )
        if isinstance(part, (Cosine, Linear)) and part.over is not None and total is not None and part.over > total:
            self.add(
                "schedule-too-long",
                f"the schedule takes {part.over} {unit}, the run {total}",
                self.at("schedule", part.name()) if alone else place,
                "the run ends before its learning rate is down",
                "leave out `over`, or train longer",
                warn=True,
            )

    def decay(self) -> None:
        adaptive = {"adam", "adamw", "rmsprop", "adagrad", "adadelta", "adafactor", "adamax", "lamb", "lion", "muon"}
        adaptive |= {"nadam", "radam", "schedule_free", "yogi"}
        for item in self.run.regularization:
            if item.form == "decoupled" and item.part.of == "weight" and item.part.name() != "l2":
                self.add("bad-value", "only `l2` can be decoupled", self.of(item), help="write `form: penalty`")
                continue
            for rule in self.run.rules:
                decayed = getattr(rule.part, "weight_decay", 0.0)
                if item.part.name() not in ("l2", "elastic_net"):
                    continue
                if decayed and "weight_decay" in rule.part.model_fields_set:
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
        kind = run.objective.kind or self.kind()
        if kind is None:
            return
        for item in run.loss:
            if {kind, *run.objective.accepts} & set(item.part.kinds):
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
            if metric.written and not run.objective.writes:
                self.add(
                    "metric-kind",
                    f"`{metric.name()}` compares texts, and `{run.objective.name()}` writes none",
                    self.of(metric) or self.at("evaluation", "metrics"),
                    "the network writes a text for every sample, and it is compared with the true one",
                    "use the objective `seq2seq`, or another metric",
                )
            elif kind not in metric.kinds:
                self.add(
                    "metric-kind",
                    f"`{metric.name()}` does not measure targets of kind `{kind}`",
                    self.of(metric) or self.at("evaluation", "metrics"),
                    f"it is for {listed(metric.kinds)}",
                )
