"""The points at which losses, games, regularizers and activations are proven: their own samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gradtrain.components.activations import Activation
from gradtrain.components.games import Game
from gradtrain.components.losses import Loss
from gradtrain.components.regularizers import Regularizer
from gradtrain.gradcheck.subject import Subject, away_from_kinks, incoming_last, leaf, said
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Shape


def of_loss(loss: Loss, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = away_from_kinks(lambda: loss.samples(generator), loss.kink, generator)
    for number, (prediction, target) in enumerate(points):
        p, y = leaf(prediction, dtype), target.to(dtype) if target.is_floating_point() else target
        shape = loss.result_shape(p, y)
        yield Subject(
            inputs={"prediction": p, "target": y},
            leaves=["prediction"],
            implementation=partial(_loss, loss.forward, y),
            textbook=partial(loss.textbook, p, y),
            gradient=partial(_loss_gradient, loss, p, y),
            shape=shape,
            sample=number,
            point=f"{said('prediction', p)}, {said('target', y)}",
        )
        if float(loss.count(y)) > 0:
            yield _reduced(loss, "mean", loss.mean, loss.count(y), p, y, shape, number)
        if loss.reduce != "mean":
            divisor = 1.0 if loss.reduce == "sum" else float(len(p))
            yield _reduced(loss, "reduced", loss.reduced, divisor, p, y, shape, number)


def _loss(value: Callable[[Tensor, Tensor], Tensor], y: Tensor, now: Mapping[str, Tensor]) -> Tensor:
    return value(now["prediction"], y)


def _loss_gradient(loss: Loss, p: Tensor, y: Tensor, g: Tensor) -> Mapping[str, Tensor]:
    return {"prediction": loss.gradient(g, p, y)}


def _reduced(
    loss: Loss,
    of: str,
    implementation: Callable[[Tensor, Tensor], Tensor],
    divisor: Tensor | float,
    p: Tensor,
    y: Tensor,
    shape: Shape,
    number: int,
) -> Subject:
    """What a batch is reduced to: the sum of the textbook's numbers over the divisor of the rule."""
    return Subject(
        inputs={"prediction": p, "target": y},
        leaves=["prediction"],
        implementation=partial(_loss, implementation, y),
        textbook=lambda: loss.textbook(p, y).sum() / divisor,
        gradient=lambda g: {"prediction": loss.gradient((g / divisor).expand(shape), p, y)},
        shape=(),
        of=of,
        sample=number,
        point=f"{said('prediction', p)}, {said('target', y)}",
    )


def of_game(game: Game, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    """Both sides of a game at every sample: what the critic minimises, and what the generator does."""
    points = away_from_kinks(lambda: game.samples(generator), game.kink, generator)
    for number, (of_real, of_fake) in enumerate(points):
        real, fake = leaf(of_real, dtype), leaf(of_fake, dtype)
        yield Subject(
            inputs={"real": real, "fake": fake},
            leaves=["real", "fake"],
            implementation=lambda now: game.critic(now["real"], now["fake"]),
            textbook=partial(game.textbook_critic, real, fake),
            gradient=partial(_critic_gradient, game, real, fake),
            shape=(),
            of="critic",
            sample=number,
            point=f"{said('real', real)}, {said('fake', fake)}",
        )
        yield Subject(
            inputs={"fake": fake},
            leaves=["fake"],
            implementation=lambda now: game.generator(now["fake"]),
            textbook=partial(game.textbook_generator, fake),
            gradient=partial(_generator_gradient, game, fake),
            shape=(),
            of="generator",
            sample=number,
            point=said("fake", fake),
        )


def _critic_gradient(game: Game, real: Tensor, fake: Tensor, g: Tensor) -> Mapping[str, Tensor]:
    return game.gradient_critic(g, real, fake)


def _generator_gradient(game: Game, fake: Tensor, g: Tensor) -> Mapping[str, Tensor]:
    return {"fake": game.gradient_generator(g, fake)}


def _penalty_gradient(penalty: Regularizer, w: Tensor, g: Tensor) -> Mapping[str, Tensor]:
    return {"weight": penalty.gradient(g, w)}


def of_regularizer(penalty: Regularizer, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = away_from_kinks(lambda: [(w,) for w in penalty.samples(generator)], penalty.kink, generator)
    for number, (weight,) in enumerate(points):
        w = leaf(weight, dtype)
        yield Subject(
            inputs={"weight": w},
            leaves=["weight"],
            implementation=lambda now: penalty.forward(now["weight"]),
            textbook=partial(penalty.textbook, w),
            gradient=partial(_penalty_gradient, penalty, w),
            shape=tuple(w.shape) if penalty.of == "constraint" else (),
            sample=number,
            point=said("weight", w),
        )


def of_activation(activation: Activation, generator: torch.Generator, dtype: torch.dtype) -> Iterator[Subject]:
    points = away_from_kinks(lambda: [(x,) for x in activation.samples(generator)], activation.kink, generator)
    for number, (sample,) in enumerate(points):
        x = leaf(sample, dtype)
        yield Subject(
            inputs={"x": x},
            leaves=["x"],
            implementation=lambda now: activation.forward(now["x"]),
            textbook=partial(activation.textbook, x),
            gradient=partial(incoming_last, activation.gradient, x),
            shape=(len(x), *activation.output_shape(tuple(x.shape[1:]))),
            sample=number,
            point=said("x", x),
        )
