"""torch's optimizers without its compiler: they would import it, and wait for it, only to hide from it.

Measured on two cores with torch 2.13: the first optimizer call imports torch._dynamo and sympy with it, 1.3 times as
long as `import torch` itself, and every `step` asks the compiler twice for a graph break and the profiler for a
record. Nothing here is compiled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch


def spare_the_compiler() -> None:
    """Tell the methods that hide from the compiler (torch._compile._disable_dynamo) that they are hidden already."""
    for method in vars(torch.optim.Optimizer).values():
        hidden = getattr(method, "__wrapped__", None)
        if hidden is not None and inspect.unwrap(method).__module__ == torch.optim.Optimizer.__module__:
            setattr(hidden, "__dynamo_disable", getattr(hidden, "__dynamo_disable", hidden))


def plain_step(optimizer: torch.optim.Optimizer) -> Callable[..., Any]:
    """The optimizer's own `step`, without the hooks, records and graph breaks that torch wraps around it."""
    step = inspect.unwrap(type(optimizer).step)

    def stepped(closure: Callable[[], Any] | None = None) -> Any:
        with torch.no_grad():
            return step(optimizer, closure)

    return stepped
