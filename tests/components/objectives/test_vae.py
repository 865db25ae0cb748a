"""The variational autoencoder: its bound, its warm-up, its pictures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.datasets import Facts
from gradtrain.components.objectives import Batch, Networks, Outline, Task, Terms, Wish
from gradtrain.components.objectives.vae import Vae
from gradtrain.components.optimizers.lbfgs import Lbfgs
from gradtrain.components.optimizers.sam import Sam
from gradtrain.components.optimizers.sgd import Sgd
from gradtrain.training.batches import Batches
from gradtrain.training.loop import train
from gradtrain.training.parallel import Parallel
from gradtrain.training.penalties import Penalties
from gradtrain.training.precision import Precision
from gradtrain.training.schedule import LearningRate
from gradtrain.training.update import Update


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.flatten(1)).reshape(len(x), 2, 3)


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    return {"encoder": Encoder().double(), "decoder": nn.Linear(3, 4).double()}


X = torch.rand(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def task(**options: object) -> Task:
    return Vae(**options).start([], "value", Facts(shape=(4,)))  # type: ignore[arg-type]


def by_hand(networks: dict[str, nn.Module], seed: int, variance: float | None = None) -> tuple[float, float]:
    """(reconstruction, kl) by loops over samples."""
    torch.manual_seed(seed)
    noise = torch.randn(5, 3, dtype=torch.float64)
    reconstruction = kl = 0.0
    with torch.no_grad():
        for x, e in zip(X, noise, strict=True):
            mean, log_variance = networks["encoder"](x.unsqueeze(0))[0]
            d = networks["decoder"](mean + (log_variance / 2).exp() * e)
            for xi, di in zip(x.tolist(), d.tolist(), strict=True):
                p = 1 / (1 + math.exp(-di))
                if variance is None:
                    reconstruction -= xi * math.log(p) + (1 - xi) * math.log(1 - p)
                else:
                    density = math.exp(-((xi - di) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
                    reconstruction -= math.log(density)
            for m, v in zip(mean.tolist(), log_variance.tolist(), strict=True):
                kl += 0.5 * (math.exp(v) + m * m - 1 - v)
    return reconstruction / 5, kl / 5


@pytest.mark.parametrize("variance", [None, 0.3])
@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_total_is_the_negative_bound(networks, variance: float | None, beta: float) -> None:
    options = {"beta": beta} | ({} if variance is None else {"likelihood": "gaussian", "variance": variance})
    reconstruction, kl = by_hand(networks, 3, variance)
    torch.manual_seed(3)
    terms = task(**options).losses("model", networks, {"x": X})
    assert terms.total.item() == pytest.approx(reconstruction + beta * kl, rel=1e-12)
    assert {name: pytest.approx(float(value), rel=1e-12) for name, value in terms.losses.items()} == {
        "reconstruction": reconstruction,
        "kl": kl,
        "elbo": -(reconstruction + kl),
    }
    terms.total.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for n in networks.values() for p in n.parameters())


def test_the_gradient_of_the_decoder_is_what_the_drawings_say(networks) -> None:
    torch.manual_seed(3)
    task().losses("model", networks, {"x": X}).total.backward()
    torch.manual_seed(3)
    noise = torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        mean, log_variance = networks["encoder"](X).unbind(1)
        d = networks["decoder"](mean + (log_variance / 2).exp() * noise)
    torch.testing.assert_close(networks["decoder"].bias.grad, (d.sigmoid() - X).mean(dim=0))


def test_kl_grows_over_the_warm_up_and_counts_whole_in_evaluations(networks) -> None:
    made, weights = task(beta=2.0, warmup=4), []
    for step in range(6):
        made.begin(step)
        terms = made.losses("model", networks, {"x": X})
        weights.append(float((terms.total.detach() - terms.losses["reconstruction"]) / terms.losses["kl"]))
        measured = made.measure(networks, {"x": X})[0]
        whole = measured.losses["reconstruction"] + 2 * measured.losses["kl"]
        torch.testing.assert_close(measured.total.detach(), whole)
    assert weights == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


class Telling(Task):
    """Keeps the weight of kl at every forward pass of a task, by step."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.told: dict[int, set[float]] = {}

    def begin(self, step: int) -> None:
        self.step = step
        self.task.begin(step)

    def count(self, batch: Batch) -> Tensor | float:
        return self.task.count(batch)

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        terms = self.task.losses(update, networks, batch)
        weight = (terms.total.detach() - terms.losses["reconstruction"]) / terms.losses["kl"]
        self.told.setdefault(self.step, set()).add(round(float(weight), 9))
        return terms


