"""The multilayer perceptron."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.relu import Relu
from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.flatten import Flatten
from gradtrain.components.layers.linear import Linear
from gradtrain.components.models import Model
from gradtrain.components.normalizations import Normalization


class Mlp(Model):
    """Fully connected layers with an activation between them.

    value     x → flatten → (linear → norm → activation → dropout) for every width in hidden → linear
    gradient  the chain rule over its layers
    paper     Rumelhart, Hinton & Williams (1986), Nature 323:533-536, doi:10.1038/323533a0
    shape     [batch, ...] → [batch, out]
    """

    cases = [
        {"hidden": (5, 4), "out": 3},
        {"hidden": (), "out": 2},
        {"hidden": (4,), "out": 1, "bias": False},
    ]

    hidden: tuple[PositiveInt, ...]
    """Widths of the hidden layers."""
    out: PositiveInt
    """Number of outputs: raw scores or values."""
    activation: Activation = Relu()
    """Between the linear layers."""
    norm: Normalization | None = None
    """Between a linear layer and its activation; by default the config's `normalization:`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a hidden unit is silenced while training."""
    bias: bool = True
    """Learn a bias in every linear layer."""

    def expanded(self) -> Layers:
        items: list[Placed] = [Placed(part=Flatten())]
        for width in self.hidden:
            items.append(Placed(part=Linear(out=width, bias=self.bias)))
            items += [Placed(part=self.norm)] if self.norm is not None else []
            items.append(Placed(part=self.activation))
            items += [Placed(part=Dropout(p=self.dropout))] if self.dropout else []
        return (*items, Placed(part=Linear(out=self.out, bias=self.bias), name="head"))
