"""PyTorch's own test databases through the prover: no refusal without a reason, no reason without its refusal."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from gradtrain.gradcheck.finding import VERDICTS

DATABASES = Path(__file__).with_name("databases")
REFUSALS: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    (DATABASES / "refusals.yaml").read_text(encoding="utf-8")
)
PARTS = {"op_db": 8, "module_db": 4, "optim_db": 2, "beyond": 1}

lacking = [
    name
    for name in ("expecttest", "scipy", "torch.testing._internal.common_methods_invocations")
    if importlib.util.find_spec(name) is None
]
if lacking:
    pytest.skip(f"the databases need {', '.join(lacking)}", allow_module_level=True)
if not torch.__version__.startswith("2.13."):
    reason = (
        f"the databases are private to PyTorch; refusals.yaml was looked through with 2.13, not {torch.__version__}"
    )
    pytest.skip(reason, allow_module_level=True)


def proven(*arguments: str) -> list[dict[str, Any]]:
    """One row a sample, from a process of its own: importing the databases changes settings of PyTorch for good."""
    run = subprocess.run(
        [sys.executable, str(DATABASES), *arguments],
        capture_output=True,
        text=True,
        timeout=3600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def differences(rows: list[dict[str, Any]]) -> list[str]:
    """What is refused otherwise than the table says."""
    found = []
    for (database, entry), group in groupby(rows, key=lambda row: (row["database"], row["entry"])):
        refused = [row for row in group if not row["ok"]]
        known = REFUSALS.get(database, {}).get(entry)
        gravest = next((v for v in VERDICTS if any(row["verdict"] == v for row in refused)), None)
        gravest = gravest or next((row["verdict"] for row in refused), None)
        checks = sorted({check for row in refused for check in row["checks"]})
        if known is None and refused:
            found += [f"{database} {entry} #{row['sample']}: {row['verdict']}: {row['note']}" for row in refused]
        elif known is not None and (known["verdict"], known.get("checks", [])) != (gravest, checks):
            found.append(f"{database} {entry}: {gravest} {checks}, in the table {known['verdict']} {known['checks']}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "part"), [(name, f"{part}/{parts}") for name, parts in PARTS.items() for part in range(parts)]
)
def test_every_refusal_is_explained(database: str, part: str) -> None:
    rows = proven(database, "--part", part)
    assert rows
    assert differences(rows) == []


def test_a_few_entries_that_faults_of_the_prover_once_refused() -> None:
    entries = (
        "nn.functional.layer_norm", "linalg.cholesky_ex", "logcumsumexp", "sort", "nn.functional.gelu", "linalg.norm",
        "nn.functional.hardsigmoid", "cholesky_inverse", "hypot", "fmod", "nn.GELU", "nn.Embedding",
    )  # fmt: skip
    rows = proven("op_db", "module_db", *(f"--only={name}" for name in entries))
    assert {row["entry"] for row in rows} == set(entries)
    assert differences(rows) == []


@pytest.mark.parametrize("database", REFUSALS)
def test_every_row_of_the_table_gives_its_reason(database: str) -> None:
    assert database in PARTS
    for row in REFUSALS[database].values():
        assert set(row) <= {"verdict", "checks", "why"}
        assert len(row["why"].split()) > 5
