"""Blocks: named templates of layers. Scalar arguments in (`$out`), layers out; no recursion, so every config ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gradtrain import registry
from gradtrain.components.activations import Activation
from gradtrain.components.layers import Layer
from gradtrain.components.normalizations import Normalization
from gradtrain.config.syntax import MAX_DEPTH
from gradtrain.config.tree import MAX_NODES, Node
from gradtrain.problems import Problem, did_you_mean, quote


@dataclass
class Block:
    name: str
    arguments: dict[str, Node]
    """Argument → its default; a default of null makes it required."""
    layers: list[Node]
    size: int
    """Values in `layers`: what one use of the block costs."""
    earlier: Blocks
    """The blocks that this one may use: those written before it."""


@dataclass
class Blocks:
    """The blocks that may be used at one place. All of a config share what is left to expand and which names exist."""

    defined: dict[str, Block] = field(default_factory=dict)
    every: set[str] = field(default_factory=set)
    """The names of all blocks of the config, whether they may be used here or not."""
    broken: set[str] = field(default_factory=set)
    """Names of blocks whose definition is refused: to use them is no second mistake."""
    left: list[int] = field(default_factory=lambda: [MAX_NODES])
    """How many values may still be written by expanding blocks."""
    inside: str = ""
    """The block that is being expanded."""
    depth: int = 0

    def names(self) -> list[str]:
        return list(self.defined)

    @classmethod
    def read(cls, node: Node | None, problems: list[Problem]) -> Blocks:
        """The section `blocks:`."""
        blocks = cls()
        if node is None:
            return blocks
        if node.mapping is None:
            problems.append(Problem("wrong-type", f"`blocks` takes a mapping, found {node.kind()}", node.place))
            return blocks
        blocks.every.update(node.mapping)
        for name, body in node.mapping.items():
            before = len(problems)
            _refuse(name, body, problems)
            if len(problems) > before:
                blocks.broken.add(name)
                continue
            keys = body.mapping or {}
            arguments, layers = keys.get("args"), keys["layers"].sequence or []
            given = (arguments.mapping or {}) if arguments else {}
            earlier = replace(blocks, defined=dict(blocks.defined), inside=name)
            blocks.defined[name] = Block(name, given, layers, sum(map(_size, layers)), earlier)
        return blocks

    def spliced(self, nodes: list[Node], problems: list[Problem]) -> list[Node]:
        """A list of layers with every block replaced by its layers, to any depth."""
        result: list[Node] = []
        for node in nodes:
            name, argument = self._reference(node, problems)
            if name is None:
                result.append(node)
            elif name in self.defined:
                result += self._expanded(self.defined[name], node, argument, problems)
            elif name not in self.broken:
                itself = name == self.inside
                what = f"the block {quote(self.inside)} uses {'itself' if itself else f'{quote(name)} below it'}"
                why = "a block may use those written above it, so that every config ends"
                help = "" if itself else f"write {quote(name)} above {quote(self.inside)}"
                problems.append(Problem("block-order", what, node.place, why, help))
        return result

    def _reference(self, node: Node, problems: list[Problem]) -> tuple[str | None, Node | None]:
        """The block that an item names, and what stands under its name."""
        if node.mapping is None:
            return (node.value, None) if isinstance(node.value, str) and node.value in self.every else (None, None)
        name = next((key for key in node.mapping if key in self.every), None)
        if name is None:
            return None, None
        for key in node.mapping:
            if key != name:
                what = f"{quote(key)} does not belong beside the block {quote(name)}"
                why = "a block stands for several layers; what is said of one stands inside the block"
                problems.append(Problem("unknown-key", what, node.mapping[key].at, why))
        return name, node.mapping[name]

    def _expanded(self, block: Block, node: Node, argument: Node | None, problems: list[Problem]) -> list[Node]:
        values = self._arguments(block, node, argument, problems)
        before, self.left[0] = self.left[0], self.left[0] - 1 - block.size
        if self.left[0] < 0 or self.depth > MAX_DEPTH:
            # said once: whatever is expanded after it is too much as well
            if before >= 0:
                said = f"expand to more than {MAX_NODES:,} values" if self.left[0] < 0 else "use one another too deeply"
                problems.append(Problem("config-limit", f"the blocks {said}", node.at))
                self.left[0] = -1
            return []
        if values is None:
            return []
        inside = replace(block.earlier, depth=self.depth + 1)
        return inside.spliced([_filled(layer, values, inside) for layer in block.layers], problems)

    def _arguments(
        self, block: Block, node: Node, argument: Node | None, problems: list[Problem]
    ) -> dict[str, Node] | None:
        given: Mapping[str, Node] = {}
        before = len(problems)
        if argument is not None and argument.mapping is not None:
            given = argument.mapping
        elif argument is not None and (argument.value is not None or argument.quoted):
            if block.arguments:
                given = {next(iter(block.arguments)): argument}
            else:
                what = f"the block {quote(block.name)} takes no arguments"
                problems.append(Problem("unexpected-value", what, argument.place, help=f"write `{block.name}` alone"))
        for key, item in given.items():
            if key not in block.arguments:
                what = f"the block {quote(block.name)} has no argument {quote(key)}"
                problems.append(Problem("unknown-key", what, item.at, help=did_you_mean(key, block.arguments)))
            elif not _scalar(item):
                what = f"{quote(key)} of the block {quote(block.name)} takes a number, a text or a truth value"
                problems.append(Problem("wrong-type", f"{what}, found {item.kind()}", item.place))
        values = {**block.arguments, **given}
        for key, item in values.items():
            if item.value is None and not item.quoted:
                what, why = f"the block {quote(block.name)} needs {quote(key)}", "its default is null: it must be given"
                problems.append(Problem("missing-key", what, node.at, why, f"write `{block.name}: {{{key}: …}}`"))
        return values if len(problems) == before else None


def _refuse(name: str, body: Node, problems: list[Problem]) -> None:
    """What is wrong with a block's definition."""
    if name == "norm" or any(name in registry.names(family) for family in (Layer, Activation, Normalization)):
        what = f"a block cannot be called {quote(name)}"
        problems.append(Problem("block-name", what, body.at, "that is the name of a layer", "give it another name"))
    keys = body.mapping or {}
    for key, item in keys.items():
        if key not in ("args", "layers"):
            help = did_you_mean(key, ("args", "layers"))
            problems.append(
                Problem("unknown-key", f"unknown key {quote(key)}", item.at, "a block has `args` and `layers`", help)
            )
    layers, arguments = keys.get("layers"), keys.get("args")
    if layers is None or layers.sequence is None:
        what, help = f"the block {quote(name)} needs a list of `layers`", "add `layers:` with a list below it"
        problems.append(Problem("missing-key", what, body.at, help=help))
    named = arguments is None or arguments.value is None or arguments.mapping is not None
    if arguments is not None and not (named and all(map(_scalar, (arguments.mapping or {}).values()))):
        what, help = "`args` takes a mapping from names to scalars", "write `args: {out: null, stride: 1}`"
        problems.append(Problem("wrong-type", what, arguments.place, help=help))


def _scalar(node: Node) -> bool:
    return node.mapping is None and node.sequence is None


def _size(node: Node) -> int:
    inside = node.mapping.values() if node.mapping is not None else node.sequence or ()
    return 1 + sum(map(_size, inside))


def _filled(node: Node, values: Mapping[str, Node], scope: Blocks) -> Node:
    """A copy of a template with `$name` replaced; a replaced scalar points at where its value was written."""
    if node.mapping is not None:
        inside = {key: _filled(item, values, scope) for key, item in node.mapping.items()}
        return replace(node, value=inside, scope=scope)
    if node.sequence is not None:
        return replace(node, value=[_filled(item, values, scope) for item in node.sequence], scope=scope)
    if isinstance(node.value, str) and node.value.startswith("$") and not node.quoted and node.value[1:] in values:
        return replace(values[node.value[1:]], key=node.key, scope=scope)
    return replace(node, scope=scope)
