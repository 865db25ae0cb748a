"""Which side of its kinks a function is on: the discrete choices made on the way to its result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Sides = Callable[..., Sequence[Tensor]]


def _sign(x: Tensor, *rest: Any, **named: Any) -> Sequence[Tensor]:
    return (x.sgn() if x.is_complex() else x.sign(),)


def _between(x: Tensor, low: Any = None, high: Any = None, *rest: Any, **named: Any) -> Sequence[Tensor]:
    low, high = named.get("min", low), named.get("max", high)
    return [(x - bound).sign() for bound in (low, high) if bound is not None]


def _pair(a: Tensor, b: Any, *rest: Any, **named: Any) -> Sequence[Tensor]:
    return ((a - b).sign(),)


def _norm(x: Tensor, p: Any) -> Sequence[Tensor]:
    """A sum of magnitudes turns at every zero, the Euclidean norm only where all are zero."""
    return _sign(x) if p == 1 else ()


def _loss(corner: Callable[..., float]) -> Sides:
    def sides(a: Tensor, b: Tensor, reduction: int = 1, at: float = 1.0, *rest: Any, **named: Any) -> Sequence[Tensor]:
        return ((a - b).sign(), ((a - b).abs() - corner(named.get("beta", named.get("delta", at)))).sign())

    return sides


def _margins(x: Tensor, target: Tensor, p: Any = 1, margin: Any = 1, *rest: Any, **named: Any) -> Sequence[Tensor]:
    chosen = x.gather(-1, target.reshape(*x.shape[:-1], 1))
    return ((margin - chosen + x).sign(),)


def _pixels(x: Tensor, grid: Tensor, mode: int = 0, padding: int = 0, aligned: bool = False) -> Sequence[Tensor]:
    """Between which pixels a sample lies: coordinates from -1 to 1, the last axis first."""
    lengths = torch.tensor([float(length) for length in reversed(x.shape[2:])], dtype=grid.dtype)
    place = (grid + 1) / 2 * (lengths - 1) if aligned else ((grid + 1) * lengths - 1) / 2
    return (place.floor().int(), place.ceil().int())


_SIDES: dict[str, Sides] = {
    **dict.fromkeys(("relu", "relu_", "abs", "abs_", "leaky_relu", "leaky_relu_", "elu", "elu_", "prelu"), _sign),
    **dict.fromkeys(("_prelu_kernel", "rrelu_with_noise", "celu", "selu", "sgn", "sign", "log_sigmoid_forward"), _sign),
    **dict.fromkeys(("clamp", "clamp_", "hardtanh", "hardtanh_", "clamp.Tensor"), _between),
    **dict.fromkeys(("clamp_min", "clamp_min_", "threshold", "threshold_"), _between),
    **dict.fromkeys(("clamp_max", "clamp_max_"), lambda x, high, *rest, **named: _between(x, None, high)),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _pair),
    **dict.fromkeys(
        ("hardswish", "hardswish_", "hardsigmoid", "hardsigmoid_"), lambda x, *rest, **named: _between(x, -3, 3)
    ),
    **dict.fromkeys(
        ("softshrink", "hardshrink"), lambda x, at=0.5, *rest, **named: _between(x, -at, at)
    ),
    **dict.fromkeys(("floor", "floor_", "frac"), lambda x, *rest, **named: (x.floor(),)),
    **dict.fromkeys(("remainder", "fmod"), lambda x, by, *rest, **named: ((x / by).floor(),)),
    **dict.fromkeys(("round", "round_"), lambda x, *rest, decimals=0, **named: ((x * 10.0**decimals).round(),)),
    **dict.fromkeys(("ceil", "ceil_"), lambda x, *rest, **named: (x.ceil(),)),
    **dict.fromkeys(("trunc", "trunc_"), lambda x, *rest, **named: (x.trunc(),)),
    **dict.fromkeys(("smooth_l1_loss", "huber_loss"), _loss(float)),
    **dict.fromkeys(("linalg_vector_norm", "norm"), lambda x, p=2, *rest, **named: _norm(x, p)),
    "dist": lambda a, b, p=2, *rest, **named: _norm(a - b, p),
    "_cdist_forward": lambda a, b, p=2, *rest, **named: _norm(a.unsqueeze(-2) - b.unsqueeze(-3), p),
    "_pdist_forward": lambda x, p=2, *rest, **named: _norm(x.unsqueeze(-2) - x.unsqueeze(-3), p),
    "multi_margin_loss": _margins,
    **dict.fromkeys(("median", "nanmedian"), lambda x, *dim, **named: () if dim or named else (x <= x.median(),)),
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"), _pixels),
    "amax": lambda x, dim=(), *rest, **named: (x == x.amax(dim, keepdim=True),),
    "amin": lambda x, dim=(), *rest, **named: (x == x.amin(dim, keepdim=True),),
}  # fmt: skip
"""Operator → the signs that decide which formula it uses. Comparisons, maxima, sorts and pools need no entry:
every operator's integer and boolean results are recorded too."""


COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge", "clamp_min", "clamp_max", "threshold"))


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Everything discrete, and every loss of precision, on the way through a function."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sides: list[Tensor] = []
        self.operators: list[str] = []
        self.casts: list[str] = []
        """"float64 → float32", in the order met."""
        self.thresholds: list[float] = []
        """Numbers that floating tensors are compared with."""
        self.called: set[str] = set()
        """Operators met."""
        self.seeded = False
        """Whether an operator draws from a generator that it was given."""
        self.labels: list[int] = []
        """Numbers that integer tensors are compared with, and the label that a loss ignores."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        sides = _SIDES.get(name)
        before = sides(*args, **named) if sides is not None and isinstance(args[0], Tensor) else ()
        self.called.add(name)
        self._compared(name, args)
        self.seeded |= any(isinstance(value, torch.Generator) for value in (*args, *named.values()))
        answer = func(*args, **named)
        for side in before:
            self._note(name, side)
        for out in answer if isinstance(answer, (tuple, list)) else (answer,):
            if isinstance(out, Tensor) and not out.is_floating_point() and not out.is_complex():
                self._note(name, out)
            elif isinstance(out, Tensor) and name in ("_to_copy", "copy_", "sum", "mean", "prod"):
                self._cast(name, args, out)
        return answer

    def _note(self, name: str, side: Tensor) -> None:
        if side.numel():
            self.sides.append(side.detach().to(torch.int64) if side.dtype != torch.bool else side.detach().clone())
            self.operators.append(name)

    def _compared(self, name: str, args: tuple[Any, ...]) -> None:
        if name in ("nll_loss_forward", "nll_loss2d_forward") and len(args) > 4 and isinstance(args[4], int):
            self.labels.append(args[4])
        elif name in COMPARISONS and len(args) > 1 and isinstance(args[0], Tensor):
            other = float(args[1]) if isinstance(args[1], Tensor) and args[1].ndim == 0 else args[1]
            if isinstance(other, (int, float)) and math.isfinite(other):
                if args[0].is_floating_point():
                    self.thresholds.append(float(other))
                elif args[0].dtype != torch.bool:
                    self.labels.append(int(other))

    def _cast(self, name: str, args: tuple[Any, ...], out: Tensor) -> None:
        source = args[1] if name == "copy_" else args[0]
        real = isinstance(source, Tensor) and (source.is_floating_point() or source.is_complex())
        if real and (out.is_floating_point() or out.is_complex()):
            have, get = (torch.finfo(t.dtype).eps for t in (source, out))
            if get > have:
                names = (str(t.dtype).removeprefix("torch.") for t in (source, out))
                self.casts.append(" → ".join(names))


def traced(call: Callable[[], object], grad: bool = False) -> Trace:
    """The choices that one call makes; with `grad`, also those of a backward pass inside it."""
    trace = Trace()
    with torch.set_grad_enabled(grad), trace:
        call()
    return trace


def flips(a: Trace, b: Trace) -> dict[str, int] | None:
    """Operator → how many of its units are on another side; None where even the operators differ."""
    if a.operators != b.operators:
        return None
    counted: dict[str, int] = {}
    for name, one, two in zip(a.operators, a.sides, b.sides, strict=True):
        if one.shape != two.shape:
            return None
        if different := int((one != two).sum()):
            counted[name] = counted.get(name, 0) + different
    return counted
