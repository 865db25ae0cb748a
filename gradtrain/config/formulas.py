"""Formulas against the data and the network around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gradtrain.components.datasets.collocation import Collocation
from gradtrain.components.layers._chain import links
from gradtrain.components.layers.variables import Variables
from gradtrain.components.objectives._symbols import Symbols
from gradtrain.components.objectives.minimize import Minimize
from gradtrain.components.objectives.pinn import Pinn
from gradtrain.config.findings import Findings, listed
from gradtrain.config.sections import Split
from gradtrain.config.shapes import layers_of, parts_of
from gradtrain.config.tree import Node
from gradtrain.formula import Formula, parse
from gradtrain.problems import Place, Problem, did_you_mean
from gradtrain.stage import Misfit

BENT = frozenset(["hard_tanh", "leaky_relu", "prelu", "relu", "relu6"])
"""Activations of straight pieces: their second derivative is 0."""

STRAIGHT = frozenset(["dropout", "flatten", "linear", "parallel", "repeat", "reshape", "residual", "save", "take"])
"""Layers that bend nothing."""


class Formulas(Findings):
    """Mistakes in formulas, and in what they speak of."""

    def all(self) -> None:
        objective = self.run.objective
        if isinstance(objective, Minimize):
            self.minimised(objective)
        elif isinstance(objective, Pinn):
            self.points(objective)
            self.equations(objective)
            self.independent(objective)
        elif isinstance(self.run.data.source, Collocation):
            self.add(
                "point-sets",
                f"`collocation` has points, and no x and y for `{objective.name()}`",
                self.at("data", "source"),
                "its sets belong to the equations of `pinn`",
                "write `objective: {pinn: …}`, or another source",
            )

    def minimised(self, objective: Minimize) -> None:
        formula = self.read(objective.formula, objective.names, "formula")
        if formula is not None and (idle := [name for name in objective.names if name not in formula.names]):
            self.add(
                "formula",
                f"the formula does not depend on {listed(idle)}",
                self.inside("names").at,
                "its derivative there is 0, so that nothing moves it",
                "leave it out of `names` and of `variables`" if formula.names else "write a formula of these names",
                warn=bool(formula.names),
            )
        self.width(objective.names, "names")
        self.compared("`minimize` has no targets", "remove them: every evaluation says where the variables stand")

    def points(self, objective: Pinn) -> None:
        """The equations against the sets of points, and what such sets cannot have."""
        run, source = self.run, self.run.data.source
        if not isinstance(source, Collocation):
            self.add(
                "point-sets",
                f"`pinn` needs points, `{source.name()}` has samples",
                self.at("data", "source"),
                "an equation must hold at points of its coordinates",
                "write `source: {collocation: {domain: {x: [0.0, 1.0]}, points: {inside: {count: 1000}}}}`",
            )
            return
        for name in objective.equations:
            if name not in source.points:
                self.add(
                    "point-sets",
                    f"there are no points for the equation of `{name}`",
                    self.inside("equations", name).at,
                    f"the data has {listed(source.points)}",
                    did_you_mean(name, source.points, f"add `{name}: {{count: 200}}` to the points"),
                )
        for name in source.points:
            if name not in objective.equations:
                self.add(
                    "point-sets",
                    f"no equation is written for the points `{name}`",
                    self.inside("equations").at,
                    "points without an equation teach nothing",
                    f"add `{name}: …` here, or remove the points",
                )
        if run.data.batch_size != "full":
            self.add(
                "point-sets",
                "sets of points cannot be cut into batches",
                self.at("data", "batch_size"),
                "each has its own number of points",
                "write `batch_size: full` under `data:`",
            )
        if run.training.accumulate > 1:
            self.add(
                "accumulate-shares",
                "sets of points cannot be accumulated",
                self.at("training", "accumulate"),
                "micro-batches would hold other shares of every set",
                "leave out `accumulate`, and take fewer points",
            )
        for key in ("transforms", "augment"):
            if getattr(run.data, key):
                self.add(
                    "point-sets",
                    f"`{key}` would change the coordinates",
                    self.at("data", key),
                    "a derivative by a coordinate would be one by something else",
                    f"remove `{key}`; coordinates between -1 and 1 train best",
                )
        if run.data.split != Split():
            self.add(
                "point-sets",
                "points of an equation are not split",
                self.at("data", "split"),
                "all of them train; `exact` says how well",
                "remove `split:`",
            )
        if objective.exact is None:
            self.compared("`pinn` without `exact` has no targets", "write the solution as `exact`, or remove them")

    def equations(self, objective: Pinn) -> None:
        """Every formula over the names that it may use."""
        source = self.run.data.source
        if not isinstance(source, Collocation):
            return
        for name in source.domain:
            if name in objective.unknowns or name in objective.constants:
                where = "unknown" if name in objective.unknowns else "constants"
                self.add(
                    "formula",
                    f"`{name}` is a coordinate already",
                    self.inside(where).at,
                    "every name has one meaning",
                    "choose another name",
                )
        symbols = Symbols(source.domain, objective.unknowns, objective.constants)
        highest: dict[str, None] = {}
        for path, text in _formulas(objective):
            if path[0] == "exact":
                self.read(text, [*source.domain, *objective.constants], *path)
                continue
            formula = self.read(text, symbols, *path)
            if formula is None:
                continue
            found = {name: known for name in sorted(formula.names) if (known := symbols.derivative(name)) is not None}
            highest |= dict.fromkeys(name for name, (_, below) in found.items() if len(below) > 1)
            if not found:
                self.add(
                    "formula",
                    f"the equation says nothing about {listed(objective.unknowns)}",
                    self.inside(*path).place,
                    "its derivative by every weight is 0",
                    f"write what must be 0, such as `{objective.unknowns[0]} - sin(pi * {next(iter(source.domain))})`",
                )
        self.width(objective.unknowns, "unknown")
        if highest:
            self.bends(min(highest, key=len))

    def bends(self, derivative: str) -> None:
        """A network of straight pieces has no second derivative."""
        for network in self.run.networks.values():
            parts = list(parts_of(layers_of(network)))
            if not parts or any(part.name() not in BENT | STRAIGHT for part in parts):
                continue
            bent = next((part for part in parts if part.name() in BENT), None)
            self.add(
                "flat-network",
                f"`{derivative}` of a network with `{bent.name()}` is 0 everywhere"
                if bent is not None
                else f"`{derivative}` of a linear network is 0 everywhere",
                (self.of(bent) if bent is not None else None) or self.of(network),
                "it is made of straight pieces: the equation would lose this term, and never learn it",
                "use a smooth activation, such as `tanh`",
            )

    def independent(self, objective: Pinn) -> None:
        """Derivatives at a point are taken from a sum over all points: none may depend on another."""
        for network in self.run.networks.values():
            for part in parts_of(layers_of(network)):
                if part.name() == "batch_norm":
                    self.add(
                        "points-mixed",
                        "`batch_norm` lets every point depend on all others",
                        self.of(part) or self.of(network),
                        "a derivative at a point would not be that of the function",
                        "remove it, or use `layer_norm`",
                    )

    def compared(self, what: str, help: str) -> None:
        """Metrics compare with a target."""
        metrics = [metric for metric in self.run.evaluation.metrics if metric.name() != "loss"]
        if metrics:
            place = self.of(metrics[0]) or self.at("evaluation", "metrics")
            why = f"{listed(metric.name() for metric in metrics)} would compare the answer with itself"
            self.add("nothing-to-compare", what, place, why, help)

    def width(self, names: Collection[str], key: str) -> None:
        """The network puts out one number a name."""
        network = self.run.networks.get("model")
        layers = layers_of(network) if network is not None else ()
        if network is None or not layers or self.facts is None or self.facts.shape is None:
            return
        shape = (network.input,) if isinstance(network.input, int) else network.input or self.facts.shape
        try:
            after = links(layers, shape)[-1].after
        except Misfit:
            return  # told with the shapes
        if after != (len(names),):
            last = layers[-1]
            one = "variable" if isinstance(last.part, Variables) else "output"
            said = (
                f"{after[0]} {one}{'s' * (after[0] != 1)}" if len(after) == 1 else f"outputs of the shape {list(after)}"
            )
            self.add(
                "output-width",
                f"the network has {said}, `{key}` has {len(names)}: {listed(names)}",
                self.of(last) or self.of(network),
                "each of them is one number that the network puts out",
                f"give `variables` {len(names)} numbers" if one == "variable" else f"end with `linear: {len(names)}`",
            )

    def read(self, text: str, names: Collection[str], *path: str) -> Formula | None:
        """A formula; where it is wrong, the problem is shown where it stands in the file."""
        try:
            return parse(text, names)
        except Problem as problem:
            at = _moved(problem.at, self.inside(*path))
            self.add(problem.code, problem.what, at, problem.why, problem.help)
            return None

    def inside(self, *path: str) -> Node:
        """What stands at a path of the objective; the innermost part of it that is there."""
        node = self.composer.places[id(self.run.objective)]
        for key in path:
            below = (node.mapping or {}).get(key)
            if below is None and node.sequence is not None and key.isdigit():
                below = node.sequence[int(key)]
            if below is None:
                break
            node = below
        return node


def _formulas(objective: Pinn) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path below the objective, text) of every formula."""
    for name, texts in objective.residuals.items():
        for number, text in enumerate(texts):
            yield ("equations", name, str(number)), text
    for number, text in enumerate(objective.solutions):
        yield ("exact", str(number)), text


def _moved(culprit: Place | None, node: Node) -> Place:
    """The place in the file of a place in a formula; the whole formula where the file spells it otherwise."""
    at, first = node.place, node.place.column - 1 + node.quoted
    if culprit is None or not at.text or at.text[first : first + len(node.raw)] != node.raw or not node.raw:
        return at
    return Place(at.file, at.line, first + culprit.column, culprit.length, at.text)
