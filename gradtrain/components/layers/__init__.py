"""The family of layers, and what may stand in a `layers:` list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from pydantic import field_validator

from gradtrain.components.activations import Activation
from gradtrain.components.normalizations import Normalization
from gradtrain.registry import Component, Use
from gradtrain.stage import Stage

TAKEN = frozenset([
    "T_destination", "add_module", "append", "apply", "bfloat16", "buffers", "call_super_init", "children",
    "compile", "component", "cpu", "cuda", "double", "dump_patches", "eval", "extend", "extra_repr", "float",
    "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half", "insert", "ipu",
    "links", "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules",
    "named_parameters", "parameters", "pop", "register_backward_hook", "register_buffer", "register_forward_hook",
    "register_forward_pre_hook", "register_full_backward_hook", "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook", "register_module",
    "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook", "requires_grad_",
    "set_extra_state", "set_submodule", "share_memory", "state_dict", "steps", "to", "to_empty", "train",
    "training", "type", "xpu", "zero_grad",
])  # fmt: skip
"""Attributes that every nn.Module has already: a child of such a name would hide behind them."""


class Layer(Stage):
    """A layer maps `[batch, *shape]` to `[batch, *output_shape(shape)]`; images are `[batch, channel, height, width]`.

    Parameters are called `weight` and `bias`, as in PyTorch. Layers that hold lists of layers (residual, repeat,
    parallel) state their own rule and chain the textbooks of what they hold.
    """


class Placed(Use):
    """One item of a `layers:` list."""

    part: Layer | Activation | Normalization
    name: str | None = None
    """The name of its parameters in selectors and checkpoints; its position in the list by default."""
    share: str | None = None
    """Name of an earlier item of the same list whose weights it uses instead of its own (tied weights)."""

    @field_validator("name")
    @classmethod
    def _names_a_module(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise ValueError("the name of a layer begins with a letter and has letters, digits, `_` and `-` only")
        if name in TAKEN:
            raise ValueError(f"no layer can be named `{name}`: every module has an attribute of that name already")
        return name


Layers: TypeAlias = tuple[Placed, ...]


def held(part: Component) -> Iterator[tuple[str, Layers]]:
    """The lists of layers that a component holds: (where: a field, or a position in one; the list)."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, tuple) and value and isinstance(value[0], Placed):
            yield name, value
        elif isinstance(value, tuple) and value and isinstance(value[0], tuple):
            yield from ((str(i), inner) for i, inner in enumerate(value) if inner and isinstance(inner[0], Placed))
