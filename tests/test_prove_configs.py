"""Configs of every kind are proven by every parameter; a planted defect is named by the tensors that it reaches."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradtrain import modules
from gradtrain.components.activations.tanh import Tanh
from gradtrain.components.objectives import Terms, gan
from gradtrain.components.regularizers.gradient_penalty import GradientPenalty
from gradtrain.gradcheck import Asked, Report
from gradtrain.gradcheck.trial import Effort
from gradtrain.problems import Problem
from gradtrain.prove import few, prove_config, prove_configs
from gradtrain.training.batches import Batch

DATA = "name: a\ndata: {source: {moons: {count: 40, noise: 0.1, seed: 1}}, batch_size: 20}\n"
DIGITS = "name: a\ndata: {source: digits, transforms: [flatten, standardize], batch_size: 16}\n"
MLP = DATA + "model: {layers: [{linear: 5}, tanh, {linear: 5}, tanh, {linear: $data.classes}]}\nloss: cross_entropy\n"
SGD = "optimizer: {sgd: 0.1}\ntraining: {steps: 4}\n"
GAN = (
    DATA
    + """models:
  generator: {input: 3, layers: [{linear: 6}, batch_norm, tanh, {linear: 2}]}
  critic: {layers: [{linear: 6}, tanh, {linear: 1}]}
optimizers: {generator: {adam: 0.01}, critic: {adam: 0.01}}
training: {steps: 4}
"""
)
PLAY = "objective: {gan: {latent: 3, critic: critic}}\n"
NORMS = "[{linear: 6}, batch_norm, relu, dropout, {linear: 6}, layer_norm, gelu, {linear: $data.classes}]"

CONFIGS: dict[str, str] = {
    "a perceptron": MLP + SGD,
    "digits": DIGITS + "model: {mlp: {hidden: [12], out: $data.classes}}\nloss: cross_entropy\n" + SGD,
    "dropout and norms": DATA + f"model:\n  layers: {NORMS}\nloss: cross_entropy\n" + SGD,
    "penalties": MLP + SGD
    + "regularization: [{l2: 0.1}, {l1: 0.01, params: {of: linear}}, {orthogonal: 0.1, params: weights}]\n",
    "L-BFGS": DATA.replace("20}", "full}")
    + "model: {layers: [{linear: 5}, tanh, {linear: $data.classes}]}\nloss: cross_entropy\n"
    + "optimizer: {lbfgs: {lr: 0.5}}\ntraining: {steps: 3}\n",
    "phases": MLP
    + "phases:\n  - {steps: 3, optimizer: {sgd: 0.1}, freeze: '0.*'}\n  - {steps: 3, optimizer: {adam: 0.01}}\n",
    "a game": GAN + PLAY,
    "a game with a gradient penalty": GAN
    + "objective: {gan: {latent: 3, critic: critic, loss: wasserstein, critic_steps: 2}}\n"
    + "regularization: [{gradient_penalty: {strength: 10.0, target: 1.0}, of: critic}]\n",
    "a variational autoencoder": DIGITS
    + "models:\n  encoder: {layers: [{linear: 8}, tanh, {gaussian: 3}]}\n"
    + "  decoder: {input: 3, layers: [{linear: 8}, tanh, {linear: $data.features}]}\n"
    + "objective: {vae: {likelihood: gaussian}}\n" + SGD,
    "a residual branch": DATA
    + "model: {layers: [{linear: 5}, {residual: [{linear: 5}, tanh]}, {linear: $data.classes}]}\nloss: cross_entropy\n"
    + SGD,
}  # fmt: skip


@pytest.fixture
def prove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A proof of a config, after which every generator is as it was."""
    monkeypatch.chdir(tmp_path)

    def proven(text: str, *overrides: str, effort: Effort | None = None) -> Report:
        (tmp_path / "c.yaml").write_text(text)
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
        report = prove_config(tmp_path / "c.yaml", None, overrides, effort or Effort())
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert (np.random.get_state()[1] == states[2]).all()
        assert torch.get_default_dtype() == torch.float32
        return report

    return proven


def failed(report: Report) -> set[tuple[str, str]]:
    return {(finding.component, finding.check) for finding in report.failures}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_right_config_is_accepted(name: str, prove: Callable[..., Report]) -> None:
    report = prove(CONFIGS[name])
    assert not report.failures
    assert {finding.family for finding in report.findings} == {"configs"}
    assert any(finding.check.startswith("gradient of") for finding in report.findings)


def test_parameters_have_the_names_and_shapes_that_selectors_use(prove: Callable[..., Report]) -> None:
    report = prove(MLP + SGD)
    named = {f.check.removeprefix("gradient of "): f.point for f in report.findings if "gradient of " in f.check}
    named.pop("all together", None)
    assert named == {
        "0.weight": "[5, 2] float64", "0.bias": "[5] float64", "2.weight": "[5, 5] float64", "2.bias": "[5] float64",
        "4.weight": "[2, 5] float64", "4.bias": "[2] float64",
    }  # fmt: skip


