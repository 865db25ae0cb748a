"""Lists of layers: their shapes, their module, and the chain rule over their textbooks, by hand.

`save` and `take` live within one list. Parameters are named as in the module: `0.weight`, `head.bias`,
`2.body.0.weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gradtrain.components.layers import Layers, Placed
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape

Parameters = Mapping[str, Tensor]


class Link(NamedTuple):
    """One item of a list with the shapes before and after it."""

    name: str
    item: Placed
    before: Shape
    after: Shape


def links(layers: Layers, shape: Shape) -> list[Link]:
    """The list with its shapes. Raises `Misfit` with the path to the culprit; imports no torch."""
    saved: dict[str, Shape] = {}
    names: set[str] = set()
    result: list[Link] = []
    for position, item in enumerate(layers):
        before = shape
        name = item.name or str(position)
        try:
            if name in names:
                raise Misfit(f"two layers of one list are named `{name}`", "give each its own name")
            names.add(name)
            if item.share is not None and item.share not in names - {name}:
                raise Misfit(
                    f"nothing before this place in the list is named `{item.share}`",
                    f"write `name: {item.share}` beside the layer whose weights are shared",
                )
            if isinstance(item.part, Save):
                if item.part.key in saved:
                    raise Misfit(f"`save: {item.part.key}` stands twice in one list", "give each its own key")
                saved[item.part.key] = shape
            elif isinstance(item.part, Take):
                if item.part.key not in saved:
                    raise Misfit(
                        f"nothing is saved as `{item.part.key}` before this place in the list",
                        f"write `save: {item.part.key}` earlier in the same list",
                    )
                shape = item.part.merged(saved[item.part.key], shape)
            else:
                shape = item.part.output_shape(shape)
            if any(size < 1 for size in shape):
                raise Misfit(
                    f"`{item.part.name()}` leaves nothing of {list(before)}: its output would be {list(shape)}",
                    "shrink less before it",
                )
        except Misfit as misfit:
            misfit.path = (position, *misfit.path)
            raise
        result.append(Link(name, item, before, shape))
    return result


def output_shape(layers: Layers, shape: Shape) -> Shape:
    """The shape after the whole list. Raises `Misfit`."""
    found = links(layers, shape)
    return found[-1].after if found else shape


def build(layers: Layers, shape: Shape) -> nn.Module:
    """The module of the list; each child carries its component's name as `component`, the whole its `links`."""
    from gradtrain.modules import Sequence, Skips

    children: dict[str, nn.Module] = {}
    steps: list[tuple[str, str, str]] = []
    found = links(layers, shape)
    for name, item, before, _ in found:
        if isinstance(item.part, Save):
            steps.append(("save", item.part.key, ""))
        elif isinstance(item.part, Take):
            steps.append(("take", item.part.key, item.part.merge))
        else:
            module = item.part.build(before)
            module.component = item.part.name()  # type: ignore[assignment]
            if item.share is not None:
                _tie(name, module, item.share, children[item.share])
            children[name] = module
            steps.append(("call", name, ""))
    chain = Sequence(children) if len(steps) == len(children) else Skips(children, steps)
    chain.links = tuple(found)
    return chain


def _tie(name: str, module: nn.Module, of: str, other: nn.Module) -> None:
    """Let `module` use the parameters of `other` that have the same name and shape. Raises `Misfit` for none."""
    theirs = dict(other.named_parameters())
    shared = [n for n, own in module.named_parameters() if n in theirs and theirs[n].shape == own.shape]
    if not shared:
        own = ", ".join(f"{n} {list(p.shape)}" for n, p in module.named_parameters()) or "none"
        has = ", ".join(f"{n} {list(p.shape)}" for n, p in theirs.items()) or "none"
        raise Misfit(
            f"`{name}` can share nothing with `{of}`: its parameters are {own}, the others {has}",
            "shared weights have the same name and shape",
        )
    for path in shared:
        owner, _, leaf = path.rpartition(".")
        setattr(module.get_submodule(owner), leaf, theirs[path])


def _own(item: Placed, name: str, parameters: Parameters) -> dict[str, Tensor]:
    """What an item reads: its own parameters, and those that it shares with another."""
    own = below(parameters, name)
    return own if item.share is None else {**below(parameters, item.share), **own}


def below(parameters: Parameters, name: str) -> dict[str, Tensor]:
    """The parameters under a name, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in parameters.items() if key.startswith(f"{name}.")}


def textbook(layers: Layers, x: Tensor, parameters: Parameters) -> Tensor:
    """The textbooks of the list, one after the other."""
    return _forward(layers, x, parameters)[0][-1]


def _forward(layers: Layers, x: Tensor, parameters: Parameters) -> tuple[list[Tensor], list[Tensor]]:
    """The input of every item, then the output; and the state of torch's generator at each of these."""
    saved: dict[str, Tensor] = {}
    values, states = [x], [torch.get_rng_state()]
    for position, item in enumerate(layers):
        if isinstance(item.part, Save):
            saved[item.part.key] = x
        elif isinstance(item.part, Take):
            x = item.part.textbook_merge(saved[item.part.key], x)
        else:
            x = item.part.textbook(x, **_own(item, item.name or str(position), parameters))
        values.append(x)
        states.append(torch.get_rng_state())
    return values, states


def gradient(layers: Layers, g: Tensor, x: Tensor, parameters: Parameters) -> dict[str, Tensor]:
    """The chain rule: closed-form gradients of the items, from the last to the first.

    Every item draws the random numbers of its forward pass again; afterwards torch's generator stands where the
    forward pass leaves it, so that lists can hold lists.
    """
    values, states = _forward(layers, x, parameters)
    kept = {item.part.key: values[i] for i, item in enumerate(layers) if isinstance(item.part, Save)}
    pending: dict[str, Tensor] = {}
    result: dict[str, Tensor] = {}
    for position in reversed(range(len(layers))):
        item = layers[position]
        if isinstance(item.part, Save):
            g = g + pending.pop(item.part.key) if item.part.key in pending else g
        elif isinstance(item.part, Take):
            aside, g = item.part.split_gradient(g, kept[item.part.key])
            pending[item.part.key] = pending[item.part.key] + aside if item.part.key in pending else aside
        else:
            name = item.name or str(position)
            torch.set_rng_state(states[position])
            answer = item.part.gradient(g, values[position], **_own(item, name, parameters))
            g = answer.get("x", g)
            for key, value in answer.items():
                if key != "x":
                    owner = f"{name}.{key}" if f"{name}.{key}" in parameters else f"{item.share}.{key}"
                    result[owner] = result[owner] + value if owner in result else value
    torch.set_rng_state(states[-1])
    return {"x": g, **result}
