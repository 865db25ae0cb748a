"""Remember a value for later in the same list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor


class Save(Layer):
    """Remembers what flows past under a key, for a `take` later in the same list of layers.

    value     y = x;  saved_key = x
    gradient  dx = g + Σ of the gradients of every take of this key
    """

    cases = [{"key": "skip"}]
    inputs = ()  # it has no meaning alone: the chain of a list proves it

    key: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """Name under which the value is remembered."""

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return {"x": g}
