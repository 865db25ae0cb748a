"""Blocks: named templates of layers. Scalar arguments in (`$out`), layers out; no recursion, so every config ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradtrain.config.tree import MAX_NODES, Node
from gradtrain.problems import Problem, did_you_mean, quote


@dataclass
class Block:
    name: str
    arguments: dict[str, Node]
    """Argument → its default; a default of null makes it required."""
    layers: list[Node]
    earlier: Blocks
    """The blocks that this one may use: those written before it."""


@dataclass
class Blocks:
    defined: dict[str, Block] = field(default_factory=dict)

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
        for name, body in node.mapping.items():
            keys = body.mapping or {}
            for key, item in keys.items():
                if key not in ("args", "layers"):
                    problems.append(
                        Problem(
                            "unknown-key",
                            f"unknown key {quote(key)}",
                            item.at,
                            "a block has `args` and `layers`",
                            did_you_mean(key, ("args", "layers")),
                        )
                    )
            layers, arguments = keys.get("layers"), keys.get("args")
            if layers is None or layers.sequence is None:
                problems.append(
                    Problem(
                        "missing-key",
                        f"the block {quote(name)} needs a list of `layers`",
                        body.at,
                        help="add `layers:` with a list below it",
                    )
                )
                continue
            if arguments is not None and (
                arguments.mapping is None or any(not _scalar(item) for item in arguments.mapping.values())
            ):
                problems.append(
                    Problem(
                        "wrong-type",
                        "`args` takes a mapping from names to scalars",
                        arguments.place,
                        help="write `args: {out: null, stride: 1}`",
                    )
                )
                continue
            blocks.defined[name] = Block(
                name,
                (arguments.mapping or {}) if arguments else {},
                layers.sequence,
                cls(dict(blocks.defined)),
            )
        return blocks

    def spliced(self, nodes: list[Node], problems: list[Problem]) -> list[Node]:
        """A list of layers with every block replaced by its layers, to any depth."""
        budget = [MAX_NODES]
        return self._spliced(nodes, problems, budget)

    def _spliced(self, nodes: list[Node], problems: list[Problem], budget: list[int]) -> list[Node]:
        result: list[Node] = []
        for node in nodes:
            name, argument = node.value if isinstance(node.value, str) else None, None
            if node.mapping is not None and len(node.mapping) == 1:
                name, argument = next(iter(node.mapping.items()))
            block = self.defined.get(name) if name is not None else None
            if block is None:
                budget[0] -= 1
                result.append(node)
                continue
            values = self._arguments(block, node, argument, problems)
            if budget[0] < 0:
                problems.append(
                    Problem("config-limit", f"the blocks expand to more than {MAX_NODES:,} layers", node.at)
                )
                return []
            if values is not None:
                result += block.earlier._spliced([_filled(layer, values) for layer in block.layers], problems, budget)
        return result

    def _arguments(
        self, block: Block, node: Node, argument: Node | None, problems: list[Problem]
    ) -> dict[str, Node] | None:
        given: dict[str, Node] = {}
        if argument is not None and argument.mapping is not None:
            given = argument.mapping
        elif argument is not None and argument.value is not None and block.arguments:
            given = {next(iter(block.arguments)): argument}
        sound = True
        for key, item in given.items():
            if key not in block.arguments:
                problems.append(
                    Problem(
                        "unknown-key",
                        f"the block {quote(block.name)} has no argument {quote(key)}",
                        item.at,
                        help=did_you_mean(key, block.arguments),
                    )
                )
                sound = False
        values = {**block.arguments, **given}
        for key, item in values.items():
            if item.value is None and not item.quoted:
                problems.append(
                    Problem(
                        "missing-key",
                        f"the block {quote(block.name)} needs {quote(key)}",
                        node.at,
                        "an argument whose default is null must be given",
                        f"write `{block.name}: {{{key}: …}}`",
                    )
                )
                sound = False
        return values if sound else None


def _scalar(node: Node) -> bool:
    return node.mapping is None and node.sequence is None


def _filled(node: Node, values: dict[str, Node]) -> Node:
    """A copy of a template with `$name` replaced; a replaced scalar points at where its value was written."""
    if node.mapping is not None:
        return Node({key: _filled(item, values) for key, item in node.mapping.items()}, node.place, node.key)
    if node.sequence is not None:
        return Node([_filled(item, values) for item in node.sequence], node.place, node.key)
    if isinstance(node.value, str) and node.value.startswith("$") and not node.quoted and node.value[1:] in values:
        value = values[node.value[1:]]
        return Node(value.value, value.place, node.key, value.raw, value.quoted)
    return node
