"""The stages of a flow are named like the parameters they own, whatever they run in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gradtrain.assemble import network_of
from gradtrain.config.load import read
from gradtrain.explain import Explained, explained
from gradtrain.feed import facts_after
from gradtrain.flow import Stage, every
from gradtrain.problems import Problem
from gradtrain.report.flow import page
from gradtrain.report.rows import rows, spans
from gradtrain.training.selectors import parameters

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

MIXED = """
name: mixed
data: {source: digits, batch_size: 8}
model:
  layers:
    - {conv: {out: 4, kernel: 3, padding: 1}, name: first}
    - save: skip
    - {conv: {out: 4, kernel: 3, padding: 1}, name: again, share: first}
    - take: skip
    - parallel: {branches: [[{conv: {out: 2, kernel: 1}}], [relu, {conv: {out: 3, kernel: 1}}]]}
    - residual: {body: [{conv: {out: 6, kernel: 1}}], shortcut: auto}
    - flatten
    - linear: 16
    - neural_ode: {layers: [{linear: 8}, tanh, {linear: 16}], steps: 2}
    - weight_norm: [{linear: 10}]
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 1}
"""


def mixed(text: str = MIXED, *, batch: bool = False) -> Explained:
    Path("c.yaml").write_text(text)
    return explained(Path("c.yaml"), None, [], batch=batch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def text_of(found: Explained, width: int) -> str:
    return "\n".join(line.plain for line in page(found.flow, found.measured, width))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_stages_of_every_config_have_the_names_of_their_parameters(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    try:
        found = explained(path, None, [])
    except Problem as problem:
        if problem.code == "data-missing":
            pytest.skip(f"{problem.what}: {problem.help}")
        raise
    config = read(path)
    facts = config.data().source.facts() or config.data().source.load(Path()).facts
    run = config.run(facts)
    with torch.random.fork_rng(devices=[]):
        seen, cpu = facts_after(facts, run.data), torch.device("cpu")
        networks = {role: network_of(role, n, seen, torch.float32, cpu) for role, n in run.networks.items()}
    shapes = {one.name: tuple(one.tensor.shape) for one in parameters(networks)}
    stages = list(found.flow.stages)
    owned = [one for stage in stages for one in stage.parameters if not one.shared]
    assert {one.name: one.shape for one in owned} == shapes
    assert len(owned) == len(shapes)
    assert [(w.name, w.shape) for w in found.flow.parameters] == list(shapes.items())
    for stage in stages:
        for one in stage.parameters:
            assert one.shared or one.name.startswith(f"{stage.name}.")
    for width in (80, 120):
        assert max(map(len, text_of(found, width).splitlines())) <= width


@pytest.mark.usefixtures("here")
class TestContainers:
    def test_names(self) -> None:
        found = {stage.name: stage for stage in mixed().flow.stages}
        assert list(found) == [
            "first", "1", "again", "3", "4", "4.0.0", "4.1.0", "4.1.1", "5", "5.body.0",
            "5.shortcut.0", "6", "7", "8", "8.layers.0", "8.layers.1", "8.layers.2", "9", "9.inner",
        ]  # fmt: skip
        assert found["8.layers.0"].component == "linear"
        assert [p.name for p in found["8.layers.2"].parameters] == ["8.layers.2.weight", "8.layers.2.bias"]
        assert [p.name for p in found["9"].parameters] == ["9.direction", "9.magnitude"]
        assert [p.name for p in found["9.inner"].parameters] == ["9.inner.bias"]

    def test_a_shared_tensor_keeps_its_first_name(self) -> None:
        """`again` reads more channels than `first`: only the bias can be shared."""
        found = {stage.name: stage for stage in mixed().flow.stages}
        assert [(p.name, p.shared) for p in found["again"].parameters] == [
            ("again.weight", False),
            ("first.bias", True),
        ]

    def test_shapes_and_formulas(self) -> None:
        found = {stage.name: stage for stage in mixed().flow.stages}
        assert (found["4"].input, found["4"].output) == ((4, 8, 8), (5, 8, 8))
        assert found["7"].value == "y_o = Σ_i weight_oi x_i + bias_o"
        assert found["7"].gradient == "dx = g weight, dweight = Σ gᵀ x, dbias = Σ g, summed over the batch"
        assert found["8.layers.1"].gradient == "dx = g f'(x), f'(x): 1 - y²"

    def test_a_stage_that_runs_often_is_measured_over_all_its_calls(self) -> None:
        (update,) = mixed(batch=True).measured
        sizes = {size.name: size for size in update.sizes}
        assert sizes["8.layers.0"].calls == 8  # two steps, four slopes each
        assert sizes["8"].calls == 1
        assert "1" not in sizes  # save and take are no modules
        assert set(sizes) == {s.name for s in mixed().flow.stages} - {"1", "3"}
        assert {p.name for size in update.sizes for p in size.parameters} == {p.name for p in mixed().flow.parameters}


def stage(name: str, component: str = "linear", inner: tuple[Stage, ...] = (), size: int = 4) -> Stage:
    return Stage(name, component, (size,), (size,), "", "", (), inner)


class TestFolding:
    def test_few_equal_stages_stay_apart(self) -> None:
        assert spans([stage("0"), stage("1"), stage("2")]) == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]

    def test_many_become_one_block(self) -> None:
        assert spans([stage(str(i)) for i in range(9)]) == [(0, 1, 9)]

    def test_the_period_that_leaves_out_most(self) -> None:
        kinds = ["linear", "relu"] * 5 + ["tanh"]
        assert spans([stage(str(i), kind) for i, kind in enumerate(kinds)]) == [(0, 2, 5), (10, 1, 1)]

    def test_another_shape_is_another_form(self) -> None:
        assert spans([stage(str(i), size=i) for i in range(9)]) == [(i, 1, 1) for i in range(9)]

    def test_blocks_begin_where_a_list_begins(self) -> None:
        """The first stage reads another shape, so the repetition could begin in the middle of a list."""
        stages = [stage("0.0.0", size=2)]
        stages += [stage(f"0.{i}.{k}", ["linear", "tanh"][k]) for i in range(5) for k in range(2)][1:]
        assert spans(stages) == [(0, 1, 1), (1, 1, 1), (2, 2, 4)]

    @pytest.mark.parametrize("back", [False, True])
    def test_every_stage_stands_in_exactly_one_row(self, back: bool) -> None:
        blocks = [stage(f"b.{i}", "block", (stage(f"b.{i}.x"), stage(f"b.{i}.y", "relu"))) for i in range(7)]
        stages = [stage("a"), stage("b", "repeat", tuple(blocks)), stage("c")]
        found = rows(stages, back=back)
        assert [row.stage.name for row in found] == (
            ["c", "b", "b.0", "b.0.y", "b.0.x", "a"] if back else ["a", "b", "b.0", "b.0.x", "b.0.y", "c"]
        )
        assert sorted(one.name for row in found for one in row.same) == sorted(one.name for one in every(stages))
        (head,) = [row for row in found if row.opens]
        assert [one.name for one in head.opens] == [f"b.{i}" for i in range(7)]
        assert head.ends == ("b.0", "b.6")


def test_a_folded_block_shows_where_the_gradient_fades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = explained(Path("configs/deep-sigmoid.yaml"), None, [], batch=True)
    text = text_of(found, 80)
    assert text.count("× 12, shown once: 0.0.0 … 0.11.1") == 2
    gradients = {size.name: size.gradient for size in found.measured[0].sizes}
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("0.")]
    profile = {words[0]: (float(words[1]), len(words[2])) for words in lines if len(words) == 3}
    assert list(profile) == [f"0.{i}.1" for i in reversed(range(12))]
    for name, (value, _) in profile.items():
        assert value == pytest.approx(gradients[name], rel=0.06)
    bars = [bar for _, bar in profile.values()]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] > 10
    assert bars[-1] == 1
    assert " ".join(text.split()).count(found.measured[0].says) == 1


def test_weights_that_rest_and_terms_of_a_game(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
name: game
data: {source: digits, transforms: [flatten, min_max], batch_size: 16}
models:
  generator: {input: 4, layers: [{linear: 64}]}
  discriminator: {layers: [{linear: 12}, relu, {linear: 1}]}
objective: {gan: {latent: 4}}
optimizers: {generator: {adam: {lr: 1e-3}}, discriminator: {adam: {lr: 1e-3}}}
training: {epochs: 1}
"""
    shown = text_of(mixed(text, batch=True), 80)
    own, other = shown.split("the update of `generator`")
    assert "the update of `discriminator`" in own
    assert "discriminator reads 64, its weights rest" in other
    assert "generator.0" not in own.partition("the update of `discriminator`")[2]


