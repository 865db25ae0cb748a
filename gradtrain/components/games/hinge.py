"""The hinge game."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.games import Game
from gradtrain.lazy import Tensor, torch


class Hinge(Game):
    """The critic pushes data above 1 and fakes below -1 and then lets them be; the generator raises its scores.

    value     critic     mean(max(0, 1 - real)) + mean(max(0, 1 + fake))
              generator  -mean(fake)
    gradient  critic     -1/n by real where real < 1,  1/n by fake where fake > -1,  else 0
              generator  -1/n by fake
    paper     Lim & Ye (2017), Geometric GAN, arXiv:1705.02894
    note      As in Miyato et al. (2018), ICLR, Spectral Normalization for GANs, arXiv:1802.05957.
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return -fake.mean()

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.where(real < 1, 1 - real, 0.0).mean() + torch.where(fake > -1, 1 + fake, 0.0).mean()

    def textbook_generator(self, fake: Tensor) -> Tensor:
        return -fake.sum() / fake.numel()

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {
            "real": -g * (real < 1).to(real.dtype) / real.numel(),
            "fake": g * (fake > -1).to(fake.dtype) / fake.numel(),
        }

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        return (-g / fake.numel()).expand(fake.shape)

    def kink(self, real: Tensor, fake: Tensor) -> Tensor:
        return torch.cat([(1 - real).flatten(), (1 + fake).flatten()])

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """The family's, and scores exactly at the margins."""
        real = torch.tensor([[1.0], [0.5], [2.0]], dtype=torch.float64)
        return [*super().samples(generator), (real, -real)]
