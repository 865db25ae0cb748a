"""Seconds from the shell to help, to a validation, and to the first training step, beside `import torch`, in turns.

python tests/benchmarks/startup.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "digits-mlp.yaml")
GRADTRAIN = [sys.executable, "-m", "gradtrain"]


def whole(command: list[str], place: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return time.perf_counter() - started


def first_step(place: str) -> float:
    """Until the first step's line arrives; the run is one step long."""
    command = [*GRADTRAIN, "train", CONFIG, "training.epochs=null", "training.steps=1", "--json"]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "step":
                seconds = time.perf_counter() - started
    return seconds


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=7)
    rounds = asked.parse_args().rounds
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for _ in range(rounds + 1):
            for name, seconds in (
                ("import torch", whole([sys.executable, "-c", "import torch"], place)),
                ("gradtrain --help", whole([*GRADTRAIN, "--help"], place)),
                ("gradtrain validate", whole([*GRADTRAIN, "validate", CONFIG], place)),
                ("first step", first_step(place)),
            ):
                times.setdefault(name, []).append(seconds)
    counted = {name: values[1:] for name, values in times.items()}  # the first round warms the disk's cache
    ratios = [a / b for a, b in zip(counted["first step"], counted["import torch"], strict=True)]
    medians = {name: round(statistics.median(values), 3) for name, values in counted.items()}
    print(json.dumps({**medians, "first step / import torch": round(statistics.median(ratios), 3), "rounds": rounds}))


if __name__ == "__main__":
    main()
