"""YAML 1.2 core scalars: which plain text is a number, a truth value or nothing; and the dumper that agrees with it."""

from __future__ import annotations

import re
from typing import Any

import yaml

LARGEST_INT = 2**63 - 1

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


def plain_scalar(text: str) -> Any:
    """The value of an unquoted scalar by the core schema. An integer of more than 20 digits comes back as 2**64."""
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text[0] in "tT"
    if _INT.match(text):
        if len(text) > 20:
            return 2**64
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text)
    if _SPECIAL.match(text):
        return float(text.lower().replace(".", ""))
    return text


class _Dumper(yaml.SafeDumper):
    """Writes what `plain_scalar` reads back: PyYAML's own tables of look-alikes are those of YAML 1.1."""

    yaml_implicit_resolvers: dict[Any, Any] = {}

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern in (
    ("null", _NULL),
    ("bool", _BOOL),
    ("int", _INT),
    ("float", _FLOAT),
    ("float", _SPECIAL),
    ("merge", re.compile(r"<<\Z")),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def dump(value: Any) -> str:
    """YAML text of dictionaries, lists and scalars, in the order given."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
