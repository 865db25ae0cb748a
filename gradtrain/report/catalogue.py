"""The catalogue: what is known of each component, as data and as a page. Imports no torch."""

from __future__ import annotations

import inspect
import os
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic.fields import FieldInfo

from gradtrain.config.words import alternatives, takes, unwrap
from gradtrain.problems import Problem, did_you_mean, quote
from gradtrain.registry import SECTIONS, Component, Use, about, families, family_of, field_docs, find, names


class Entry(NamedTuple):
    """One component of the catalogue."""

    family: str
    name: str
    cls: type[Component]


PLACES = {
    "activations": "model:\n  layers:\n    - {}",
    "augmentations": "data:\n  augment:\n    - {}",
    "datasets": "data:\n  source: {}",
    "games": "objective:\n  gan:\n    latent: 100\n    loss: {}",
    "initializers": "model:\n  init: {}",
    "layers": "model:\n  layers:\n    - {}",
    "loggers": "logging:\n  to:\n    - {}",
    "losses": "loss: {}",
    "measures": "diagnostics:\n  measures:\n    - {}",
    "metrics": "evaluation:\n  metrics:\n    - {}",
    "models": "model: {}",
    "normalizations": "normalization: {}",
    "objectives": "objective: {}",
    "optimizers": "optimizer: {}",
    "regularizers": "regularization:\n  - {}",
    "schedules": "schedule:\n  {}\n  by: step",
    "tokenizers": "data:\n  source:\n    tinyshakespeare:\n      tokenizer: {}",
    "transforms": "data:\n  transforms:\n    - {}",
}
"""Family → where its components stand in a config; `{}` is the component."""


def entries(family: str | None = None) -> list[Entry]:
    """Every component, or those of one family. Raises `Problem` for a family that does not exist."""
    shelves = families()
    if family is not None and family not in shelves:
        close = did_you_mean(family, shelves, f"the families are {', '.join(f'`{name}`' for name in shelves)}")
        raise Problem("unknown-family", f"there is no family {quote(family)}", help=close)
    wanted = shelves if family is None else {family: shelves[family]}
    return [Entry(shelf, name, find(cls, name)) for shelf, cls in wanted.items() for name in names(cls)]


def every_name() -> list[str]:
    """Every name that `lookup` knows: names, `family.name` and the families' own; imports no component."""
    shelves = families()
    pairs = [(shelf, name) for shelf, cls in shelves.items() for name in names(cls)]
    return sorted({*shelves, *(name for _, name in pairs), *(f"{shelf}.{name}" for shelf, name in pairs)})


