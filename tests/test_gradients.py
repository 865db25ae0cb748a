"""The measured sizes of gradients: equal to those by hand, to those of the run itself, and without a trace."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gradtrain.assemble import Parts, input_shape
from gradtrain.config.load import read
from gradtrain.explain import explained
from gradtrain.flow import Flow, flow_of
from gradtrain.gradients import Backward, Pull, measured
from gradtrain.report.display import Lines
from gradtrain.start import prepare, start

ROOT = Path(__file__).parents[1]

MLP = """
name: small
seed: 3
data: {source: {moons: {count: 64}}, batch_size: 16}
model:
  layers: [{linear: 5}, tanh, {linear: 2, name: head}]
loss: cross_entropy
optimizer: {sgd: {lr: 0.1}}
training: {epochs: 1}
"""

GAN = """
name: game
seed: 1
data: {source: digits, transforms: [flatten, min_max], batch_size: 16}
models:
  generator: {input: 4, layers: [{linear: 12}, relu, {linear: 64}, tanh]}
  critic: {layers: [{linear: 12}, {leaky_relu: 0.2}, {linear: 1}]}
objective: {gan: {latent: 4, critic: critic, loss: wasserstein, critic_steps: 3}}
regularization: [{gradient_penalty: 10.0}]
optimizers: {generator: {adam: {lr: 1e-3}}, critic: {adam: {lr: 1e-3}}}
training: {epochs: 1}
"""


@pytest.fixture(autouse=True)
def generators_as_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def built(text: str, *overrides: str) -> tuple[Parts, Flow]:
    Path("c.yaml").write_text(text)
    run, parts, _ = prepare(read(Path("c.yaml"), None, overrides), Path())
    inputs = {role: input_shape(network, parts.facts) for role, network in run.networks.items()}
    return parts, flow_of(run, parts.source, parts.networks, inputs)


def measure(text: str, *overrides: str) -> tuple[Backward, ...]:
    Path("c.yaml").write_text(text)
    return explained(Path("c.yaml"), None, overrides, batch=True).measured


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.detach().double().pow(2).mean().sqrt())


def pulls(update: Backward) -> dict[str, Pull]:
    return {pull.name: pull for size in update.sizes for pull in size.parameters}


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_numbers_are_those_of_autograd_by_hand(precision: str) -> None:
    (update,) = measure(MLP, f"precision={precision}")
    parts, _ = built(MLP, f"precision={precision}")
    first, head = (parts.networks["model"].get_submodule(name) for name in ("0", "head"))
    batch = next(iter(parts.splits["train"].starting_at(0)))
    z = F.linear(batch["x"], first.weight, first.bias)
    h = z.tanh()
    y = F.linear(h, head.weight, head.bias)
    loss = F.cross_entropy(y, batch["y"])
    wanted = [z, h, y, first.weight, first.bias, head.weight, head.bias]
    by_hand = torch.autograd.grad(loss, wanted)

    assert update.total == pytest.approx(float(loss.detach()))
    assert (update.update, update.samples, update.dtype) == ("model", 16, precision)
    assert [size.name for size in update.sizes] == ["0", "1", "head"]
    for size, value, gradient in zip(update.sizes, wanted, by_hand, strict=False):
        assert size.calls == 1
        assert size.activation == pytest.approx(rms(value), rel=1e-5)
        assert size.gradient == pytest.approx(rms(gradient), rel=1e-5)
        assert size.length == pytest.approx(float(gradient.norm()), rel=1e-5)
    found = pulls(update)
    assert list(found) == ["0.weight", "0.bias", "head.weight", "head.bias"]
    for pull, tensor, gradient in zip(found.values(), wanted[3:], by_hand[3:], strict=True):
        assert pull.weight == pytest.approx(rms(tensor), rel=1e-5)
        assert pull.gradient == pytest.approx(rms(gradient), rel=1e-5)
        assert pull.ratio == pytest.approx(rms(gradient) / rms(tensor), rel=1e-5)


def test_they_are_those_of_the_first_step_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where dropout draws: the journal of a run holds the same norms."""
    path = ROOT / "configs" / "digits-mlp.yaml"
    overrides = ["logging.every=1 steps", "logging.layers=true", "training.epochs=null", "training.steps=1"]
    overrides += ["training.clip_norm=null"]
    (update,) = explained(path, None, overrides, batch=True).measured
    start(path, overrides=overrides, folder=Path("run"), shown=Lines(io.StringIO()))
    line = json.loads(Path("run/journal.jsonl").read_text().splitlines()[0])
    parts, _ = built(path.read_text())
    sizes = {one.name: one.tensor.numel() for one in parts.parameters}
    assert line["loss"]["total"] == pytest.approx(update.total)
    for name, norm in line["grad_norms"].items():
        assert pulls(update)[name].gradient * math.sqrt(sizes[name]) == pytest.approx(norm, rel=1e-5)  # type: ignore[operator]


def test_micro_batches_add_up_to_the_whole_batch() -> None:
    (whole,), (parts,) = measure(MLP), measure(MLP, "data.batch_size=4", "training.accumulate=4")
    assert [size.calls for size in parts.sizes] == [4, 4, 4]
    assert parts.total == pytest.approx(whole.total)
    for one, other in zip(whole.sizes, parts.sizes, strict=True):
        assert other.activation == pytest.approx(one.activation, rel=1e-5)
        assert other.gradient == pytest.approx(one.gradient, rel=1e-5)
        for mine, theirs in zip(one.parameters, other.parameters, strict=True):
            assert theirs.gradient == pytest.approx(mine.gradient, rel=1e-5)


