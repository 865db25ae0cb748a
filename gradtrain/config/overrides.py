"""Overrides: `key=value` on the command line and in profiles, set on the tree where they will be pointed at."""

from __future__ import annotations

import copy

from gradtrain.config.tree import Node, parse
from gradtrain.problems import Place, Problem, flatten, quote, safe
from gradtrain.registry import Use, families, find, is_component, names


def apply_override(root: Node, text: str, problems: list[Problem]) -> None:
    """Set one `dotted.path=value` of the command line."""
    path, equals, written = text.partition("=")
    place = Place("command line", 1, 1, len(path), text)
    if not equals:
        another = text.endswith((".yaml", ".yml"))
        why = "a run has one config" if another else "an override is written `key=value`"
        help = f"start {quote(text)} by a command of its own" if another else f"write `{safe(text, 60)}=…`"
        problems.append(Problem("override-form", f"{quote(text)} is not an override", place, why, help))
        return
    try:
        value = parse(f"v: {written}" if "\n" not in written else "v: [", "command line").root
    except (Problem, ExceptionGroup) as error:
        found = next(flatten(error))
        problems.append(
            Problem(
                "override-form",
                f"{quote(written)} is not a YAML value",
                Place("command line", 1, len(path) + 2, len(written), text),
                found.what,
            )
        )
        return
    node = (value.mapping or {})["v"]
    _relocate(node, Place("command line", 1, len(path) + 2, len(written), text), place)
    _set(root, path, node, place, problems)


def apply_profile(root: Node, profile: Node, problems: list[Problem]) -> None:
    """Set every dotted path of a profile."""
    for path, node in (profile.mapping or {}).items():
        _set(root, path, copy.deepcopy(node), node.at, problems)


def _relocate(node: Node, place: Place, key: Place) -> None:
    node.place, node.key = place, key
    for child in list((node.mapping or {}).values()) + (node.sequence or []):
        _relocate(child, place, place)


def _set(root: Node, path: str, value: Node, at: Place, problems: list[Problem]) -> None:
    """Walk to the parent and replace; a component's own name may be skipped on the way (`optimizer.lr`).

    A key that the file leaves at its default is added; the strict schema refuses one that does not exist.
    """
    parts = path.split(".")
    if not all(parts):
        what = f"{quote(path)} is not a path" if path else "there is no key before the `=`"
        problems.append(Problem("override-path", what, at, "a path is keys joined by dots"))
        return
    node = root
    for done, part in enumerate(parts):
        here = quote(".".join(parts[:done]))
        last = done == len(parts) - 1
        if node.sequence is not None:
            if not part.isdigit() or int(part) >= len(node.sequence):
                why = f"its items are 0 to {len(node.sequence) - 1}" if node.sequence else "it is empty"
                problems.append(Problem("override-path", f"the list at {here} has no item {quote(part)}", at, why))
                return
            if last:
                node.sequence[int(part)] = value
            else:
                node = node.sequence[int(part)]
            continue
        mapping = _keys_at(node, part)
        if mapping is None:
            problems.append(
                Problem(
                    "override-path",
                    f"{here} is {node.kind()}: it has no keys",
                    at,
                    "an override replaces what the file says",
                )
            )
            return
        if last:
            value.key = at
            mapping[part] = value
        else:
            node = mapping.setdefault(part, Node({}, at, at))


def _keys_at(node: Node, part: str) -> dict[str, Node] | None:
    """The mapping that `part` belongs in: the node's own, or the parameters of the one component it names.

    A component's short forms are spelled out on the way: `adam` and `{adam: 1e-3}` become `{adam: {lr: 1e-3}}`.
    """
    if isinstance(node.value, str) and not node.quoted and is_component(node.value):
        node.value = {node.value: Node({}, node.place, node.place)}
    if node.mapping is None and node.value is None:
        node.value = {}
    if node.mapping is None and node.key is not None and is_component(name := _text_of(node.key)):
        _spell_out(node, name, part)
    mapping = node.mapping
    if mapping is None or part in mapping or part in reserved_words() or not names_component(node):
        return mapping
    name, inner = next((key, item) for key, item in mapping.items() if key not in reserved_words())
    _spell_out(inner, name, part)
    return inner.mapping


def _spell_out(node: Node, name: str, part: str) -> None:
    """Turn a component's main value into a mapping from its main parameter."""
    if node.value is None:
        node.value = {}
    if node.mapping is None:
        found = [find(family, name) for family in families().values() if name in names(family)]
        chosen = next((cls for cls in found if part in cls.model_fields), found[0])
        if main := chosen.main_parameter():
            node.value = {main: Node(node.value, node.place, node.place, node.raw, node.quoted)}


def _text_of(key: Place) -> str:
    return key.text[key.column - 1 : key.column - 1 + key.length].strip("\"'")


def reserved_words() -> set[str]:
    """The words that may stand beside a component somewhere."""
    return {word for use in Use.__subclasses__() for word in use.reserved()}


def names_component(node: Node) -> bool:
    """Whether a mapping is `{component: …}`, with nothing but reserved words beside it."""
    own = [key for key in node.mapping or {} if key not in reserved_words()]
    return node.key is not None and len(own) == 1 and is_component(own[0])
