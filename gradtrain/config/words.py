"""The schema's own words: what a field takes, and what pydantic found wrong with it, as a reader would say it."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import annotated_types as at

from gradtrain.config.scalars import LARGEST_INT
from gradtrain.config.tree import Node
from gradtrain.problems import Problem, nearest, quote
from gradtrain.registry import Component, Record, field_docs

ERROR_TYPES = {
    "missing": "missing-key",
    "int_type": "wrong-type",
    "int_from_float": "wrong-type",
    "float_type": "wrong-type",
    "string_type": "wrong-type",
    "bool_type": "wrong-type",
    "tuple_type": "wrong-type",
    "dict_type": "wrong-type",
    "model_type": "wrong-type",
    "none_required": "wrong-type",
    "is_instance_of": "wrong-type",
    "literal_error": "not-a-choice",
    "greater_than": "out-of-range",
    "greater_than_equal": "out-of-range",
    "less_than": "out-of-range",
    "less_than_equal": "out-of-range",
    "finite_number": "out-of-range",
    "too_short": "wrong-length",
    "too_long": "wrong-length",
    "string_too_short": "wrong-length",
    "string_too_long": "wrong-length",
    "string_pattern_mismatch": "bad-value",
    "value_error": "bad-value",
    "bad_name": "bad-name",
}
"""Every pydantic error type that our schema can raise → our code (a test holds the two together)."""


def unwrap(annotation: Any) -> tuple[Any, list[Any]]:
    """An annotation without `Annotated`, and the metadata it carried."""
    metadata: list[Any] = []
    while typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        metadata += more
    return annotation, metadata


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union (without None), or the annotation alone."""
    bare, _ = unwrap(annotation)
    if typing.get_origin(bare) in (Union, types.UnionType):
        return tuple(a for a in typing.get_args(bare) if a is not type(None))
    return (annotation,)


def inside(annotation: Any, index: int) -> Any:
    """What item number `index` of a list is to be; None when no member of a union is a list."""
    for member in alternatives(annotation):
        args = typing.get_args(unwrap(member)[0])
        if typing.get_origin(unwrap(member)[0]) is tuple:
            return args[0] if args[1:] == (Ellipsis,) else args[min(index, len(args) - 1)]
    return None


def meant(errors: list[Any]) -> Any:
    """Of one field's errors (one a member of a union), that of the member which the value was meant for.

    A number that is out of range, or a list with a wrong item, was meant for the member whose type it has.
    """
    return min(
        errors,
        key=lambda error: (
            ERROR_TYPES.get(error["type"]) in ("wrong-type", "not-a-choice"),
            not any(isinstance(part, int) for part in error["loc"][1:]),
        ),
    )


def takes(annotation: Any, metadata: list[Any] | None = None) -> str:
    """What a field takes: "an integer of at least 1", "`a` or `b`", "a list of 2 numbers"."""
    bare, own = unwrap(annotation)
    bounds = _bounds([*own, *(metadata or [])])
    members = alternatives(bare)
    if members != (bare,):
        return " or ".join(dict.fromkeys(takes(member, metadata) for member in members))
    origin, args = typing.get_origin(bare), typing.get_args(bare)
    if origin is Literal:
        return _choices(args)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return f"a list of {_count([*own, *(metadata or [])])}{_plural(takes(args[0]))}"
        items = [takes(item) for item in args]
        if len(set(items)) == 1:
            return f"a list of {len(args)} {_plural(items[0])}"
        return f"a list of {len(args)}: {', '.join(items)}"
    if origin is dict or bare is dict or (isinstance(bare, type) and issubclass(bare, Record)):
        return "a mapping"
    if pattern := next((p for item in _flat(own) if (p := getattr(item, "pattern", None))), None):
        return f"a text of the form `{pattern}`"
    return {
        int: "an integer",
        float: "a number",
        str: "a text",
        bool: "`true` or `false`",
        Path: "a path",
    }.get(bare, "a value") + bounds


