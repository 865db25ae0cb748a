"""Generative adversarial networks."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import PositiveInt, model_validator

from gradtrain.components.datasets import Facts
from gradtrain.components.games import Game
from gradtrain.components.games.non_saturating import NonSaturating
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import (
    Batch,
    Complaint,
    Drawn,
    Networks,
    Objective,
    Outline,
    Task,
    Terms,
    Wish,
    width,
)
from gradtrain.components.objectives._pictures import pictures
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.problems import Problem


class Gan(Objective):
    """A generator turns noise into samples, a critic tells them from real ones; each learns from the other.

    With z from the prior, fake = generator(z), scores = critic(x), critic(fake), and a game that says what both want:

    value     critic: d_loss = game.critic(critic(x), critic(fake)), in which fake is a constant;
              generator: g_loss = game.generator(critic(generator(z))), in which the critic is one
    gradient  ∂g_loss/∂generator = (∂g_loss/∂score) · (∂score/∂fake) · (∂fake/∂generator): through a fixed critic
    paper     Goodfellow et al. (2014), NeurIPS, arXiv:1406.2661; several critic steps: Arjovsky et al. (2017), ICML
    shape     generator [batch, *latent] → the shape of x;  critic → [batch, 1] or [batch, 1, 1, 1]: raw scores
    note      All critic steps of a step see the same real samples and new fakes, as keras.io's wgan_gp does. With
              `reuse_fakes` the generator is scored on the fakes the critic has just seen, as pytorch/examples does: its
              batch norm then saw them once. Measured beside the losses: the mean scores d_real and d_fake.
    """

    kind: ClassVar[TargetKind | None] = "value"
    fields: ClassVar[tuple[str, ...] | None] = ("x",)
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "images"
    points: ClassVar[tuple[Literal["real", "fake"], ...]] = ("real", "fake")
    needs_loss: ClassVar[bool] = False
    ranked: ClassVar[bool] = False
    cases = [{"latent": 8}, {"latent": (8, 1, 1), "reuse_fakes": True}, {"latent": 8, "critic_steps": 3}]

    latent: PositiveInt | tuple[PositiveInt, ...]
    """Shape of the noise of one sample: what the generator reads."""
    prior: Literal["normal", "uniform"] = "normal"
    """Standard normal noise, or uniform between -1 and 1."""
    loss: Game = NonSaturating()
    """What both play for."""
    critic: Literal["discriminator", "critic"] = "discriminator"
    """The name of the network that tells real from fake."""
    critic_steps: PositiveInt = 1
    """Steps of the critic for one of the generator."""
    reuse_fakes: bool = False
    """Score the generator on the critic's fakes instead of new ones."""

    @model_validator(mode="after")
    def _one_batch_of_fakes(self) -> Gan:
        if self.reuse_fakes and self.critic_steps > 1:
            raise ValueError("`reuse_fakes` has no meaning with several critic steps: which of their fakes?")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        return ("generator", self.critic)

    @property
    def updates(self) -> tuple[str, ...]:
        return (*(self.critic,) * self.critic_steps, "generator")

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        return {"d_loss": "min", "g_loss": "min", "d_real": "max", "d_fake": "min"}

    @property
    def readers(self) -> tuple[str, ...]:
        return (self.critic,)

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        generator, critic = networks["generator"], networks[self.critic]
        latent = (self.latent,) if isinstance(self.latent, int) else self.latent
        if generator.input != latent:
            what = f"the generator reads {list(generator.input)}, `latent` is {list(latent)}"
            yield "generator", Problem("output-width", what, help="make `input` and `latent` the same")
        if generator.output != critic.input:
            why = "its samples must look like those of the data"
            yield width("generator", generator.output, critic.input, why, "change its last layers")
        if math.prod(critic.output) != 1:
            why = "it says one thing of a sample: how real it is"
            yield width(self.critic, critic.output, (1,), why, "end with `linear: 1`")
        if critic.parts[-1:] == ("sigmoid",):
            why = f"`{self.loss.name()}` takes raw scores: with the sigmoid the gradients vanish where it saturates"
            what = f"`sigmoid` at the end of the network `{self.critic}`"
            yield self.critic, Problem("softmax-before-loss", what, why=why, help="remove the sigmoid")
        spans = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
        last = generator.parts[-1] if generator.parts else ""
        if last in spans and facts.range is not None and facts.range != spans[last]:
            low, high = facts.range
            what = f"the generator ends with `{last}`, the samples run from {low:g} to {high:g}"
            why = f"{last} reaches {spans[last][0]:g} to {spans[last][1]:g}: the critic would tell them by their range"
            shifted = "add `normalize: {mean: [0.5], std: [0.5]}` after `to_float`"
            help = shifted if last == "tanh" else "use `to_float` alone"
            yield "data", Problem("data-range", what, why=why, help=help, severity="warning")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Gan(self)


