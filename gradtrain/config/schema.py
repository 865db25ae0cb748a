"""The JSON Schema of a config file, for editors: made from the same records that check it."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

import annotated_types as at

from gradtrain import registry
from gradtrain.config import words
from gradtrain.config.sections import Run
from gradtrain.config.values import Duration, Percentage
from gradtrain.registry import Component, Record, Use, about, field_docs
from gradtrain.training.selectors import WORDS as SELECTOR_WORDS
from gradtrain.training.selectors import Selector

Schema = dict[str, Any]

REFERENCE: Schema = {
    "type": "string",
    "pattern": r"^\$[A-Za-z_][\w.]*$",
    "description": "A fact of the data (`$data.classes`) or an argument of a block.",
}
SCALARS: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    Path: {"type": "string"},
    Any: {},
    type(None): {"type": "null"},
    dict: {"type": "object"},
}


def json_schema() -> Schema:
    """The schema (draft 2020-12) of one config, with the three spellings of every component and its documentation."""
    maker = _Maker()
    sections = maker.fields(Run)
    sections["properties"] |= {
        "extends": {"type": "string", "description": "Another config that this one builds on, relative to this file."},
        "profiles": {
            "type": "object",
            "additionalProperties": {"type": "object"},
            "description": "Named overrides: dotted paths and values.",
        },
        "blocks": {
            "type": "object",
            "additionalProperties": maker.block(),
            "description": "Templates of layers: scalars in, layers out.",
        },
    }
    whole: Schema = {"required": [name for name in sections.pop("required", []) if name != "objective"]}
    whole["properties"] = {
        name: {"required": needed}
        for name, section in sections["properties"].items()
        for form in (section, *section.get("anyOf", ()))
        if (needed := form.pop("required", None))
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gradtrain config",
        **sections,
        # a config that extends another one may leave anything to its base
        "if": {"not": {"required": ["extends"]}},
        "then": whole,
        "$defs": maker.definitions,
    }


class _Maker:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def fields(self, cls: type[Record], without: tuple[str, ...] = ()) -> Schema:
        """A record as an object with described properties."""
        properties, required, docs = {}, [], field_docs(cls)
        for name, info in cls.model_fields.items():
            if name in without:
                continue
            annotation: Any = info.annotation
            for item in info.metadata:
                annotation = typing.Annotated[annotation, item]
            properties[name] = {
                **self.value(annotation),
                **({"description": docs[name]} if name in docs else {}),
            }
            if info.is_required():
                required.append(name)
        return {"type": "object", "properties": properties, "additionalProperties": False} | (
            {"required": required} if required else {}
        )

    def value(self, annotation: Any) -> Schema:
        """What may stand in a field of this type."""
        bare, metadata = words.unwrap(annotation)
        origin, args = typing.get_origin(bare), typing.get_args(bare)
        if annotation == Selector:
            return self.selector()
        if bare is Duration:
            return {"type": "string", "pattern": r"^\s*0*[1-9]\d*\s+(step|epoch)s?\s*$|^\$"}
        if bare is Percentage:
            return {"type": "string", "pattern": r"^\s*\d{1,3}(\.\d{1,6})?\s*%\s*$|^\$"}
        if origin in (Union, types.UnionType):
            return self.union(args)
        if origin is Literal:
            return {"anyOf": [{"enum": list(args)}, REFERENCE]}
        if origin is tuple:
            return self.items(args, _bounds(metadata))
        if origin is dict:
            return {"type": "object", "additionalProperties": self.value(args[1])}
        if isinstance(bare, type) and issubclass(bare, Use):
            return self.use(bare)
        if isinstance(bare, type) and issubclass(bare, Component):
            return self.component((bare,), {})
        if isinstance(bare, type) and issubclass(bare, Record):
            return self.fields(bare) | {"type": ["object", "null"]}
        simple = {**SCALARS.get(bare, {}), **_bounds(metadata)}
        return {"anyOf": [simple, REFERENCE]} if bare in (int, float, bool) or "pattern" in simple else simple

    def union(self, members: tuple[Any, ...]) -> Schema:
        families = [m for m in members if isinstance(m, type) and issubclass(m, Component) and not issubclass(m, Use)]
        rest = [self.value(m) for m in members if m not in families]
        return {"anyOf": [*([self.component(tuple(families), {})] if families else []), *rest]}

    def items(self, args: tuple[Any, ...], bounds: Schema) -> Schema:
        """A list; of components also one that stands alone."""
        if len(args) == 2 and args[1] is Ellipsis:
            one = self.value(args[0])
            several = {"type": "array", "items": one, **bounds}
            return {"anyOf": [several, one]} if _holds_records(args[0]) else {"anyOf": [several, REFERENCE]}
        size = {"minItems": len(args), "maxItems": len(args)}
        return {"anyOf": [{"type": "array", "prefixItems": [self.value(a) for a in args], **size}, REFERENCE]}

    def selector(self) -> Schema:
        """Which parameters are meant: a word, a pattern, a list of them, or a mapping."""
        here = {"$ref": "#/$defs/Selector"}
        names = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
        keys = {"only": here, "not": here, "of": names, "tensor": names, "ndim": {"type": ["integer", "string"]}}
        forms = [
            {"type": "string", "examples": [*SELECTOR_WORDS, "head.*"]},
            {"type": "array", "items": here, "minItems": 1},
            {"type": "object", "properties": keys, "additionalProperties": False, "minProperties": 1},
        ]
        self.definitions["Selector"] = {"anyOf": forms}
        return here

    def use(self, cls: type[Use]) -> Schema:
        """A component with the reserved words of its place beside it."""
        if cls.__name__ in self.definitions:
            return {"$ref": f"#/$defs/{cls.__name__}"}
        self.definitions[cls.__name__] = {}  # layers hold layers: the name must exist before its inside is made
        info = cls.model_fields["part"]
        families = tuple(words.unwrap(m)[0] for m in words.alternatives(info.annotation))
        reserved = self.fields(cls, without=("part",))["properties"]
        made = self.component(families, reserved, named=info.is_required(), blocks=cls.__name__ == "Placed")
        self.definitions[cls.__name__] = made
        return {"$ref": f"#/$defs/{cls.__name__}"}

    def component(
        self,
        families: tuple[type[Component], ...],
        reserved: dict[str, Schema],
        *,
        named: bool = True,
        blocks: bool = False,
    ) -> Schema:
        """`name`, `{name: value}` or `{name: {parameter: …}}`; in lists of layers also `norm` and blocks."""
        known = {name: registry.find(family, name) for family in families for name in registry.names(family)}
        spellings = {name: self.parameters(name, cls) for name, cls in known.items()}
        names: Schema = {"enum": [*known, *(["norm"] if blocks else [])]}
        whole: Schema = {"type": "object", "properties": {**spellings, **reserved}}
        if not blocks:
            whole["additionalProperties"] = False
        if named and not reserved:
            whole |= {"minProperties": 1, "maxProperties": 1}
        elif named and not blocks:
            whole["oneOf"] = [{"required": [name]} for name in known]
        return {"anyOf": [names if not blocks else {"type": "string", "examples": names["enum"]}, whole]}

    def parameters(self, name: str, cls: type[Component]) -> Schema:
        """What may stand under a component's name."""
        key = f"{registry.family_of(cls).__name__}.{name}"
        if key not in self.definitions:
            self.definitions[key] = {}
            whole = self.fields(cls)
            main = cls.main_parameter()
            short = [whole["properties"][main]] if main else []
            self.definitions[key] = {"description": about(cls).summary, "anyOf": [whole, *short, {"type": "null"}]}
        return {"$ref": f"#/$defs/{key}"}

    def block(self) -> Schema:
        arguments = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
        layers = {"type": "array", "items": {"$ref": "#/$defs/Placed"}}
        return {
            "type": "object",
            "properties": {"args": arguments, "layers": layers},
            "required": ["layers"],
            "additionalProperties": False,
        }


def _holds_records(annotation: Any) -> bool:
    bare = words.unwrap(annotation)[0]
    if typing.get_origin(bare) is tuple:
        return _holds_records(typing.get_args(bare)[0])
    return isinstance(bare, type) and issubclass(bare, Record)


def _bounds(metadata: list[Any]) -> Schema:
    names = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
    names |= {"min_length": "minItems", "max_length": "maxItems"}
    found: Schema = {}
    for item in (inner for m in metadata for inner in (getattr(m, "metadata", None) or [m])):
        for attribute, keyword in names.items():
            if (
                isinstance(item, (at.Gt, at.Ge, at.Lt, at.Le, at.Interval, at.MinLen, at.MaxLen))
                and (limit := getattr(item, attribute, None)) is not None
            ):
                found[keyword] = limit
        if pattern := getattr(item, "pattern", None):
            found["pattern"] = f"^(?:{pattern})$"
    return found