def _choices(args: tuple[Any, ...]) -> str:
    shown = [quote(a) for a in args]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _plural(words: str) -> str:
    noun = re.sub(r"^an? ", "", words)
    for one, many in (
        ("integer", "integers"),
        ("number", "numbers"),
        ("text", "texts"),
        ("value", "values"),
        ("path", "paths"),
    ):
        if noun.startswith(one):
            return many + noun.removeprefix(one)
    return words


def _flat(metadata: list[Any]) -> list[Any]:
    """Constraints one by one; pydantic's Field holds several."""
    return [inner for item in metadata for inner in (getattr(item, "metadata", None) or [item])]


def _count(metadata: list[Any]) -> str:
    """How many items a list takes: "", "at least 1 " or "1 to 2 "."""
    flat = _flat(metadata)
    least = next((item.min_length for item in flat if isinstance(item, at.MinLen)), 0)
    most = next((item.max_length for item in flat if isinstance(item, at.MaxLen)), None)
    if most is not None:
        return f"{least} to {most} "
    return "one or more " if least == 1 else f"at least {least} " if least else ""


def _bounds(metadata: list[Any]) -> str:
    words = []
    for item in _flat(metadata):
        for attribute, text in (
            ("gt", "greater than {}"),
            ("ge", "of at least {}"),
            ("lt", "below {}"),
            ("le", "of at most {}"),
        ):
            if (
                isinstance(item, (at.Gt, at.Ge, at.Lt, at.Le, at.Interval))
                and (value := getattr(item, attribute, None)) is not None
            ):
                words.append(text.format(value))
    return f" {' and '.join(words)}" if words else ""


SHORT = {"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32", "single": "float32",
         "fp64": "float64", "double": "float64"}  # fmt: skip
"""What number formats are called elsewhere."""


ELSEWHERE = {"learning_rate": "lr", "decay": "weight_decay", "wd": "weight_decay", "epsilon": "eps", "units": "out",
             "out_features": "out", "filters": "out", "out_channels": "out", "kernel_size": "kernel", "rate": "p",
             "batch": "batch_size", "bs": "batch_size"}  # fmt: skip
"""What keys are called elsewhere."""


def mend(text: str, annotation: Any) -> str:
    """What to write instead of a value of the wrong type; empty when nothing is plain."""
    bare = [unwrap(member)[0] for member in alternatives(annotation)]
    kinds = {typing.get_origin(kind) or kind for kind in bare}
    literals = [
        c
        for member in alternatives(annotation)
        if typing.get_origin(unwrap(member)[0]) is Literal
        for c in typing.get_args(unwrap(member)[0])
    ]
    if bool in kinds and text.lower() in ("yes", "on", "y", "true", "no", "off", "n", "false"):
        return f"write `{'true' if text.lower() in ('yes', 'on', 'y', 'true') else 'false'}`"
    if kinds & {int, float}:
        plain = text.strip("“”„‘’\"'").removesuffix(",")
        if re.fullmatch(r"[-+]?\d[\d_]*(\.\d*)?([eE][-+]?\d+)?", plain) and "_" in plain:
            return f"write `{plain.replace('_', '')}`"
        if re.fullmatch(r"[-+]?\d+,\d+", plain):
            return f"write `{plain.replace(',', '.')}`: a comma begins the next item"
        if float in kinds and re.fullmatch(r"\d{1,3}(\.\d{1,6})? ?%", plain):
            return f"write `{float(plain.rstrip(' %')) / 100:g}`"
        if re.fullmatch(r"(\d+:)+\d\d", plain):
            return "write the plain number: `12:30` is a text"
        if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", plain):
            value = float(plain)
            if float in kinds:
                return f"write `{plain}` without quotes"
            if abs(value) <= LARGEST_INT and value == int(value):
                return f"write `{int(value)}`"
    if not kinds & {str, Path} and (help := unspaced(text)):
        return help
    if kinds & {int, float, tuple} and re.fullmatch(r"\$[A-Za-z_][\w.]*", text):
        return f"write `{text}` without quotes"
    if kinds == {str} and text and text[0] not in "[{":
        return f'write `"{text}"` in quotes if you mean the text'
    if literals and (known := SHORT.get(text.lower())) in literals:
        return f"did you mean `{known}`?"
    if literals and (close := nearest(text, [c for c in literals if isinstance(c, str)])):
        return f"did you mean `{close}`?"
    return ""


