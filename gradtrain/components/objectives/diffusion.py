"""Diffusion: learning to take noise away."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field

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
from gradtrain.components.objectives._pictures import pictures
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.problems import Problem


class Diffusion(Objective):
    """Noise is mixed into a sample, and the network says which; from pure noise it can then walk back to a sample.

    With a step t drawn evenly from 1 … steps, ε standard normal, and ā_t what is left of the sample's variance:

    value     total = loss(model(x_t, t), ε),  x_t = √ā_t x + √(1 - ā_t) ε;
              cosine: ā_t = cos²(((t / steps) + 0.008) / 1.008 · π/2), relative to t = 0;
              linear: ā_t = Π_s≤t (1 - β_s), β from 1e-4 to 0.02 · 1000 / steps
    gradient  for mse: ∂total/∂model = 2 (model - ε) / numbers
    paper     Ho, Jain & Abbeel (2020), NeurIPS, arXiv:2006.11239; cosine: Nichol & Dhariwal (2021), ICML,
              arXiv:2102.09672; sampler: Song, Meng & Ermon (2021), ICLR, arXiv:2010.02502
    shape     the network reads [batch, channel + 1, height, width]: the last channel is t / steps everywhere; it puts
              out [batch, channel, height, width]. Its `input:` has one channel more than the data.
    note      Samples should lie around 0, in -1..1. Sampling is deterministic (DDIM) from the first noise on;
              `training.ema` with `evaluation.use_ema` is customary.
    """

    kind: ClassVar[TargetKind | None] = "value"
    fields: ClassVar[tuple[str, ...] | None] = ("x",)
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "images"
    cases = [{}, {"schedule": "linear", "steps": 200}]

    steps: Annotated[int, Field(ge=2, le=100_000)] = 1000
    """Steps from a sample to pure noise."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How fast the sample fades."""
    sample_steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """Steps of the way back when drawing."""

    @property
    def readers(self) -> tuple[str, ...]:
        return ()

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model, shape = networks["model"], facts.shape
        if shape is not None and len(shape) == 3:
            wanted = (shape[0] + 1, *shape[1:])
            if model.input != wanted:
                what = f"the network reads {list(model.input)}, a noisy sample and its time are {list(wanted)}"
                yield "model", Problem("output-width", what, help=f"write `input: {list(wanted)}`")
            if model.output != shape:
                why = "it must say the noise on every number"
                yield width("model", model.output, shape, why, "change its last layer")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Diffusion(self, losses)

    def left(self) -> Tensor:
        """ā_t for t = 0 … steps, float64."""
        t = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        if self.schedule == "cosine":
            fade = ((t + 0.008) / 1.008 * math.pi / 2).cos().square()
            return (fade / fade[0]).clamp(min=1e-5)
        rates = torch.linspace(1e-4, 0.02, self.steps, dtype=torch.float64) * (1000 / self.steps)
        return torch.cat([torch.ones(1, dtype=torch.float64), (1 - rates.clamp(max=0.999)).cumprod(dim=0)])


class _Diffusion(Task):
    def __init__(self, diffusion: Diffusion, losses: Sequence[WeightedLoss]) -> None:
        self.diffusion, self.terms = diffusion, Weighted(losses)
        self.left = diffusion.left()

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["x"])

    def _answer(self, networks: Networks, x: Tensor) -> tuple[Tensor, Tensor]:
        t = torch.randint(1, self.diffusion.steps + 1, (len(x),))
        noise = torch.randn(x.shape, dtype=x.dtype).to(x.device)
        left = self.left[t].to(x).reshape(-1, *[1] * (x.ndim - 1))
        mixed = left.sqrt() * x + (1 - left).sqrt() * noise
        return self._said(networks["model"], mixed, t), noise

    def _said(self, network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        time = (t / self.diffusion.steps).to(x).reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        return network(torch.cat([x, time], dim=1))  # type: ignore[no-any-return]

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        return self.terms(*self._answer(networks, batch["x"]))

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        prediction, noise = self._answer(networks, batch["x"])
        return self.terms(prediction, noise), prediction, noise

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return self._walked(networks["model"], torch.randn_like(batch["x"]))

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        like = wish.batch["x"]
        noise = torch.randn((wish.count, *like.shape[1:]), dtype=like.dtype).to(like.device)
        return Drawn(images=pictures(self._walked(networks["model"], noise), (-1.0, 1.0)))

    def _walked(self, network: nn.Module, x: Tensor) -> Tensor:
        """From pure noise back to samples: at every stop the noise that is seen is taken out, and less put back."""
        stops = torch.linspace(self.diffusion.steps, 0, self.diffusion.sample_steps + 1).round().long()
        for here, there in pairwise(stops):
            now, then = float(self.left[here]), float(self.left[there])
            noise = self._said(network, x, here.expand(len(x)))
            clean = ((x - math.sqrt(1 - now) * noise) / math.sqrt(now)).clamp(-1, 1)
            x = math.sqrt(then) * clean + math.sqrt(1 - then) * noise
        return x
