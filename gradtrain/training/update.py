"""One optimizer step over its own parameters: what the loop calls `update`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrain.components.optimizers import Optimizer
from gradtrain.eager import plain_step, spare_the_compiler
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
        spare_the_compiler()
        self.optimizer = optimizer.build(groups)
        self.optimizer.step = plain_step(self.optimizer)  # type: ignore[method-assign]
        self.scales = tuple(scales)
        self.rate: float | None = None
        self.guarded = self.parameters[0].device.type == "cpu"  # elsewhere reading a number would wait for the device
        self.ema = ema
        self.detached = [p.detach() for p in self.parameters]
        self.average = [p.clone() for p in self.detached] if ema is not None else []

    def zero_grad(self) -> None:
        """Forget the gradients. torch's own does the same within a profiler's record: a tenth of a small step."""
        for parameter in self.parameters:
            parameter.grad = None

    def clip(self, precision: Precision, total: Tensor) -> Tensor | None:
        """Cut or scale the gradients; the norm before clipping, when clipping by norm. Raises `NonFinite`.

        g ← g min(1, clip_norm / (‖g‖ + 1e-6)), as torch's clip_grad_norm_. On the CPU, where reading the norm is free,
        a gradient that is short enough is left alone.
        """
        if self.guarded and not math.isfinite(value := total.item()):
            raise NonFinite("the loss", value)
        if self.clip_norm is None and self.clip_value is None:
            return None
        precision.unscale(self.optimizer)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if self.clip_value is not None:
            torch._foreach_clamp_min_(gradients, -self.clip_value)
            torch._foreach_clamp_max_(gradients, self.clip_value)
        if self.clip_norm is None:
            return None
        norm = norm_of(gradients)
        if not self.guarded:
            torch._foreach_mul_(gradients, (self.clip_norm / (norm + 1e-6)).clamp(max=1.0))
            return norm
        if not math.isfinite(value := norm.item()):
            raise NonFinite("the norm of the gradient", value)
        if (scale := self.clip_norm / (value + 1e-6)) < 1:
            torch._foreach_mul_(gradients, scale)
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
        return norm_of([p.grad for p in self.parameters if p.grad is not None])

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


def norm_of(gradients: list[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients together, 0-d: one call for the tensors, one for their norms."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm
