"""Watching a run: it changes nothing, can stop it, and a resumed run says what the whole one says."""

from __future__ import annotations

import io
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch

from gradtrain.config.load import read
from gradtrain.diagnostics.ear import Ear
from gradtrain.diagnostics.monitor import Monitor
from gradtrain.problems import Problem
from gradtrain.report.compare import differences
from gradtrain.report.display import Events, Lines
from gradtrain.start import go_on, prepare, start
from gradtrain.storage import checkpoint
from gradtrain.training.loop import Step

SICK = """\
name: sick
data:
  source: digits
  split: {val: 0.2}
  transforms: [flatten, standardize]
  batch_size: 64
model: {layers: [{repeat: {times: 10, layers: [{linear: 16}, sigmoid]}}, {linear: $data.classes}]}
loss: cross_entropy
optimizer: {sgd: {lr: 0.02}}
training: {steps: 40}
checkpoint: {every: 5 steps, keep: 9}
"""

GAN = """\
name: gan
data: {source: {moons: {count: 128}}, batch_size: 32, transforms: [standardize]}
models:
  generator: {input: 4, layers: [{linear: 16}, batch_norm, relu, {dropout: 0.1}, {linear: 2}]}
  discriminator: {layers: [{linear: 16}, {leaky_relu: 0.2}, {linear: 1}]}
objective: {gan: {latent: 4}}
optimizers: {generator: {adam: 1e-3}, discriminator: {adam: 1e-3}}
training: {steps: 24}
evaluation: {splits: []}
"""

TIED = """\
name: tied
data:
  source: {sort: {length: 4, symbols: 3, train: 256, test: 64}}
  batch_size: 16
model:
  layers:
    - {embedding: {vocab: $data.vocab, width: 8}, name: symbols}
    - {attention: {heads: 2, causal: true}}
    - {linear: {out: $data.vocab, bias: false}, share: symbols}
objective: language_model
loss: cross_entropy
optimizer: {adamw: {lr: 1e-3}}
training: {steps: 24, accumulate: 2, clip_norm: 0.5, ema: 0.9}
evaluation: {splits: []}
"""

PHASES = """\
name: phases
data: {source: digits, split: {val: 0.2}, transforms: [flatten, standardize], batch_size: 64}
model: {layers: [{linear: 16}, relu, {linear: $data.classes}]}
loss: cross_entropy
phases:
  - {steps: 12, optimizer: {adam: 1e-3}, freeze: "0.*"}
  - {steps: 12, optimizer: {sgd: {lr: 0.05, momentum: 0.9}}}
"""

PLAIN = {
    "digits": SICK,
    "gan": GAN,
    "tied": TIED,
    "phases": PHASES,
    "bfloat16": SICK + "precision: bfloat16\n",
}


def health(lines: list[dict]) -> list[dict]:
    return [line for line in lines if line["kind"] == "health"]


def findings(lines: list[dict]) -> list[dict]:
    return [line for line in lines if line["kind"] == "finding"]


@pytest.mark.parametrize("kind", PLAIN)
def test_a_run_that_is_watched_is_the_same_run_bit_for_bit(kind: str, watch, tmp_path: Path) -> None:
    near = watch(PLAIN[kind], "diagnostics.every=1 step", "diagnostics.budget=100 %", name="watched")
    watch(PLAIN[kind], "diagnostics.measures=none", name="alone")
    one, two = (checkpoint.newest(tmp_path / name / "checkpoints") for name in ("watched", "alone"))
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in two.tensors)
    assert len(health(near)) >= 20


def test_without_measures_the_journal_says_nothing_of_health(watch, digits: str) -> None:
    assert health(watch(digits, "diagnostics.measures=none")) == []


