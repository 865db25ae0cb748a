"""Planted defects: reparametrization, divergences, policies, penalties by gradients, regularizers."""

from __future__ import annotations

import torch
from defects.planted import Planted, leaf, plant, randn, ruled
from torch import Tensor, nn
from torch.distributions import Dirichlet, Gamma, Normal
from torch.nn import functional as F


def moments() -> tuple[Tensor, Tensor]:
    return randn(4, 3), 0.5 * randn(4, 3, seed=1)


@plant("V01 reparametrization: the gradient of log variance misses 1/2")
def half() -> Planted:
    noise = randn(4, 3, seed=7)

    def forward(mean: Tensor, log_variance: Tensor) -> Tensor:
        return mean + (log_variance / 2).exp() * noise.to(mean)

    def of(factor: float):
        return ruled(forward, lambda g, m, lv: (g, factor * g * (lv / 2).exp() * noise.to(m)))

    return Planted(of(1.0), of(0.5), moments())


@plant("V02 sample() where rsample() is meant")
def sampled() -> Planted:
    def of(method: str):
        return lambda mean, spread: getattr(Normal(mean, spread.exp()), method)().square()

    return Planted(of("sample"), of("rsample"), moments(), verdict="detached")


@plant("V02 sample() of a gamma where rsample() is meant")
def sampled_gamma() -> Planted:
    def of(method: str):
        return lambda shape, rate: getattr(Gamma(shape.exp(), rate.exp()), method)().log()

    return Planted(of("sample"), of("rsample"), (randn(4), randn(4, seed=1)))


@plant("Dirichlet: what is made of the sample has a wrong gradient")
def dirichlet() -> Planted:
    def of(factor: float):
        square = ruled(lambda y: y.square(), lambda g, y: factor * g * y)
        return lambda x: square(Dirichlet(x.exp()).rsample())

    return Planted(of(1.0), of(2.0), (randn(3, 4),))


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()


@plant("V03 KL of a Gaussian: without 1/2")
def gaussian_kl() -> Planted:
    def right(mean: Tensor, log_variance: Tensor) -> Tensor:
        normal = Normal(mean, (log_variance / 2).exp())
        return torch.distributions.kl_divergence(normal, Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum()

    return Planted(
        lambda m, lv: 2 * kl_to_standard(m, lv), right, moments(), faces={"textbook": kl_to_standard}
    )  # fmt: skip


@plant("U34 entropy bonus: its sign is flipped")
def entropy() -> Planted:
    def textbook(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return x.square().sum() + 0.1 * (p * p.log()).sum()

    def of(sign: float):
        def loss(x: Tensor) -> Tensor:
            return x.square().sum() - sign * 0.1 * torch.distributions.Categorical(logits=x).entropy().sum()

        return loss

    return Planted(of(-1.0), of(1.0), (randn(4, 3),), faces={"textbook": textbook})


@plant("U46 VAE: the reconstruction is averaged, the divergence summed")
def elbo() -> Planted:
    x = randn(4, 3, seed=3)

    def textbook(mean: Tensor, log_variance: Tensor) -> Tensor:
        rebuilt = (mean.tanh() - x).square().sum()
        return (rebuilt + kl_to_standard(mean, log_variance)) / len(x)

    def of(reduction: str):
        def loss(mean: Tensor, log_variance: Tensor) -> Tensor:
            rebuilt = F.mse_loss(mean.tanh(), x, reduction=reduction)
            return (rebuilt if reduction == "mean" else rebuilt / len(x)) + kl_to_standard(mean, log_variance) / len(x)

        return loss

    return Planted(of("mean"), of("sum"), moments(), faces={"textbook": textbook})


@plant("U47 score function: the sign of the reward is flipped")
def score() -> Planted:
    reward = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def of(sign: float):
        return lambda x: sign * (x.softmax(0).detach() * x.log_softmax(0) * reward).sum()

    return Planted(of(-1.0), of(1.0), (randn(3),), faces={"surrogate": lambda x: (x.softmax(0) * reward).sum()})


class Critic(nn.Module):
    """Penalizes gradients of its own scores."""

    def __init__(self, keeps_graph: bool, adversarial: bool = False, whole: bool = False, one: bool = False) -> None:
        super().__init__()
        self.keeps_graph, self.adversarial, self.whole, self.one = keeps_graph, adversarial, whole, one
        self.score = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1, bias=False))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(1 if self.one else len(real), 1).to(real)
        between = (share * real + (1 - share) * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.score(between).sum(), between, create_graph=self.keeps_graph)
        size = slope.norm() if self.whole else slope.norm(dim=1)
        penalty = (size - 1).square().mean()
        return penalty + (self.score(fake) - self.score(real)).mean() if self.adversarial else penalty


