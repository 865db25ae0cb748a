"""The phases of a run: who changes which weights, at which rate, and who pays which penalty."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.assemble import Parts
from gradtrain.config.load import read
from gradtrain.problems import Problem
from gradtrain.start import prepare

ONE = """\
name: a
data: {source: {blobs: {count: 96}}, batch_size: 16}
model: {layers: [{linear: 4}, relu, {linear: $data.classes}]}
loss: cross_entropy
"""
GAN = """\
name: a
data: {source: {blobs: {count: 96}}, batch_size: 16}
models:
  generator: {input: 3, layers: [{linear: 2}]}
  critic: {layers: [{linear: 4}, {linear: 1}]}
objective: {gan: {latent: 3, critic: critic, critic_steps: 2}}
"""


@pytest.fixture
def parts(tmp_path: Path):
    def made(text: str) -> Parts:
        (tmp_path / "c.yaml").write_text(text)
        return prepare(read(tmp_path / "c.yaml"), tmp_path)[1]

    return made


def names(parts: Parts, tensors) -> list[str]:
    known = {id(n.tensor): n.name for n in parts.parameters}
    return [known[id(t)] for t in tensors]


def test_a_run_without_phases_is_one(parts) -> None:
    made = parts(ONE + "optimizer: {sgd: 0.1}\ntraining: {epochs: 3}\n")
    (phase,) = made.phases
    assert (phase.start, phase.end, made.steps, made.per_epoch) == (0, 18, 18, 6)
    assert names(made, phase.learning) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert phase.resting == []


def test_phases_follow_one_another_each_with_a_schedule_of_its_own(parts) -> None:
    made = parts(
        ONE + "phases:\n"
        "  - {epochs: 1, optimizer: {sgd: 0.1}, freeze: '0.*'}\n"
        "  - {steps: 4, optimizer: {adam: 0.02}, schedule: {linear: {end: 0.0}, by: step}}\n"
        "  - {steps: 5, optimizer: {sgd: 0.3}}\n"
    )
    assert [(p.start, p.end) for p in made.phases] == [(0, 6), (6, 10), (10, 15)]
    assert names(made, made.phases[0].learning) == ["2.weight", "2.bias"]
    assert names(made, made.phases[0].resting) == ["0.weight", "0.bias"]
    assert names(made, made.phases[0].updates[0].parameters) == ["2.weight", "2.bias"]
    rate = made.phases[1].rate
    assert rate.at(6) == pytest.approx(0.02)  # the schedule counts from where its phase begins
    assert rate.at(6) > rate.at(7) > rate.at(9) > 0
    assert [made.phases[i].rate.at(step) for i, step in ((0, 0), (0, 5), (2, 10), (2, 14))] == [0.1, 0.1, 0.3, 0.3]


def test_each_network_has_its_update_and_its_rate(parts) -> None:
    made = parts(
        GAN + "optimizers: {generator: {adam: 1e-3}, critic: {adam: 4e-3, groups: [{params: '*.bias', lr_scale: 2}]}}\n"
        "training: {steps: 3}\n"
    )
    (phase,) = made.phases
    assert [u.name for u in phase.updates] == ["critic", "critic", "generator"]
    critic, generator = phase.distinct
    assert phase.updates[0] is phase.updates[1] is critic
    assert sorted(names(made, critic.parameters)) == [
        "critic.0.bias",
        "critic.0.weight",
        "critic.1.bias",
        "critic.1.weight",
    ]
    assert names(made, generator.parameters) == ["generator.0.weight", "generator.0.bias"]
    rates = {}
    for update in phase.distinct:
        update.set_rate(phase.rate.at(0))
        for group in update.optimizer.param_groups:
            rates |= dict.fromkeys(names(made, group["params"]), pytest.approx(group["lr"]))
    assert rates == {
        "generator.0.weight": 1e-3,
        "generator.0.bias": 1e-3,
        "critic.0.weight": 4e-3,
        "critic.1.weight": 4e-3,
        "critic.0.bias": 8e-3,
        "critic.1.bias": 8e-3,
    }


def test_an_update_pays_for_its_own_weights_only(parts) -> None:
    made = parts(GAN + "optimizer: {adam: 1e-3}\nregularization: [{l2: 0.1}]\ntraining: {steps: 3}\n")
    penalties = made.phases[0].penalties
    paid = {name: [names(made, tensors) for *_, tensors in entries] for name, entries in penalties.by_update.items()}
    assert paid == {"critic": [["critic.0.weight", "critic.1.weight"]], "generator": [["generator.0.weight"]]}


NORMED = ONE.replace("relu", "batch_norm, relu")


@pytest.mark.parametrize(
    ("params", "reached"),
    [
        ("", ["0.weight", "3.weight"]),
        (", params: all", ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]),
    ],
)
def test_a_penalty_spares_biases_and_norms_unless_it_is_told_otherwise(parts, params, reached) -> None:
    """U31: what reaches every parameter is written so."""
    made = parts(NORMED + f"regularization: [{{l2: 0.1{params}}}]\noptimizer: {{sgd: 0.1}}\ntraining: {{steps: 1}}\n")
    (entries,) = made.phases[0].penalties.by_update.values()
    assert [names(made, tensors) for *_, tensors in entries] == [reached]


def test_a_frozen_network_has_no_update(parts) -> None:
    text = ONE.replace("model: {", "model: {frozen: true, ") + "optimizer: {sgd: 0.1}\ntraining: {steps: 1}\n"
    with pytest.raises(Problem) as caught:
        parts(text)
    assert (caught.value.code, caught.value.exit_code) == ("nothing-learns", 2)
    made = parts(
        GAN.replace("generator: {", "generator: {frozen: true, ") + "optimizer: {adam: 1e-3}\ntraining: {steps: 1}\n"
    )
    assert [u.name for u in made.phases[0].updates] == ["critic", "critic"]
    assert not made.networks["generator"].training


def test_freezing_nothing_is_a_mistake_named_where_it_stands(parts) -> None:
    with pytest.raises(Problem) as caught:
        parts(ONE + "phases:\n  - {steps: 1, optimizer: {sgd: 0.1}, freeze: 'body.*'}\n")
    assert caught.value.code == "selector-empty"
    assert caught.value.at is not None
    assert caught.value.at.line == 6
    with pytest.raises(Problem) as caught:
        parts(ONE + "phases: [{steps: 1, optimizer: {sgd: 0.1}, freeze: all}]\n")
    assert caught.value.code == "nothing-learns"
