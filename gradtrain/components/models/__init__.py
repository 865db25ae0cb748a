"""The family of models."""

from __future__ import annotations

from gradtrain.components.layers import Layers
from gradtrain.components.normalizations import Normalization
from gradtrain.registry import Component


class Model(Component):
    """A model is a named recipe: hyper-parameters in, a list of layers out.

    A field `norm: Normalization | None` takes the config's `normalization:` when the model does not set it.
    """

    def expanded(self) -> Layers:
        """The layers, exactly as a `layers:` list in YAML would spell them."""
        raise NotImplementedError


__all__ = ["Layers", "Model", "Normalization"]
