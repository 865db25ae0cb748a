"""The words beside a penalty: refused where nobody reads them, and obeyed where they stand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch

from gradtrain import registry
from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.mse import Mse
from gradtrain.components.objectives import Objective, Task
from gradtrain.config.validate import validated
from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import start
from gradtrain.storage import checkpoint

ONE = """\
name: one
data: {{source: {{blobs: {{count: 60}}}}, transforms: [standardize], batch_size: 20}}
model: {{layers: [{{linear: 8}}, relu, {{linear: $data.classes}}]}}
loss: cross_entropy
regularization:
  - {{{item}}}
optimizer: {{sgd: 0.1}}
training: {{steps: 4}}
logging: {{every: 1 step}}
"""

GAN = """\
name: two
data: {{source: {{blobs: {{count: 60}}}}, transforms: [standardize], batch_size: 20}}
models:
  generator: {{input: 2, layers: [{{linear: 8}}, tanh, {{linear: 2}}]}}
  critic: {{layers: [{{linear: 8}}, {{leaky_relu: 0.2}}, {{linear: 1}}]}}
objective: {{gan: {{latent: 2, critic: critic, loss: wasserstein{more}}}}}
regularization:
  - {{{item}}}
optimizers: {{generator: {{adam: 1e-3}}, critic: {{adam: 1e-3}}}}
training: {{steps: 4}}
logging: {{every: 1 step}}
"""


def problems(folder: Path, text: str) -> list[Problem]:
    (folder / "c.yaml").write_text(text)
    return validated(folder / "c.yaml")


def journal(folder: Path, text: str) -> list[dict[str, float]]:
    """The penalties of every step of a run."""
    (folder / "c.yaml").write_text(text)
    start(folder / "c.yaml", folder=folder / "run", shown=Lines(io.StringIO()))
    lines = [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    return [line["penalty"] for line in lines if "penalty" in line]


@pytest.mark.parametrize(
    ("item", "code", "word", "said"),
    [
        ("gradient_penalty: 10, at: real", "penalty-word", "at:", "write"),
        ("l2: 0.1, at: '0'", "penalty-word", "at:", "`l2` is a penalty on weights"),
        ("l2: 0.1, of: model", "penalty-word", "of:", "`of` is for a penalty on outputs or a penalty on the slope"),
        ("activity: 0.1, params: all", "penalty-word", "params:", "a penalty on weights or a constraint on weights"),
        ("max_norm: 2, weight: 0.1", "penalty-word", "weight:", "`max_norm` is a constraint on weights"),
        ("r1: 2, form: decoupled", "penalty-word", "form:", "`r1` is a penalty on the slope"),
        ("activity: 0.1, of: modle", "roles", "of:", "the networks are `model`"),
        ("l1: 0.1, form: decoupled", "bad-value", "{l1", "only `l2` can be decoupled"),
        ("group_lasso: 0.1, form: decoupled", "bad-value", "{group_lasso", "only `l2` can be decoupled"),
    ],
)
def test_words_that_nobody_reads(tmp_path: Path, item: str, code: str, word: str, said: str) -> None:
    (found,) = (p for p in problems(tmp_path, ONE.format(item=item)) if p.severity == "error")
    assert found.code == code
    assert found.at is not None
    assert found.at.text[found.at.column - 1 :].startswith(word)
    if said == "write":
        assert found.help.endswith("`gradient_penalty: {at: real}`")
    else:
        assert said in f"{found.what} {found.why}"


@pytest.mark.parametrize(
    "item",
    ["l2: 0.1, params: all, weight: 2.0", "activity: 0.1, of: model, at: '0'", "max_norm: 2, params: '0.*'",
     "r1: 0.1, of: model, weight: 0.5", "l2: 0.1, form: decoupled"],
)  # fmt: skip
def test_words_that_are_read(tmp_path: Path, item: str) -> None:
    assert problems(tmp_path, ONE.format(item=item)) == []


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("activity: 0.1", "activity"),
        ("activity: {strength: 0.1, norm: l2}, at: '[01]'", "activity"),
        ("entropy: 0.1", "entropy"),
        ("gradient_penalty: {at: real}", "gradient_penalty"),
        ("jacobian: {strength: 0.1, projections: 2}", "jacobian"),
        ("group_lasso: 1e-3", "group_lasso"),
        ("orthogonal: 1e-3", "orthogonal"),
        ("spectral: 1e-3", "spectral"),
    ],
)
def test_a_run_pays_its_penalty_at_every_step(tmp_path: Path, item: str, name: str) -> None:
    paid = journal(tmp_path, ONE.format(item=item))
    assert len(paid) == 4
    assert all(set(step) == {name} and step[name] != 0 for step in paid)


@pytest.mark.parametrize("more", ["", ", critic_steps: 2", ", reuse_fakes: true"])
@pytest.mark.parametrize(
    "item",
    [
        "gradient_penalty: 10",
        "r1: 1.0, of: critic",
        "activity: 0.1, of: critic, at: '0'",
        "activity: 0.1, of: generator",
    ],
)
def test_a_gan_pays_it_once_a_step(tmp_path: Path, item: str, more: str) -> None:
    paid = journal(tmp_path, GAN.format(item=item, more=more))
    assert len(paid) == 4
    assert all(len(step) == 1 for step in paid)


def test_a_run_ends_within_its_constraint(tmp_path: Path) -> None:
    journal(tmp_path, ONE.format(item="max_norm: 0.4, params: '0.*'"))
    kept = checkpoint.newest(tmp_path / "run" / "checkpoints").tensors
    held = {name: tensor for name, tensor in kept.items() if name.startswith("network.model.")}
    assert float(held["network.model.0.weight"].norm(dim=1).max()) <= 0.4 + 1e-6
    assert float(held["network.model.0.bias"].abs().max()) <= 0.4 + 1e-6
    assert float(held["network.model.2.weight"].norm(dim=1).max()) > 0.4


def test_a_pattern_that_no_layer_has(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="listens to no layer: `7` matches nothing") as refused:
        journal(tmp_path, ONE.format(item="activity: 0.1, at: '7'"))
    assert refused.value.code == "selector-empty"
    assert "`0`, `1`, `2`" in refused.value.help


def test_interpolates_need_made_up_samples(tmp_path: Path) -> None:
    text = ONE.format(item="gradient_penalty: 10")
    (found,) = problems(tmp_path, text)
    assert (found.code, found.severity) == ("no-fakes", "error")
    with pytest.raises(ExceptionGroup):
        journal(tmp_path, text)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", registry.names(Objective))
def test_a_penalty_on_a_slope_is_known_to_have_its_samples_before_the_first_step(name: str) -> None:
    """What an objective says of itself is what its task does."""
    part = registry.find(Objective, name)
    case = part(**(part.cases or [{}])[0])
    kind = type(case.start([WeightedLoss(part=Mse())], "value", Facts(shape=(2,))))
    assert bool(case.points) == (kind.points is not Task.points)


def test_penalties_of_phases_hear_their_own_steps(tmp_path: Path) -> None:
    text = ONE.format(item="activity: 0.1").replace(
        "optimizer: {sgd: 0.1}\ntraining: {steps: 4}\n",
        "phases: [{steps: 2, optimizer: {sgd: 0.1}}, {steps: 2, optimizer: {adam: 0.1}}]\n",
    )
    paid = journal(tmp_path, text)
    assert len(paid) == 4
    assert torch.tensor([step["activity"] for step in paid]).max() < 3 * paid[0]["activity"]
