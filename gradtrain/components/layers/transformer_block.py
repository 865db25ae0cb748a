"""One block of a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.activations.gelu import Gelu
from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers.attention import Attention
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.residual import Residual
from gradtrain.components.normalizations import Normalization
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Shape


class TransformerBlock(Layer):
    """Steps exchange what they know by attention, then each thinks for itself; both add to what was there.

    value     pre:  a = x + attention(norm(x)),  y = a + mlp(norm(a));
              post: a = norm(x + attention(x)),  y = norm(a + mlp(a));   mlp = linear → activation → linear
    gradient  the chain rule over its layers; each sum hands the incoming gradient on unchanged as well
    paper     Vaswani et al. (2017), NeurIPS, arXiv:1706.03762; pre: Radford et al. (2019), GPT-2
    shape     [batch, time, width] → the same; attention.0.norm, attention.0.attention.qkv, mlp.0.up, mlp.0.proj, …
    note      The last linear map of both branches is called `proj`: `params: "*.proj.weight"` selects what GPT-2
              starts smaller, the deeper the network.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 4),)
    cases = [
        {"heads": 2},
        {"heads": 2, "causal": True, "bias": False, "expand": 2.0},
        {"heads": 1, "norm_place": "post", "dropout": 0.2},
    ]
    random = True

    heads: PositiveInt
    """Heads of the attention."""
    expand: PositiveFloat = 4.0
    """Width of the hidden layer of the mlp, as a multiple of the width."""
    causal: bool = False
    """A step looks at itself and at earlier steps only."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number is silenced while training: attention's answers, and what both branches add."""
    bias: bool = True
    """Learn biases in the linear maps."""
    rotary: bool = False
    """Rotary positions in the attention."""
    activation: Activation = Gelu()
    """Inside the mlp."""
    norm: Normalization = LayerNorm()
    """Before or after both branches; the config's `normalization:` takes its place."""
    norm_place: Literal["pre", "post"] = "pre"
    """`pre` normalizes what a branch reads, `post` the sum."""

    def spelled(self, shape: Shape) -> Layers:
        """The block as a list of layers."""
        width = shape[-1]
        attention = Attention(
            heads=self.heads, causal=self.causal, dropout=self.dropout, bias=self.bias, rotary=self.rotary
        )
        mlp = (
            Placed(part=Linear(out=round(self.expand * width), bias=self.bias), name="up"),
            Placed(part=self.activation),
            Placed(part=Linear(out=width, bias=self.bias), name="proj"),
        )
        return (*self._branch("attention", (Placed(part=attention, name="attention"),)), *self._branch("mlp", mlp))

    def _branch(self, name: str, items: Layers) -> Layers:
        items = (*items, Placed(part=Dropout(p=self.dropout))) if self.dropout else items
        norm = Placed(part=self.norm, name="norm" if self.norm_place == "pre" else f"{name}_norm")
        if self.norm_place == "pre":
            return (Placed(part=Residual(body=(norm, *items)), name=name),)
        return (Placed(part=Residual(body=items), name=name), norm)

    def output_shape(self, shape: Shape) -> Shape:
        Attention(heads=self.heads, rotary=self.rotary).output_shape(shape)
        return _chain.output_shape(self.spelled(shape), shape)

    def build(self, shape: Shape) -> nn.Module:
        self.output_shape(shape)
        return _chain.build(self.spelled(shape), shape)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return _chain.textbook(self.spelled(tuple(x.shape[1:])), x, parameters)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return _chain.gradient(self.spelled(tuple(x.shape[1:])), g, x, parameters)