def lookup(name: str) -> Entry:
    """The one component of that name, written `name` or `family.name`. Raises `Problem`."""
    shelf, _, plain = name.rpartition(".")
    shelves = families()
    found = [
        Entry(key, plain, find(cls, plain))
        for key, cls in shelves.items()
        if shelf in ("", key) and plain in names(cls)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        written = " or ".join(f"`{entry.family}.{plain}`" for entry in found)
        raise Problem(
            "ambiguous-name",
            f"{quote(plain)} is the name of {len(found)} components",
            help=f"write {written}",
        )
    if name in shelves:
        raise Problem(
            "unknown-component",
            f"{quote(name)} is a family",
            help=f"`gradtrain list {name}` lists its components",
        )
    known = [
        candidate for candidate in every_name() if candidate not in shelves and ("." in candidate) == ("." in name)
    ]
    close = did_you_mean(name, known, "`gradtrain list` shows them all")
    raise Problem("unknown-component", f"there is no component {quote(name)}", help=close)


def parameters(cls: type[Component]) -> Iterator[dict[str, Any]]:
    """The fields of a component as data, its main parameter first."""
    main, docs = cls.main_parameter(), field_docs(cls)
    for name in sorted(cls.model_fields, key=lambda field: field != main):
        field = cls.model_fields[name]
        yield {
            "name": name,
            "takes": _takes(field),
            "required": field.is_required(),
            "default": None if field.is_required() else plain(field.get_default(call_default_factory=True)),
            "main": name == main,
            "about": docs.get(name, ""),
        }


def as_data(entry: Entry) -> dict[str, Any]:
    """One component as JSON-able data: family, name, summary, its formulas, parameters and source."""
    page = about(entry.cls)
    return {
        "family": entry.family,
        "name": entry.name,
        "summary": page.summary,
        **{part: page.sections.get(part) for part in SECTIONS},
        "main_parameter": entry.cls.main_parameter(),
        "parameters": list(parameters(entry.cls)),
        "source": source(entry.cls),
        "yaml": examples(entry)[0],
    }


def as_text(entry: Entry, width: int = 100) -> str:
    """One component as a page: what it is, formula, derivative, paper, parameters, YAML to copy."""
    page = about(entry.cls)
    text = [f"{entry.name}  ({entry.family}, {source(entry.cls)})", "", page.summary]
    if page.text:
        text += ["", page.text]
    if page.sections:
        text.append("")
        text += [_hanging(part, page.sections[part]) for part in SECTIONS if part in page.sections]
    fields = list(parameters(entry.cls))
    if fields:
        text += ["", "parameters"]
    for field in fields:
        default = "required" if field["required"] else f"default {_flow(field['default'])}"
        text += [f"  {field['name']}: {field['takes']}; {default}"]
        text += textwrap.wrap(field["about"], max(30, width), initial_indent="      ", subsequent_indent="      ")
    text += ["", "in a config", *(textwrap.indent(example, "  ") for example in examples(entry)[:1])]
    short = examples(entry)[1:]
    if short:
        text += ["", "in short", *(textwrap.indent(example, "  ") for example in short)]
    return "\n".join(text)


def examples(entry: Entry) -> list[str]:
    """YAML to copy: the component in its place with all parameters, then its short form if it has one."""
    cls, main = entry.cls, entry.cls.main_parameter()
    required = {name for name, field in cls.model_fields.items() if field.is_required()}
    case = next((case for case in cls.cases if required <= case.keys()), {})
    values = {
        field["name"]: plain(case.get(field["name"])) if field["required"] else field["default"]
        for field in parameters(cls)
    }
    shape = PLACES.get(entry.family, "{}")
    if not values:
        return [shape.format(f"{entry.name}: {{}}" if entry.family == "schedules" else entry.name)]
    found = [_placed(shape, f"{entry.name}: {_flow(values)}")]
    if main and required <= {main}:
        chosen = next((plain(case[main]) for case in cls.cases if main in case), values[main])
        if not isinstance(chosen, dict | None):
            found.append(_placed(shape, f"{entry.name}: {_flow(chosen)}"))
    return found


def _placed(shape: str, component: str) -> str:
    """The component in its place: in braces where it stands behind a key."""
    behind_a_key = ": {}" in shape.replace("by: step", "")
    return shape.format(f"{{{component}}}" if behind_a_key else component)


def source(cls: type[Component]) -> str:
    """The path of a component's file, relative to the working directory where it lies below it."""
    path = inspect.getfile(cls)
    return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path


def plain(value: Any) -> Any:
    """A field's value as YAML and JSON spell it."""
    if isinstance(value, Component):
        changed = {name: plain(getattr(value, name)) for name in value.model_fields_set}
        return {value.name(): changed} if changed else value.name()
    if isinstance(value, Use):
        rest = {name: plain(getattr(value, name)) for name in value.model_fields_set if name != "part"}
        part = plain(getattr(value, "part"))  # noqa: B009  (`part` is declared by each subclass)
        return {**(part if isinstance(part, dict) else {part: {}}), **rest} if rest else part
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, int | float | str | None) else str(value)


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _hanging(part: str, text: str) -> str:
    first, *more = text.splitlines()
    return "\n".join([f"  {part:<9} {first}", *(f"  {'':<9} {line}" for line in more)])


def _takes(field: FieldInfo) -> str:
    words = [_component_words(member) or takes(member, field.metadata) for member in alternatives(field.annotation)]
    optional = type(None) in typing.get_args(unwrap(field.annotation)[0])
    return " or ".join(dict.fromkeys([*words, *(["nothing"] if optional else [])]))


def _component_words(annotation: Any) -> str | None:
    """What a field takes when it takes components: "one of the activations", "a list of layers"."""
    bare, _ = unwrap(annotation)
    if typing.get_origin(bare) is tuple:
        inner = _component_words(typing.get_args(bare)[0])
        return f"a list of {inner.removeprefix('one of the ')}" if inner else None
    if not isinstance(bare, type) or not issubclass(bare, Component | Use):
        return None
    if issubclass(bare, Use):
        return _component_words(alternatives(bare.model_fields["part"].annotation)[0])
    shelf = next((name for name, cls in families().items() if cls is bare), None)
    return f"one of the {shelf}" if shelf else f"a {family_of(bare).__name__.lower()}"
