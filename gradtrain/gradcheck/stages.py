"""The points at which layers, normalizations and models are proven: random parameters and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gradtrain.components.layers import Layers, Placed, _chain
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.components.models import Model
from gradtrain.gradcheck.subject import Answer, Subject, away_from_kinks, incoming_last, said
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape, Stage

SHAPES: tuple[Shape, ...] = ((6,), (1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 32, 32), (5, 4))
"""Input shapes that a model is tried with; the first one that fits is taken. Images stand before
signals: batch statistics over the few numbers of a short signal can lose six digits to cancellation."""

BATCHES = ((5, "a batch"), (5, "a batch with gaps in memory"), (1, "a batch of one"))
"""(samples, in words) of the batches that a module is given."""


def of_stage(stage: Stage, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    fitting = [shape for shape in stage.inputs if _fits(stage.output_shape, shape)]
    if stage.inputs and not fitting:
        raise ValueError(f"none of its `inputs` {[list(shape) for shape in stage.inputs]} fits this case")
    for number, shape in enumerate(fitting):
        both = Faces(stage.textbook, stage.gradient, stage.kink, stage.symbols())
        yield from _module(
            stage.build(shape), both, shape, stage.output_shape(shape), generator, dtype, 10 * number + 10
        )


def of_model(model: Model, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    layers = model.expanded()
    shapes: Sequence[Shape] = getattr(model, "inputs", SHAPES)
    shape = next((shape for shape in shapes if _fits(partial(_chain.output_shape, layers), shape)), None)
    if shape is None:
        raise ValueError(f"no input shape of {[list(shape) for shape in shapes]} fits its layers")
    yield from of_list(layers, shape, generator, dtype)


def of_list(layers: Layers, shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    def textbook(x: Tensor, **parameters: Tensor) -> Tensor:
        return _chain.textbook(layers, x, parameters)

    def gradient(g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return _chain.gradient(layers, g, x, parameters)

    symbols = layers[0].part.symbols() if layers else None
    both = Faces(textbook, gradient, lambda x, **parameters: None, symbols)
    yield from _module(
        _chain.build(layers, shape), both, shape, _chain.output_shape(layers, shape), generator, dtype, 0
    )


def of_skip(stage: Save | Take, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    """`save` and `take` mean something in one list only: around a linear layer."""
    save = stage if isinstance(stage, Save) else Save(key=stage.key)
    take = stage if isinstance(stage, Take) else Take(key=stage.key)
    yield from of_list((Placed(part=save), Placed(part=Linear(out=6)), Placed(part=take)), (6,), generator, dtype)


class Faces(NamedTuple):
    """What a stage or a list of layers says about itself, over explicit parameters."""

    textbook: Callable[..., Tensor]
    gradient: Callable[..., Mapping[str, Tensor]]
    kink: Callable[..., Tensor | None]
    symbols: int | None = None


def _module(
    module: nn.Module,
    both: Faces,
    shape: Shape,
    after: Shape,
    generator: torch.Generator,
    dtype: torch.dtype,
    first: int,
) -> Iterator[Subject]:
    """A module in training mode, its parameters random: five samples, five with gaps in memory, one."""
    module = module.to(dtype).train()
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise.to(dtype), alpha=0.5)
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    leaves = ["x", *(name for name, parameter in parameters.items() if parameter.requires_grad)]
    leaves = leaves if both.symbols is None else leaves[1:]
    plain = {name: parameter.detach().double() for name, parameter in parameters.items()}
    for number, (rows, how) in enumerate(BATCHES):
        draw = partial(_drawn, (rows, *shape), generator, both.symbols)
        ((sample,),) = away_from_kinks(draw, lambda x: both.kink(x, **plain), generator)
        lay = _gaps if number == 1 else _as_it_is
        x = lay(sample.to(dtype)).requires_grad_() if both.symbols is None else lay(sample)
        if rows == 1 and _refuses(module, x):
            continue
        known = {**parameters, **{name: buffer.clone() for name, buffer in module.named_buffers()}}
        yield Subject(
            inputs={"x": x, **parameters},
            leaves=leaves,
            implementation=_seeded(partial(_through, module, parameters)),
            textbook=_seeded(partial(both.textbook, x, **known)),
            gradient=_seeded(partial(incoming_last, both.gradient, x, **known)),
            shape=(rows, *after),
            sample=first + number,
            point=said("x", x, how),
            layout=lay,
            buffers=list(module.buffers()),
        )


def _through(module: nn.Module, own: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> Tensor:
    """A module with these parameters, which are its own ones or stand in their places."""
    others = {name: now[name] for name, parameter in own.items() if now[name] is not parameter}
    answer: Tensor = torch.func.functional_call(module, others, (now["x"],)) if others else module(now["x"])
    return answer


def _drawn(shape: Shape, generator: torch.Generator, symbols: int | None) -> list[tuple[Tensor]]:
    if symbols is not None:
        return [(torch.randint(0, symbols, shape, generator=generator),)]
    return [(1.5 * torch.randn(shape, generator=generator, dtype=torch.float64),)]


def _seeded(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """The same random numbers at every call: dropout's mask is part of the function."""

    def same(*arguments: Any) -> Answer:
        torch.manual_seed(20)
        return function(*arguments)

    return same


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _gaps(x: Tensor) -> Tensor:
    """The same numbers with every second place in memory left out."""
    return torch.stack([x, torch.zeros_like(x)], dim=-1)[..., 0] if x.ndim else x


def _fits(output_shape: Callable[[Shape], Shape], shape: Shape) -> bool:
    try:
        output_shape(shape)
    except Misfit:
        return False
    return True


def _refuses(module: nn.Module, x: Tensor) -> bool:
    """Whether a batch of one makes no sense here: torch refuses the statistics of a single number."""
    try:
        module(x)
    except ValueError:
        return True
    return False
