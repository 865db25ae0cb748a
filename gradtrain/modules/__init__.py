"""nn.Modules that torch lacks. Imported where a module is built, never before: this file imports torch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence as Items
from typing import TYPE_CHECKING, Any

import torch
import torch.nn as nn
from torch import Tensor

if TYPE_CHECKING:
    from gradtrain.components.activations import Activation


class Function(nn.Module):
    """A function without parameters, as a module."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation.forward(x)


class Sequence(nn.Sequential):
    """Named modules, one after the other."""

    links: Items[Any] = ()
    """What the list of layers says of each of them, where it was made from one."""

    def __init__(self, children: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(children))


class Skips(nn.Module):
    """Named modules one after the other, with values saved and taken up again on the way.

    `steps` are ("call", child, ""), ("save", key, "") or ("take", key, how to join).
    """

    links: Items[Any] = ()
    """What the list of layers says of each step."""

    def __init__(self, children: Mapping[str, nn.Module], steps: Items[tuple[str, str, str]]) -> None:
        super().__init__()
        for name, module in children.items():
            self.add_module(name, module)
        self.steps = tuple(steps)

    def forward(self, x: Tensor) -> Tensor:
        saved: dict[str, Tensor] = {}
        for verb, name, how in self.steps:
            if verb == "call":
                x = self._modules[name](x)  # type: ignore[misc]
            elif verb == "save":
                saved[name] = x
            elif how == "concat":
                x = torch.cat([saved[name], x], dim=1)
            else:
                x = saved[name] + x if how == "add" else (saved[name] + x) / 2
        return x


class Residual(nn.Module):
    """body(x) + shortcut(x); the identity where there is no shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        around = x if self.shortcut is None else self.shortcut(x)
        return self.body(x) + around  # type: ignore[no-any-return]


class Parallel(nn.Module):
    """Branches that read the same input, joined."""

    def __init__(self, branches: Items[nn.Module], merge: str) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            self.add_module(str(number), branch)
        self.merge = merge

    def forward(self, x: Tensor) -> Tensor:
        values: list[Tensor] = [branch(x) for branch in self.children()]
        if self.merge == "concat":
            return torch.cat(values, dim=1)
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total / len(values) if self.merge == "mean" else total


class GlobalAvgPool(nn.Module):
    """The mean over all axes after the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=list(range(2, x.ndim)))


class Reshape(nn.Module):
    """The numbers of every sample in another shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


class Permute(nn.Module):
    """The axes after the batch in another order, counted from 1."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *self.axes)


class Crop(nn.Module):
    """Without a border on the axes after the channels."""

    def __init__(self, margins: tuple[int, ...]) -> None:
        super().__init__()
        self.margins = margins

    def forward(self, x: Tensor) -> Tensor:
        inside = (slice(m, n - m) for m, n in zip(self.margins, x.shape[2:], strict=True))
        return x[(slice(None), slice(None), *inside)]


class Step(nn.Module):
    """One step of [batch, time, ...]."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.place]


class Patches(nn.Conv2d):
    """[batch, channel, height, width] → [batch, time, width]: a vector for every square, in reading order."""

    def __init__(self, channels: int, width: int, size: int) -> None:
        super().__init__(channels, width, size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).flatten(2).transpose(1, 2)


class NeuralOde(nn.Module):
    """h' = layers(h) by the classical Runge-Kutta method with `count` steps of `size`."""

    def __init__(self, layers: nn.Module, count: int, size: float) -> None:
        super().__init__()
        self.layers, self.count, self.size = layers, count, size

    def forward(self, x: Tensor) -> Tensor:
        f, d = self.layers, self.size
        for _ in range(self.count):
            k1 = f(x)
            k2 = f(x + d / 2 * k1)
            k3 = f(x + d / 2 * k2)
            k4 = f(x + d * k3)
            x = x + d / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return x


class Variables(nn.Module):
    """The same learned numbers for every sample."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start)

    def forward(self, x: Tensor) -> Tensor:
        # The sum keeps x in the graph: the derivative with respect to it is 0, not missing.
        return self.weight + 0.0 * x.reshape(len(x), -1)[:, :1]


class UnitLength(nn.Module):
    """Features, or the channels of images, divided by their length."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.normalize(x, dim=1 if x.ndim == 4 else -1, eps=self.eps)
