"""nn.Modules that torch lacks. Imported where a module is built, never before: this file imports torch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence as Items
from typing import TYPE_CHECKING

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

    def __init__(self, children: Mapping[str, nn.Module]) -> None:
        super().__init__(OrderedDict(children))


class Skips(nn.Module):
    """Named modules one after the other, with values saved and taken up again on the way.

    `steps` are ("call", child, ""), ("save", key, "") or ("take", key, how to join).
    """

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
