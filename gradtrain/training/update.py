"""One optimizer step over its own parameters: what the loop calls `update`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrain.components.optimizers import Optimizer
from gradtrain.components.regularizers import Regularizer
from gradtrain.eager import plain_step, spare_the_compiler
from gradtrain.problems import Problem
from gradtrain.training.precision import Precision


class NonFinite(ArithmeticError):
    """The loss or the norm of the gradient is not finite; raised before the update, so the weights are sound.

    `loss` is what was differentiated, as far as it is known.
    """

    def __init__(self, what: str, value: float, loss: float = math.nan) -> None:
        super().__init__(f"{what} is {value}")
        self.what, self.value, self.loss = what, value, loss


def waits(device: torch.device) -> bool:
    """Whether reading a number of this device waits until it has done all that it was given."""
    return device.type != "cpu"


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
        self.name, self.rule, self.accumulate = name, optimizer, accumulate
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.decay = [(strength, [tensor.detach() for tensor in tensors]) for strength, tensors in decay]
        self.parameters: list[Tensor] = [p for group in groups for p in group["params"]]
        spare_the_compiler()
        self.optimizer = optimizer.build(groups)
        self.optimizer.step = plain_step(self.optimizer)  # type: ignore[method-assign]
        self.scales = tuple(scales)
        self.rate: float | None = None
        device = self.parameters[0].device
        self.guarded = not waits(device)
        """Whether the numbers of a step are read before it is made; elsewhere the device remembers (`lost`)."""
        self.ema = ema
        self.detached = [p.detach() for p in self.parameters]
        self.mean = [p.clone() for p in self.detached] if ema is not None else []
        self.found, self.one = torch.zeros((), device=device), torch.ones((), device=device)
        self.sound = torch.zeros((), device=device)
        """Updates since the last look that had finite gradients, up to the first that had not."""

    constraints: Sequence[tuple[Regularizer, Sequence[Tensor]]] = ()
    norm: Tensor | None = None
    """Norm of the last gradient before it was clipped, where it was clipped by norm."""

    def __new__(cls, name: str, optimizer: Optimizer, *_: Any, **__: Any) -> Update:
        """What few rules ask for is a class of its own: it costs the others nothing."""
        return super().__new__(Searching if optimizer.closure else Averaging if optimizer.averages else cls)

    @property
    def average(self) -> list[Tensor]:
        """The average of every parameter, where there is one."""
        return self.mean

    def zero_grad(self) -> None:
        """Forget the gradients. torch's own does the same within a profiler's record: a tenth of a small step."""
        for parameter in self.parameters:
            parameter.grad = None

    def clip(self, precision: Precision, total: Tensor) -> Tensor | None:
        """Cut or scale the gradients; the norm before clipping, when clipping by norm. Raises `NonFinite`.

        g ← g min(1, clip_norm / (‖g‖ + 1e-6)), as torch's clip_grad_norm_. On the CPU, where reading a number is free,
        a gradient that is short enough is left alone, and one that is not finite is refused; float16 scales its loss
        up until gradients overflow, and leaves out such steps itself.
        """
        if self.guarded and not math.isfinite(value := total.item()):
            raise NonFinite("the loss", value, value)
        guarded = self.guarded and not precision.overflows
        if not self.guarded and not precision.overflows:
            self.remember(self.gradients())
        if self.clip_norm is None and self.clip_value is None:
            if guarded and self.broken(gradients := self.gradients()):
                raise self.nonfinite(gradients, total)
            return None
        precision.unscale(self.optimizer)
        gradients = self.gradients()
        if self.clip_value is not None:
            if guarded and self.broken(gradients):  # infinity would be cut to a number like any other
                raise self.nonfinite(gradients, total)
            torch._foreach_clamp_min_(gradients, -self.clip_value)
            torch._foreach_clamp_max_(gradients, self.clip_value)
        if self.clip_norm is None:
            return None
        self.norm = norm = norm_of(gradients)
        if not guarded:
            torch._foreach_mul_(gradients, (self.clip_norm / (norm + 1e-6)).clamp(max=1.0))
            return norm
        if not math.isfinite(value := norm.item()):
            self.norm = norm = norm_of(
                [gradient.double() for gradient in gradients]
            )  # squares may overflow where numbers do not
            if not math.isfinite(value := norm.item()):
                raise self.nonfinite(gradients, total)
        if (scale := self.clip_norm / (value + 1e-6)) < 1:
            torch._foreach_mul_(gradients, scale)
        return norm

    def gradients(self) -> list[Tensor]:
        """The gradients that there are."""
        return [p.grad for p in self.parameters if p.grad is not None]

    def broken(self, gradients: list[Tensor]) -> bool:
        """Whether any number of them is not finite: one call for all, a third of what their norm costs.

        The kernel is that of torch's loss scaler; it multiplies by 1, which changes no bit.
        """
        if gradients:
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, self.found, self.one)
        return bool(self.found.item())

    def remember(self, gradients: list[Tensor]) -> None:
        """As `broken`, on the device alone: nobody waits for the answer."""
        if gradients:
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, self.found, self.one)
        self.sound += 1 - self.found

    def lost(self) -> int | None:
        """How many updates since the last call were sound before one that was not; None where all were.

        Waits for the device.
        """
        sound, found = int(self.sound.item()), bool(self.found.item())
        self.sound.zero_()
        self.found.zero_()
        return sound if found else None

    def nonfinite(self, gradients: list[Tensor], total: Tensor) -> NonFinite:
        """What to raise for gradients that are not finite."""
        self.found.zero_()
        return NonFinite("the norm of the gradient", norm_of(gradients).item(), total.item())

    def step(self, precision: Precision, lr: float, evaluate: Callable[[], Tensor]) -> None:
        """Change the weights once. `evaluate` computes the gradients anew, for rules that ask for them again."""
        if lr != self.rate:
            self.set_rate(lr)
        for strength, tensors in self.decay:
            torch._foreach_mul_(tensors, 1 - lr * strength)
        precision.step(self.optimizer)
        if self.constraints:
            self.constrain()
        if self.ema is not None:
            torch._foreach_lerp_(self.mean, self.detached, 1 - self.ema)

    def limit(self, constraints: Sequence[tuple[Regularizer, Sequence[Tensor]]]) -> None:
        """What its own parameters among these tensors must obey after every step."""
        own = {id(parameter) for parameter in self.parameters}
        chosen = [(rule, [t.detach() for t in tensors if id(t) in own]) for rule, tensors in constraints]
        self.constraints = [(rule, tensors) for rule, tensors in chosen if tensors]

    def constrain(self) -> None:
        """Move parameters back where they are allowed to be, in place."""
        for rule, tensors in self.constraints:
            for tensor in tensors:
                tensor.copy_(rule.forward(tensor))

    def set_rate(self, lr: float) -> None:
        """The learning rate of every group."""
        self.rate = lr
        for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
            group["lr"] = lr * scale

    def gradient_norm(self) -> Tensor:
        """Norm of the whole gradient as it stands."""
        return norm_of(self.gradients())

    def swap(self) -> None:
        """Exchange the weights and their average in place, where there is one (twice restores both)."""
        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=False):
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
                elif isinstance(value, list):  # L-BFGS remembers lists of tensors, in which some places are empty
                    numbers[f"{index}.{key}"] = [None if isinstance(item, Tensor) else item for item in value]
                    named = {f"{index}.{key}.{place}": item for place, item in enumerate(value)}
                    tensors |= {name: item for name, item in named.items() if isinstance(item, Tensor)}
                else:
                    numbers[f"{index}.{key}"] = value
        return tensors, numbers

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        entries: dict[int, dict[str, Any]] = {}
        for name, value in (*numbers.items(), *tensors.items()):
            index, key, *place = name.split(".")
            entry = entries.setdefault(int(index), {})
            if place:
                entry[key][int(place[0])] = value
            else:
                entry[key] = list(value) if isinstance(value, list) else value
        self._refuse_shapes(entries)
        self.optimizer.load_state_dict({"state": entries, "param_groups": self.optimizer.state_dict()["param_groups"]})

    def _refuse_shapes(self, entries: Mapping[int, Mapping[str, Any]]) -> None:
        """Raises ValueError where a fused kernel, which looks at no shape, would read beside what was restored."""
        fused = self.optimizer.defaults.get("fused")
        for index, entry in entries.items():
            for key, value in entry.items():
                wanted = (1,) if key == "step" else tuple(self.parameters[index].shape) if fused else None
                if isinstance(value, Tensor) and wanted is not None and value.numel() != math.prod(wanted):
                    raise ValueError(f"`{key}` of an optimizer has the shape {list(value.shape)}")


class Searching(Update):
    """An update whose rule evaluates the loss at several points of one step (L-BFGS, SAM).

    The first evaluation is the one that the loop has made. Decoupled decay comes after the step, so that this
    evaluation's gradients are those of the weights that the rule finds.
    """

    def clip(self, precision: Precision, total: Tensor) -> Tensor | None:
        self.total = total
        return super().clip(precision, total)

    def step(self, precision: Precision, lr: float, evaluate: Callable[[], Tensor]) -> None:
        if precision.name == "float16":
            raise Problem(
                "closure-precision",
                f"`{self.rule.name()}` cannot train in float16",
                why="it evaluates the gradient several times in one step, and each would need its own loss scale",
                help="write `precision: float32` or `precision: bfloat16`",
            )
        self.set_rate(lr)
        known = True

        def closure() -> float:
            nonlocal known
            if known:
                known = False
                return self.total.item()
            total = evaluate()
            if not math.isfinite(value := total.item()):
                raise NonFinite(f"the loss at a point that `{self.rule.name()}` tried", value, value)
            self.clip(precision, total)
            return value

        before = torch._foreach_clone(self.detached)
        try:
            self.optimizer.step(closure)
        except NonFinite:
            torch._foreach_copy_(self.detached, before)
            raise
        for strength, tensors in self.decay:
            torch._foreach_mul_(tensors, 1 - lr * strength)
        if self.constraints:
            self.constrain()
        if self.ema is not None:
            torch._foreach_lerp_(self.mean, self.detached, 1 - self.ema)


class Averaging(Update):
    """An update whose rule trains at one point and measures at another, the average of its own (schedule-free)."""

    kept: Sequence[Tensor] = ()
    """The weights that train, while the average stands in their place."""

    @property
    def average(self) -> list[Tensor]:
        """The rule's average of every parameter, as it stands."""
        memory = self.optimizer.state
        pairs = zip(self.parameters, self.detached, strict=True)
        return [self.rule.average(p, memory[w]) if memory.get(w) else p.clone() for w, p in pairs]

    def swap(self) -> None:
        if self.kept:
            torch._foreach_copy_(self.detached, list(self.kept))
            self.kept = ()
        else:
            self.kept = torch._foreach_clone(self.detached)
            torch._foreach_copy_(self.detached, self.average)


def norm_of(gradients: list[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients together, 0-d: one call for the tensors, one for their norms."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm
