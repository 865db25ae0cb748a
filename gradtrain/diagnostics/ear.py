"""Hears what layers put out at a step, and what comes back to these outputs; changes neither."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradtrain.components.measures import Heard


def title(path: str, component: str) -> str:
    """How a finding names a layer: a position says little without what stands there."""
    return f"{path}.{component}" if path.rpartition(".")[2].isdigit() else path or component


def stages(network: nn.Module, path: str = "") -> Iterator[tuple[str, str, nn.Module]]:
    """(path, component, module) of every layer that holds no other layer; hand-written modules count as layers."""
    inner = [
        found for name, child in network.named_children() for found in stages(child, f"{path}.{name}" if path else name)
    ]
    component = getattr(network, "component", None)
    if inner and (component is None or any(hasattr(module, "component") for _, _, module in inner)):
        yield from inner
    else:
        yield path, str(component or type(network).__name__.lower()), network


class Ear:
    """Listens to every layer of every network for one step; what it heard holds the tensors themselves.

    The first call of a layer counts: of a critic the one with real samples, of accumulated micro-batches the first.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        several = len(networks) > 1
        self.places = {
            role: [
                (title(f"{role}.{path}" if several and path else path or role, component), component, module)
                for path, component, module in stages(network)
            ]
            for role, network in networks.items()
        }
        self.heard: dict[str, dict[str, Heard]] = {}
        self.handles: list[RemovableHandle] = []
        self.sums: dict[int, list[Tensor]] = {}
        self.scale = 1.0

    def attach(self, scale: float = 1.0, parameters: Iterable[Tensor] = ()) -> None:
        """Begin to listen; gradients that arrive are `scale` times the true ones.

        Of `parameters` also what each micro-batch adds to their gradients.
        """
        self.scale = scale
        self.sums = {}
        for parameter in parameters:
            hook = parameter.register_post_accumulate_grad_hook(self._added)  # type: ignore[no-untyped-call]
            self.handles.append(hook)
        self.heard = {role: {} for role in self.places}
        for role, places in self.places.items():
            for name, component, module in places:
                hook = functools.partial(self._spoken, self.heard[role], name, component)
                self.handles.append(module.register_forward_hook(hook))

    def detach(self) -> None:
        """Stop listening; what was heard stays until `forget`."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def forget(self) -> None:
        """Let go of the tensors."""
        self.heard, self.sums = {}, {}

    def parts(self, count: int) -> dict[int, list[Tensor]]:
        """id of a parameter → what each of the last `count` micro-batches added to its gradient."""
        last = {key: sums[-count:] for key, sums in self.sums.items() if len(sums) >= count}
        return {
            key: [sums[0], *(after - before for before, after in itertools.pairwise(sums))]
            for key, sums in last.items()
        }

    def _added(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.sums.setdefault(id(parameter), []).append(parameter.grad.detach() / self.scale)

    def _spoken(
        self,
        heard: dict[str, Heard],
        name: str,
        component: str,
        module: nn.Module,
        inputs: tuple[Any, ...],
        output: Any,
    ) -> None:
        if name in heard or not torch.is_grad_enabled():
            return
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        first = inputs[0].detach() if inputs and isinstance(inputs[0], Tensor) else None
        kept = tuple(item.detach() if isinstance(item, Tensor) else item for item in inputs)
        heard[name] = one = Heard(name, component, module, first, output.detach(), inputs=kept)
        if output.requires_grad:
            output.register_hook(functools.partial(self._answered, one))  # type: ignore[no-untyped-call]

    def _answered(self, one: Heard, gradient: Tensor) -> None:
        """What is answered twice is differentiated within the forward pass too: neither answer is the total's."""
        one.answers += 1
        gradient = gradient.detach() / self.scale if self.scale != 1.0 else gradient.detach()
        one.gradient = gradient if one.answers == 1 else None