class _Gan(Task):
    def __init__(self, gan: Gan) -> None:
        self.gan = gan
        self.shape = (gan.latent,) if isinstance(gan.latent, int) else gan.latent
        self.fakes: list[Tensor] = []
        self.seen: dict[str, Tensor] = {}

    def count(self, batch: Batch) -> float:
        return float(len(batch["x"]))

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        x, critic = batch["x"], networks[self.gan.critic]
        if update != "generator":
            fake = self._made(networks["generator"], x, keep_graph=self.gan.reuse_fakes)
            if self.gan.reuse_fakes:
                self.fakes.append(fake)
            self.seen = {"real": x, "fake": fake.detach()}
            real_score, fake_score = critic(x), critic(fake.detach())
            loss = self.gan.loss.critic(real_score, fake_score)
            told = {"d_loss": loss, "d_real": real_score.mean(), "d_fake": fake_score.mean()}
            return Terms(loss, {name: value.detach() for name, value in told.items()})
        fake = self.fakes.pop(0) if self.fakes else self._made(networks["generator"], x, keep_graph=True)
        with constant(critic):
            loss = self.gan.loss.generator(critic(fake))
        return Terms(loss, {"g_loss": loss.detach()})

    def _made(self, generator: nn.Module, like: Tensor, keep_graph: bool) -> Tensor:
        z = self._noise(len(like), like)
        with torch.set_grad_enabled(keep_graph and torch.is_grad_enabled()):
            return generator(z)  # type: ignore[no-any-return]

    def _noise(self, count: int, like: Tensor) -> Tensor:
        size = (count, *self.shape)
        if self.gan.prior == "normal":
            return torch.randn(size, dtype=like.dtype).to(like.device)
        return (torch.rand(size, dtype=like.dtype) * 2 - 1).to(like.device)

    def points(self, update: str) -> Mapping[str, Tensor]:
        return self.seen

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        x, critic = batch["x"], networks[self.gan.critic]
        fake = self._made(networks["generator"], x, keep_graph=False)
        real_score, fake_score = critic(x), critic(fake)
        d_loss, g_loss = self.gan.loss.critic(real_score, fake_score), self.gan.loss.generator(fake_score)
        told = {"d_loss": d_loss, "g_loss": g_loss, "d_real": real_score.mean(), "d_fake": fake_score.mean()}
        return Terms(d_loss, told), fake, x

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks[self.gan.critic](batch["x"])  # type: ignore[no-any-return]

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        parameter = next(networks["generator"].parameters())
        made = networks["generator"](self._noise(wish.count, parameter))
        x = wish.batch["x"]
        low = min(float(x.min()), float(made.min())) if x.numel() else -1.0
        return Drawn(images=pictures(made, (-1.0, 1.0) if low < 0 else None))


@contextlib.contextmanager
def constant(network: nn.Module) -> Iterator[None]:
    """What the network says in here is not differentiated by its weights, which would cost half a backward pass.

    Weights that were at rest before, frozen by the config or by a phase, stay at rest afterwards.
    """
    moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in moving:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
