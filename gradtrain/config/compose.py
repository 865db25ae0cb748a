"""Marked tree → records: finds components by name, expands blocks, reads facts, and collects every problem.

A record's fields say what stands in its place: a component's family, a `Use` (a component with reserved words), a
record, a list of these, or plain data that pydantic checks. One walk serves all of them.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from gradtrain import registry
from gradtrain.components.layers import Placed
from gradtrain.components.normalizations import Normalization
from gradtrain.config import words
from gradtrain.config.blocks import Blocks
from gradtrain.config.syntax import MAX_DEPTH
from gradtrain.config.tree import Node
from gradtrain.problems import Place, Problem, did_you_mean, quote
from gradtrain.registry import Component, Record, Use

FAILED: Any = object()
"""Stands for a value whose problems are already collected."""

Facts = Mapping[str, Any]


@dataclass
class Composer:
    """One pass over a config. `facts` maps the names of `$data.…` to values; None while the data is not known."""

    facts: Facts | None = None
    blocks: Blocks = field(default_factory=Blocks)
    normalization: Normalization | None = None
    problems: list[Problem] = field(default_factory=list)
    places: dict[int, Node] = field(default_factory=dict)
    """id of a composed record → the node it came from, for the cross-checks."""
    nested: int = 0
    """Lists that the walk is inside of."""

    def add(self, code: str, what: str, at: Place, why: str = "", help: str = "") -> Any:
        self.problems.append(Problem(code, what, at, why, help))
        return FAILED

    def value(self, annotation: Any, node: Node, name: str) -> Any:
        """The value of a field called `name` with this annotation."""
        bare, _ = words.unwrap(annotation)
        if node.value is None and not node.quoted and type(None) in typing.get_args(bare):
            return None
        members = [words.unwrap(member)[0] for member in words.alternatives(annotation)]
        classes = [member for member in members if isinstance(member, type)]
        if node.value is None and not node.quoted and node.key and any(issubclass(c, Use | Component) for c in classes):
            return self.add("missing-key", f"`{name}` has no value", node.at, help=f"write one behind `{name}:`")
        if uses := [c for c in classes if issubclass(c, Use)]:
            return self.use(uses[0], node)
        if components := [c for c in classes if issubclass(c, Component)]:
            return self.component(tuple(components), node)
        choices = [
            word for member in members if typing.get_origin(member) is Literal for word in typing.get_args(member)
        ]
        if isinstance(node.value, str) and node.value in choices:
            return node.value
        for member in members:
            if typing.get_origin(member) is tuple and self.holds_records(inner := typing.get_args(member)[0]):
                return self.items(inner, node, name)
            if typing.get_origin(member) is dict and self.holds_records(inner := typing.get_args(member)[1]):
                return self.mapping(inner, node, name)
        if records := [c for c in classes if issubclass(c, Record)]:
            if node.mapping is None and len(members) > len(records):
                return self.plain(node)
            return self.record(records[0], node)
        return self.plain(node)

    def holds_records(self, annotation: Any) -> bool:
        members = [words.unwrap(member)[0] for member in words.alternatives(annotation)]
        return any(
            issubclass(member, Record)
            if isinstance(member, type)
            else typing.get_origin(member) in (tuple, dict)
            and self.holds_records(typing.get_args(member)[-2 if typing.get_origin(member) is tuple else 1])
            for member in members
        )

    def items(self, annotation: Any, node: Node, name: str) -> Any:
        """A list; where a list is expected, one item may stand alone."""
        nodes = node.sequence if node.sequence is not None else [node]
        if words.unwrap(annotation)[0] is Placed:
            if self.nested >= MAX_DEPTH:
                return self.add("config-limit", f"layers inside layers deeper than {MAX_DEPTH} levels", node.at)
            nodes = (node.scope or self.blocks).spliced(nodes, self.problems)
        if node.sequence is None and sum(map(registry.is_component, node.mapping or {})) > 1:
            return self.add(
                "wrong-type",
                f"`{name}` takes a list, found a mapping",
                node.at,
                "the order counts, and a name may stand more than once",
                f"begin every item with a dash: `- {next(iter(node.mapping or {}))}: …`",
            )
        self.nested += 1
        values = [self.value(annotation, item, name) for item in nodes]
        self.nested -= 1
        return FAILED if any(value is FAILED for value in values) else tuple(values)

    def mapping(self, annotation: Any, node: Node, name: str) -> Any:
        if node.mapping is None:
            return self.add(
                "wrong-type",
                f"`{name}` takes a mapping, found {node.kind()}",
                node.place,
                help=f"write `{name}:` and its keys below it, indented",
            )
        values = {key: self.value(annotation, item, key) for key, item in node.mapping.items()}
        return FAILED if any(value is FAILED for value in values.values()) else values

    def use(self, cls: type[Use], node: Node) -> Any:
        """A component in its place: reserved words beside the component's key."""
        reserved = cls.reserved()
        if node.mapping is None:
            part = self.component(self.part_families(cls), node, reserved)
            return FAILED if part is FAILED else self.validated(cls, {"part": part}, {}, node)
        own = {key: item for key, item in node.mapping.items() if key in reserved}
        rest = {key: item for key, item in node.mapping.items() if key not in reserved}
        given: dict[str, Any] = {}
        if rest or cls.model_fields["part"].is_required():
            given["part"] = self.component(self.part_families(cls), Node(rest, node.place, node.key), reserved)
        return self.fields(cls, own, node, given)

    def part_families(self, cls: type[Use]) -> tuple[type[Component], ...]:
        return tuple(words.unwrap(member)[0] for member in words.alternatives(cls.model_fields["part"].annotation))

    def component(self, wanted: tuple[type[Component], ...], node: Node, reserved: tuple[str, ...] = ()) -> Any:
        """`name`, `{name: value}` or `{name: {parameter: …}}`."""
        family_name = _singular(wanted[0])
        if isinstance(node.value, str):
            return self.named(wanted, node.value, node.place, None, node, reserved)
        if node.mapping is None:
            return self.add(
                "wrong-type",
                f"expected {_article(family_name)}, found {node.kind()}",
                node.place,
                "a component is written `name`, `{name: value}` or `{name: {parameter: value}}`",
                "a list of layers stands below `layers:`" if node.sequence is not None and "layers" in reserved else "",
            )
        if len(node.mapping) != 1:
            if not node.mapping:
                return self.add(
                    "missing-component",
                    f"no {family_name} is named here",
                    node.at,
                    "a component is written `name`, `{name: value}` or `{name: {parameter: value}}`",
                    f"`gradtrain list {wanted[0].__module__.rpartition(chr(46))[2]}` shows them all",
                )
            keys = list(node.mapping)
            unknown = [key for key in keys if not any(key in registry.names(f) for f in wanted)]
            if len(unknown) == len(keys) and keys[0] != "norm":
                return self.named(wanted, keys[0], node.mapping[keys[0]].at, None, node, reserved)
            culprit = unknown[-1] if unknown and len(unknown) < len(keys) else keys[1]
            said = ", ".join(f"`{word}`" for word in reserved)
            return self.add(
                "unknown-key" if culprit in unknown else "two-components",
                f"{quote(culprit)} does not belong beside {quote(next(k for k in keys if k != culprit))}",
                node.mapping[culprit].at,
                "a mapping holds one component" + (f" and its reserved words {said}" if said else ""),
                did_you_mean(culprit, reserved)
                or _belongs(culprit)
                or "parameters of a component are indented below its name",
            )
        key, parameters = next(iter(node.mapping.items()))
        return self.named(wanted, key, parameters.at, parameters, node, reserved)

    def named(
        self,
        wanted: tuple[type[Component], ...],
        name: str,
        at: Place,
        parameters: Node | None,
        node: Node,
        reserved: tuple[str, ...],
    ) -> Any:
        if name == "norm" and any(issubclass(Normalization, f) or f is Normalization for f in wanted):
            if self.normalization is not None:
                return self.normalization
            return self.add(
                "norm-undefined",
                "`norm` has no meaning yet",
                at,
                "`normalization:` says which normalization `norm` is",
                "add for example `normalization: layer_norm`",
            )
        for family in wanted:
            try:
                cls = registry.find(family, name)
            except KeyError:
                continue
            return self.parameters(cls, name, parameters, node)
        known = [n for family in wanted for n in registry.names(family)] + (
            self.blocks.names() if Placed.model_fields["part"].annotation and len(wanted) > 1 else []
        )
        kind = _singular(wanted[0])
        if name in reserved:
            return self.add(
                "missing-component",
                f"{quote(name)} stands here without {_article(kind)}",
                at,
                "a reserved word says more about the component beside it",
            )
        shelf = wanted[0].__module__.rpartition(".")[2]
        why = f"there {'is' if len(known) == 1 else 'are'} {len(known)} to choose from"
        if "." in name or name in ("_target_", "class_path"):  # by which other tools let a config name code
            why = "a config imports nothing: a component is one of gradtrain's own, by its name"
        help = words.unspaced(name, known) or did_you_mean(
            name, [*known, *reserved], f"`gradtrain list {shelf}` shows them all"
        )
        return self.add("unknown-component", f"no {kind} is named {quote(name)}", at, why, help)

    def parameters(self, cls: type[Component], name: str, node: Node | None, whole: Node) -> Any:
        """A component's record from what stands under its name."""
        if node is None or (node.value is None and not node.quoted):
            return self.fields(cls, {}, node or whole)
        if node.mapping is not None:
            return self.fields(cls, node.mapping, node)
        main = cls.main_parameter()
        if main is None:
            return self.add(
                "unexpected-value", f"`{name}` takes no parameters", node.place, help=f"write `{name}` alone"
            )
        return self.fields(cls, {main: node}, node)

    def record(self, cls: type[Record], node: Node) -> Any:
        if node.value is None and not node.quoted:
            return self.fields(cls, {}, node)
        if node.mapping is None:
            keys = ", ".join(f"`{key}`" for key in list(cls.model_fields)[:4])
            needed = [key for key, info in cls.model_fields.items() if info.is_required()]
            help = words.unspaced(node.raw, cls.model_fields)
            if not help and len(needed) == 1 and node.sequence is None:
                help = f"write `{needed[0]}: {node.raw}` below it"
            what = f"expected a mapping with keys like {keys}, found {node.kind()}"
            return self.add("wrong-type", what, node.place, help=help)
        return self.fields(cls, node.mapping, node)

    def fields(
        self, cls: type[Record], nodes: Mapping[str, Node], whole: Node, given: dict[str, Any] | None = None
    ) -> Any:
        """Every field composed, unknown keys refused, the record validated."""
        values = dict(given or {})
        allowed = [name for name in cls.model_fields if name != "part"]
        for key, node in nodes.items():
            if key not in allowed:
                self.unknown(cls, key, node, allowed)
                values.setdefault("?", FAILED)
                continue
            values[key] = self.value(words.annotation_of(cls, key), node, key)
        if "norm" in allowed and "norm" not in nodes and self.normalization is not None:
            values["norm"] = self.normalization
        return self.validated(cls, values, nodes, whole)

    def unknown(self, cls: type[Record], key: str, node: Node, allowed: list[str]) -> None:
        named = (
            f"`{cls.name()}` has no parameter {quote(key)}"
            if issubclass(cls, Component)
            else f"unknown key {quote(key)}"
        )
        why = "every key is checked, so that a typo is not silently ignored"
        if len(allowed) <= 12:
            why = f"it takes {', '.join(f'`{name}`' for name in allowed)}" if allowed else "it takes no parameters"
        close = words.ELSEWHERE.get(key, "")
        known = f"it is called `{close}` here" if close in allowed else ""
        help = words.unspaced(key, allowed) or known or did_you_mean(key, allowed, _belongs(key, cls))
        self.add("unknown-key", named, node.at, why, help)

    def validated(self, cls: type[Record], values: dict[str, Any], nodes: Mapping[str, Node], whole: Node) -> Any:
        broken = {key for key, value in values.items() if value is FAILED}
        sound = {key: value for key, value in values.items() if key not in broken}
        try:
            record = cls.model_validate(sound)
        except ValidationError as error:
            found: dict[str, list[Any]] = {}
            for item in error.errors(include_url=False):
                found.setdefault(str(item["loc"][0]) if item["loc"] else "", []).append(item)
            for key, errors in found.items():
                if key not in broken:
                    self.problems.append(words.finding(cls, key, words.meant(errors), nodes, whole))
            return FAILED
        if broken:
            return FAILED
        self.places[id(record)] = whole
        self.kept.append(record)
        return record

    kept: list[Record] = field(default_factory=list)
    """Keeps composed records alive, so that an id in `places` stays theirs."""

    def plain(self, node: Node) -> Any:
        """Data as tuples, dictionaries and scalars; `$data.…` replaced by its fact."""
        if node.mapping is not None:
            values = {key: self.plain(item) for key, item in node.mapping.items()}
            return FAILED if FAILED in values.values() else values
        if node.sequence is not None:
            items = [self.plain(item) for item in node.sequence]
            return FAILED if any(item is FAILED for item in items) else tuple(items)
        if isinstance(node.value, str) and node.value.startswith("$") and not node.quoted:
            return self.fact(node)
        return node.value

    def fact(self, node: Node) -> Any:
        name = node.value.removeprefix("$data.")
        environment = re.match(r"\$(\{|[A-Z][A-Z0-9_]+\b)", node.value)
        if name == node.value:
            return self.add(
                "unknown-argument",
                f"{quote(node.value)} is not an argument of an enclosing block",
                node.place,
                "a config reads no environment: what is written is what runs"
                if environment
                else "`$name` reads an argument of a block, `$data.name` a fact of the data",
                f"write `$data.{name[1:]}`"
                if name[1:] in FACT_NAMES
                else "write the value itself, or set it on the command line, where the shell knows its variables"
                if environment
                else "quote it if you mean the text",
            )
        if name not in FACT_NAMES:
            return self.add(
                "unknown-fact",
                f"the data publishes no fact {quote(name)}",
                node.place,
                f"facts are {', '.join(f'`$data.{n}`' for n in FACT_NAMES)}",
                did_you_mean(name, FACT_NAMES),
            )
        if self.facts is None:
            return (1,) if name in ("shape", "range") else 1
        if self.facts.get(name) is None:
            known = ", ".join(f"`$data.{n}` = {v}" for n, v in self.facts.items() if v is not None)
            why, help = f"it publishes {known}", "write the number itself"
            if name == "classes":
                why = f"classes are whole numbers from 0 or 1 on, half of them present at least; {why}"
                help = "write the number itself; or number the targets 0, 1, 2, … if they are classes"
            return self.add("unknown-fact", f"this data has no {quote(name)}", node.place, why, help)
        return self.facts[name]


FACT_NAMES = ("classes", "shape", "features", "vocab", "length", "source", "channels", "count", "range", "outputs")


def _singular(family: type[Component]) -> str:
    return family.__name__.lower()


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _belongs(key: str, cls: type[Record] | None = None) -> str:
    """Where a key that is wrong here would be right, when there is exactly one such section."""
    from gradtrain.config.sections import Run

    homes = []
    for name, info in Run.model_fields.items():
        for member in words.alternatives(info.annotation):
            bare = words.unwrap(member)[0]
            if (
                isinstance(bare, type)
                and issubclass(bare, Record)
                and bare is not cls
                and key in bare.model_fields
                and not issubclass(bare, Component)
            ):
                homes.append(name)
    if key in Run.model_fields and cls is not Run:
        return f"`{key}` belongs at the top level"
    return f"`{key}` belongs under `{homes[0]}:`" if len(homes) == 1 else ""
