"""The game of the least-squares generative adversarial network."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.games import Game
from gradtrain.lazy import F, Tensor, torch


class LeastSquares(Game):
    """The critic's scores go to one number for data and to another for fakes, by squared distance.

    value     critic     mean((real - real_label)²)/2 + mean((fake - fake_label)²)/2
              generator  mean((fake - aim)²)/2
    gradient  critic     (real - real_label)/n by real,  (fake - fake_label)/n by fake
              generator  (fake - aim)/n by fake
    paper     Mao et al. (2017), ICCV, Least Squares Generative Adversarial Networks, arXiv:1611.04076
    note      The paper's letters are b = real_label, a = fake_label, c = aim; the defaults are its 0-1 coding, and
              real_label 1, fake_label -1, aim 0 the coding for which it shows a Pearson χ² divergence.
    """

    cases = [{}, {"real_label": 1.0, "fake_label": -1.0, "aim": 0.0}]

    real_label: float = 1.0
    """The score that the critic is to give to data."""
    fake_label: float = 0.0
    """The score that the critic is to give to fakes."""
    aim: float = 1.0
    """The score that the generator wants for its fakes."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        of_real = F.mse_loss(real, torch.full_like(real, self.real_label))
        return 0.5 * (of_real + F.mse_loss(fake, torch.full_like(fake, self.fake_label)))

    def generator(self, fake: Tensor) -> Tensor:
        return 0.5 * F.mse_loss(fake, torch.full_like(fake, self.aim))

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real - self.real_label) ** 2).mean() / 2 + ((fake - self.fake_label) ** 2).mean() / 2

    def textbook_generator(self, fake: Tensor) -> Tensor:
        return ((fake - self.aim) ** 2).mean() / 2

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {
            "real": g * (real - self.real_label) / real.numel(),
            "fake": g * (fake - self.fake_label) / fake.numel(),
        }

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        return g * (fake - self.aim) / fake.numel()