@pytest.mark.parametrize("accumulate", [1, 5])
@pytest.mark.parametrize("rule", [Sgd(lr=1e-3), Sam(lr=1e-3), Lbfgs(lr=1e-3, max_iter=3)], ids=["sgd", "sam", "lbfgs"])
@pytest.mark.parametrize("start", [0, 2])
def test_the_warm_up_counts_steps_whatever_a_step_takes(networks, accumulate, rule, start) -> None:
    telling = Telling(task(warmup=4))
    parameters = [p for network in networks.values() for p in network.parameters()]
    update = Update("model", rule, [{"params": parameters}], [1.0], accumulate=accumulate)
    rate, batches = LearningRate(None, "step", rule.lr, 6, 1), Batches({"x": X}, 5, seed=3)
    steps = train(
        networks, telling, Penalties([], {"model": []}), [update], rate, batches, Precision(), Parallel(),
        start=start, steps=6,
    )  # fmt: skip
    assert [step.number for step in steps] == [*range(start + 1, 7)]
    weights = {0: 0.25, 1: 0.5, 2: 0.75, 3: 1.0, 4: 1.0, 5: 1.0}
    assert telling.told == {step: {weights[step]} for step in range(start, 6)}


def test_what_it_measures_and_predicts_has_the_shape_of_its_samples(networks) -> None:
    x = X.reshape(5, 1, 2, 2)
    _, prediction, target = task().measure(networks, {"x": x})
    assert prediction.shape == target.shape == (5, 1, 2, 2)
    assert bool(((prediction > 0) & (prediction < 1)).all())
    without_noise = networks["decoder"](networks["encoder"](X)[:, 0]).sigmoid()
    assert torch.equal(task().predict(networks, {"x": X}), without_noise)


def test_pictures_made_up_and_painted_again(networks) -> None:
    made = task()
    images = made.sample(networks, Wish(count=7, batch={"x": X})).images
    assert images is not None
    assert images.shape == (7, 1, 2, 2)
    again = made.sample(networks, Wish(source="reconstruction", batch={"x": X})).images
    assert again is not None
    assert again.shape == (10, 1, 2, 2)
    torch.testing.assert_close(again[:5].flatten(1), X)
    torch.testing.assert_close(again[5:].flatten(1), made.predict(networks, {"x": X}))


@pytest.mark.parametrize(
    ("encoder", "decoder_in", "decoder_out", "parts", "span", "found"),
    [
        ((2, 3), (3,), (4,), (), (0.0, 1.0), []),
        ((6,), (3,), (4,), (), None, [("encoder", "output-width")]),
        ((2, 3), (2,), (4,), (), None, [("decoder", "output-width")]),
        ((2, 3), (3,), (5,), (), None, [("decoder", "output-width")]),
        ((2, 3), (3,), (4,), ("linear", "sigmoid"), None, [("decoder", "softmax-before-loss")]),
        ((2, 3), (3,), (4,), (), (-1.0, 1.0), [("data", "data-range")]),
        ((2, 3), (3,), (4,), (), (0.0, 255.0), [("data", "data-range")]),
    ],
)
def test_complaints(encoder, decoder_in, decoder_out, parts, span, found) -> None:
    outlines = {"encoder": Outline((4,), encoder, ()), "decoder": Outline(decoder_in, decoder_out, parts)}
    facts = Facts(shape=(4,), range=span)
    assert [(where, problem.code) for where, problem in Vae().complaints(outlines, facts)] == found
    gaussian = Vae(likelihood="gaussian").complaints(outlines, facts)
    assert [(w, p.code) for w, p in gaussian] == [f for f in found if f[1] == "output-width"]
