"""The prover and torch.autograd.gradcheck side by side, and how long large proofs take.

    python tests/benchmarks/gradcheck.py digits     # 17,226 parameters: slow mode, fast mode, ours; a planted error
    python tests/benchmarks/gradcheck.py element    # one wrong element among 5 million, named
    python tests/benchmarks/gradcheck.py gpt        # configs/shakespeare-gpt.yaml, profile cpu, every parameter tensor
    python tests/benchmarks/gradcheck.py registry   # every component
    python tests/benchmarks/gradcheck.py seeds --seeds 50 [--families losses layers]   # false refusals of the registry

`reverse` is what torch's modes do, no more: backward against differences by every parameter. `battery` is all that
`gradtrain.gradcheck` does. Everything runs in float64 on the threads that the environment allows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gradtrain
from gradtrain.gradcheck import check_everything
from gradtrain.gradcheck.callee import taken_apart
from gradtrain.gradcheck.finding import Ledger
from gradtrain.gradcheck.tensors import prove_tensors
from gradtrain.gradcheck.trial import Effort, Trial, called_twice, differentiated
from gradtrain.prove import prove_config

CONFIGS = Path(__file__).parents[2] / "configs"


class Doubled(torch.autograd.Function):
    """x Wᵀ whose backward doubles one element of the weight's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, row: int, column: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.place = row, column
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        by_weight = g.T @ x
        by_weight[ctx.place] *= 2
        return g @ weight, by_weight, None, None


class Digits(nn.Module):
    """The network of configs/digits-mlp.yaml and its loss; `wrong` plants an error in the second layer."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 128), nn.Linear(128, 64), nn.Linear(64, 10)])
        self.wrong = wrong

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        first, second, third = self.layers
        x = F.relu(first(x))
        x = F.relu(Doubled.apply(x, second.weight, 17, 43) + second.bias if self.wrong else second(x))
        return F.cross_entropy(third(x), y)


def functional(module: nn.Module, x: Tensor, y: Tensor) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """What torch's gradcheck needs: the parameters as arguments."""
    names = [name for name, _ in module.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def call(*parameters: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x, y))  # type: ignore[no-any-return]

    return call, values


def reverse(module: nn.Module, x: Tensor, y: Tensor) -> bool:
    """Backward against differences by every parameter, and nothing else."""
    callee = taken_apart(module, (x.requires_grad_(False), y), torch.float64)
    callee = type(callee)(**{**vars(callee), "moved": ()})
    ledger = Ledger("modules", "Digits", {})
    answer = called_twice(callee, callee.probe(), ledger, {})
    assert answer is not None
    trial = Trial(*answer, ledger, torch.Generator().manual_seed(0), {}, Effort())
    return differentiated(trial) and prove_tensors(trial)


def seconds(call: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """(the answer, the median time)."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - began)
    return answer, statistics.median(times)


def torchs(call: Callable[..., Tensor], values: list[Tensor], fast: bool) -> bool:
    return torch.autograd.gradcheck(call, values, fast_mode=fast, raise_exception=False)


def digits(rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for what, wrong in (("right", False), ("one element doubled", True)):
        torch.manual_seed(0)
        module = Digits(wrong).double()
        x, y = torch.randn(8, 64, dtype=torch.float64), torch.randint(0, 10, (8,))
        call, values = functional(module, x, y)
        gradtrain.gradcheck(module, x, y)  # what is imported at the first use is no part of a proof
        rows = {
            "torch slow": seconds(lambda: torchs(call, values, False), 1),  # noqa: B023
            "torch fast": seconds(lambda: torchs(call, values, True), rounds),  # noqa: B023
            "ours, reverse": seconds(lambda: reverse(module, x, y), rounds),  # noqa: B023
            "ours, battery": seconds(lambda: gradtrain.gradcheck(module, x, y), rounds),  # noqa: B023
        }
        found[what] = {
            name: {"ok": bool(getattr(answer, "ok", answer)), "seconds": round(took, 4)}
            for name, (answer, took) in rows.items()
        }
        for name in ("torch slow", "torch fast"):
            found[what][f"{name} / ours, reverse"] = round(rows[name][1] / rows["ours, reverse"][1], 1)
        if wrong:
            (finding, *_) = rows["ours, battery"][0].failures
            found[what]["named"] = f"{finding.check} {list(finding.element or ())}: {finding.note}"
    return found


class Large(nn.Module):
    """5 million weights, one wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2000, 2500) / 50)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(Doubled.apply(x, self.weight, 1234, 777)).sum()


def element() -> dict[str, Any]:
    torch.manual_seed(0)
    module, x = Large(), torch.randn(4, 2500)
    report, took = seconds(lambda: gradtrain.gradcheck(module, x), 1)
    finding = report.failures[0]
    return {"named": f"{finding.check} {list(finding.element)}: {finding.note}", "seconds": round(took, 1)}


def gpt() -> dict[str, Any]:
    report, took = seconds(lambda: prove_config(CONFIGS / "shakespeare-gpt.yaml", "cpu", [], Effort()), 1)
    tensors = sum(finding.check.startswith("gradient of") for finding in report.findings)
    return {"ok": report.ok, "tensors": tensors, "seconds": round(took, 1)}


def registry() -> dict[str, Any]:
    report, took = seconds(check_everything, 1)
    return {"ok": report.ok, "checks": len(report.findings), "seconds": round(took, 1)}


def seeds(count: int, families: list[str], first: int) -> dict[str, Any]:
    refused = []
    for seed in range(first, first + count):
        report = check_everything(families, seed)
        new = [f"seed {seed}: {f.family}.{f.component} {f.check} {f.verdict}" for f in report.failures]
        refused += new
        print(f"seed {seed}: {len(report.findings):,} checks, {len(new)} refused", *new, sep="\n  ", flush=True)
    return {"seeds": count, "false refusals": refused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "element", "gpt", "registry", "seeds"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--families", nargs="*", default=[])
    given = parser.parse_args()
    answer = {
        "digits": lambda: digits(given.rounds),
        "element": element,
        "gpt": gpt,
        "registry": registry,
        "seeds": lambda: seeds(given.seeds, given.families, given.first),
    }[given.what]()
    print(json.dumps({"threads": torch.get_num_threads(), **answer}, indent=1))


if __name__ == "__main__":
    main()
