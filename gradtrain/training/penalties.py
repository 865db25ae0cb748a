"""Regularization: the penalties of a run, inside the loss, on what they select."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Networks, Task
from gradtrain.components.regularizers import Regularizer
from gradtrain.problems import Problem
from gradtrain.training.selectors import Named


@dataclass(frozen=True)
class Applied:
    """One penalty and what it applies to: parameters, the outputs of modules, or the slope of a network."""

    name: str
    """Its name in the journal."""
    regularizer: Regularizer
    weight: float
    parameters: tuple[Named, ...] = ()
    modules: tuple[nn.Module, ...] = ()
    """Whose outputs are penalised, for penalties on an `output`."""
    role: str = ""
    """The network of `modules`, or whose slope is penalised."""
    network: nn.Module | None = None
    """That network: what is put out while it does not learn is not penalised."""
    update: str = ""
    """The update that pays for outputs and slopes; by default the one named like the network."""

    @functools.cached_property
    def listener(self) -> Listener:
        """One for all phases of a run."""
        return Listener(self)


class Penalties:
    """All penalties of a run. `updates` maps an update's name to the parameters it changes: it pays only for those.

    Penalties on outputs and slopes belong to one update each, and cost nothing in a phase without it.
    """

    def __init__(self, applied: Sequence[Applied], updates: Mapping[str, Sequence[Named]]) -> None:
        self.applied = tuple(a for a in applied if a.regularizer.of != "constraint")
        self.by_update: dict[str, list[tuple[str, Regularizer, float, list[Tensor]]]] = {}
        self.listeners: dict[str, list[Listener]] = {}
        self.slopes: dict[str, list[Applied]] = {}
        for update, named in updates.items():
            owned = {id(n.tensor) for n in named}
            chosen = [
                (a.name, a.regularizer, a.weight, [n.tensor for n in a.parameters if id(n.tensor) in owned])
                for a in self.applied
                if a.regularizer.of == "weight"
            ]
            self.by_update[update] = [entry for entry in chosen if entry[3]]
            mine = [a for a in self.applied if (a.update or a.role) == update]
            self.listeners[update] = [a.listener for a in mine if a.regularizer.of == "output"]
            self.slopes[update] = [a for a in mine if a.regularizer.of == "input_gradient"]

    def added(self, update: str, total: Tensor, networks: Networks, task: Task) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The total with every penalty added, and each penalty by its name, weighted, detached."""
        values: dict[str, Tensor] = {}
        for name, regularizer, weight, tensors in self.by_update[update]:
            value = regularizer.forward(tensors[0])
            for tensor in tensors[1:]:
                value = value + regularizer.forward(tensor)
            total = _with(total, name, value, weight, values)
        for listener in self.listeners[update]:
            total = _with(total, listener.applied.name, listener.value(), listener.applied.weight, values)
        for one in self.slopes[update]:
            total = _with(total, one.name, slope(one.regularizer, networks[one.role], task, update), one.weight, values)
            for listener in self.listeners[update]:
                listener.heard.clear()  # what the network says at the penalty's own points is no output of the run
        return total, values


def _with(total: Tensor, name: str, value: Tensor, weight: float, values: dict[str, Tensor]) -> Tensor:
    value = value if weight == 1.0 else weight * value
    values[name] = value.detach()
    return total + value


class Listener:
    """Keeps what modules put out while gradients are recorded and their network learns, until it is penalised.

    A critic also speaks while the generator learns, with weights that stand still: that is no output of its own.
    """

    def __init__(self, applied: Applied) -> None:
        self.applied = applied
        self.heard: list[Tensor] = []
        for module in applied.modules:
            module.register_forward_hook(self.hear)

    def hear(self, module: nn.Module, inputs: object, output: object) -> None:
        if torch.is_grad_enabled() and module.training and isinstance(output, Tensor) and self.learns():
            self.heard.append(output)

    def learns(self) -> bool:
        """Whether any weight of the network may move now."""
        network = self.applied.network
        return network is None or any(parameter.requires_grad for parameter in network.parameters())

    def value(self) -> Tensor:
        """The penalty of everything heard since the last time. Raises `Problem` after nothing."""
        heard, self.heard = self.heard, []
        if not heard:
            raise Problem(
                "nothing-heard",
                f"the penalty `{self.applied.name}` found no output to penalise",
                why="its layer put out no tensor while its network learned",
                help="write `at:` with the name of another layer",
            )
        first, *rest = (self.applied.regularizer.forward(output) for output in heard)
        return sum(rest, first)


def slope(regularizer: Regularizer, network: nn.Module, task: Task, update: str) -> Tensor:
    """A penalty on ∂scores/∂x of a network, differentiable by its weights: the first derivative keeps its graph."""
    seen = task.points(update)
    x = regularizer.points(seen["real"], seen.get("fake")).detach()
    if not x.is_floating_point():
        raise Problem(
            "no-points",
            f"the samples are symbols ({str(x.dtype).removeprefix('torch.')}), along which nothing has a slope",
            help="use a penalty on weights or outputs",
        )
    x.requires_grad_()
    output, count = network(x), regularizer.directions
    slopes = [torch.autograd.grad(regularizer.project(output), x, create_graph=True)[0] for _ in range(count)]
    first, *rest = (regularizer.forward(gradient) for gradient in slopes)
    return sum(rest, first) / count
