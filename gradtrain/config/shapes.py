"""What must fit together: the split, the batch, the shapes from the data through every layer to the target."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from gradtrain.components.activations.softmax import Softmax
from gradtrain.components.augmentations import Augmentation
from gradtrain.components.layers import Layers, Placed, held
from gradtrain.components.layers._chain import links
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.components.objectives import Outline
from gradtrain.components.transforms import TransformUse
from gradtrain.config.findings import Findings
from gradtrain.config.sections import Network
from gradtrain.problems import Place
from gradtrain.registry import Component
from gradtrain.stage import Misfit, Shape

LARGEST = 2**31
"""No layer's output for one sample has more elements: it would not fit any memory together with its weights."""


class Shapes(Findings):
    """Mistakes that show when one sample is followed through the run."""

    def all(self) -> None:
        self.data()
        shape = self.input_shape()
        readers = self.run.objective.readers
        outlines: dict[str, Outline] = {}
        for role, network in self.run.networks.items():
            if network.input is None and role not in readers and network.trained is None:
                if role in self.run.objective.roles:
                    self.add(
                        "missing-key",
                        f"the network `{role}` does not say what it reads",
                        self.of(network) or self.at("model"),
                        f"of the networks of `{self.run.objective.name()}`, {_and(readers)} the samples",
                        "add `input:`, the shape of what it reads without the batch",
                    )
                continue
            if (outline := self.network(role, network, shape)) is not None:
                outlines[role] = outline
        given = {role for role in self.run.objective.given if (n := self.run.networks.get(role)) and n.trained}
        if self.facts is not None and set(outlines) | given == set(self.run.objective.roles):
            for where, problem in self.run.objective.complaints(outlines, self.facts):
                place = self.of(self.run.networks[where]) if where in self.run.networks else None
                problem.at = place or self.at(where)
                self.composer.problems.append(problem)

    def data(self) -> None:
        run, data, split = self.run, self.run.data, self.run.data.split
        shares = [s for s in (split.train, split.val, split.test) if isinstance(s, float)]
        if sum(shares) > 1 + 1e-9:
            self.add(
                "split-shares",
                f"the shares of the split add up to {sum(shares):g}",
                self.at("data", "split"),
                "they are parts of one whole",
                "make them add up to 1 or less",
            )
        else:
            self.parts()
        if not data.shuffle and data.batch_size != "full":
            self.add(
                "not-shuffled",
                "the training data is never shuffled",
                self.at("data", "shuffle"),
                "batches of neighbours repeat the same mistakes in every epoch",
                "leave `shuffle` at true",
                warn=True,
            )
        size = self.train_size()
        if size is None or data.batch_size == "full":
            return
        step = data.batch_size * run.training.accumulate
        if data.drop_last and step > size:
            self.add(
                "no-batches",
                f"a step takes {step} samples, the train split has {size}: with `drop_last` there is none",
                self.at("data", "batch_size"),
                why="an epoch would have no step",
                help="make the batch smaller, or write `drop_last: false`",
            )
        stages = [stage for network in run.networks.values() for stage in parts_of(layers_of(network))]
        lonely = data.batch_size == 1 or (not data.drop_last and size % step == 1 and run.training.accumulate == 1)
        if lonely and any(isinstance(stage, BatchNorm) for stage in stages):
            why = (
                "batch_norm cannot take the variance of one sample"
                if data.batch_size == 1
                else f"{size} samples in batches of {step} leave a last one of 1, which has no variance"
            )
            self.add(
                "batch-of-one",
                "a batch of one sample reaches `batch_norm`",
                self.at("data", "batch_size"),
                why,
                "make `batch_size` larger"
                if data.batch_size == 1
                else "write `drop_last: true`, or another `batch_size`",
            )

    def parts(self) -> None:
        """The split in samples, where the data's count is known."""
        split, facts = self.run.data.split, self.facts
        given = {name: getattr(split, name) for name in ("train", "val", "test") if getattr(split, name)}
        if facts is None or facts.count is None or self.run.data.source.official or self.run.data.windows is not None:
            return
        count = facts.count
        counts = {name: round(size * count) if isinstance(size, float) else size for name, size in given.items()}
        empty = next((name for name, number in counts.items() if not number), None)
        asked = sum(number for name, number in counts.items() if not isinstance(given[name], float) or name != "train")
        if empty is not None:
            what, why = f"the {empty} split is empty", f"{given[empty]:g} of {count:,} samples is none"
            self.add("split-shares", what, self.at("data", "split", empty), why, "make it larger, or leave it out")
        elif asked + ("train" not in counts) > count:
            what = f"the split asks for {asked:,} of {count:,} samples"
            said = ", ".join(f"{name} {number:,}" for name, number in counts.items())
            self.add("split-shares", what, self.at("data", "split"), f"{said} do not fit", "make the parts smaller")

    def input_shape(self) -> Shape | None:
        """The shape of one sample as the network sees it; refuses transforms that do not fit."""
        if self.facts is None or self.facts.shape is None:
            return None
        shape, span = self.facts.shape, self.facts.range
        items: list[TransformUse | Augmentation] = [*self.run.data.transforms, *self.run.data.augment]
        for item in items:
            part = item.part if isinstance(item, TransformUse) else item
            if isinstance(item, TransformUse) and item.on != "x":
                continue
            try:
                shape = part.output_shape(shape)
            except Misfit as misfit:
                self.add("shape-mismatch", str(misfit), self.of(item) or self.at("data"), help=misfit.help)
                return None
            if isinstance(item, TransformUse):
                span = item.part.span(*span) if span is not None else None
        if span is not None and max(abs(span[0]), abs(span[1])) >= 100:
            self.add(
                "unscaled-input",
                f"the inputs run from {span[0]:g} to {span[1]:g}",
                self.at("data"),
                "networks train badly on numbers that large",
                "add `to_float` or `standardize` to `transforms:`",
                warn=True,
            )
        if (windows := self.run.data.windows) is not None:
            try:
                shape = windows.shape(shape, self.facts.series)
            except Misfit as misfit:
                self.add("shape-mismatch", str(misfit), self.at("data", "windows"), help=misfit.help)
                return None
        elif self.facts.series:
            self.add(
                "windows-missing",
                f"`{self.run.data.source.name()}` is one long sequence",
                self.at("data"),
                "samples are cut from it",
                "add `windows: {length: 64}` under `data:`",
            )
            return None
        self.facts = replace(self.facts, shape=shape, range=span)
        return shape

    def network(self, role: str, network: Network, shape: Shape | None) -> Outline | None:
        """The network's shapes, where they are known and fit."""
        if network.input is not None:
            shape = (network.input,) if isinstance(network.input, int) else network.input
        layers = layers_of(network)
        if not layers:
            return None
        self.order(layers)
        if shape is None or not (self.facts or network.input):
            return None
        try:
            found = links(layers, shape)
        except Misfit as misfit:
            self.add(
                "shape-mismatch",
                str(misfit),
                self.culprit(network, misfit.path),
                f"at `{_dotted(misfit.path)}`" if misfit.path else "",
                misfit.help,
            )
            return None
        for link in found:
            numbers, flat = math.prod(link.after), len(link.after) == len(link.before) == 1
            if numbers > LARGEST or (flat and link.after[0] * link.before[0] > LARGEST * 4):
                self.add(
                    "too-large",
                    f"`{link.item.part.name()}` turns {list(link.before)} into {list(link.after)}",
                    self.of(link.item) or self.of(network),
                    f"that does not fit into memory: {numbers:,} numbers for every sample"
                    + (f", {link.after[0] * link.before[0]:,} weights" if flat else ""),
                    "make it narrower",
                )
                return None
        if role == "model" and self.run.objective.kind is None:
            self.output(found[-1].after, self.of(layers[-1]) or self.of(network))
        return Outline(shape, found[-1].after, tuple(part.name() for part in parts_of(layers)))

    def output(self, shape: Shape, place: Place | None) -> None:
        """The last layer's width against the target."""
        facts, kind = self.facts, self.kind()
        if facts is None or kind is None or any(kind not in item.part.kinds for item in self.run.loss):
            return
        scores = next((item.part.name() for item in self.run.loss if item.part.scores_classes), None)
        if kind == "class" and scores is not None:
            if shape[0] < 2:
                self.add(
                    "output-width",
                    f"the network has {shape[0]} output, `{scores}` needs one a class",
                    place,
                    "with one output the loss and its gradient are always 0",
                    "write `linear: $data.classes`, or `binary_cross_entropy` with `target: {kind: binary}`",
                )
            elif facts.classes is not None and shape[0] != facts.classes:
                self.add(
                    "output-width",
                    f"the network has {shape[0]} outputs, the data {facts.classes} classes",
                    place,
                    "every class needs its output",
                    "write `linear: $data.classes`",
                )
        elif kind in ("value", "binary", "pm1") and (facts.outputs or kind != "value"):
            width = facts.outputs if kind == "value" and facts.outputs else 1
            wanted = [item.part.outputs(width) for item in self.run.loss]
            unmet = next((shapes for shapes in wanted if shape not in shapes), None)
            if unmet:
                self.add(
                    "output-width",
                    f"the network puts out {list(shape)}, the target is {[width]}",
                    place,
                    "shapes that differ would be broadcast against each other without a word",
                    f"end with `linear: {unmet[0][0]}`",
                )

    def twice(self, loss: str) -> str:
        """What comes of an activation before a loss that applies it itself."""
        classes = self.facts.classes if self.facts is not None else None
        if loss == "binary_cross_entropy":
            return ": twice, every answer lies between ½ and 0.73"
        if loss == "cross_entropy" and classes:
            return f"; with {classes} classes the loss could never fall below {math.log(math.e + classes - 1) - 1:.4f}"
        return ""

    def order(self, layers: Layers) -> None:
        """What comes before what."""
        last = layers[-1]
        ending = last.part.name()
        for loss in (item.part.name() for item in self.run.loss if ending in item.part.applies):
            self.add(
                "softmax-before-loss",
                f"`{ending}` before `{loss}`",
                self.of(last),
                f"`{loss}` applies it itself{self.twice(loss)}",
                f"remove the {ending}",
            )
        if isinstance(last.part, Softmax) and any(item.part.name() == "nll" for item in self.run.loss):
            self.add(
                "softmax-before-loss",
                "`softmax` before `nll`",
                self.of(last),
                "`nll` needs log-probabilities; on probabilities the loss is negative",
                "remove the softmax and write `loss: cross_entropy`",
            )
        for before, after in pairwise(layers):
            if (
                getattr(before.part, "bias", False) is True
                and isinstance(after.part, Normalization)
                and before.part.name() in ("linear", "conv")
                and after.part.name() != "rms_norm"
            ):
                self.add(
                    "bias-before-norm",
                    f"the bias of `{before.part.name()}` is taken away again by `{after.part.name()}`",
                    self.of(before),
                    "its gradient is always 0",
                    "write `bias: false`",
                    warn=True,
                )
            if isinstance(before.part, Dropout) and isinstance(after.part, BatchNorm):
                self.add(
                    "dropout-before-norm",
                    "`dropout` before `batch_norm`",
                    self.of(before),
                    "the variance is another one in evaluation, when nothing is dropped",
                    "put dropout after it",
                    warn=True,
                )

    def culprit(self, network: Network, path: tuple[int | str, ...]) -> Place | None:
        """Where the item of a Misfit's path was written; the innermost one that is known."""
        place, record = self.of(network), None
        current: object = layers_of(network)
        for key in path:
            current = (
                current[key] if isinstance(key, int) and isinstance(current, tuple) else getattr(record, str(key), ())
            )
            if isinstance(current, Placed):
                place, record = self.of(current) or place, current.part
        return place


def layers_of(network: Network) -> Layers:
    return network.part.expanded() if network.part is not None else network.layers or ()


def _and(names: tuple[str, ...]) -> str:
    if not names:
        return "none reads"
    return " and ".join(f"`{name}`" for name in names) + (" reads" if len(names) == 1 else " read")


def parts_of(layers: Layers) -> Iterator[Component]:
    """Every component of a list of layers and of the lists inside it, in order."""
    for item in layers:
        yield item.part
        for _, inner in held(item.part):
            yield from parts_of(inner)


def _dotted(path: tuple[int | str, ...]) -> str:
    return "layers" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
