"""What follows from a run's config: flow, papers and proofs, without its data."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from gradtrain.config.load import read
from gradtrain.config.scalars import dump
from gradtrain.dossier import dossiers

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
TABLE = "name: t\ndata: {source: {csv: {path: gone.csv, target: y}}, target: {kind: value}}\n"
REST = (
    "model: {layers: [{linear: 4}, relu, {linear: $data.outputs}]}\nloss: mse\noptimizer: sgd\ntraining: {steps: 1}\n"
)


def folder(place: Path, config: str, facts: dict[str, object] | None = None) -> Path:
    (place / "checkpoints" / "step-00000001").mkdir(parents=True)
    (place / "config.yaml").write_text(config)
    if facts is not None:
        (place / "checkpoints" / "step-00000001" / "trainer.json").write_text(json.dumps({"facts": facts}))
    return place


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_its_papers_and_where_its_facts_are_known_its_flow(config: Path, tmp_path: Path) -> None:
    (run,) = dossiers([folder(tmp_path / "run", dump(read(config).resolved()))])
    assert run.papers
    assert run.proofs
    known = read(config).data().source.facts() is not None
    assert (run.flow is not None) == known
    assert len(run.missing) == 1 + (not known)  # there is no journal


def test_the_facts_of_a_checkpoint_make_the_data_unnecessary(tmp_path: Path) -> None:
    facts = {"count": 8, "shape": [3], "outputs": 1}
    (run,) = dossiers([folder(tmp_path / "run", TABLE + REST, facts)])
    assert run.flow is not None
    assert [weight.count for weight in run.flow.parameters] == [12, 4, 4, 1]


def test_networks_are_shown_without_the_memory_that_they_need(tmp_path: Path) -> None:
    wide = ", ".join(["{linear: 20000}"] * 50)  # 78 GB of weights
    facts = {"count": 8, "shape": [3], "outputs": 1}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (run,) = dossiers([folder(tmp_path / "run", TABLE + REST.replace("{linear: 4}", wide), facts)])
    assert run.flow is not None
    assert sum(weight.count for weight in run.flow.parameters) == 49 * (20_000**2 + 20_000) + 4 * 20_000 + 20_001
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


@pytest.mark.parametrize("facts", [{"shape": "x"}, {"unknown": 1}, {"shape": [3], "outputs": [2]}, {"shape": 3}])
def test_facts_that_are_none_are_said(tmp_path: Path, facts: dict[str, object]) -> None:
    (run,) = dossiers([folder(tmp_path / "run", TABLE + REST, facts)])
    assert run.flow is None
    assert any("flow" in sentence for sentence in run.missing)


def test_a_component_that_is_not_here_is_said(tmp_path: Path) -> None:
    config = TABLE + REST.replace("relu", "my_own")
    (run,) = dossiers([folder(tmp_path / "run", config, {"shape": [3], "outputs": 1})])
    assert run.flow is None
    assert any("my_own" in sentence for sentence in run.missing)


def test_a_teacher_that_is_gone_is_said(tmp_path: Path) -> None:
    config = (ROOT / "configs" / "digits-mlp.yaml").read_text()
    start = config.index("\nmodel:")
    model = "\nmodel: {trained: runs/gone/001, frozen: true}\n"
    rest = config[config.index("\nloss:") :]
    (run,) = dossiers([folder(tmp_path / "run", config[:start] + model + rest)])
    assert run.flow is None
    assert any("flow is left out" in sentence for sentence in run.missing)


def test_proofs_are_made_once_for_all_runs(tmp_path: Path) -> None:
    config = TABLE + "model: {layers: [identity]}\nloss: mse\noptimizer: sgd\ntraining: {steps: 1}\n"
    facts = {"count": 8, "shape": [1], "outputs": 1}
    told: list[str] = []
    runs = dossiers([folder(tmp_path / name, config, facts) for name in ("a", "b")], prove=True, each=told.append)
    assert len(told) == len(set(told)) == len(runs[0].proofs)
    assert runs[0].proofs == runs[1].proofs
    assert {proof.verdict for proof in runs[0].proofs} == {"pass"}
    assert sum(proof.checks for proof in runs[0].proofs) > 100
