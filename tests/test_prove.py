"""A whole configuration through the prover."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Terms
from gradtrain.components.objectives.gan import _Gan
from gradtrain.gradcheck.trial import Effort
from gradtrain.prove import prove_config

MOONS = """
name: moons
data:
  source: {moons: {count: 60}}
  target: {kind: pm1}
  batch_size: full
model:
  layers: [{linear: 8}, batch_norm, tanh, {dropout: 0.2}, {linear: 1}]
loss: hinge
regularization: [{l2: 1e-3, params: weights}]
optimizer: OPTIMIZER
training: {steps: 5}
"""

GAN = """
name: gan
data:
  source: {moons: {count: 64}}
  batch_size: 16
models:
  generator: {input: 3, layers: [{linear: 8}, tanh, {linear: 2}]}
  discriminator: {layers: [{linear: 8}, {leaky_relu: 0.2}, {linear: 1}]}
objective: {gan: {latent: 3}}
optimizer: {adam: {lr: 0.01}}
training: {steps: 5}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("optimizer", ["{sgd: {lr: 0.1}}", "{lbfgs: {lr: 0.1}}"])
def test_every_parameter_of_a_config_is_proven_and_nothing_else_is_touched(tmp_path: Path, optimizer: str) -> None:
    path = write(tmp_path, MOONS.replace("OPTIMIZER", optimizer))
    state = torch.get_rng_state()
    report = prove_config(path, None, [], Effort())
    assert report.ok, str(report)
    found = {finding.check: finding for finding in report.findings}
    for name, shape in (("0.weight", [8, 2]), ("0.bias", [8]), ("1.weight", [8]), ("4.weight", [1, 8])):
        assert found[f"gradient of {name}"].point == f"{shape} float64"
    assert torch.equal(torch.get_rng_state(), state)
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


def test_a_detached_layer_is_named_by_its_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def detached(self: nn.Linear, x: Tensor) -> Tensor:
        weight = self.weight.detach() if self.out_features == 8 else self.weight
        return nn.functional.linear(x, weight, self.bias)

    monkeypatch.setattr(nn.Linear, "forward", detached)
    report = prove_config(write(tmp_path, MOONS.replace("OPTIMIZER", "{sgd: {lr: 0.1}}")), None, [], Effort())
    wrong = {finding.check: finding.verdict for finding in report.failures}
    assert "gradient of 0.weight" in wrong
    assert not {"gradient of 4.weight", "gradient of 4.bias"} & wrong.keys()


def test_both_updates_of_a_gan_are_proven(tmp_path: Path) -> None:
    report = prove_config(write(tmp_path, GAN), None, [], Effort())
    assert report.ok, str(report)
    checks = {(finding.component, finding.check) for finding in report.findings}
    assert ("discriminator", "gradient of discriminator.0.weight") in checks
    assert ("generator", "gradient of generator.2.bias") in checks
    assert ("discriminator", "who gets a gradient") in checks


def test_a_fake_that_is_not_detached_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The critic's backward pass then reaches the generator."""
    losses = _Gan.losses

    def leaking(self, update, networks, batch):
        if update == "generator":
            return losses(self, update, networks, batch)
        fake = networks["generator"](self._noise(len(batch["x"]), batch["x"]))
        loss = self.gan.loss.critic(networks["discriminator"](batch["x"]), networks["discriminator"](fake))
        return Terms(loss, {})

    monkeypatch.setattr(_Gan, "losses", leaking)
    report = prove_config(write(tmp_path, GAN), None, [], Effort())
    (finding,) = report.failures
    assert (finding.component, finding.check) == ("discriminator", "who gets a gradient")
    assert "generator.0.weight" in finding.note
