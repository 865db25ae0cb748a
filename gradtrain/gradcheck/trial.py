"""One function at one point, and what all its checks share: it is called, and differentiated."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gradtrain.gradcheck.callee import Callee, with_clones
from gradtrain.gradcheck.finding import Ledger, Verdict, same_bits
from gradtrain.gradcheck.kinks import traced
from gradtrain.gradcheck.probe import Probe, Unfit, magnitude
from gradtrain.gradcheck.reverse import Measured, Pull, Weights, pulls
from gradtrain.gradcheck.sampled import FOLLOWED, Following


@dataclass(frozen=True)
class Effort:
    """How much is looked at."""

    seed: int = 0
    directions: int = 2
    """Random directions for every tensor and for all of them together."""
    order: int = 2
    """Highest derivative that is proven."""
    until: float = math.inf
    """Moment of `time.perf_counter` after which no further tensor is begun: what is left is `unresolved`."""

    def generator(self, number: int = 0) -> torch.Generator:
        """The proof's own random numbers: a caller who drew the point from the same seed must not meet them again."""
        return torch.Generator().manual_seed(zlib.crc32(repr(("directions", self.seed, number)).encode()))


@dataclass
class Trial:
    """One function at one point, and what all its checks share."""

    callee: Callee
    probe: Probe
    ledger: Ledger
    generator: torch.Generator
    where: Mapping[str, Any]
    effort: Effort
    pulls: list[Pull] = field(default_factory=list)
    detached: dict[str, Weights] = field(default_factory=dict)
    """Outputs without a graph: what weighs them."""

    @property
    def together(self) -> Pull:
        """All outputs at once."""
        return self.pulls[0]

    def direction(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Gaussian, in the natural scale of each tensor."""
        return {name: gaussian(self.probe.leaves[name], self.generator) for name in names}

    def note(self, check: str, found: Measured, verdict: Verdict | None = None, note: str | None = None) -> None:
        """The finding about one measurement."""
        self.ledger.write(
            check, verdict or found.verdict, digits=found.digits, got=found.automatic, expected=found.numeric,
            bound=found.error, note=found.note if note is None else note, **self.where,
        )  # fmt: skip


def gaussian(leaf: Tensor, generator: torch.Generator) -> Tensor:
    """A direction in the scale of a tensor: its spread, or its size where it has none."""
    u = torch.randn(leaf.shape, generator=generator, dtype=torch.float64).to(leaf.dtype)
    return u * scale_of(leaf)


def scale_of(leaf: Tensor) -> float:
    x = leaf.detach()
    if not x.numel():
        return 1.0
    size = magnitude([x]) / math.sqrt(x.numel())
    spread = float(x.double().std(unbiased=False)) if x.numel() > 1 else 0.0
    scale = spread if spread > 1e-6 * size else size
    return scale if 0 < scale < math.inf else 1.0


def called_twice(callee: Callee, probe: Probe, ledger: Ledger, where: Mapping[str, Any]) -> tuple[Callee, Probe] | None:
    """The function called twice without derivatives; None where there is nothing to go on with."""
    before = {name: leaf.detach().clone() for name, leaf in probe.leaves.items()}
    try:
        once = plainly(probe)
        changed = [name for name, leaf in probe.leaves.items() if not same_bits(leaf.detach(), before[name])]
        if changed:
            ledger.write("inputs kept", "fail", note=f"the call changed {', '.join(changed)} in place", **where)
            with torch.no_grad():
                for name in changed:
                    probe.leaves[name].copy_(before[name])
            callee = with_clones(callee)
            probe = callee.probe()
            once = plainly(probe)
        twice = probe.at(probe.moved({}, 0.0))
    except Unfit as error:
        ledger.write("output", "fail", note=str(error), **where)
        return None
    except (Exception, SystemExit) as error:  # a function that ends the program would end it as a success
        if probe.epsilon < 1e-10 and _mixes(error):
            ledger.write("precision of the proof", "fail", note=str(error), **where)
            return None
        if "in-place operation" in str(error) and "leaf" in str(error):
            note = f"the call changes an input in place, which autograd refuses ({first_line(error)}): work on a copy"
            ledger.write("inputs kept", "fail", note=note, **where)
            return None
        ledger.write("call", "fail", note=f"{type(error).__name__}: {first_line(error)}", **where)
        return None
    for name, out in once.items():
        if not bool(out.isfinite().all()):
            count = int((~out.isfinite()).sum())
            note = f"{name} is not finite in {count:,} of {out.numel():,} elements: choose a point inside the domain"
            ledger.write("output", "nonfinite", note=note, **where)
            return None
    if once.keys() != twice.keys() or not all(_alike(once[name], twice[name]) for name in once):
        note = "two calls from the same state give different numbers: it reads a clock, a counter or another generator"
        ledger.write("same twice", "nondeterministic", note=note, **where)
        return None
    ledger.write("same twice", "pass", **where)
    if isinstance(probe.around, Following):
        note = "torch's gamma or Dirichlet sampler is inside: its own derivative, that of the distribution, is trusted"
        ledger.write("sampler", "pass", note=note, **where)
    return callee, probe


def _alike(a: Tensor, b: Tensor) -> bool:
    """The same numbers; a few units of the last place apart, as libraries are that look at where memory lies."""
    if same_bits(a, b):
        return True
    return a.shape == b.shape and bool(((a - b).abs() <= 1e-13 * a.abs().max()).all())


def plainly(probe: Probe) -> dict[str, Tensor]:
    """Values without autograd; with it where the function needs it inside."""
    found = _plainly(probe)
    if probe.kept.random and traced(lambda: probe.at(probe.moved({}, 0.0)), probe.grad_mode).called & FOLLOWED:
        probe.around = Following()
        found = probe.at(probe.moved({}, 0.0))
    return found


def _plainly(probe: Probe) -> dict[str, Tensor]:
    try:
        plain = probe.at(probe.moved({}, 0.0))
        graph = {name: out.detach() for name, out in probe.outputs().items()}
        probe.grad_mode = plain.keys() != graph.keys() or not all(same_bits(plain[name], graph[name]) for name in plain)
        return graph if probe.grad_mode else plain
    except Unfit:
        raise
    except RuntimeError:
        probe.grad_mode = True
        return probe.at(probe.moved({}, 0.0))


def _mixes(error: BaseException) -> bool:
    """Whether a function refuses float64 because something it holds is of another precision."""
    said = str(error)
    return (isinstance(error, RuntimeError) and "dtype" in said) or "scalar type" in said or "same type" in said


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]


def differentiated(trial: Trial) -> bool:
    """Gradients for every output alone and for all together. False where there are none."""
    outputs = trial.probe.outputs()
    weights = {
        name: torch.randn(out.shape, generator=trial.generator, dtype=torch.float64).to(out.dtype)
        for name, out in outputs.items()
    }
    attached = {name: w for name, w in weights.items() if outputs[name].requires_grad}
    trial.detached = {name: {name: w} for name, w in weights.items() if name not in attached}
    wanted: list[tuple[str, Weights]] = [("", attached or weights)]
    if len(attached) > 1:
        wanted += [(name, {name: w}) for name, w in attached.items()]
    try:
        trial.pulls = pulls(trial.probe, wanted)
    except (Exception, SystemExit) as error:
        trial.ledger.write("backward", "fail", note=f"{type(error).__name__}: {first_line(error)}", **trial.where)
        return False
    if any(pull.written for pull in trial.pulls) and not trial.where.get("sample"):
        note = "backward changes the incoming gradient in place, which others may hold too: work on a copy"
        trial.ledger.write("incoming gradient", "fail", note=note, **trial.where)
    return True
