"""A component at a point, with both its faces: what every kind of proof is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gradtrain.components.activations import Activation
from gradtrain.components.layers import Layers, Placed, _chain
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.components.losses import Loss
from gradtrain.components.models import Model
from gradtrain.components.regularizers import Regularizer
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.registry import Component
from gradtrain.stage import Misfit, Shape, Stage

NEAR = 1e-3
"""Inputs this close to a kink are drawn anew: there one rounding decides which side is taken. Exactly on it is fine."""

SHAPES: tuple[Shape, ...] = ((6,), (5, 4), (1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 32, 32))
"""Input shapes that a model is tried with; the first one that fits is taken."""

Point = TypeVar("Point", bound=tuple[Tensor, ...])


@dataclass(frozen=True)
class Subject:
    """A function of tensors at a point.

    `implementation`, `textbook` and `gradient` read the tensors in `inputs`; those named in `leaves` are
    differentiable leaves of autograd's graph, so that a proof may move them in place.
    """

    inputs: Mapping[str, Tensor]
    leaves: Sequence[str]
    implementation: Callable[[], Tensor]
    textbook: Callable[[], Tensor]
    gradient: Callable[[Tensor], Mapping[str, Tensor]]
    """Incoming gradient, in the shape of the result → closed-form derivative by every leaf."""
    shape: Shape
    """The result's shape by the family's contract."""
    of: str = "forward"
    """Which number this is: "forward", or a loss's "mean" or "reduced"."""
    sample: int = 0
    point: str = ""
    layout: Callable[[Tensor], Tensor] = field(default=lambda g: g)
    """How the incoming gradient lies in memory."""


