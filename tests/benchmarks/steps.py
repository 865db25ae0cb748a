"""Steps a second of gradtrain and of a hand-tuned raw PyTorch loop that does the same work, side by side.

    python tests/benchmarks/steps.py digits-mlp [--steps 2000] [--rounds 7] [--threads 1]
    python tests/benchmarks/steps.py fashion-cnn --steps 60 --rounds 5

The two take turns (A B A B …) and the ratio is taken round by round, so that a machine whose speed drifts does not
decide. Same model, initial weights, batches, optimizer, schedule, clipping, penalties, threads; the raw loop keeps its
data in memory, shuffles once an epoch and slices, uses torch's fused optimizer, and reads its loss every 10 steps.
gradtrain is measured as a user runs it: journal, display (lines, no terminal) and finite checks included; evaluation
and checkpoints are left out of both.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.report.display import Lines
from gradtrain.run import Runner
from gradtrain.start import prepare
from gradtrain.storage.folder import RunFolder

CONFIGS = Path(__file__).parents[2] / "configs"


class Raw:
    """The same work, written by hand."""

    def __init__(self, run: Run, parts: Parts) -> None:
        self.model = parts.networks["model"]
        self.fields, self.done = parts.splits["train"], parts.splits["train"].prepare is None
        self.run, self.parts, self.step = run, parts, 0
        rule = run.rules[0].part
        parameters = list(self.model.parameters())
        if rule.name() == "adam":
            self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
                parameters, lr=rule.lr, betas=rule.betas, eps=rule.eps, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(
                parameters, lr=rule.lr, momentum=rule.momentum, nesterov=rule.nesterov, fused=True
            )
        self.parameters = parameters
        self.weights = [p for name, p in self.model.named_parameters() if p.ndim >= 2]
        self.average = [p.detach().clone() for p in parameters] if run.training.ema else []
        self.rates = [parts.phases[0].rate.at(t) for t in range(parts.steps)]
        self.smoothing = run.loss[0].part.label_smoothing
        self.penalties = [(item.part.name(), item.part.strength, item.form) for item in run.regularization]
        self.batches = self.endless()

    def endless(self):
        batches, size = self.fields, self.fields.size
        x, y = batches.fields["x"], batches.fields["y"]
        epoch = 0
        while True:
            order = torch.randperm(len(y), generator=torch.Generator().manual_seed(epoch))
            if self.done:
                xs, ys = x[order], y[order]
                yield from zip(xs.split(size), ys.split(size), strict=True)
            else:
                for index in order.split(size):
                    batch = {"x": x.index_select(0, index), "y": y.index_select(0, index)}
                    batch = batches.prepare(batch)
                    draw = torch.Generator().manual_seed(epoch)
                    for augmentation in batches.augment:
                        batch["x"] = augmentation.forward(batch["x"], draw)
                    yield batch["x"], batch["y"]
            epoch += 1

    def go(self, steps: int) -> float:
        model, optimizer, clip, ema = (
            self.model,
            self.optimizer,
            self.run.training.clip_norm,
            self.run.training.ema,
        )
        model.train()
        seconds = time.perf_counter()
        for _ in range(steps):
            x, y = next(self.batches)
            loss = F.cross_entropy(model(x), y, label_smoothing=self.smoothing)
            total = loss
            for name, strength, form in self.penalties:
                if form == "penalty" and name == "l2":
                    flat = [w.reshape(-1) for w in self.weights]
                    total = total + strength * sum(torch.dot(f, f) for f in flat)
                elif form == "penalty":
                    total = total + strength * sum(w.abs().sum() for w in self.weights)
            total.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(self.parameters, clip)
            lr = self.rates[self.step % len(self.rates)]
            for group in optimizer.param_groups:
                group["lr"] = lr
            for _, strength, form in self.penalties:
                if form == "decoupled":
                    torch._foreach_mul_([w.detach() for w in self.weights], 1 - 2 * lr * strength)
            optimizer.step()
            optimizer.zero_grad()
            if ema:
                torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - ema)
            if self.step % 10 == 0:
                total.item()
            self.step += 1
        return time.perf_counter() - seconds


class _Quiet:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...


def ours(run: Run, parts: Parts, folder: RunFolder) -> Runner:
    """The run as `gradtrain train` does it, without evaluation and checkpoints."""
    never = type(run.evaluation.every)(10**9, "steps")
    evaluation, checkpoint = (
        run.evaluation.model_copy(update={"every": never}),
        run.checkpoint.model_copy(update={"every": never}),
    )
    run = run.model_copy(update={"evaluation": evaluation, "checkpoint": checkpoint, "early_stopping": None})
    runner = Runner(run, parts, folder, Lines(_Quiet()), None)
    runner.save = lambda due=True: None  # type: ignore[method-assign]
    runner.evaluated = lambda: False  # type: ignore[method-assign]
    runner.draw = lambda: None  # type: ignore[method-assign]
    runner.finished = lambda reason: None  # type: ignore[method-assign,assignment,return-value]
    return runner


def peak(which: str, path: Path, steps: int) -> int:
    """Largest resident memory of this process after training one of the two, in MB."""
    run, parts, _ = prepare(read(path), CONFIGS.parent)
    if which == "raw":
        Raw(run, parts).go(steps)
    else:
        endless(parts)
        with tempfile.TemporaryDirectory() as place:
            measured(ours(run, parts, RunFolder.create(Path(place) / "run")), steps)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("config")
    asked.add_argument("--steps", type=int, default=2000)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--memory", choices=("ours", "raw"), help="train one of the two alone and print its peak memory")
    options = asked.parse_args()
    torch.set_num_threads(options.threads)
    path = CONFIGS / f"{options.config}.yaml"
    if options.memory:
        print(json.dumps({"config": options.config, options.memory: f"{peak(options.memory, path, options.steps)} MB"}))
        return
    rounds = []
    run, parts, _ = prepare(read(path), CONFIGS.parent)
    twin_run, twin, _ = prepare(read(path), CONFIGS.parent)
    endless(parts)
    raw = Raw(twin_run, twin)
    with tempfile.TemporaryDirectory() as place:
        runner = ours(run, parts, RunFolder.create(Path(place) / "run"))
        raw.go(max(5, options.steps // 10))
        measured(runner, max(5, options.steps // 10))
        for number in range(options.rounds):
            pair = {}
            for name in ("ours", "raw") if number % 2 else ("raw", "ours"):
                pair[name] = options.steps / (
                    measured(runner, options.steps) if name == "ours" else raw.go(options.steps)
                )
            rounds.append(pair)
    ratios = sorted(pair["ours"] / pair["raw"] for pair in rounds)
    print(
        json.dumps(
            {
                "config": options.config,
                "threads": options.threads,
                "rounds": options.rounds,
                "steps": options.steps,
                "ours_steps_per_s": round(statistics.median(p["ours"] for p in rounds), 1),
                "raw_steps_per_s": round(statistics.median(p["raw"] for p in rounds), 1),
                "ratio_median": round(statistics.median(ratios), 4),
                "ratio_min": round(ratios[0], 4),
                "ratio_max": round(ratios[-1], 4),
                "finite": math.isfinite(ratios[0]),
            }
        )
    )


def endless(parts: Parts) -> None:
    """Let the run's phase go on for as long as it is asked to."""
    parts.phases = [replace(parts.phases[0], end=10**9)]


def measured(runner: Runner, steps: int) -> float:
    """Seconds of that many steps of the run, going on where it stands."""
    parts = runner.parts
    start = runner.step
    parts.phases = runner.parts.phases = [replace(parts.phases[0], end=start + steps)]
    runner.phase = parts.phases[0]
    for network in parts.networks.values():
        assert isinstance(network, nn.Module)
        network.train()
    if not hasattr(runner, "journal"):
        from gradtrain.report.model import plan_of
        from gradtrain.storage.journal import Journal

        runner.began = time.monotonic()
        runner.journal = Journal(runner.folder.journal, 0)
        runner.display.begin(plan_of(runner.run, parts, "run", 0, None))
    seconds = time.perf_counter()
    runner.trained(start)
    return time.perf_counter() - seconds


if __name__ == "__main__":
    main()
