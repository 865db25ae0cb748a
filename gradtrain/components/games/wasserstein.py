"""The game of the Wasserstein generative adversarial network."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.games import Game
from gradtrain.lazy import Tensor, torch


class Wasserstein(Game):
    """The critic widens the gap between its mean scores, which estimates a distance; the generator closes it.

    value     critic     mean(fake) - mean(real)
              generator  -mean(fake)
    gradient  critic     -1/n by real,  1/n by fake
              generator  -1/n by fake
    paper     Arjovsky, Chintala & Bottou (2017), ICML, Wasserstein GAN, arXiv:1701.07875
    note      The gap has no bound by itself: the critic's slope must be held at 1 or below, by a gradient penalty
              (Gulrajani et al. 2017, arXiv:1704.00028) or by weights kept small. Its scores take no sigmoid.
    """

    bounded = False

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.sum() / fake.numel() - real.sum() / real.numel()

    def textbook_generator(self, fake: Tensor) -> Tensor:
        return -fake.sum() / fake.numel()

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {
            "real": -g / real.numel() * torch.ones_like(real),
            "fake": g / fake.numel() * torch.ones_like(fake),
        }

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        return -g / fake.numel() * torch.ones_like(fake)