def subjects(component: Component, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    """Every point at which a component with two faces is proven; nothing for families that have one."""
    match component:
        case Loss():
            yield from _loss(component, generator, dtype)
        case Regularizer():
            yield from _regularizer(component, generator, dtype)
        case Activation():
            yield from _activation(component, generator, dtype)
            yield from _stage(component, generator, dtype)
        case Save():
            around = (Placed(part=component), Placed(part=Linear(out=6)), Placed(part=Take(key=component.key)))
            yield from _list(around, (6,), generator, dtype)
        case Take():
            around = (Placed(part=Save(key=component.key)), Placed(part=Linear(out=6)), Placed(part=component))
            yield from _list(around, (6,), generator, dtype)
        case Stage():
            yield from _stage(component, generator, dtype)
        case Model():
            yield from _model(component, generator, dtype)


def _leaf(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.detach().to(dtype).requires_grad_() if x.is_floating_point() else x


def _said(name: str, x: Tensor, how: str = "") -> str:
    return f"{name} {list(x.shape)} {str(x.dtype).removeprefix('torch.')}{', ' if how else ''}{how}"


def _loss(loss: Loss, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = _away_from_kinks(lambda: loss.samples(generator), loss.kink, generator)
    for number, (prediction, target) in enumerate(points):
        by_class = loss.kinds[0] == "class"
        shape = (len(prediction), *prediction.shape[2:]) if by_class else tuple(prediction.shape)
        p, y = _leaf(prediction, dtype), target.to(dtype) if target.is_floating_point() else target
        yield from _reductions(loss, p, y, shape, number)


def _reductions(loss: Loss, p: Tensor, y: Tensor, shape: Shape, number: int) -> Iterator[Subject]:
    """The loss itself, and what a batch of it is reduced to."""
    inputs, point = {"prediction": p, "target": y}, f"{_said('prediction', p)}, {_said('target', y)}"
    yield Subject(
        inputs, ["prediction"], lambda: loss.forward(p, y), lambda: loss.textbook(p, y),
        lambda g: {"prediction": loss.gradient(g, p, y)}, shape, "forward", number, point,
    )  # fmt: skip
    count = loss.count(y)
    divisors = {"mean": count, "reduced": {"mean": count, "sum": 1.0, "sum_per_sample": float(len(p))}[loss.reduce]}
    for of, divisor in divisors.items():
        if float(divisor) > 0 and (of == "mean" or loss.reduce != "mean"):
            yield Subject(
                inputs, ["prediction"], lambda of=of: (loss.mean if of == "mean" else loss.reduced)(p, y),  # type: ignore[misc]
                lambda divisor=divisor: loss.textbook(p, y).sum() / divisor,  # type: ignore[misc]
                lambda g, divisor=divisor: {"prediction": loss.gradient((g / divisor).to(p.dtype).expand(shape), p, y)},  # type: ignore[misc]
                (), of, number, point,
            )  # fmt: skip


def _regularizer(penalty: Regularizer, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = _away_from_kinks(lambda: [(w,) for w in penalty.samples(generator)], penalty.kink, generator)
    for number, (weight,) in enumerate(points):
        w = _leaf(weight, dtype)
        yield Subject(
            {"weight": w}, ["weight"], lambda w=w: penalty.forward(w), lambda w=w: penalty.textbook(w),  # type: ignore[misc]
            lambda g, w=w: {"weight": penalty.gradient(g, w)}, (), "forward", number, _said("weight", w),  # type: ignore[misc]
        )  # fmt: skip


def _activation(activation: Activation, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = _away_from_kinks(lambda: [(x,) for x in activation.samples(generator)], activation.kink, generator)
    for number, (sample,) in enumerate(points):
        x = _leaf(sample, dtype)
        yield Subject(
            {"x": x}, ["x"], lambda x=x: activation.forward(x), lambda x=x: activation.textbook(x),  # type: ignore[misc]
            lambda g, x=x: activation.gradient(g, x),  # type: ignore[misc]
            (len(x), *activation.output_shape(tuple(x.shape[1:]))), "forward", number, _said("x", x),
        )  # fmt: skip


def _stage(stage: Stage, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    fitting = [shape for shape in stage.inputs if _fits(stage.output_shape, shape)]
    if stage.inputs and not fitting:
        raise ValueError(f"none of its `inputs` {[list(shape) for shape in stage.inputs]} fits this case")
    for number, shape in enumerate(fitting):
        yield from _module(stage.build(shape), stage.textbook, stage.gradient, stage.kink, shape, stage.output_shape(shape), generator, dtype, 10 * number + 10)


def _model(model: Model, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    layers = model.layers()
    shapes: Sequence[Shape] = getattr(model, "inputs", SHAPES)
    shape = next((shape for shape in shapes if _fits(lambda s: _chain.output_shape(layers, s), shape)), None)
    if shape is None:
        raise ValueError(f"no input shape of {[list(shape) for shape in shapes]} fits its layers")
    yield from _list(layers, shape, generator, dtype)


def _list(layers: Layers, shape: Shape, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    def textbook(x: Tensor, **parameters: Tensor) -> Tensor:
        return _chain.textbook(layers, x, parameters)

    def gradient(g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        return _chain.gradient(layers, g, x, parameters)

    module = _chain.build(layers, shape)
    yield from _module(module, textbook, gradient, _smooth, shape, _chain.output_shape(layers, shape), generator, dtype, 0)


def _module(
    module: nn.Module, textbook: Callable[..., Tensor], gradient: Callable[..., Mapping[str, Tensor]], kink: Callable[..., Tensor | None],
    shape: Shape, after: Shape, generator: torch.Generator, dtype: torch.dtype, first: int,
) -> Iterator[Subject]:  # fmt: skip
    """A module in training mode with random parameters, fed a batch of five, the same with gaps in memory, and a batch of one."""
    module = module.to(dtype).train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += (0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)).to(dtype)
    parameters = dict(module.named_parameters())
    leaves = ["x", *(name for name, parameter in parameters.items() if parameter.requires_grad)]
    for number, (rows, how) in enumerate(((5, "a batch"), (5, "a batch with gaps in memory"), (1, "a batch of one"))):
        lay = _gaps if number == 1 else _as_it_is

        def draw(rows: int = rows) -> list[tuple[Tensor]]:
            return [(1.5 * torch.randn(rows, *shape, generator=generator, dtype=torch.float64),)]

        def turn(x: Tensor) -> Tensor | None:
            return kink(x, **{name: p.detach().double() for name, p in parameters.items()})

        ((sample,),) = _away_from_kinks(draw, turn, generator)
        x = lay(_leaf(sample, dtype).detach()).requires_grad_()
        if rows == 1 and _refuses(module, x):
            continue
        yield Subject(
            {"x": x, **parameters}, leaves, _seeded(lambda x=x: module(x)), _seeded(lambda x=x: textbook(x, **parameters)),  # type: ignore[misc]
            _seeded(lambda g, x=x: gradient(g, x, **parameters)), (rows, *after), "forward", first + number, _said("x", x, how), lay,  # type: ignore[misc]
        )  # fmt: skip


Answer = TypeVar("Answer")


def _seeded(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """The same random numbers at every call: dropout's mask is part of the function."""

    def same(*arguments: Tensor) -> Answer:
        torch.manual_seed(20)
        return function(*arguments)

    return same


def _smooth(x: Tensor, **parameters: Tensor) -> Tensor | None:
    return None


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
    """Whether a batch of one makes no sense here: batch statistics of a single number are refused with a ValueError."""
    try:
        module(x)
    except ValueError:
        return True
    return False


def _away_from_kinks(draw: Callable[[], list[Point]], kink: Callable[..., Tensor | None], generator: torch.Generator) -> list[Point]:
    """Samples of which no element is within `NEAR` of a kink without being on it; a sample that never varies is nudged."""
    points = draw()
    for number, point in enumerate(points):
        for _ in range(1000):
            if not _near(kink(*point)):
                break
            x, *rest = draw()[number]
            if torch.equal(x, points[number][0]):
                x = x + 0.01 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
            point = (x, *rest)  # type: ignore[assignment]
        points[number] = point
    return points


def _near(distance: Tensor | None) -> bool:
    return distance is not None and bool(((distance != 0) & (distance.abs() < NEAR)).any())
