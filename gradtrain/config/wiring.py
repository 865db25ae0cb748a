"""The objective against the sections around it: losses, samples, sequences, drawings."""

from __future__ import annotations

from gradtrain.components.regularizers import Regularizer
from gradtrain.config.findings import Findings
from gradtrain.config.shapes import layers_of, parts_of


class Wiring(Findings):
    """Mistakes about what an objective needs and what it does not know."""

    def all(self) -> None:
        self.losses()
        self.distances()
        self.given()
        self.samples()
        self.drawings()
        self.penalties()

    def losses(self) -> None:
        run, name = self.run, self.run.objective.name()
        if run.objective.needs_loss and not run.loss:
            self.add(
                "missing-key",
                "the config needs `loss`",
                self.at(),
                f"`{name}` minimises what `loss:` says",
                "add `loss: …`; `gradtrain list losses` shows them all",
            )
        elif run.loss and not run.objective.needs_loss:
            self.add(
                "loss-unused",
                f"`{name}` brings its own loss",
                self.at("loss"),
                "what stands under `loss:` would never be computed",
                f"remove `loss:`; `gradtrain show {name}` says what is minimised",
            )

    def distances(self) -> None:
        """A distance is small where two samples belong together; a score, which most losses take, is large there."""
        run = self.run
        if not run.objective.distances:
            return
        for item in run.loss:
            if not item.part.distances and run.objective.kind in item.part.kinds:
                self.add(
                    "distance-loss",
                    f"`{item.part.name()}` cannot take a distance",
                    self.of(item),
                    "it takes a score, high for a pair of the same label: a distance is low there, and never below 0",
                    "write `contrastive: {same_label: 1}`, or `combine: abs_difference` and a network `head`",
                )
        for metric in run.evaluation.metrics:
            if metric.name() != "loss":
                self.add(
                    "metric-kind",
                    f"`{metric.name()}` does not measure a distance",
                    self.of(metric) or self.at("evaluation", "metrics"),
                    "it takes a score, high for a pair of the same label: a distance is low there",
                    "leave it out; the loss is measured always",
                )

    def given(self) -> None:
        """Networks that do not learn must have learned before."""
        for role in self.run.objective.given:
            network = self.run.networks.get(role)
            if network is None or network.trained is not None or not layers_of(network):
                continue
            self.add(
                "never-trained",
                f"the network `{role}` was never trained",
                self.of(network) or self.at("models"),
                f"`{self.run.objective.name()}` does not change it: the answers of random weights are noise",
                f"write `{role}: {{trained: runs/NAME/001}}` with the folder of a run"
                + ("" if network.frozen else ", or `frozen: true` beside its layers if noise is what you want"),
                warn=network.frozen,
            )

    def samples(self) -> None:
        run, data, name = self.run, self.run.data, self.run.objective.name()
        paired = name == "siamese"
        if paired != (data.pairs is not None):
            self.add(
                "pairs",
                "`siamese` compares two samples" if paired else f"`{name}` takes one sample at a time",
                self.at("data") if paired else self.at("data", "pairs"),
                "`data.pairs` brings them together",
                "add `pairs: {positive: 0.5}` under `data:`" if paired else "remove `pairs:`",
            )
        for item in run.loss if paired else ():
            if getattr(item.part, "same_label", 1) == 0:
                self.add(
                    "pairs",
                    f"`{item.part.name()}` with `same_label: 0`",
                    self.of(item),
                    "`data.pairs` marks two samples of the same label by 1: they would be pushed apart",
                    "write `same_label: 1`",
                )
        windows = data.windows
        if windows is not None and run.objective.labelled:
            self.add(
                "windows-labels",
                f"`{name}` reads labels, and windows have none",
                self.at("data", "windows"),
                "the target of a window is what follows it in its sequence",
                "remove `windows:`, or write `objective: forecast` (of symbols: `language_model`)",
            )
        carries = bool(getattr(run.objective, "carry", False))
        if carries and (windows is None or windows.start != "stream"):
            self.add(
                "carry-windows",
                "`carry` needs windows that follow one another",
                self.at("data", "windows"),
                "the memory of one batch is of no use to a batch from elsewhere",
                "write `start: stream` under `data.windows`",
            )
        if carries and run.training.accumulate > 1:
            self.add(
                "carry-windows",
                "`carry` cannot go on from one micro-batch to the next",
                self.at("training", "accumulate"),
                "each of them holds other rows of the stream",
                "leave out `accumulate`, and make `batch_size` larger",
            )
        if data.split.order == "random" and self.facts is not None and windows is not None and self.facts.series:
            self.add(
                "split-series",
                "a sequence cannot be split at random",
                self.at("data", "split"),
                "its moments would be torn apart, and neighbours would stand in different splits",
                "leave out `order`",
            )
        if data.balanced is not None and data.batch_size == "full":
            self.add(
                "two-sections",
                "`balanced` and `batch_size: full` are both given",
                self.at("data", "balanced"),
                "a balanced batch has `classes` times `per_class` samples",
                "keep one of the two",
            )
        if name == "node_classification" and data.batch_size != "full":
            self.add(
                "whole-graph",
                "a batch of `node_classification` is the whole graph",
                self.at("data", "batch_size"),
                "nodes learn from their neighbours, wherever they stand",
                "write `batch_size: full`",
            )

        if getattr(run.objective, "normalize", False):
            for item in run.loss:
                margin, distance = getattr(item.part, "margin", 0.0), getattr(item.part, "distance", "euclidean")
                if margin > 2 and distance == "euclidean":
                    self.add(
                        "margin-too-large",
                        f"a margin of {margin:g} between embeddings of length 1",
                        self.of(item),
                        "no two points of the unit sphere are more than 2 apart: no triplet could ever satisfy it",
                        "make `margin` smaller, or write `normalize: false`",
                    )

    def drawings(self) -> None:
        draws = self.run.objective.draws
        if not self.run.sampling:
            return
        if draws is None:
            self.add(
                "no-samples",
                f"`{self.run.objective.name()}` has nothing to draw",
                self.at("sampling"),
                "it makes up neither texts nor pictures",
                "remove `sampling:`",
            )
            return
        for section in self.run.sampling:
            if "source" in section.model_fields_set and section.source not in self.run.objective.sources:
                self.add(
                    "no-samples",
                    f"`{self.run.objective.name()}` draws no {section.source}",
                    self.of(section) or self.at("sampling"),
                    f"it draws from `{self.run.objective.sources[0]}`",
                    "leave out `source:`",
                )

    def penalties(self) -> None:
        """A penalty on a slope needs samples, and looks at each alone: batch norm mixes them."""
        objective, data = self.run.objective, self.run.data
        for item in self.run.regularization:
            if not isinstance(item.part, Regularizer) or item.part.of != "input_gradient":
                continue
            if not objective.points:
                self.add(
                    "no-points",
                    f"`{objective.name()}` offers no samples that `{item.part.name()}` is measured at",
                    self.of(item),
                    "it is a penalty on the slope of a network at its samples",
                    "use a penalty on weights or outputs, or the objective `supervised` or `gan`",
                )
                continue
            misplaced = "at" in item.model_fields_set  # which is said already
            if item.part.fakes and "fake" not in objective.points and not misplaced:
                self.add(
                    "no-fakes",
                    f"`{item.part.name()}` needs made-up samples, and `{objective.name()}` makes none",
                    self.of(item),
                    "it is measured at them, or between them and real ones",
                    f"write `{item.part.name()}: {{at: real}}`, or use it in a `gan`",
                )
            symbols = self.facts is not None and self.facts.vocab is not None
            if symbols and not any(use.on == "x" for use in data.transforms):
                self.add(
                    "no-points",
                    f"the samples of `{data.source.name()}` are symbols, along which nothing has a slope",
                    self.of(item),
                    f"`{item.part.name()}` is a penalty on the slope of a network at its samples",
                    "use a penalty on weights or outputs",
                )
            for role, network in self.run.networks.items():
                mixed = any(part.name() == "batch_norm" for part in parts_of(layers_of(network)))
                if mixed and (getattr(item, "of", None) or role) == role and role != "generator":
                    self.add(
                        "penalty-mixes",
                        f"`{item.part.name()}` with `batch_norm` in the network `{role}`",
                        self.of(item),
                        "the penalty is on the slope at single samples, and batch_norm lets each depend on all others",
                        "use `layer_norm` or `group_norm` there",
                        warn=True,
                    )