def pictures() -> tuple[Tensor, Tensor]:
    """Constants to the critic: whole numbers are no inputs that one differentiates by."""
    return torch.arange(12).view(4, 3) - 5, torch.arange(12, 0, -1).view(4, 3) % 5


class OnConstants(nn.Module):
    """A critic with pictures that are no floating inputs."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        kind = self.critic.score[0].weight
        return self.critic(0.3 * real.to(kind), 0.3 * fake.to(kind))


def critics(wrong: Critic, right: Critic) -> tuple[nn.Module, nn.Module]:
    right.load_state_dict(wrong.state_dict())
    return OnConstants(wrong), OnConstants(right)


@plant("L13 gradient penalty without create_graph")
def penalty() -> Planted:
    wrong, right = critics(Critic(False), Critic(True))
    return Planted(wrong, right, pictures())


@plant("L14 gradient penalty without create_graph beside an adversarial term")
def penalty_and_term() -> Planted:
    wrong, right = critics(Critic(False, adversarial=True), Critic(True, adversarial=True))
    return Planted(wrong, right, pictures())


def penalized(real: Tensor, fake: Tensor, w: Tensor, one: bool = False, whole: bool = False) -> Tensor:
    """The penalty of the critic tanh(x w), its gradient by hand."""
    share = torch.rand(1 if one else len(real), 1).to(real)
    between = share * real + (1 - share) * fake
    slope = (1 - (between @ w).tanh().square())[:, None] * w
    return ((slope.norm() if whole else slope.norm(dim=1)) - 1).square().mean()


def penalties() -> tuple[Tensor, Tensor, Tensor]:
    return randn(4, 3), randn(4, 3, seed=1), leaf(randn(3, seed=2))


def by_autograd(one: bool = False, whole: bool = False):
    def penalty(real: Tensor, fake: Tensor, w: Tensor) -> Tensor:
        share = torch.rand(1 if one else len(real), 1).to(real)
        between = (share * real + (1 - share) * fake).detach().requires_grad_()
        (slope,) = torch.autograd.grad((between @ w).tanh().sum(), between, create_graph=True)
        return ((slope.norm() if whole else slope.norm(dim=1)) - 1).square().mean()

    return penalty


@plant("U11 gradient penalty: one random share for the whole batch")
def one_share() -> Planted:
    return Planted(by_autograd(one=True), by_autograd(), penalties(), faces={"textbook": penalized})


@plant("U12 gradient penalty: the norm runs over the batch too")
def whole_norm() -> Planted:
    return Planted(by_autograd(whole=True), by_autograd(), penalties(), faces={"textbook": penalized})


@plant("U33 Jacobian penalty without create_graph")
def jacobian() -> Planted:
    def of(keeps_graph: bool):
        def penalty(x: Tensor, w: Tensor) -> Tensor:
            at = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad((at @ w).sin().sum(), at, create_graph=keeps_graph)
            return slope.square().sum() / 2

        return penalty

    return Planted(of(False), of(True), (randn(4, 3), leaf(randn(3, 2, seed=1))), verdict="detached")


@plant("R01 orthogonal penalty: 2 W (WᵀW - I) for 4")
def orthogonal() -> Planted:
    def forward(w: Tensor) -> Tensor:
        return (w.T @ w - torch.eye(w.shape[1]).to(w)).square().sum()

    def of(factor: float):
        return ruled(forward, lambda g, w: factor * g * w @ (w.T @ w - torch.eye(w.shape[1]).to(w)))

    return Planted(of(2.0), of(4.0), (randn(4, 3),))


@plant("R02 L2: lambda for lambda / 2")
def ridge() -> Planted:
    def of(factor: float):
        return lambda w: factor * 0.3 * w.square().sum()

    return Planted(of(1.0), of(0.5), (randn(4, 3),), faces={"textbook": lambda w: 0.3 / 2 * (w * w).sum()})


@plant("R03 a regularizer of 1e-6 is missing in backward")
def slight() -> Planted:
    def forward(w: Tensor) -> Tensor:
        return w.sin().sum() + 1e-6 * w.square().sum()

    return Planted(
        ruled(forward, lambda g, w: g * w.cos()), ruled(forward, lambda g, w: g * (w.cos() + 2e-6 * w)), (randn(4, 3),)
    )


@plant("R04 group lasso as a square root at a group of zeros")
def group_lasso() -> Planted:
    w = randn(4, 3)
    w[1] = 0
    return Planted(
        lambda w: w.square().sum(1).sqrt().sum(), lambda w: w.norm(dim=1).sum(), (w,), verdict="nonfinite"
    )  # fmt: skip


@plant("U32 L1 as the root of a square")
def root_of_square() -> Planted:
    return Planted(lambda w: w.square().sqrt().sum(), lambda w: w.abs().sum(), (randn(4, 3),))