def unspaced(text: str, known: Iterable[str] | None = None) -> str:
    """The help for `linear:64`, which YAML reads as one word; of any name, or of a known one."""
    found = re.fullmatch(r"([A-Za-z_]\w*):([^\s/\\].*)", text)
    if found is None or (known is not None and found[1] not in known):
        return ""
    return f"write a space behind the colon: {quote(f'{found[1]}: {found[2]}')}"


def finding(cls: type[Record], key: str, error: Any, nodes: Mapping[str, Node], whole: Node) -> Problem:
    """pydantic's finding in our words; `nodes` holds what was written for each key, `whole` what they stand in."""
    code, kind = ERROR_TYPES.get(error["type"], "bad-value"), error["type"]
    node, annotation, subject = nodes.get(key), annotation_of(cls, key) if key else None, f"`{key}`"
    if kind == "missing" and len(error["loc"]) == 1:
        name = cls.name() if issubclass(cls, Component) else _key_text(whole)
        owner = quote(name) if name else "this section"
        below = whole.mapping is not None or not issubclass(cls, Component)
        help = f"add `{key}: …`" if below else f"write `{name}: {{{key}: …}}`"
        return Problem(code, f"{owner} needs {quote(key)}", whole.at, _doc(cls, key), help)
    if kind == "missing":
        code = "wrong-length"
    place = node.place if node else whole.at
    if kind in ("value_error", "bad_name"):
        said = str(error["ctx"]["error"]) if kind == "value_error" else error["msg"]
        if node is None or node.mapping is not None or node.sequence is not None:
            return Problem(code, said, place)
        return Problem(code, f"{subject} cannot be {quote(node.raw)}", place, said)
    if node is not None and node.value is None and not node.quoted:
        return Problem("missing-key", f"{subject} has no value", node.at, _doc(cls, key), f"write one behind `{key}:`")
    index = next((part for part in error["loc"][1:] if isinstance(part, int)), None)
    if node is not None and node.sequence is not None and index is not None and index < len(node.sequence):
        node, annotation = node.sequence[index], inside(annotation, index)
        place, subject = node.place, f"item {index + 1} of `{key}`"
    entry = next((part for part in error["loc"][1:] if isinstance(part, str)), "")
    if typing.get_origin(annotation) is dict and node is not None and entry in (node.mapping or ()):
        node, annotation = node.mapping[entry], typing.get_args(annotation)[1]  # type: ignore[index]
        place, subject = node.place, f"`{entry}`"
    wanted = takes(annotation)
    if kind == "finite_number":
        wanted = wanted.replace("a number", "a finite number", 1)
    help = mend(node.raw, annotation) if node is not None and code in ("wrong-type", "not-a-choice") else ""
    return Problem(code, f"{subject} takes {wanted}, found {_shown(node, error)}", place, _doc(cls, key), help)


def annotation_of(cls: type[Record], key: str) -> Any:
    """A field's annotation with its constraints."""
    info = cls.model_fields[key]
    annotation: Any = info.annotation
    for item in info.metadata:
        annotation = Annotated[annotation, item]
    return annotation


def _doc(cls: type[Record], key: str) -> str:
    text = field_docs(cls).get(key, "")
    first = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return first if first[1:2].isupper() or first[1:2].isdigit() else first[:1].lower() + first[1:]


def _shown(node: Node | None, error: Any) -> str:
    """A value that does not fit, as its writer wrote it."""
    if node is None:
        return quote(error.get("input"))
    if node.sequence is not None:
        return f"a list of {len(node.sequence)}"
    return "a mapping" if node.mapping is not None else f'the text "{node.raw}"' if node.quoted else quote(node.raw)


def _key_text(node: Node) -> str:
    place = node.key
    return place.text[place.column - 1 : place.column - 1 + place.length].strip("\"'") if place else ""
