"""Selectors: which parameters a penalty, an initializer or a group means (`params:`)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from gradtrain.lazy import Tensor, nn, torch

WORDS = ("all", "weights", "biases", "norms", "embeddings")
KEYS = ("only", "not", "of", "tensor", "ndim")
REWEIGHTED = ("weight_norm", "spectral_norm")
"""Layers whose weight is that of the layer they own, whatever their names say."""
NDIM = re.compile(r"\s*(<=|>=|<|>|=)?\s*(\d)\s*")


def _selector(value: Any) -> Any:
    """Refuse what is no selector; pydantic's words would not help."""
    if isinstance(value, str):
        if not re.fullmatch(r"[\w.*?\[\]-]+", value):
            raise ValueError(f"`{value}` is no selector: a word ({', '.join(WORDS)}) or a pattern such as `head.*`")
    elif isinstance(value, (list, tuple)):
        if not value:
            raise ValueError("an empty list selects nothing")
        return tuple(_selector(item) for item in value)
    elif isinstance(value, Mapping):
        if not value or set(value) - set(KEYS):
            raise ValueError(f"a selector's keys are {', '.join(f'`{k}`' for k in KEYS)}")
        if "ndim" in value and not NDIM.fullmatch(str(value["ndim"])):
            raise ValueError('`ndim` is written `2`, `"<2"` or `">=2"`')
        for key in {"of", "tensor"} & set(value):
            names = value[key] if isinstance(value[key], (list, tuple)) else (value[key],)
            if not names or not all(isinstance(name, str) and name for name in names):
                raise ValueError(f"`{key}` takes a name, or a list of names")
        return {
            key: _selector(item) if key in ("only", "not") else tuple(item) if isinstance(item, list) else item
            for key, item in value.items()
        }
    else:
        raise ValueError(
            "a selector is a word, a pattern, a list of them, or a mapping with `only`, `not`, `of`, `tensor` or `ndim`"
        )
    return value


Selector: TypeAlias = Annotated[Any, BeforeValidator(_selector)]
"""A word (`weights`), a glob on the dotted name, a list (union), or `{only, not, of, tensor, ndim}` (intersection)."""


@dataclass(frozen=True)
class Named:
    """A parameter and what selectors may ask of it."""

    name: str
    """Dotted name; with several networks the role stands first."""
    tensor: Tensor
    component: str
    """Name of the component that made it."""
    norm: bool
    embedding: bool


def parameters(networks: Mapping[str, nn.Module]) -> list[Named]:
    """Every parameter once (tied weights too), in the order of the modules."""
    found: dict[int, Named] = {}
    for role, network in networks.items():
        prefix = f"{role}." if len(networks) > 1 else ""
        for path, module in network.named_modules():
            component = getattr(module, "component", type(module).__name__.lower())
            for name, tensor in module.named_parameters(recurse=False):
                full = f"{prefix}{path}.{name}" if path else f"{prefix}{name}"
                norm = "norm" in component and component not in REWEIGHTED
                found.setdefault(
                    id(tensor), Named(full, tensor, component, norm, isinstance(module, torch.nn.Embedding))
                )
    return list(found.values())


def select(selector: Selector, candidates: Iterable[Named]) -> list[Named]:
    """The candidates that the selector means, in their order; may be empty (callers refuse that)."""
    return [named for named in candidates if matches(selector, named)]


def matches(selector: Selector, named: Named) -> bool:
    if isinstance(selector, str):
        match selector:
            case "all":
                return True
            case "weights":
                return named.tensor.ndim >= 2 and not named.norm
            case "biases":
                return named.name.rpartition(".")[2].split("_")[0] == "bias" and not named.norm
            case "norms":
                return named.norm
            case "embeddings":
                return named.embedding
        return fnmatch.fnmatchcase(named.name, selector)
    if isinstance(selector, tuple):
        return any(matches(item, named) for item in selector)
    return all(_holds(key, value, named) for key, value in selector.items())


def _holds(key: str, value: Any, named: Named) -> bool:
    match key:
        case "only":
            return matches(value, named)
        case "not":
            return not matches(value, named)
        case "of":
            return named.component in ((value,) if isinstance(value, str) else value)
        case "tensor":
            return named.name.rpartition(".")[2] in ((value,) if isinstance(value, str) else value)
    found = NDIM.fullmatch(str(value))
    sign, size = (found[1] or "=", int(found[2])) if found else ("=", -1)
    ndim = named.tensor.ndim
    return {"<": ndim < size, "<=": ndim <= size, ">": ndim > size, ">=": ndim >= size, "=": ndim == size}[sign]


def describe(selector: Selector) -> str:
    """The selector as it reads in a message."""
    if isinstance(selector, str):
        return selector
    if isinstance(selector, tuple):
        return f"[{', '.join(describe(item) for item in selector)}]"
    return "{" + ", ".join(f"{key}: {describe(value)}" for key, value in _pairs(selector)) + "}"


def _pairs(selector: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from (
        (key, value if isinstance(value, (str, tuple, dict)) else str(value)) for key, value in selector.items()
    )