def test_each_player_is_proven_by_its_own_parameters(prove: Callable[..., Report]) -> None:
    checks: dict[str, set[str]] = {}
    for finding in prove(GAN + PLAY).findings:
        checks.setdefault(finding.component, set()).add(finding.check)
    assert set(checks) == {"critic", "generator"}
    assert "gradient of critic.0.weight" in checks["critic"]
    assert "gradient of generator.0.weight" not in checks["critic"]
    assert "gradient of generator.0.weight" in checks["generator"]
    assert "who gets a gradient" in checks["critic"] & checks["generator"]


def test_frozen_parameters_are_no_part_of_their_phase(prove: Callable[..., Report]) -> None:
    phases: dict[str, set[str]] = {}
    for finding in prove(CONFIGS["phases"]).findings:
        phases.setdefault(finding.component[:7], set()).add(finding.check)
    assert "gradient of 0.weight" not in phases["phase 0"]
    assert "gradient of 2.weight" in phases["phase 0"]
    assert "gradient of 0.weight" in phases["phase 1"]


class Steeper(torch.autograd.Function):
    """tanh whose derivative is a thousandth too large."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return 1.001 * g * (1 - y * y)


def test_a_component_with_a_wrong_derivative_is_named_by_what_lies_before_it(
    prove: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tanh, "forward", lambda self, x: Steeper.apply(x))
    found = {check for _, check in failed(prove(MLP + SGD))}
    assert found >= {f"gradient of {name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")}
    assert not found & {"gradient of 4.weight", "gradient of 4.bias"}


def test_a_detached_branch_is_named(prove: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = modules.Residual.forward

    def cut(self: modules.Residual, x: Tensor) -> Any:
        return x + (whole(self, x) - x).detach()

    monkeypatch.setattr(modules.Residual, "forward", cut)
    verdicts = {finding.check: finding.verdict for finding in prove(CONFIGS["a residual branch"]).failures}
    assert {verdict for check, verdict in verdicts.items() if check.startswith("gradient of 1.")} == {"detached"}
    assert verdicts["gradient of 0.weight"] == "fail"
    assert not any(check.startswith("gradient of 2.") for check in verdicts)


def test_a_layer_of_torch_that_detaches_its_weight(
    prove: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: nn.LayerNorm, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, self.normalized_shape, self.weight.detach(), self.bias, self.eps)

    monkeypatch.setattr(nn.LayerNorm, "forward", forward)
    verdicts = {finding.check: finding.verdict for finding in prove(CONFIGS["dropout and norms"]).failures}
    assert verdicts == {"gradient of 5.weight": "detached"}


def test_fakes_that_are_not_detached_reach_the_other_player(
    prove: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = gan._Gan.losses

    def losses(self: Any, update: str, networks: Any, batch: Any) -> Terms:
        if update == "generator":
            return plain(self, update, networks, batch)
        fake = self._made(networks["generator"], batch["x"], keep_graph=True)
        return Terms(self.gan.loss.critic(networks["critic"](batch["x"]), networks["critic"](fake)), {})

    monkeypatch.setattr(gan._Gan, "losses", losses)
    report = prove(GAN + PLAY)
    assert failed(report) == {("critic", "who gets a gradient")}
    assert "generator.0.weight" in report.failures[0].note


def test_a_penalty_that_is_detached_is_refused_for_the_critic_alone(
    prove: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = GradientPenalty.forward
    monkeypatch.setattr(GradientPenalty, "forward", lambda self, weight: whole(self, weight.detach()))
    found = failed(prove(CONFIGS["a game with a gradient penalty"]))
    assert ("critic", "gradient of critic.0.weight") in found
    assert not any(who == "generator" for who, _ in found)


def test_only_a_few_samples_are_looked_at() -> None:
    batch = Batch({"x": torch.rand(100, 3), "y": torch.arange(100)})
    batch.first = 7
    small = few(batch)
    assert len(small["x"]) == len(small["y"]) == 4
    assert small.first == 7
    assert len(few(Batch({"x": torch.zeros(100, 1000, dtype=torch.long)}))["x"]) == 2


def test_a_config_is_refused_as_training_would_refuse_it(prove: Callable[..., Report]) -> None:
    for text, override in ((MLP + SGD + "surprise: 1\n", "seed=1"), (MLP + SGD, "surprise=1")):
        with pytest.raises((Problem, ExceptionGroup)) as caught:
            prove(text, override)
        problems = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else (caught.value,)
        assert all(isinstance(problem, Problem) for problem in problems)
    assert prove(MLP + SGD, "training.steps=2").ok


def test_several_configs_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(MLP + SGD)
    told: list[str] = []
    asked = Asked(configs=(tmp_path / "one.yaml", tmp_path / "two.yaml"))
    report = prove_configs(asked, Report((), 0, 0.0), told.append)
    assert {finding.component.partition(".")[0] for finding in report.findings} == {"one", "two"}
    assert len(told) == 2
    assert report.ok
