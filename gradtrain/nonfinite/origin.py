"""Where the first number that is not finite comes from: every operation of a step is looked at as it is made.

torch's anomaly detection sees NaN in backward passes alone; this sees infinities and forward passes as well. It runs
beneath autograd and changes no bit of what it watches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gradtrain.registry import Component

PACKAGE = Path(__file__).parents[1]
OURS = {
    str(PACKAGE / name)
    for name in ("nonfinite/__init__.py", "nonfinite/crash.py", "nonfinite/origin.py", "replay.py", "training/loop.py")
}
"""Files that every operation passes through: none of them is where it was written."""

MODULE = nn.Module.__call__.__code__.co_filename
"""The file through which every module is called."""


@dataclass
class Made:
    """One operation that put out a number which is not finite."""

    operation: str
    """torch's name of it, as `log` or `LogBackward0: div`."""
    gave: str
    """`nan` or `inf`."""
    shape: tuple[int, ...]
    """Of what it put out."""
    direction: str
    """`forward` or `backward`."""
    layer: str
    """The innermost module at work; empty outside of all networks (a loss, a penalty)."""
    kind: str
    """That module's class."""
    where: str
    """The line that wrote it, as `components/losses/poisson.py:31`; empty where it is none of the program's own."""
    parents: list[Made] = field(default_factory=list, repr=False)
    """What gave the bad numbers that it read."""

    def __str__(self) -> str:
        place = f"in `{self.layer}` ({self.kind})" if self.layer else "in the loss"
        line = f" at {self.where}" if self.where else ""
        return f"`{self.operation}` gave {self.gave} {place}, {self.direction}, in a tensor {list(self.shape)}{line}"

    def as_json(self) -> dict[str, Any]:
        return {
            "operation": self.operation, "gave": self.gave, "shape": list(self.shape), "direction": self.direction,
            "layer": self.layer or None, "module": self.kind or None, "where": self.where or None,
        }  # fmt: skip


class Origin(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context in which every operation is looked at; `found` says what began it."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.networks, several = networks, len(networks) > 1
        self.names = {
            module: f"{role}.{path}".rstrip(".") if several else path or role
            for role, network in networks.items()
            for path, module in network.named_modules()
        }
        self.made: list[Made] = []
        self.bad: dict[int, tuple[Tensor, Made]] = {}
        """Place in memory → what lies there and who wrote it; the tensor is kept, so that the place stays its own."""
        self.inside: list[nn.Module] = []
        self.spans: list[tuple[int, int, nn.Module]] = []
        """Numbers of the first and the last node that a call of a module put into the graph, inner calls first."""
        self.lines: dict[int, str] = {}
        """Number of a node of the graph → the line that made it."""

    def __enter__(self) -> Origin:
        self.handles = []
        for module in self.names:
            self.handles.append(module.register_forward_pre_hook(self._enters))
            self.handles.append(module.register_forward_hook(self._leaves, always_call=True))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self.handles:
            handle.remove()

    def _enters(self, module: nn.Module, inputs: object) -> None:
        self.inside.append(module)
        self.spans.append((torch.autograd._get_sequence_nr(), -1, module))  # type: ignore[attr-defined]

    def _leaves(self, module: nn.Module, inputs: object, output: object) -> None:
        self.inside.pop()
        last = max(i for i, span in enumerate(self.spans) if span[1] < 0)
        first, _, _ = self.spans[last]
        self.spans[last] = (first, torch.autograd._get_sequence_nr(), module)  # type: ignore[attr-defined]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        node = torch._C._current_autograd_node()
        if node is None:
            self.lines[torch.autograd._get_sequence_nr() - 1] = line = _line(bool(self.inside))
        read = [known for tensor in _tensors((args, kwargs or {})) if (known := self._known(tensor)) is not None]
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            place = tensor.untyped_storage().data_ptr()
            if (gave := wrong(tensor)) is None:
                if place in self.bad and wrong(self.bad[place][0]) is None:  # written over
                    del self.bad[place]
                continue
            if read and read[-1] is self.bad.get(place, (None, None))[1] and not _computes(func):
                continue  # a view of what is known already
            module = self._module(node) if node is not None else self.inside[-1] if self.inside else None
            where = self.lines.get(node._sequence_nr(), "") if node is not None else line
            name = func.overloadpacket.__name__
            made = Made(
                f"{node.name()}: {name}" if node is not None else name,
                gave,
                tuple(tensor.shape),
                "forward" if node is None else "backward",
                self.names[module] if module is not None else "",
                _kind(module),
                where,
                read,
            )
            self.made.append(made)
            self.bad[place] = (tensor, made)
        return result

    def _known(self, tensor: Tensor) -> Made | None:
        """Who wrote the bad numbers in a tensor; None where there are none, or they were there before."""
        entry = self.bad.get(tensor.untyped_storage().data_ptr())
        return entry[1] if entry is not None and wrong(tensor) is not None else None

    def _module(self, node: Any) -> nn.Module | None:
        """The innermost module whose forward pass made a node of the graph."""
        number = node._sequence_nr()
        holders = [(last - first, module) for first, last, module in self.spans if first <= number < last]
        return min(holders, key=lambda holder: holder[0])[1] if holders else None

    def found(self, gradients: Sequence[Tensor | None]) -> Sequence[Made]:
        """What began it, and what followed from that: an infinity, then the NaN that came of it; empty for nothing.

        Of gradients that are not finite the ancestors are looked at; without any, those of the last forward result.
        """
        ends = [made for tensor in gradients if tensor is not None and (made := self._known(tensor)) is not None]
        if not ends:
            ends = [made for made in self.made if made.direction == "forward"][-1:] or self.made[-1:]
        line = {id(made): made for end in ends for made in _ancestry(end)}
        chain = [made for made in self.made if id(made) in line]
        nan = next((m for m in chain if m.gave == "nan" and all(p.gave != "nan" for p in m.parents)), None)
        if nan is None:
            return chain[:1]
        before = {id(made) for made in _ancestry(nan)}
        return list({id(m): m for m in (next(made for made in chain if id(made) in before), nan)}.values())


def wrong(tensor: Tensor) -> str | None:
    """`nan` or `inf` for a tensor of real numbers that holds one; None for all others."""
    if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.layout is not torch.strided:
        return None
    if bool(tensor.isfinite().all()):
        return None
    return "nan" if bool(tensor.isnan().any()) else "inf"


def _ancestry(made: Made) -> Iterator[Made]:
    """An operation and everything that its bad numbers came from."""
    seen, left = set(), [made]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            left += one.parents
            yield one


def _computes(func: Any) -> bool:
    """Whether an operation makes numbers of its own, and is no view of its argument."""
    return not any(a.alias_info is not None and not a.alias_info.is_write for a in func._schema.arguments)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _kind(module: nn.Module | None) -> str:
    """What a module is, as its writer called it."""
    if module is None:
        return ""
    activation = getattr(module, "activation", None)
    return activation.name() if isinstance(activation, Component) else type(module).__name__


def _line(inside: bool) -> str:
    """The innermost line of the program's own components that is being executed; `inside` a module, of that module."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if inside and name == MODULE:
            return ""
        if name.startswith(str(PACKAGE)) and name not in OURS:
            return f"{Path(name).relative_to(PACKAGE).as_posix()}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
