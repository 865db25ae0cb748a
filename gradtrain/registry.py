"""What a component is, and how a name in YAML finds its file.

A component is a frozen record of hyper-parameters whose methods are the mathematics. A family is a folder of
`gradtrain/components/` whose `__init__.py` holds the family's class; a component is a file in it that holds one
public class. Nothing is listed anywhere: the folder is the registry.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict

import gradtrain.components as shelves

ENTRY_POINTS = "gradtrain.components"
"""Third parties register under this group: the entry's name is `family.name`, its value `module:Class`."""


class Record(BaseModel):
    """A frozen, strict record: unknown keys, wrong types and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


@functools.cache
def field_docs(cls: type[Record]) -> dict[str, str]:
    """Field → the docstring under it, inherited ones included; read from the source when it is asked for.

    pydantic would parse every class's source as it is made, which costs a config's validation a third of its time.
    """
    docs: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if not issubclass(ancestor, Record) or ancestor is Record:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(ancestor))).body[0]
        lines = body.body if isinstance(body, ast.ClassDef) else []
        for line, after in itertools.pairwise(lines):
            told = after.value if isinstance(after, ast.Expr) else None
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(told, ast.Constant):
                docs[line.target.id] = inspect.cleandoc(str(told.value))
    return {name: text for name, text in docs.items() if name in cls.model_fields}


class Component(Record):
    """One part of a run: hyper-parameters as fields, mathematics as methods, the documentation in its docstring.

    The docstring's first line is a sentence that a student understands; then come, in this order, `value`,
    `gradient`, `paper` and, where they help, `shape` and `note`, each at the start of a line and two or more spaces
    before its text (see `About`). The first field is the main parameter: `{huber: 0.3}` means
    `{huber: {delta: 0.3}}`.
    """

    cases: ClassVar[list[dict[str, Any]]] = [{}]
    """Hyper-parameters that the contract checks try: always more than the defaults where there are any."""

    @classmethod
    def name(cls) -> str:
        """The name in YAML: the stem of the component's file."""
        return cls.__dict__.get("registered_as") or cls.__module__.rpartition(".")[2]

    @classmethod
    def main_parameter(cls) -> str | None:
        """The field that `{name: value}` sets: the first one its own class declares; None when it declares none."""
        return next((name for name in inspect.get_annotations(cls) if name in cls.model_fields), None)


C = TypeVar("C", bound=Component)


class Use(Record):
    """A component in its place, with the reserved words of that place.

    A subclass has the field `part` (the component, typed by its family) and the reserved words as further fields;
    in YAML they stand side by side: `{l2: 1e-4, params: weights}`.
    """

    part: Component

    @classmethod
    def reserved(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name != "part")


@functools.cache
def families() -> dict[str, type[Component]]:
    """Folder name → the family's class, in alphabetical order."""
    found: dict[str, type[Component]] = {}
    for folder in sorted(path.parent.name for path in Path(shelves.__path__[0]).glob("*/__init__.py")):
        module = importlib.import_module(f"{shelves.__name__}.{folder}")
        found[folder] = next(
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Component) and value.__module__ == module.__name__
        )
    return found


def family_of(cls: type[Component]) -> type[Component]:
    """The family class that a component belongs to."""
    return next(family for family in families().values() if issubclass(cls, family))


def names(family: type[Component]) -> list[str]:
    """Every name that YAML may use for this family: files, entry points and plugins, sorted."""
    folder = Path(cast(str, sys.modules[family.__module__].__file__)).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    return sorted(files | _entry_points(_shelf(family)).keys() | _plugins.get(_shelf(family), {}).keys())


def find(family: type[C], name: str) -> type[C]:
    """The component class of that name; imports one file. Raises KeyError for a name that `names` does not list."""
    shelf = _shelf(family)
    if name in _plugins.get(shelf, {}):
        return cast("type[C]", _plugins[shelf][name])
    path = Path(cast(str, sys.modules[family.__module__].__file__)).parent / f"{name}.py"
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) and path.is_file():
        return _component_in(importlib.import_module(f"{family.__module__}.{name}"), family)
    if name in _entry_points(shelf):
        cls = cast("type[C]", _entry_points(shelf)[name].load())
        cls.registered_as = name  # type: ignore[attr-defined]
        return cls
    raise KeyError(name)


def is_component(name: str) -> bool:
    """Whether some family has a file of this name; imports nothing."""
    return bool(re.fullmatch(r"[a-z][a-z0-9_]*", name)) and any(Path(shelves.__path__[0]).glob(f"*/{name}.py"))


def everything() -> Iterator[tuple[str, str, type[Component]]]:
    """(family folder, name, class) of every component, family by family."""
    for shelf, family in families().items():
        for name in names(family):
            yield shelf, name, find(family, name)


def register(name: str, cls: type[Component]) -> None:
    """Add a component of a user's own file, as `file.name`; built-in names cannot be replaced."""
    cls.registered_as = name  # type: ignore[attr-defined]
    _plugins.setdefault(_shelf(family_of(cls)), {})[name] = cls


_plugins: dict[str, dict[str, type[Component]]] = {}


def _shelf(family: type[Component]) -> str:
    return family.__module__.rpartition(".")[2]


@functools.cache
def _entry_points(shelf: str) -> dict[str, metadata.EntryPoint]:
    prefix = f"{shelf}."
    return {
        e.name.removeprefix(prefix): e for e in metadata.entry_points(group=ENTRY_POINTS) if e.name.startswith(prefix)
    }


def _component_in(module: Any, family: type[C]) -> type[C]:
    return next(
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and isinstance(value, type)
        and issubclass(value, family)
        and value.__module__ == module.__name__
    )


SECTIONS = ("value", "gradient", "paper", "shape", "note")


@dataclass(frozen=True)
class About:
    """A component's docstring, taken apart."""

    summary: str
    text: str = ""
    sections: dict[str, str] = field(default_factory=dict)
    """The parts of `SECTIONS` that are present; further lines of a part keep their line breaks."""


def about(cls: type[Component]) -> About:
    """Parse the docstring of a component (its own one, never an inherited one)."""
    lines = (cls.__doc__ or "").strip().splitlines()
    if not lines:
        return About("")
    text: list[str] = []
    sections: dict[str, list[str]] = {}
    into = text
    indent = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    for line in (line[indent:].rstrip() for line in lines[1:]):
        if head := re.match(rf"({'|'.join(SECTIONS)})\s\s+(?=\S)", line):
            into = sections[head[1]] = [line[head.end() :]]
        else:
            into.append(line.strip() if into is not text else line)
    return About(lines[0], "\n".join(text).strip(), {key: "\n".join(part).strip() for key, part in sections.items()})
