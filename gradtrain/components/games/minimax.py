"""The game of the first generative adversarial network."""

from __future__ import annotations

from collections.abc import Mapping

from gradtrain.components.games import Game
from gradtrain.lazy import F, Tensor, torch


class Minimax(Game):
    """The critic tells real from fake, and the generator lowers the probability that a fake is found out.

    With D = sigmoid(score), the probability of being real:

    value     critic     -mean(log D(real)) - mean(log(1 - D(fake)))
              generator  mean(log(1 - D(fake)))
    gradient  critic     (D - 1)/n by real,  D/n by fake
              generator  -D/n by fake
    paper     Goodfellow et al. (2014), NeurIPS, Generative Adversarial Nets, arXiv:1406.2661
    note      The generator learns least where the critic is sure, at D = 0: `non_saturating` is the remedy that
              the same paper gives.
    """

    logits = True

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        return -F.logsigmoid(real).mean() - F.logsigmoid(-fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        return F.logsigmoid(-fake).mean()

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        # log D and log(1 - D) would be log 0 at far scores: log1p(exp(-|s|)) keeps their digits.
        log_d = real.clamp(max=0) - torch.log1p(torch.exp(-real.abs()))
        log_not_d = -fake.clamp(min=0) - torch.log1p(torch.exp(-fake.abs()))
        return -log_d.mean() - log_not_d.mean()

    def textbook_generator(self, fake: Tensor) -> Tensor:
        return (-fake.clamp(min=0) - torch.log1p(torch.exp(-fake.abs()))).mean()

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        return {
            "real": -g / (1 + torch.exp(real)) / real.numel(),
            "fake": g / (1 + torch.exp(-fake)) / fake.numel(),
        }

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        return -g / (1 + torch.exp(-fake)) / fake.numel()
