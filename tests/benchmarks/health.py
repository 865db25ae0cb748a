"""What the diagnostics cost: the same run without them, with what is free, and with close looks, in turns.

    python tests/benchmarks/health.py digits-mlp [--steps 2000] [--rounds 7] [--threads 1]
    python tests/benchmarks/health.py shakespeare-gpt --profile cpu --steps 60 --rounds 5
    python tests/benchmarks/health.py digits-mlp --memory none    # and `default`: peak memory of a process that trains

Every round trains each of the runs for so many steps, in another order each time; the extra time is taken round by
round, so that a machine whose speed drifts does not decide; seconds of the processor count, so that other programs do
not. `look` is what one close look costs, in steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch
from steps import CONFIGS, endless, measured, ours

from gradtrain.config.load import read
from gradtrain.diagnostics.monitor import measures
from gradtrain.run import Runner
from gradtrain.start import prepare
from gradtrain.storage.folder import RunFolder

WATCHED = {
    "none": ["diagnostics.measures=none"],
    "free": [],
    "default": [],
    "every 50": ["diagnostics.every=50 steps"],
    "every step": ["diagnostics.every=1 step", "diagnostics.budget=100 %"],
}


def runner(path: Path, profile: str | None, name: str, place: Path) -> Runner:
    free = [measure.name() for measure in measures("all") if not measure.close]
    asked = [f"diagnostics.measures=[{', '.join(free)}]"] if name == "free" else WATCHED[name]
    run, parts, _ = prepare(read(path, profile, asked), CONFIGS.parent)
    endless(parts)
    return ours(run, parts, RunFolder.create(place / name))


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("config")
    asked.add_argument("--profile")
    asked.add_argument("--steps", type=int, default=2000)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--threads", type=int, default=1)
    asked.add_argument("--memory", choices=WATCHED)
    options = asked.parse_args()
    torch.set_num_threads(options.threads)
    path = CONFIGS / f"{options.config}.yaml"
    if options.memory:
        with tempfile.TemporaryDirectory() as place:
            measured(runner(path, options.profile, options.memory, Path(place)), options.steps)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"config": options.config, "diagnostics": options.memory, "peak MB": round(peak)}))
        return
    seconds: dict[str, list[float]] = {name: [] for name in WATCHED}
    with tempfile.TemporaryDirectory() as place:
        runners = {name: runner(path, options.profile, name, Path(place)) for name in WATCHED}
        for one in runners.values():
            measured(one, max(5, options.steps // 10))
        names = list(WATCHED)
        for number in range(options.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                began = time.process_time()
                measured(runners[name], options.steps)
                seconds[name].append(time.process_time() - began)
    step = statistics.median(seconds["none"]) / options.steps
    extra = {
        name: [watched / alone - 1 for watched, alone in zip(seconds[name], seconds["none"], strict=True)]
        for name in names[1:]
    }
    print(
        json.dumps(
            {
                "config": options.config,
                "threads": options.threads,
                "rounds": options.rounds,
                "steps": options.steps,
                "ms_a_step": round(1000 * step, 3),
                "measures": {"free": sum(not m.close for m in measures("all")), "all": len(measures("all"))},
                **{f"{name} %": round(100 * statistics.median(found), 2) for name, found in extra.items()},
                "look": round(statistics.median(extra["every step"]), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
