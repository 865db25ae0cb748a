"""Layers that own another one and make its weight: what they hand on, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.components.layers.linear import Linear
from gradtrain.lazy import Tensor, nn
from gradtrain.stage import Misfit, Shape

CASES: list[dict[str, Layers]] = [
    {"of": (Placed(part=Linear(out=3)),)},
    {"of": (Placed(part=Conv(out=3, kernel=3, bias=False)),)},
    {"of": (Placed(part=ConvTranspose(out=6, kernel=2, groups=2)),)},
]


def output_shape(name: str, of: Layers, shape: Shape) -> Shape:
    """The shape after the owned layer; its Misfit leads to it. Raises `Misfit` for what has no weight to be made."""
    try:
        part = of[0].part
        if not isinstance(part, (Linear, Conv, ConvTranspose)):
            raise Misfit(
                f"`{name}` makes the weight [out, in, ...] of a layer, and `{part.name()}` has none",
                "use it around `linear`, `conv` or `conv_transpose`",
            )
        if of[0].name is not None or of[0].share is not None:
            raise Misfit(
                f"`name` and `share` say nothing inside `{name}`: the weight there is made, not kept",
                f"write them beside `{name}`",
            )
        return part.output_shape(shape)
    except Misfit as misfit:
        misfit.path = ("of", 0, *misfit.path)
        raise


def inner(name: str, of: Layers, shape: Shape) -> tuple[nn.Module, int]:
    """The owned module; the groups of a transposed convolution, whose outputs are not on its first axis, else 0."""
    output_shape(name, of, shape)
    module = of[0].part.build(shape)
    module.component = of[0].part.name()  # type: ignore[assignment]
    return module, _groups(of)


def _groups(of: Layers) -> int:
    part = of[0].part
    return part.groups if isinstance(part, ConvTranspose) else 0


def textbook(of: Layers, x: Tensor, weight: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The owned layer's equation with the weight that was made."""
    return of[0].part.textbook(x, weight=weight, **_own(parameters))


def gradient(
    of: Layers, g: Tensor, x: Tensor, weight: Tensor, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Tensor]:
    """(the derivatives of x and of the owned layer's other parameters, the derivative of the weight)."""
    answer = dict(of[0].part.gradient(g, x, weight=weight, **_own(parameters)))
    slope = answer.pop("weight")
    return {name if name == "x" else f"inner.{name}": value for name, value in answer.items()}, slope


def _own(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("inner."): value for name, value in parameters.items() if name.startswith("inner.")}


def rows(of: Layers, weight: Tensor) -> Tensor:
    """[out, everything else]: one row an output, whose first axis in a transposed convolution is the input."""
    if groups := _groups(of):
        return _swapped(weight, groups).reshape(weight.shape[1] * groups, -1)
    return weight.reshape(len(weight), -1)


def back(of: Layers, flat: Tensor, like: Tensor) -> Tensor:
    """Rows as the weight keeps them."""
    if groups := _groups(of):
        inside, *kernel = like.shape[1:]
        return flat.reshape(groups, inside, -1, *kernel).transpose(1, 2).reshape(like.shape)
    return flat.reshape(like.shape)


def _swapped(weight: Tensor, groups: int) -> Tensor:
    """[groups, in/groups, out/groups, ...] → [groups, out/groups, in/groups, ...]."""
    return weight.reshape(groups, len(weight) // groups, *weight.shape[1:]).transpose(1, 2)
