"""Going on with a sequence: a network with a memory reads what is new, any other one its whole window again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gradtrain.lazy import Tensor, nn, torch


def memories(network: nn.Module) -> list[nn.Module]:
    """The modules that can carry a memory from one batch to the next."""
    return [module for module in network.modules() if isinstance(getattr(module, "carry", None), bool)]


@contextlib.contextmanager
def stepwise(network: nn.Module, x: Tensor) -> Iterator[bool]:
    """Whether the network can read x [batch, time, ...] step by step; while this lasts, its memories do.

    It is tried: two steps one after the other must give what both together give. Memories begin empty, and are put
    back afterwards.
    """
    own = memories(network)
    kept = [(module.carry, module.carried) for module in own]
    try:
        for module in own:
            module.carry = True  # type: ignore[assignment]
        works = bool(own) and x.shape[1] > 1 and _agree(network, own, x[:, :2])
        for module, (carry, _) in zip(own, kept, strict=True):
            module.carry, module.carried = (True if works else carry), None  # type: ignore[assignment]
        yield works
    finally:
        for module, (carry, carried) in zip(own, kept, strict=True):
            module.carry, module.carried = carry, carried


def _agree(network: nn.Module, own: list[nn.Module], x: Tensor) -> bool:
    try:
        forget(own)
        together = network(x)
        forget(own)
        apart = torch.cat([network(x[:, :1]), network(x[:, 1:])], dim=1)
    except RuntimeError:  # a layer wants the whole window
        return False
    return apart.shape == together.shape and torch.allclose(apart, together, rtol=1e-3, atol=1e-4)


def forget(own: list[nn.Module]) -> None:
    """Begin the next batch without a memory."""
    for module in own:
        module.carried = None  # type: ignore[assignment]
