"""The residual connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Residual(Layer):
    """Adds the input to what the body makes of it, so that the gradient has a way around the body.

    value     y = body(x) + shortcut(x)
    gradient  dx = Jᵀ_body g + Jᵀ_shortcut g;  with the identity as shortcut: Jᵀ_body g + g
    paper     He, Zhang, Ren & Sun (2016), CVPR, arXiv:1512.03385
    note      `shortcut: auto` is the identity where the body keeps the shape. Elsewhere it has weights, without bias: a
              linear layer for vectors, and for [time, features] where a linear layer stands in the body's own list;
              else a 1x1 convolution, with a stride where the body shrinks the image.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,), (5, 4), (4, 5, 5))
    cases = [
        {"body": (Placed(part=Linear(out=6)), Placed(part=Linear(out=6)))},
        {"body": (Placed(part=Linear(out=3)),), "shortcut": "auto"},
        {"body": (Placed(part=Linear(out=4)), Placed(part=Dropout()), Placed(part=Linear(out=2))), "shortcut": "auto"},
        {"body": (Placed(part=Conv(out=4, kernel=3, padding=1)),)},
        {"body": (Placed(part=Conv(out=3, kernel=3, stride=2, padding=1)),), "shortcut": "auto"},
    ]

    body: Layers
    """The layers beside the shortcut."""
    shortcut: Literal["identity", "auto"] = "identity"
    """What the input goes through."""

    def output_shape(self, shape: Shape) -> Shape:
        after = self._body_shape(shape)
        if after != shape and self.shortcut == "identity":
            raise Misfit(
                f"the body of `residual` turns {list(shape)} into {list(after)}: they cannot be added",
                "write `shortcut: auto`, or keep the shape in the body",
            )
        _chain.output_shape(self._shortcut(shape, after), shape)
        return after

    def _body_shape(self, shape: Shape) -> Shape:
        try:
            return _chain.output_shape(self.body, shape)
        except Misfit as misfit:
            misfit.path = ("body", *misfit.path)
            raise

    def _shortcut(self, shape: Shape, after: Shape) -> Layers:
        if shape == after:
            return ()
        of_features = any(isinstance(item.part, Linear) for item in self.body)
        if shape[:-1] == after[:-1] and (len(shape) == 1 or (len(shape) == 2 and of_features)):
            return (Placed(part=Linear(out=after[-1], bias=False)),)
        strides = tuple(-(-before // size) for before, size in zip(shape[1:], after[1:], strict=False))
        fits = len(shape) == len(after) and all(
            (before - 1) // stride + 1 == size
            for before, stride, size in zip(shape[1:], strides, after[1:], strict=True)
        )
        if not fits:
            raise Misfit(
                f"no 1x1 convolution leads from {list(shape)} to the {list(after)} of the body of `residual`",
                "let the body shrink by a whole stride",
            )
        return (Placed(part=Conv(out=after[0], kernel=1, stride=strides, bias=False)),)

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Residual as Module

        after = self.output_shape(shape)
        return Module(
            _chain.build(self.body, shape),
            _chain.build(self._shortcut(shape, after), shape) if after != shape else None,
        )

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        through = _chain.textbook(self.body, x, _chain.below(parameters, "body"))
        return through + _chain.textbook(self._aside(x), x, _chain.below(parameters, "shortcut"))

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        result: dict[str, Tensor] = {"x": torch.zeros_like(x)}
        for name, layers in (("body", self.body), ("shortcut", self._aside(x))):
            answer = _chain.gradient(layers, g, x, _chain.below(parameters, name))
            result["x"] = result["x"] + answer["x"]
            result |= {f"{name}.{key}": value for key, value in answer.items() if key != "x"}
        return result

    def _aside(self, x: Tensor) -> Layers:
        shape = tuple(x.shape[1:])
        return self._shortcut(shape, self._body_shape(shape))
