"""Steps a second of gradtrain and of raw PyTorch programs of the same networks, side by side; and the VAE's result.

    python tests/benchmarks/generative.py gpt --steps 60 --rounds 7      # configs/shakespeare-gpt.yaml, profile cpu
    python tests/benchmarks/generative.py vae --steps 200 --rounds 7     # configs/fashion-vae.yaml
    python tests/benchmarks/generative.py gan --steps 20 --rounds 7      # configs/fashion-dcgan.yaml
    python tests/benchmarks/generative.py vae --result                   # 10 epochs by hand: loss a test image

The raw networks are those of tests/parity/programs.py, which know nothing of gradtrain; their loops are tuned by hand:
fused optimizers, batches gathered by index from one tensor, gradients set to None, no number read but every tenth loss.
The two take turns, and the ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from steps import CONFIGS, endless, measured, ours
from torch import Tensor, nn

from gradtrain.config.load import read
from gradtrain.start import prepare
from gradtrain.storage.folder import RunFolder

PROGRAMS = Path(__file__).parents[1] / "parity" / "programs.py"
NAMES = {"gpt": ("shakespeare-gpt", "cpu"), "vae": ("fashion-vae", None), "gan": ("fashion-dcgan", None)}

Step = Callable[[], Tensor]


def programs() -> Any:
    spec = importlib.util.spec_from_file_location("programs", PROGRAMS)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def gpt(text: Tensor, length: int, batch: int) -> Step:
    model = programs().Gpt(65, length, 4, 4, 128)
    rule = torch.optim.AdamW(programs().decayed(model, 0.1), lr=1e-3, betas=(0.9, 0.99), fused=True)
    parameters = list(model.parameters())
    reach = torch.arange(length + 1)

    def step() -> Tensor:
        window = text[torch.randint(len(text) - length - 1, (batch, 1)) + reach]
        scores = model(window[:, :-1])
        loss = F.cross_entropy(scores.view(-1, 65), window[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        rule.step()
        rule.zero_grad(set_to_none=True)
        return loss

    return step


def vae(images: Iterator[Tensor], model: nn.Module) -> Step:
    rule = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> Tensor:
        loss = loss_of(model, next(images))
        loss.backward()
        rule.step()
        rule.zero_grad(set_to_none=True)
        return loss

    return step


def loss_of(model: nn.Module, x: Tensor) -> Tensor:
    scores, mean, log_variance = model(x)
    painted = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (painted + divergence) / len(x)


def gan(images: Iterator[Tensor]) -> Step:
    paints, judges = programs().generator(), programs().discriminator()
    for module in (*paints, *judges):
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
    of_critic = torch.optim.Adam(judges.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    of_painter = torch.optim.Adam(paints.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)

    def step() -> Tensor:
        x = next(images)
        fakes = paints(torch.randn(len(x), 100, 1, 1))
        seen, made = judges(x), judges(fakes.detach())
        real, fake = torch.ones_like(seen), torch.zeros_like(made)
        wrong = F.binary_cross_entropy_with_logits(seen, real) + F.binary_cross_entropy_with_logits(made, fake)
        wrong.backward()
        of_critic.step()
        of_critic.zero_grad(set_to_none=True)
        deceived = F.binary_cross_entropy_with_logits(judges(fakes), real)
        deceived.backward()
        of_painter.step()
        of_painter.zero_grad(set_to_none=True)
        of_critic.zero_grad(set_to_none=True)
        return deceived

    return step


def shuffled(images: Tensor, size: int, prepare: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    while True:
        for index in torch.randperm(len(images)).split(size):
            yield prepare(images.index_select(0, index))


def timed(step: Step, count: int) -> float:
    began = time.perf_counter()
    for number in range(count):
        loss = step()
        if number % 10 == 0:
            loss.item()
    return time.perf_counter() - began


def raw(kind: str, parts: Any) -> Step:
    batches = parts.splits["train"]
    if kind == "gpt":
        x, y = batches.fields["x"], batches.fields["y"]
        text = torch.cat([x[:, 0], y[-1]])  # the windows begin one symbol apart
        return gpt(text, x.shape[1], batches.size)
    stored = batches.fields["x"]
    if kind == "vae":
        images = shuffled(stored.flatten(1), batches.size, lambda x: x.float() / 255 if x.dtype == torch.uint8 else x)
        return vae(images, programs().Vae())
    scaled = lambda x: (x.float() / 255 - 0.5) / 0.5 if x.dtype == torch.uint8 else x  # noqa: E731
    return gan(shuffled(stored, batches.size, scaled))


def result(parts: Any) -> dict[str, float]:
    """The VAE by hand, 10 epochs; its loss a test image, with draws as in training."""
    torch.manual_seed(1)
    model = programs().Vae()
    batches = parts.splits["train"]
    step = vae(shuffled(batches.fields["x"].flatten(1), batches.size, lambda x: x.float() / 255), model)
    seconds = timed(step, 10 * batches.per_epoch)
    with torch.no_grad():
        images = parts.splits["test"].fields["x"].flatten(1).float() / 255
        losses = [float(loss_of(model.eval(), x)) * len(x) for x in images.split(1000)]
    return {"loss_per_test_image": round(sum(losses) / len(images), 2), "seconds": round(seconds, 1)}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("kind", choices=sorted(NAMES))
    asked.add_argument("--steps", type=int, default=60)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--result", action="store_true", help="train the VAE by hand and print its loss an image")
    options = asked.parse_args()
    torch.set_num_threads(options.threads)
    name, profile = NAMES[options.kind]
    run, parts, _ = prepare(read(CONFIGS / f"{name}.yaml", profile), CONFIGS.parent)
    if options.result:
        print(json.dumps(result(parts)))
        return
    endless(parts)
    torch.manual_seed(0)
    step = raw(options.kind, parts)
    rounds = []
    with tempfile.TemporaryDirectory() as place:
        runner = ours(run, parts, RunFolder.create(Path(place) / "run"))
        timed(step, max(5, options.steps // 10))
        measured(runner, max(5, options.steps // 10))
        for number in range(options.rounds):
            seconds = {}
            for who in ("ours", "raw") if number % 2 else ("raw", "ours"):
                seconds[who] = measured(runner, options.steps) if who == "ours" else timed(step, options.steps)
            rounds.append(seconds)
    ratios = sorted(pair["raw"] / pair["ours"] for pair in rounds)
    rate = {who: round(options.steps / statistics.median(pair[who] for pair in rounds), 2) for who in ("ours", "raw")}
    told = {"median": statistics.median(ratios), "least": ratios[0], "most": ratios[-1]}
    print(json.dumps({"config": name, "threads": options.threads, "steps_per_s": rate,
                      "ratio": {key: round(value, 3) for key, value in told.items()}}))  # fmt: skip


if __name__ == "__main__":
    main()
