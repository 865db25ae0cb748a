"""The variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from gradtrain.components.datasets import Facts
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
from gradtrain.components.objectives._pictures import beside, pictures
from gradtrain.components.regularizers.normal_kl import NormalKl
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem


class Vae(Objective):
    """Learns to describe an image by a few random numbers, and to paint it again from them.

    With (mean, log-variance) = encoder(x), z = mean + exp(log-variance / 2) ε, ε standard normal, d = decoder(z), sums
    over the numbers of a sample, and means over the batch:

    value     total = reconstruction + β kl,  kl = -½ Σ (1 + log-variance - mean² - exp(log-variance));
              bernoulli: reconstruction = -Σ x log σ(d) + (1 - x) log(1 - σ(d));
              gaussian: reconstruction = Σ (x - d)² / (2 variance) + ½ log(2π variance)
    gradient  bernoulli: ∂reconstruction/∂d = σ(d) - x;  gaussian: (d - x) / variance;
              ∂kl/∂mean = mean,  ∂kl/∂log-variance = (exp(log-variance) - 1) / 2;  through z as in `reparameterize`
    paper     Kingma & Welling (2014), ICLR, arXiv:1312.6114; β: Higgins et al. (2017), ICLR
    shape     encoder [batch, ...] → [batch, 2, size] (end with `gaussian: size`), decoder [batch, size] → the size of x
    note      Evaluations draw z as training does, always with the same noise; `elbo` = -(reconstruction + kl).
    """

    kind: ClassVar[TargetKind | None] = "value"
    fields: ClassVar[tuple[str, ...] | None] = ("x",)
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "images"
    sources: ClassVar[tuple[Literal["prior", "reconstruction"], ...]] = ("prior", "reconstruction")
    needs_loss: ClassVar[bool] = False
    cases = [{}, {"likelihood": "gaussian", "variance": 0.1}, {"beta": 4.0, "warmup": 100}]

    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """`bernoulli`: x in 0..1, the decoder puts out raw scores; `gaussian`: any x, the decoder puts out its mean."""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """Weight of kl."""
    warmup: NonNegativeInt = 0
    """Steps of the optimizer over which the weight of kl grows from 0 to β."""
    variance: Annotated[float, Field(gt=0)] = 1.0
    """Variance of the gaussian likelihood, in squared units of x."""

    @property
    def roles(self) -> tuple[str, ...]:
        return ("encoder", "decoder")

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        return {"reconstruction": "min", "kl": "min", "elbo": "max"}

    @property
    def readers(self) -> tuple[str, ...]:
        return ("encoder",)

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        encoder, decoder = networks["encoder"], networks["decoder"]
        if len(encoder.output) != 2 or encoder.output[0] != 2:
            why = "it must say a mean and a log-variance for every hidden number"
            yield width("encoder", encoder.output, (2, *decoder.input), why, "end with `gaussian: 20`")
        elif decoder.input != encoder.output[1:]:
            what = f"the decoder reads {list(decoder.input)}, the encoder describes {list(encoder.output[1:])}"
            yield "decoder", Problem("output-width", what, help=f"write `input: {encoder.output[1]}`")
        if math.prod(decoder.output) != math.prod(encoder.input):
            why = "it must paint every number of the sample again"
            help = f"end with {math.prod(encoder.input)} numbers"
            yield width("decoder", decoder.output, encoder.input, why, help)
        if self.likelihood == "bernoulli":
            if decoder.parts[-1:] == ("sigmoid",):
                what, why = "`sigmoid` at the end of the decoder", "the likelihood applies it itself"
                yield "decoder", Problem("softmax-before-loss", what, why=why, help="remove the sigmoid")
            if facts.range is not None and (facts.range[0] < 0 or facts.range[1] > 1):
                low, high = facts.range
                what = f"the samples run from {low:g} to {high:g}, a bernoulli likelihood needs 0 to 1"
                why = "x is taken as a probability: outside 0..1 the loss has no lower end"
                help = "use `to_float` alone, without `normalize`, or write `likelihood: gaussian`"
                yield "data", Problem("data-range", what, why=why, help=help)

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Vae(self, facts)


class _Vae(Task):
    def __init__(self, vae: Vae, facts: Facts) -> None:
        self.vae, self.facts = vae, facts
        self.kl = NormalKl(strength=1.0)
        self.step = 0

    def begin(self, step: int) -> None:
        self.step = step

    def count(self, batch: Batch) -> float:
        return float(len(batch["x"]))

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self._terms(networks, batch["x"], min(1.0, (self.step + 1) / (self.vae.warmup or 1)))[0]

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        terms, decoded = self._terms(networks, batch["x"], 1.0)
        return terms, self._mean(decoded).reshape(batch["x"].shape), batch["x"]

    def _terms(self, networks: Networks, x: Tensor, warm: float) -> tuple[Terms, Tensor]:
        stats = networks["encoder"](x)
        mean, log_variance = stats.unbind(dim=1)
        decoded = networks["decoder"](mean + torch.randn_like(mean) * (log_variance * 0.5).exp())
        reconstruction = self._reconstruction(decoded.reshape(x.shape), x) / len(x)
        kl = self.kl.forward(stats)
        total = reconstruction + (self.vae.beta * warm) * kl
        elbo = -(reconstruction + kl)
        told = {"reconstruction": reconstruction.detach(), "kl": kl.detach(), "elbo": elbo.detach()}
        return Terms(total, told), decoded

    def _reconstruction(self, decoded: Tensor, x: Tensor) -> Tensor:
        if self.vae.likelihood == "bernoulli":
            return F.binary_cross_entropy_with_logits(decoded, x, reduction="sum")
        constant = 0.5 * math.log(2 * math.pi * self.vae.variance) * x.numel()
        return F.mse_loss(decoded, x, reduction="sum") / (2 * self.vae.variance) + constant

    def _mean(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid() if self.vae.likelihood == "bernoulli" else decoded

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return self._mean(networks["decoder"](networks["encoder"](batch["x"])[:, 0]))

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        if wish.source == "reconstruction":
            x = wish.batch["x"]
            return Drawn(images=beside(x, self.predict(networks, wish.batch).reshape(x.shape)))
        parameter = next(networks["decoder"].parameters())
        size = networks["encoder"](wish.batch["x"][:1]).shape[-1]
        z = torch.randn(wish.count, size, dtype=parameter.dtype).to(parameter.device)
        decoded = self._mean(networks["decoder"](z))
        return Drawn(images=pictures(decoded.reshape(wish.count, *wish.batch["x"].shape[1:])))