def test_json_is_the_same_and_documented(here: None) -> None:
    found = mixed(batch=True)
    plain: dict[str, Any] = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert list(plain) == [
        "name", "seed", "precision", "data", "networks", "terms", "updates", "rules", "parameters", "warnings", "batch",
    ]  # fmt: skip
    (network,) = plain["networks"]
    assert set(network) == {"role", "input", "stages"}
    first = network["stages"][0]
    assert set(first) == {"name", "component", "input", "output", "value", "gradient", "parameters", "inner"}
    assert first["parameters"][0] == {"name": "first.weight", "shape": [4, 1, 3, 3], "learns": True, "shared": False}
    (update,) = plain["batch"]
    (measured,) = found.measured
    assert set(update) == {
        "update", "samples", "dtype", "total", "losses", "penalties", "sizes", "fall", "verdict", "says",
    }  # fmt: skip
    for size, told in zip(measured.sizes, update["sizes"], strict=True):
        assert set(told) == {"name", "calls", "activation", "gradient", "length", "expected", "parameters"}
        assert (told["name"], told["gradient"]) == (size.name, size.gradient)
        for pull, pulled in zip(size.parameters, told["parameters"], strict=True):
            expected = {"name": pull.name, "weight": pull.weight, "gradient": pull.gradient, "ratio": pull.ratio}
            assert pulled == expected
    assert set(update["fall"]) == {"start", "end", "decades", "steepest"}
    assert mixed().as_json()["batch"] is None


def test_numbers_that_are_not_finite_are_words_in_json(here: None) -> None:
    text = MIXED.replace("\nloss:", "\n  init: {constant: 1e30}\nloss:")
    plain = json.loads(json.dumps(mixed(text, batch=True).as_json(), allow_nan=False))
    assert plain["batch"][0]["verdict"] == "nonfinite"
    assert plain["batch"][0]["total"] in ("nan", "inf")
