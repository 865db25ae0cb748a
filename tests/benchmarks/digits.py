"""Test accuracy and training time of digits-mlp over five seeds: python tests/benchmarks/digits.py"""

from __future__ import annotations

import io
import json
import statistics
import tempfile
from pathlib import Path

from gradtrain.report.display import Lines
from gradtrain.start import start

CONFIG = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"


def main() -> None:
    accuracies, seconds = [], []
    for seed in range(5):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "run"
            outcome = start(CONFIG, overrides=[f"seed={seed}"], folder=folder, shown=Lines(io.StringIO()))
            accuracies.append(outcome.results["test"]["accuracy"])
            lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
            seconds.append(max(line.get("seconds", 0.0) for line in lines))
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
    print(
        json.dumps({"accuracy_mean": mean, "accuracy_std": spread, "accuracies": accuracies, "train_seconds": seconds})
    )


if __name__ == "__main__":
    main()
