"""Number formats of the forward and backward pass: full precision is the null object of the others."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradtrain.problems import Problem

CPUINFO = Path("/proc/cpuinfo")


class Precision:
    """Full precision: float32 or float64, whatever the weights are."""

    name = "full"
    overflows = False
    """Whether gradients that are not finite are expected now and then, and left out of their own accord."""
    _nothing: AbstractContextManager[Any] = nullcontext()

    def forward(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        return self._nothing

    def backward(self, total: Tensor, share: Tensor | float) -> None:
        """The chain rule, seeded with the micro-batch's share of the whole batch."""
        total.backward(_seed(total, share))  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Bring the gradients to their true size, before they are clipped."""

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer's step."""
        optimizer.step()

    def left_out(self) -> tuple[int, int]:
        """(steps that were left out since the last call, how many of them are the last ones in a row)."""
        return 0, 0

    def state(self) -> dict[str, float]:
        """What a checkpoint must keep."""
        return {}

    def restore(self, state: dict[str, float]) -> None:
        """Take back what `state` gave."""


class Bfloat16(Precision):
    """bfloat16 where torch's autocast allows it; weights and gradients stay float32."""

    name = "bfloat16"

    def __init__(self, device: torch.device) -> None:
        self.device = device.type

    def forward(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, dtype=torch.bfloat16)


class Float16(Precision):
    """float16 where torch's autocast allows it; the loss is scaled up so that small gradients survive."""

    name = "float16"
    overflows = True

    def __init__(self, device: torch.device) -> None:
        self.device = device.type
        self.scaler = torch.amp.GradScaler(self.device)
        self.counted = torch.zeros(2, device=device)
        """Steps that were left out since the last look, and how many of them in a row up to now."""

    def forward(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, dtype=torch.float16)

    def backward(self, total: Tensor, share: Tensor | float) -> None:
        self.scaler.scale(total).backward(_seed(total, share))  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.step(optimizer)
        found = sum(self.scaler._found_inf_per_device(optimizer).values())  # on the device: nobody waits for it
        self.counted += found
        self.counted[1] *= found
        self.scaler.update()

    def left_out(self) -> tuple[int, int]:
        """Waits for the device."""
        count, row = self.counted.tolist()
        self.counted[0] = 0
        return int(count), int(row)

    def state(self) -> dict[str, float]:
        return {key: float(value) for key, value in self.scaler.state_dict().items()}

    def restore(self, state: dict[str, float]) -> None:
        kept = {
            key: int(value) if key in ("growth_interval", "_growth_tracker") else value for key, value in state.items()
        }
        self.scaler.load_state_dict(kept)


def _seed(total: Tensor, share: Tensor | float) -> Tensor | None:
    """Where the chain rule starts, d(share · total)/d total; None, which costs nothing, for 1."""
    if isinstance(share, float) and share == 1.0:
        return None
    return torch.as_tensor(share, dtype=total.dtype, device=total.device)


def precision(name: str, device: torch.device) -> Precision:
    """The object for a config's `precision:`. Raises `Problem` where the device cannot do it."""
    if name == "float64" and device.type == "mps":
        raise Problem(
            "precision-unsupported",
            "float64 does not exist on mps",
            help="write `device: cpu` or `precision: float32`",
        )
    if name == "float16" and device.type == "cpu":
        raise Problem(
            "precision-unsupported",
            "float16 training does not work on the cpu",
            why="the processor has no fast float16 and its gradients underflow",
            help="write `precision: float32`",
        )
    if name == "bfloat16" or (name == "auto" and fast_bfloat16(device)):
        return Bfloat16(device)
    return Float16(device) if name == "float16" else Precision()


def warning(name: str, device: torch.device) -> Problem | None:
    """What a user should know about a precision on this device."""
    if name != "bfloat16" or fast_bfloat16(device) is not False:
        return None
    if device.type == "cpu":
        what, lacks = "bfloat16 is slow on this processor", "it has neither AVX512-BF16 nor AMX"
    else:
        what, lacks = f"bfloat16 is slow on the device `{device}`", "it has no bfloat16 units"
    return Problem(
        "slow-precision",
        what,
        why=f"{lacks}, so that every product is emulated: 25 to 150 times slower than float32 was measured",
        help="write `precision: float32`, or `precision: auto` for bfloat16 only where the hardware has it",
        severity="warning",
    )


def fast_bfloat16(device: torch.device) -> bool | None:
    """Whether the device computes in bfloat16 rather than emulating it; None when there is no telling."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and CPUINFO.is_file():
        words = CPUINFO.read_text("utf-8", "replace").split()
        return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(words)  # the last one is ARM's
    return None
