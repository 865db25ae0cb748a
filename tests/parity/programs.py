"""Four training programs in plain PyTorch, as somebody without gradtrain would write them: torch alone is imported.

The networks are those of nanoGPT (without dropout) and of pytorch/examples' vae, dcgan (for 28x28 pixels) and
time_sequence_prediction, written anew; so are the losses, as their papers and examples put them. A program takes its
batches from an iterator and gives the loss of every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Losses = dict[str, list[float]]
"""What is minimised, by its name: its value at every step."""


class Block(nn.Module):
    """One block of a GPT: norms before the branches, no biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.before_mlp = nn.LayerNorm(width, bias=False)
        self.widen = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        parts = self.qkv(self.before_attention(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, time, width))
        return x + self.narrow(F.gelu(self.widen(self.before_mlp(x))))


class Gpt(nn.Module):
    """Scores for the next symbol; the table of symbols serves at both ends."""

    def __init__(self, vocab: int, window: int, layers: int, heads: int, width: int) -> None:
        super().__init__()
        self.symbols = nn.Embedding(vocab, width)
        self.places = nn.Embedding(window, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.symbols(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            y = block(y)
        return F.linear(self.norm(y), self.symbols.weight)


def gpt_rate(step: int, steps: int, lr: float, min_lr: float, warmup: int) -> float:
    """A straight line up, half a cosine down."""
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return min_lr + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) * (lr - min_lr)


def decayed(model: nn.Module, strength: float) -> list[dict[str, object]]:
    """Matrices and tables decay, gains do not."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    gains = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": matrices, "weight_decay": strength}, {"params": gains, "weight_decay": 0.0}]


def train_gpt(
    model: Gpt,
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    *,
    lr: float,
    min_lr: float,
    warmup: int,
    decay: float,
    clip: float,
) -> Losses:
    optimizer = torch.optim.AdamW(decayed(model, decay), lr=lr, betas=(0.9, 0.99))
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = gpt_rate(step, steps, lr, min_lr, warmup)
        x, y = next(batches)
        scores = model(x)
        loss = F.cross_entropy(scores.view(-1, scores.size(-1)), y.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return {"cross_entropy": losses}


class Vae(nn.Module):
    """Pixels → mean and log-variance of a few hidden numbers → scores of pixels."""

    def __init__(self, pixels: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.read = nn.Linear(pixels, hidden)
        self.mean = nn.Linear(hidden, code)
        self.log_variance = nn.Linear(hidden, code)
        self.unfold = nn.Linear(code, hidden)
        self.paint = nn.Linear(hidden, pixels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.read(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        deviation = torch.exp(0.5 * log_variance)
        z = mean + deviation * torch.randn_like(deviation)
        return self.paint(F.relu(self.unfold(z))), mean, log_variance


def train_vae(model: Vae, batches: Iterator[Tensor], steps: int, *, lr: float) -> Losses:
    """The loss of an image, on the average over a batch: cross-entropies of all pixels, and the divergence."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    told: Losses = {"reconstruction": [], "kl": []}
    for _ in range(steps):
        x = next(batches)
        optimizer.zero_grad()
        scores, mean, log_variance = model(x)
        reconstruction = F.binary_cross_entropy(torch.sigmoid(scores), x, reduction="sum") / len(x)
        kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp()) / len(x)
        (reconstruction + kl).backward()
        optimizer.step()
        told["reconstruction"].append(reconstruction.item())
        told["kl"].append(kl.item())
    return told


def generator(latent: int = 100, features: int = 64) -> nn.Sequential:
    """Noise [batch, latent, 1, 1] → images [batch, 1, 28, 28] in -1..1."""
    return nn.Sequential(
        nn.ConvTranspose2d(latent, 2 * features, 7, bias=False),
        nn.BatchNorm2d(2 * features),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * features, features, 4, 2, 1, bias=False),
        nn.BatchNorm2d(features),
        nn.ReLU(),
        nn.ConvTranspose2d(features, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def discriminator(features: int = 64) -> nn.Sequential:
    """Images [batch, 1, 28, 28] → raw scores [batch, 1]."""
    return nn.Sequential(
        nn.Conv2d(1, features, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * features),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * features, 1, 7, bias=False),
        nn.Flatten(),
    )


def train_gan(
    paints: nn.Module, judges: nn.Module, batches: Iterator[Tensor], steps: int, *, latent: int, lr: float
) -> Losses:
    """The critic first, on images and on fakes; then the painter, by the critic's new opinion of the same fakes."""
    of_critic = torch.optim.Adam(judges.parameters(), lr=lr, betas=(0.5, 0.999))
    of_painter = torch.optim.Adam(paints.parameters(), lr=lr, betas=(0.5, 0.999))
    told: Losses = {"d_loss": [], "g_loss": []}
    for _ in range(steps):
        x = next(batches)
        real, fake = torch.ones(len(x), 1, dtype=x.dtype), torch.zeros(len(x), 1, dtype=x.dtype)
        judges.zero_grad()
        on_images = F.binary_cross_entropy(torch.sigmoid(judges(x)), real)
        on_images.backward()
        fakes = paints(torch.randn(len(x), latent, 1, 1, dtype=x.dtype))
        on_fakes = F.binary_cross_entropy(torch.sigmoid(judges(fakes.detach())), fake)
        on_fakes.backward()
        of_critic.step()
        paints.zero_grad()
        deceived = F.binary_cross_entropy(torch.sigmoid(judges(fakes)), real)
        deceived.backward()
        of_painter.step()
        told["d_loss"].append(on_images.item() + on_fakes.item())
        told["g_loss"].append(deceived.item())
    return told


class Sines(nn.Module):
    """Reads a wave value by value and says each time what comes next."""

    def __init__(self, size: int = 51) -> None:
        super().__init__()
        self.first = nn.LSTM(1, size, batch_first=True)
        self.second = nn.LSTM(size, size, batch_first=True)
        self.answer = nn.Linear(size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.second(self.first(x)[0])[0])


def train_sines(model: Sines, batches: Iterator[tuple[Tensor, Tensor]], steps: int, *, rule: str) -> Losses:
    """L-BFGS or Adam; a step of L-BFGS costs what the weights cost before it."""
    if rule == "lbfgs":
        optimizer: torch.optim.Optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8, max_iter=20)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        x, y = next(batches)

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    return {"mse": losses}
