"""The family of games."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradtrain.lazy import Tensor, torch
from gradtrain.registry import Component


class Game(Component):
    """A game is what a generator and its critic play for: a loss for each, of the critic's raw scores.

    Shapes: `real` are the critic's scores of data `[batch, ...]`, `fake` those of what the generator made; the two
    may differ in number. Every loss is a mean over the scores, 0-d, lower is better for whoever it belongs to. High
    scores mean real.
    """

    logits: ClassVar[bool] = False
    """Whether a score is the logit of the probability of being real; else it is a number without a scale."""

    bounded: ClassVar[bool] = True
    """Whether the critic's loss has a lower bound; where it has none, only a limit on its slope keeps it finite."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """What trains the critic."""
        raise NotImplementedError

    def generator(self, fake: Tensor) -> Tensor:
        """What trains the generator."""
        raise NotImplementedError

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """What was published: the critic's loss in plain tensor algebra."""
        raise NotImplementedError

    def textbook_generator(self, fake: Tensor) -> Tensor:
        """What was published: the generator's loss in plain tensor algebra."""
        raise NotImplementedError

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        """The closed-form derivative of the critic's loss: incoming gradient `g`, 0-d → {"real": …, "fake": …}."""
        raise NotImplementedError

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        """The closed-form derivative of the generator's loss, in the shape of `fake`."""
        raise NotImplementedError

    def kink(self, real: Tensor, fake: Tensor) -> Tensor | None:
        """A tensor with zeros where a derivative of either loss jumps; None when both are smooth."""
        return None

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """(real, fake) scores in float64: generic ones, far ones, unequal numbers, extra axes, undecided ones."""
        points = []
        for size, reals, fakes in (
            (2, (7, 1), (7, 1)),
            (2, (3,), (5,)),
            (50, (5, 1), (4, 1)),
            (2, (2, 1, 3), (2, 1, 3)),
        ):
            real = size * torch.randn(reals, generator=generator, dtype=torch.float64)
            points.append((real, size * torch.randn(fakes, generator=generator, dtype=torch.float64)))
        undecided = torch.zeros(4, 1, dtype=torch.float64)
        return [*points, (undecided, undecided.clone())]
