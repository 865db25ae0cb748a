"""The game that most generative adversarial networks play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from gradtrain.components.games import Game
from gradtrain.lazy import F, Tensor, torch


class NonSaturating(Game):
    """The critic tells real from fake, and the generator raises the probability that a fake passes for real.

    With D = sigmoid(score), the probability of being real, and H(y, D) = -y log D - (1 - y) log(1 - D):

    value     critic     mean(H(real_label, D(real))) + mean(H(fake_label, D(fake)))
              generator  -mean(log D(fake))
    gradient  critic     (D - real_label)/n by real,  (D - fake_label)/n by fake
              generator  (D - 1)/n by fake
    paper     Goodfellow et al. (2014), NeurIPS, Generative Adversarial Nets, section 3, arXiv:1406.2661
    note      A `real_label` of 0.9 is the one-sided label smoothing of Salimans et al. (2016), arXiv:1606.03498;
              it concerns the critic alone, the generator aims at 1. PyTorch's DCGAN example has the same losses as
              binary cross-entropies of a sigmoid's output.
    """

    logits = True
    cases = [{}, {"real_label": 0.9}, {"real_label": 0.8, "fake_label": 0.1}]

    real_label: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The probability of being real that the critic is to give to data."""
    fake_label: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The probability of being real that the critic is to give to fakes."""

    @model_validator(mode="after")
    def _tells_them_apart(self) -> NonSaturating:
        if self.fake_label >= self.real_label:
            raise ValueError(f"`fake_label: {self.fake_label:g}` must lie below `real_label: {self.real_label:g}`")
        return self

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        of_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, self.real_label))
        return of_real + F.binary_cross_entropy_with_logits(fake, torch.full_like(fake, self.fake_label))

    def generator(self, fake: Tensor) -> Tensor:
        return -F.logsigmoid(fake).mean()

    def textbook_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        total = real.new_zeros(())
        for score, label in ((real, self.real_label), (fake, self.fake_label)):
            # log D would be log 0 at far scores: log1p(exp(-|s|)) keeps its digits.
            log_d = score.clamp(max=0) - torch.log1p(torch.exp(-score.abs()))
            log_not_d = log_d - score
            total = total + (-label * log_d - (1 - label) * log_not_d).mean()
        return total

    def textbook_generator(self, fake: Tensor) -> Tensor:
        return -(fake.clamp(max=0) - torch.log1p(torch.exp(-fake.abs()))).mean()

    def gradient_critic(self, g: Tensor, real: Tensor, fake: Tensor) -> Mapping[str, Tensor]:
        d_real, d_fake = 1 / (1 + torch.exp(-real)), 1 / (1 + torch.exp(-fake))
        return {
            "real": g * (d_real - self.real_label) / real.numel(),
            "fake": g * (d_fake - self.fake_label) / fake.numel(),
        }

    def gradient_generator(self, g: Tensor, fake: Tensor) -> Tensor:
        return -g / (1 + torch.exp(fake)) / fake.numel()