def test_close_looks_grow_apart_and_what_is_free_is_measured_with_every_logged_step(watch, digits: str) -> None:
    lines = health(watch(digits, "logging.every=10 steps"))
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 30, 32, 40]
    close = [line["step"] for line in lines if "update_ratio" in line["measures"]]
    assert close == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert all("gradient_norm" in line["measures"] for line in lines)
    first = lines[0]["measures"]
    assert set(first["gradient_norm"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert list(first["gradient_flow"]) == ["0.linear", "1.relu", "2.linear"]


def test_only_the_measures_that_are_asked_for(watch, digits: str) -> None:
    lines = health(watch(digits, "diagnostics.measures=[update_ratio]"))
    assert {name for line in lines for name in line["measures"]} == {"update_ratio"}


def test_a_finding_names_layer_step_evidence_cause_and_remedy_once(watch) -> None:
    lines = findings(watch(SICK))
    assert [(line["name"], line["event"]) for line in lines] == [("vanishing", "began")]
    (line,) = lines
    assert list(line) == [
        "kind", "step", "event", "name", "network", "layer", "since", "evidence", "cause", "remedy",
    ]  # fmt: skip
    assert (line["network"], line["layer"], line["since"]) == ("model", "0.0.0.linear", 1)
    assert "decades" in line["evidence"]


def test_a_finding_is_told_of_the_network_it_is_about(watch) -> None:
    lines = health(watch(GAN))
    flow = lines[0]["measures"]["gradient_flow"]
    assert {name.partition(".")[0] for name in flow} == {"generator", "discriminator"}


def test_a_finding_can_stop_the_run_with_its_state_saved(tmp_path: Path, digits: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SICK + "diagnostics: {on: {vanishing: stop}}\n")
    with pytest.raises(Problem) as caught:
        start(path, folder=tmp_path / "run", shown=Lines(io.StringIO()))
    assert (caught.value.code, caught.value.exit_code) == ("unhealthy", 4)
    assert "decades" in caught.value.what
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["state"], status["step"], status["exit_code"]) == ("failed", 2, 4)
    assert checkpoint.newest(tmp_path / "run" / "checkpoints").step == 2
    go_on(tmp_path / "run", shown=Lines(io.StringIO()))  # told once: it does not stop again
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"


def test_a_finding_that_is_ignored_is_silent(watch) -> None:
    assert findings(watch(SICK, "diagnostics.on.vanishing=ignore")) == []


class _Interrupting(Lines):
    """Asks for the end after so many steps, as a signal does."""

    def __init__(self, at: int) -> None:
        super().__init__(io.StringIO())
        self.at = at

    def wants(self, number: int) -> bool:
        if number == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return False


@pytest.mark.parametrize("kind", ["digits", "gan", "tied"])
@pytest.mark.parametrize("at", [1, 7])
def test_a_resumed_run_says_what_the_whole_one_says(kind: str, at: int, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(PLAIN[kind])
    start(path, folder=tmp_path / "whole", shown=Lines(io.StringIO()))
    start(path, folder=tmp_path / "parts", shown=_Interrupting(at))
    go_on(tmp_path / "parts", shown=Lines(io.StringIO()))
    assert differences([tmp_path / "whole", tmp_path / "parts"], 0.0) == []


def test_machines_hear_of_findings_as_events(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SICK)
    out = io.StringIO()
    start(path, folder=tmp_path / "run", shown=Events(out))
    (event,) = [e for e in map(json.loads, out.getvalue().splitlines()) if e["event"] == "finding"]
    assert (event["name"], event["state"], event["layer"]) == ("vanishing", "began", "0.0.0.linear")


def test_findings_stand_in_the_lines_and_in_the_table_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SICK)
    out = io.StringIO()
    start(path, folder=tmp_path / "run", shown=Lines(out))
    said = out.getvalue()
    assert "! vanishing  0.0.0.linear  since step 1: " in said
    assert said.index(" finding ") > said.index("! vanishing")


def test_a_step_that_was_not_made_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SICK)
    run, parts, _ = prepare(read(path), tmp_path)
    monitor = Monitor(run, parts, {})
    monitor.before(0)
    assert any(module._forward_hooks for module in parts.networks["model"].modules())
    lost = Step(1, {}, {}, torch.tensor(1.0), torch.tensor(math.nan), 0.1)
    assert monitor.after(lost, parts.phases[0], True) == []
    assert not any(module._forward_hooks for module in parts.networks["model"].modules())


def test_what_is_differentiated_twice_has_no_gradient_of_its_own() -> None:
    """A loss of derivatives: what comes back to an output in the forward pass is not the gradient of the total."""
    network = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    ear = Ear({"model": network})
    ear.attach()
    x = torch.rand(5, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    slope.square().mean().backward()
    ear.detach()
    assert [heard.gradient for heard in list(ear.heard["model"].values())[:2]] == [None, None]
