"""`python tests/gradcheck/databases`: PyTorch's test databases through the prover, one line of JSON a sample.

A process of its own, for importing the databases changes settings of PyTorch for good. The counts go to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

warnings.simplefilter("ignore")
from entries import DATABASES, Entry  # noqa: E402

from gradtrain.problems import Problem  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=list(DATABASES), metavar="DATABASE")
    parser.add_argument("--only", action="append", default=[], metavar="ENTRY")
    parser.add_argument("--part", default="0/1", metavar="K/N", help="every N-th entry from the K-th on")
    parser.add_argument("--samples", type=int, default=3, metavar="N", help="samples of an entry")
    asked = parser.parse_args()
    part, parts = map(int, asked.part.split("/"))
    torch.set_num_threads(1)
    for database in asked.databases:
        rows = []
        for number, entry in enumerate(DATABASES[database]()):
            if number % parts == part and (not asked.only or entry.name in asked.only):
                for row in proven(entry, asked.samples):
                    print(json.dumps({"database": database, "entry": entry.name, **row}), flush=True)
                    rows.append({"entry": entry.name, **row})
        print(counted(database, rows), file=sys.stderr, flush=True)


def proven(entry: Entry, most: int) -> Iterator[dict[str, Any]]:
    samples = entry.samples(most)
    if not samples:
        yield {"sample": "", "ok": True, "verdict": "not offered", "checks": [], "note": "", "seconds": 0.0}
    for sample, proof in samples.items():
        started = time.perf_counter()
        try:
            report = proof()
        except Problem as problem:
            found: dict[str, Any] = {"ok": False, "verdict": problem.code, "checks": [], "note": problem.what}
        else:
            failures = report.failures
            note = "; ".join(f"{f.check} at {f.point}: {f.got} for {f.expected}, {f.note}" for f in failures[:2])
            checks = sorted({f.check for f in failures})
            found = {"ok": report.ok, "verdict": report.verdict, "checks": checks, "note": note}
        yield {"sample": sample, **found, "seconds": round(time.perf_counter() - started, 3)}


def counted(database: str, rows: list[dict[str, Any]]) -> str:
    said = Counter("refused" if not row["ok"] else row["verdict"] for row in rows)
    refused = len({row["entry"] for row in rows if not row["ok"]})
    entries = len({row["entry"] for row in rows})
    counts = ", ".join(f"{count} {verdict}" for verdict, count in said.most_common())
    spent = sum(row["seconds"] for row in rows)
    return f"{database}: {entries} entries, {counts} samples, {refused} entries refused, {spent:.0f} s"


main()
