"""Optimizers that ask for more than a gradient, against what would mislead them."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrain.components.optimizers import Optimizer
from gradtrain.components.schedules.constant import Constant
from gradtrain.config.findings import Findings
from gradtrain.config.policies import OnNonfinite, Skip
from gradtrain.config.sections import Grouped, Phase
from gradtrain.config.shapes import layers_of, parts_of
from gradtrain.problems import Place
from gradtrain.registry import Component


class Optimization(Findings):
    """Mistakes around L-BFGS, SAM and the schedule-free optimizer."""

    def all(self) -> None:
        for phase in self.run.all_phases:
            for rule in phase.rules.values():
                self.asking(rule)
                if rule.part.averages:
                    self.averaging(rule.part, phase)
        searching = [rule for rule in self.run.rules if rule.part.name() == "lbfgs"]
        if searching:
            self.fixed_function(searching[0])
        self.policy(searching)

    def policy(self, searching: list[Grouped]) -> None:
        """What is done about numbers that are not finite: one thing, and one that can help."""
        chosen = self.run.training.on_nonfinite
        place = self.at("training", "on_nonfinite")
        if isinstance(chosen, OnNonfinite) and (chosen.skip is None) == (chosen.rollback is None):
            self.add(
                "two-policies",
                f"`on_nonfinite` names {'no policy' if chosen.skip is None else 'two policies'}",
                place,
                "it takes one of `skip` and `rollback`, with its bounds below it, or one word",
                "write `on_nonfinite: skip`, or `on_nonfinite: {skip: {in_a_row: 5}}`",
            )
        elif isinstance(self.run.training.patience, Skip) and searching:
            self.add(
                "policy-unfit",
                f"`skip` cannot help `{searching[0].part.name()}`",
                place,
                "it minimises one function of the weights: the step that is left out would come again as it was",
                "write `on_nonfinite: {rollback: {rate: 0.5}}`",
            )

    def asking(self, rule: Grouped) -> None:
        """Rules that evaluate the gradient several times a step."""
        name = rule.part.name()
        if rule.groups and not rule.part.grouped:
            self.add(
                "groups-refused",
                f"`{name}` has no parameter groups",
                self.of(rule.groups[0]) or self.of(rule),
                "it takes one step for all weights together, at one learning rate",
                "remove `groups:`, or use another optimizer",
            )
        if rule.part.closure and self.run.precision == "float16":
            self.add(
                "closure-precision",
                f"`{name}` cannot train in float16",
                self.at("precision"),
                "it evaluates the gradient several times in one step, and each would need its own loss scale",
                "write `precision: float32`",
            )

    def averaging(self, part: Optimizer, phase: Phase) -> None:
        """The optimizer that keeps an average of its own, and needs no schedule."""
        name = part.name()
        if self.run.training.ema is not None:
            self.add(
                "two-averages",
                f"`ema` beside `{name}`, which averages the weights itself",
                self.at("training", "ema"),
                "a run is measured at one of the two",
                "remove `ema`",
            )
        if phase.schedule is not None and not isinstance(phase.schedule.part, Constant):
            self.add(
                "schedule-needless",
                f"`{phase.schedule.part.name()}` beside `{name}`",
                self.at("schedule") if not self.run.phases else self.of(phase),
                "it averages its steps so that the rate need not fall; a falling rate slows it twice",
                "remove `schedule:`; for a warm-up write `schedule_free: {warmup: 100}`",
                warn=True,
            )

    def fixed_function(self, rule: Grouped) -> None:
        """L-BFGS compares gradients: it takes every change of the function for curvature."""
        name = rule.part.name()
        for what, at, help in self.changes():
            self.add(
                "function-changes",
                f"`{name}` with {what}",
                at,
                "it learns the curvature from how the gradient changes, and here more changes it than the weights",
                help,
                warn=True,
            )

    def changes(self) -> Iterator[tuple[str, Place | None, str]]:
        """(what changes the function or its gradient between two evaluations, where, what to write)."""
        run = self.run
        if not self.whole():
            yield "mini-batches", self.at("data", "batch_size"), "write `batch_size: full`"
        if run.data.augment:
            yield "augmentation", self.at("data", "augment"), "remove `augment:`, or use another optimizer"
        for key in ("clip_norm", "clip_value"):
            if getattr(run.training, key) is not None:
                help = f"remove `{key}`; `line_search: strong_wolfe` keeps steps short"
                yield f"`{key}`", self.at("training", key), help
        if run.precision in ("bfloat16", "auto"):
            at = self.at("precision")
            yield f"`precision: {run.precision}`", at, "write `precision: float32`, or `float64` where it must be exact"
        for role, network in run.networks.items():
            part = next((part for part in parts_of(layers_of(network)) if _draws(part)), None)
            if part is not None:
                at = self.of(part) or self.of(network) or self.at("model")
                yield f"`{part.name()}` in the network `{role}`", at, "remove it, or use another optimizer"
        for item in run.regularization:
            if item.form == "decoupled":
                yield "decoupled decay", self.of(item), "leave out `form: decoupled`"

    def whole(self) -> bool:
        """Whether a step sees the whole train split, as far as that is known."""
        data, size = self.run.data, self.train_size()
        if data.batch_size == "full":
            return True
        return size is not None and data.batch_size * self.run.training.accumulate >= size


def _draws(part: Component) -> bool:
    """Whether a layer answers differently to the same input."""
    chance = getattr(part, "dropout", getattr(part, "p", None))
    return bool(chance) if isinstance(chance, float) else bool(getattr(part, "random", False))
