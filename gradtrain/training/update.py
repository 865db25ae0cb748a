"""One optimizer step over its own parameters: what the loop calls `update`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrain.components.optimizers import Optimizer
from gradtrain.training.precision import Precision


class NonFinite(ArithmeticError):
    """The loss or the norm of the gradient is not finite; raised before the update, so the weights are sound."""

    def __init__(self, what: str, value: float) -> None:
        super().__init__(f"{what} is {value}")
        self.what, self.value = what, value


class Update:
    """An optimizer over groups of parameters, with clipping, decoupled decay and the moving average of the weights.

    `groups` are torch's parameter groups; `scales[i]` is the learning rate of group i as a multiple of the schedule's.
    """

    def __init__(
        self,
        name: str,
        optimizer: Optimizer,
        groups: list[dict[str, Any]],
        scales: Sequence[float],
        *,
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float | None = None,
        decay: Sequence[tuple[float, list[Tensor]]] = (),
    ) -> None:
        self.name, self.accumulate = name, accumulate
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.decay = [(strength, [tensor.detach() for tensor in tensors]) for strength, tensors in decay]
        self.parameters: list[Tensor] = [p for group in groups for p in group["params"]]
        self.optimizer = optimizer.build(groups)
        self.scales = tuple(scales)
        self.zero_grad: Callable[[], None] = self.optimizer.zero_grad
        self.rate: float | None = None
        self.guarded = self.parameters[0].device.type == "cpu"  # elsewhere reading a number would wait for the device
        self.ema = ema
        self.detached = [p.detach() for p in self.parameters]
        self.average = [p.clone() for p in self.detached] if ema is not None else []

    def clip(self, precision: Precision, total: Tensor) -> Tensor | None:
        """Cut or scale the gradients; the norm before clipping, when clipping by norm. Raises `NonFinite`."""
        if self.guarded and not math.isfinite(value := total.item()):
            raise NonFinite("the loss", value)
        if self.clip_norm is None and self.clip_value is None:
            return None
        precision.unscale(self.optimizer)
        if self.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.parameters, self.clip_value)
        if self.clip_norm is None:
            return None
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        if self.guarded and not math.isfinite(value := norm.item()):
            raise NonFinite("the norm of the gradient", value)
        return norm

    def step(self, precision: Precision, lr: float, evaluate: Callable[[], Tensor]) -> None:
        """Change the weights once. `evaluate` computes the gradients anew, for rules that ask for them again."""
        if lr != self.rate:
            self.rate = lr
            for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
                group["lr"] = lr * scale
        for strength, tensors in self.decay:
            torch._foreach_mul_(tensors, 1 - lr * strength)
        precision.step(self.optimizer)
        if self.ema is not None:
            torch._foreach_lerp_(self.average, self.detached, 1 - self.ema)

    def gradient_norm(self) -> Tensor:
        """Norm of the whole gradient as it stands."""
        return torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])

    def swap(self) -> None:
        """Exchange the weights and their moving average in place (twice restores both)."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                kept = parameter.detach().clone()
                parameter.copy_(average)
                average.copy_(kept)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, plain numbers) of the optimizer; the moving average is kept by name (`state.capture`)."""
        kept = self.optimizer.state_dict()
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, Any] = {}
        for index, entries in kept["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"{index}.{key}"] = value
                else:
                    numbers[f"{index}.{key}"] = value
        return tensors, numbers

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        entries: dict[int, dict[str, Any]] = {}
        for name, value in (*tensors.items(), *numbers.items()):
            index, _, key = name.partition(".")
            entries.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({"state": entries, "param_groups": self.optimizer.state_dict()["param_groups"]})