def test_nothing_remains_of_it() -> None:
    before = torch.get_rng_state()
    measure(MLP)
    assert torch.equal(torch.get_rng_state(), before)
    assert [path.name for path in Path().iterdir()] == ["c.yaml"]
    with torch.random.fork_rng(devices=[]):
        parts, flow = built(MLP)
        weights = {name: p.clone() for name, p in parts.networks["model"].named_parameters()}
        measured(parts, flow)
    for module in parts.networks["model"].modules():
        assert not module._forward_hooks
    for name, parameter in parts.networks["model"].named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, weights[name])


def test_hooks_are_removed_when_the_objective_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.random.fork_rng(devices=[]):
        parts, flow = built(MLP)

    def fail(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(parts.task, "losses", fail)
    with pytest.raises(ArithmeticError):
        measured(parts, flow)
    assert not any(module._forward_hooks for module in parts.networks["model"].modules())


class TestTwoNetworks:
    def test_each_update_is_measured_alone(self) -> None:
        critic, generator = measure(GAN)
        assert (critic.update, generator.update) == ("critic", "generator")
        assert {size.name.partition(".")[0] for size in critic.sizes} == {"critic"}
        assert set(pulls(critic)) == {"critic.0.weight", "critic.0.bias", "critic.2.weight", "critic.2.bias"}
        assert {name.partition(".")[0] for name in pulls(generator)} == {"generator"}
        through = [size for size in generator.sizes if size.name.startswith("critic.")]
        assert through
        assert all(size.gradient and not size.parameters for size in through)

    def test_a_penalty_that_differentiates_inside_adds_no_gradient_of_its_own(self) -> None:
        """d(mean(fake) - mean(real))/d score is 1/n for every score; the penalty's own slopes begin with ones."""
        critic, _ = measure(GAN)
        last = next(size for size in critic.sizes if size.name == "critic.2")
        assert last.gradient == pytest.approx(1 / 16, rel=1e-5)
        assert critic.penalties["gradient_penalty"] > 0

    def test_fakes_that_are_used_again_bring_their_gradient_to_the_generator(self) -> None:
        changed = GAN.replace("critic_steps: 3", "reuse_fakes: true")
        critic, generator = measure(changed)
        assert {size.name.partition(".")[0] for size in critic.sizes} == {"critic"}
        with torch.random.fork_rng(devices=[]):
            parts, _ = built(changed)
            batch = next(iter(parts.splits["train"].starting_at(0)))
            made = parts.networks["generator"](torch.randn(16, 4))
            loss = -parts.networks["critic"](made).mean()
            parameters = dict(parts.networks["generator"].named_parameters())
            by_hand = torch.autograd.grad(loss, list(parameters.values()))
        assert len(batch["x"]) == 16
        for name, gradient in zip(parameters, by_hand, strict=True):
            assert pulls(generator)[f"generator.{name}"].gradient == pytest.approx(rms(gradient), rel=1e-5)


class TestVerdict:
    def test_a_deep_stack_of_sigmoids_vanishes(self) -> None:
        (update,) = explained(ROOT / "configs" / "deep-sigmoid.yaml", None, [], batch=True).measured
        assert update.verdict == "vanishes"
        assert update.fall is not None
        assert (update.fall.start, update.fall.end) == ("1", "0.0.0")
        ends = {size.name: size.length for size in update.sizes}
        assert update.fall.decades == pytest.approx(math.log10(ends["1"] / ends["0.0.0"]))  # type: ignore[operator]
        assert "falls by 10.1 decades from `1` to `0.0.0`" in update.says
        assert "it vanishes" in update.says

    def test_the_same_depth_done_right_does_not(self) -> None:
        (update,) = explained(ROOT / "configs" / "deep-relu-norm.yaml", None, [], batch=True).measured
        assert update.verdict in ("steady", "fades")

    def test_large_weights_explode(self) -> None:
        deep = MLP.replace("[{linear: 5}, tanh,", "[{repeat: {times: 6, layers: [{linear: 9}]}},")
        (update,) = measure(deep.replace("\nloss:", "\n  init: {normal: {std: 10.0}}\nloss:"))
        assert update.verdict == "explodes"
        assert update.fall is not None
        assert update.fall.decades < -3

    def test_weights_of_zero_stop_it(self) -> None:
        (update,) = measure(MLP.replace("\nloss:", "\n  init: {constant: 0.0}\nloss:"))
        assert update.verdict == "stops"
        assert "exactly 0 at `1`" in update.says

    def test_a_number_that_is_not_finite_is_named(self) -> None:
        huge = MLP.replace("tanh, ", "").replace("\nloss:", "\n  init: {constant: 1e30}\nloss:")
        (update,) = measure(huge)
        assert update.verdict == "nonfinite"
        assert "`head`" in update.says
        assert update.fall is None

    def test_one_stage_has_nothing_to_fall_to(self) -> None:
        (update,) = measure(MLP.replace("{linear: 5}, tanh, ", ""))
        assert update.says == "The gradient arrives at `head`."

    def test_a_tensor_out_of_reach_is_named(self) -> None:
        with torch.random.fork_rng(devices=[]):
            parts, flow = built(MLP)
            module = parts.networks["model"].get_submodule("0")
            cut = module.register_forward_hook(lambda _, __, output: output.detach())
            (update,) = measured(parts, flow)
            cut.remove()
        assert update.verdict == "stops"
        assert "No gradient reaches `0.weight`, `0.bias`." in update.says
        assert pulls(update)["0.weight"].gradient is None
        assert pulls(update)["0.weight"].ratio is None
