"""What a page about runs shows: what their folders hold, and what follows from their configs: flow, papers, proofs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from gradtrain.assemble import dtype_of, input_shape, network_of
from gradtrain.components.datasets import Facts
from gradtrain.config.checks import check
from gradtrain.config.cite import components, papers_of
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.feed import facts_after
from gradtrain.flow import Flow, flow_of
from gradtrain.gradcheck import check_everything
from gradtrain.memory import facts_from
from gradtrain.problems import Problem, flatten
from gradtrain.provenance import begun_in
from gradtrain.registry import families, family_of
from gradtrain.report.page import Proof, Recorded, recorded
from gradtrain.storage.folder import RunFolder

Told = Callable[[str], None]


def dossiers(paths: Sequence[Path], *, prove: bool = False, each: Told = lambda name: None) -> list[Recorded]:
    """The runs in these folders, as they stand now. Raises `Problem` for something that is no run's folder.

    No data is read and no tensor is computed: networks are built without memory, over the facts that a checkpoint
    keeps. `prove` runs the checks of every component that is used; `each` is told their names.
    """
    runs = recorded(list(paths))
    used = [_follow(run) for run in runs]
    known = {pair: Proof(*pair) for pairs in used for pair in pairs}
    if prove and known:
        report = check_everything([".".join(pair) for pair in known], each=lambda row: each(row.name))
        for row in report.rows:
            known[row.family, row.name] = Proof(row.family, row.name, row.checks, row.digits, row.verdict)
    for run, pairs in zip(runs, used, strict=True):
        run.proofs = [known[pair] for pair in pairs]
    return runs


def _follow(run: Recorded) -> list[tuple[str, str]]:
    """Add what follows from the run's config; (family, name) of the components that it uses."""
    path = Path(run.path)
    if not run.settings:
        return []
    try:
        config = read(path / "config.yaml")
        facts = facts_from(run.facts) if run.facts else config.data().source.facts()
        read_ = config.run(facts, check if facts else None)
    except (Problem, ExceptionGroup, LookupError, TypeError, ValueError) as error:
        run.missing.append(f"The config does not make a run here ({_said(error)}): flow and papers are left out.")
        return []
    run.papers = papers_of(read_)
    if facts is None:
        run.missing.append("What the data is like is known with the first checkpoint: the flow is left out until then.")
    else:
        try:
            run.flow = _flow(read_, facts, begun_in(RunFolder(path)))
        except (Problem, ExceptionGroup, OSError) as error:
            run.missing.append(f"The networks cannot be built here ({_said(error)}): the flow is left out.")
    shelves = {family: shelf for shelf, family in families().items()}
    return sorted({(shelves[family_of(type(one))], one.name()) for one in components(read_)})


def _flow(run: Run, facts: Facts, base: Path) -> Flow:
    """The flow over networks that hold no numbers; those of another run are read."""
    seen, empty = facts_after(facts, run.data), torch.device("meta")
    from_runs = any(network.trained is not None for network in run.networks.values())
    with contextlib.nullcontext() if from_runs else empty, torch.random.fork_rng(devices=[]):
        networks = {
            role: network_of(role, network, seen, dtype_of(run), torch.device("cpu") if from_runs else empty, base)
            for role, network in run.networks.items()
        }
    return flow_of(run, facts, networks, {role: input_shape(network, seen) for role, network in run.networks.items()})


def _said(error: Exception) -> str:
    return "; ".join(problem.what for problem in list(flatten(error))[:3]) or str(error)
