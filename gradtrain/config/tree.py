"""The marked tree: YAML 1.2 core as data, every node with its place in the file.

PyYAML's libyaml parser gives the events; the composing, the scalars and the limits are ours, because PyYAML's own
loader reads `1e-3` as a string, `on` as True, `12:30` as 750, `010` as 8 and keeps the last of two equal keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gradtrain.config.scalars import LARGEST_INT, plain_scalar
from gradtrain.config.syntax import MAX_DEPTH, broken, other_language, too_deep
from gradtrain.config.text import text_of
from gradtrain.problems import Place, Problem, quote, several

MAX_NODES, MAX_STRING = 20_000, 1 << 16


@dataclass(slots=True)
class Node:
    """A scalar (str, int, float, bool or None), a list of nodes, or a mapping of nodes."""

    value: Any
    place: Place
    key: Place | None = None
    """Where the key of this node stands, for a value in a mapping."""
    raw: str = ""
    """A scalar as it was written."""
    quoted: bool = False
    scope: Any = None
    """The blocks that may be used here, for what a block was expanded to; None outside of blocks."""

    @property
    def mapping(self) -> dict[str, Node] | None:
        return self.value if isinstance(self.value, dict) else None

    @property
    def sequence(self) -> list[Node] | None:
        return self.value if isinstance(self.value, list) else None

    @property
    def at(self) -> Place:
        """The key where there is one, the value otherwise."""
        return self.key or self.place

    def plain(self) -> Any:
        """The value without places: dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def kind(self) -> str:
        """What it is, in the reader's words."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        return {
            str: "text",
            bool: "true or false",
            int: "an integer",
            float: "a number",
            type(None): "nothing",
        }[type(self.value)]


@dataclass
class Parsed:
    root: Node
    warnings: list[Problem] = field(default_factory=list)


def read_file(path: Path) -> Parsed:
    """The tree of a config file. Raises `Problem` or a group of them (exit code 2)."""
    return parse(text_of(path), str(path))


def parse(text: str, name: str) -> Parsed:
    """The tree of a YAML text; `name` is how places call it. Raises `Problem` or a group of them (exit code 2)."""
    return _Parser(text, name).parsed()


_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


class _Parser:
    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = text.replace("\r\n", "\n")
        self.lines = self.text.split("\n")
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def parsed(self) -> Parsed:
        self.refuse_characters()
        try:
            root = self.compose()
        except yaml.YAMLError as error:
            self.problems.append(broken(error, self.lines, self.place))
            raise several(self.problems, self.name) from None
        if root is None or (root.value is None and not root.raw):
            raise Problem(
                "config-empty",
                "the file holds no configuration",
                Place(self.name),
                help="`gradtrain init` writes one to start from",
            )
        if isinstance(root.value, str) and (other := other_language(self.lines)) is not None:
            help, line = other
            at = self.place(line, 0, len(self.lines[line]))
            self.add("yaml-syntax", "not YAML: the file is one text", at, "a config is one YAML document", help)
        elif root.mapping is None:
            self.add(
                "config-not-a-mapping",
                f"the file holds {root.kind()}",
                root.place,
                "a config is a mapping of sections",
                "begin with `name:`, `data:`, `model:`",
            )
        if self.problems:
            raise several(self.problems, self.name)
        return Parsed(root, self.warnings)

    def place(self, line: int, column: int, length: int = 1) -> Place:
        if line >= len(self.lines):  # libyaml counts a last line that has no line break as ended
            line, column = len(self.lines) - 1, len(self.lines[-1])
        text = self.lines[line]
        return Place(self.name, line + 1, column + 1, max(1, min(length, len(text) - column)), text)

    def add(self, code: str, what: str, at: Place, why: str = "", help: str = "") -> None:
        self.problems.append(Problem(code, what, at, why, help))

    def refuse_characters(self) -> None:
        for number, line in enumerate(self.lines):
            if found := _FORBIDDEN.search(line):
                escaped = found[0].encode("unicode_escape").decode()
                self.add(
                    "config-encoding",
                    f"control character {quote(escaped)} in the text",
                    self.place(number, found.start()),
                    "a config is plain text: control and direction marks can hide what it says",
                    "remove it",
                )
        if self.problems:
            raise several(self.problems, self.name)

    def compose(self) -> Node | None:
        """Events to nodes with an explicit stack, so that depth costs no recursion."""
        root: Node | None = None
        stack: list[tuple[Node, dict[str, Node] | None, list[Node]]] = []
        keys: list[tuple[str, Place] | None] = []
        documents = count = 0
        for event in self.events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.add(
                        "yaml-documents",
                        "a second document begins",
                        self.at(event),
                        "a config is one document",
                        "remove the `---` and what follows it",
                    )
                    return root
            elif isinstance(event, yaml.AliasEvent):
                self.add(
                    "yaml-alias",
                    f"alias `*{event.anchor}`",
                    self.at(event),
                    "a config has no aliases: what is written is what runs",
                    "write the value out, or use `blocks:`",
                )
                if stack and isinstance(stack[-1][0].value, dict) and keys[-1] is None:
                    keys[-1] = (str(event.anchor), self.at(event))
                    continue
                node = Node(None, self.at(event))
                root = self.attach(node, stack, keys) or root or node
            elif isinstance(event, (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                count += 1
                if len(stack) >= MAX_DEPTH:
                    self.problems.append(too_deep(self.at(event)))
                    raise several(self.problems, self.name)
                if count > MAX_NODES:
                    what = f"more than {MAX_NODES:,} values"
                    self.add("config-limit", what, self.at(event), "no sane config is that large")
                    raise several(self.problems, self.name)
                self.refuse_marks(event)
                node = self.node(event)
                root = root or node
                if stack and isinstance(stack[-1][0].value, dict) and keys[-1] is None:
                    keys[-1] = self.key(node)
                    if not isinstance(event, yaml.ScalarEvent):
                        stack.append((node, None, []))
                        keys.append(None)
                    continue
                self.attach(node, stack, keys)
                if not isinstance(event, yaml.ScalarEvent):
                    stack.append((node, None, []))
                    keys.append(None)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                stack.pop()
                keys.pop()
        return root

    def events(self) -> Iterator[Any]:
        return yaml.parse(self.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def at(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        length = end.column - start.column if end.line == start.line else len(self.lines[start.line]) - start.column
        return self.place(start.line, start.column, length)

    def refuse_marks(self, event: Any) -> None:
        if event.anchor:
            self.add(
                "yaml-alias",
                f"anchor `&{event.anchor}`",
                self.at(event),
                "a config has no anchors: what is written is what runs",
                "write the value out, or use `blocks:`",
            )
        if event.tag and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            self.add(
                "yaml-tag",
                f"tag {quote(event.tag.replace('tag:yaml.org,2002:', '!!'))}",
                self.at(event),
                "a config has no tags: nothing in it names code or types",
                "remove the tag",
            )

    def node(self, event: Any) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return Node({}, self.at(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node([], self.at(event))
        place, raw = self.at(event), event.value
        if len(raw) > MAX_STRING:
            self.add("config-limit", "a text longer than 64 KiB", place, "no sane config is that large")
        if found := _FORBIDDEN.search(raw):
            self.add(
                "config-encoding",
                f"control character {quote(found[0].encode('unicode_escape').decode())} in a text",
                place,
                "control and direction marks can hide what a text says",
                "remove it",
            )
        plain = event.style is None or event.style == ""
        value = plain_scalar(raw) if plain else raw
        if isinstance(value, int) and not -LARGEST_INT - 1 <= value <= LARGEST_INT:
            what, why = f"the integer {quote(raw, 30)} does not fit 64 bits", f"the largest is {LARGEST_INT}"
            self.add("config-limit", what, place, why, "write a smaller number")
            value = 0
        if plain and re.fullmatch(r"[-+]?0[0-7]+", raw):
            self.warnings.append(
                Problem(
                    "leading-zero",
                    f"{quote(raw)} is {value} here",
                    place,
                    "YAML 1.1 reads it as octal, YAML 1.2 as decimal",
                    f"write {value}",
                    severity="warning",
                )
            )
        return Node(value, place, raw=raw, quoted=not plain)

    def key(self, node: Node) -> tuple[str, Place]:
        if isinstance(node.value, (dict, list)):
            self.add("yaml-key", f"a key that is {node.kind()}", node.place, "keys are text")
            return "", node.place
        if node.raw == "<<" and not node.quoted:
            self.add(
                "yaml-alias",
                "merge key `<<`",
                node.place,
                "a config has no merge keys",
                "use `extends:` or `blocks:`",
            )
        elif not isinstance(node.value, str):
            self.add(
                "yaml-key",
                f"the key {quote(node.raw)} is {node.kind()}",
                node.place,
                "keys are text",
                f'write "{node.raw}" in quotes if you mean the text',
            )
        return node.raw, node.place

    def attach(
        self,
        node: Node,
        stack: list[tuple[Node, dict[str, Node] | None, list[Node]]],
        keys: list[tuple[str, Place] | None],
    ) -> Node | None:
        if not stack:
            return node
        parent = stack[-1][0]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict) and keys[-1] is not None:
            key, node.key = keys[-1]
            keys[-1] = None
            if key in parent.value:
                first = parent.value[key].at
                self.add(
                    "duplicate-key",
                    f"the key {quote(key)} stands twice",
                    node.key,
                    f"it already stands in line {first.line}",
                    "keep one of the two",
                )
            else:
                parent.value[key] = node
        return None
