"""Generative adversarial networks: who learns from what, and how often."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gradtrain.components.datasets import Facts
from gradtrain.components.games.wasserstein import Wasserstein
from gradtrain.components.objectives import Outline, Task, Wish
from gradtrain.components.objectives.gan import Gan

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))


class Counting(nn.Linear):
    """Counts its forward passes."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


@pytest.fixture
def networks(seeded) -> dict[str, nn.Module]:
    return {"generator": Counting(3, 4), "discriminator": nn.Linear(4, 1)}


def task(**options: object) -> Task:
    return Gan(latent=3, **options).start([], "value", Facts(shape=(4,)))  # type: ignore[arg-type]


def fake(networks: dict[str, nn.Module], seed: int) -> Tensor:
    torch.manual_seed(seed)
    return networks["generator"](torch.randn(6, 3))


def test_the_critics_total_is_the_published_one(networks) -> None:
    made = fake(networks, 5).detach()
    torch.manual_seed(5)
    terms = task().losses("discriminator", networks, {"x": X})
    real_score, fake_score = networks["discriminator"](X), networks["discriminator"](made)
    expected = sum(math.log(1 + math.exp(-s)) for s in real_score.flatten().tolist()) / 6
    expected += sum(math.log(1 + math.exp(s)) for s in fake_score.flatten().tolist()) / 6
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert float(terms.losses["d_real"]) == pytest.approx(float(real_score.mean().detach()), rel=1e-5)
    assert float(terms.losses["d_fake"]) == pytest.approx(float(fake_score.mean().detach()), rel=1e-5)


def test_the_generators_total_is_the_non_saturating_one(networks) -> None:
    scores = networks["discriminator"](fake(networks, 5))
    torch.manual_seed(5)
    terms = task().losses("generator", networks, {"x": X})
    expected = sum(math.log(1 + math.exp(-s)) for s in scores.flatten().tolist()) / 6
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert set(terms.losses) == {"g_loss"}


def test_another_game(networks) -> None:
    made = fake(networks, 5).detach()
    torch.manual_seed(5)
    total = task(loss=Wasserstein()).losses("discriminator", networks, {"x": X}).total
    critic = networks["discriminator"]
    torch.testing.assert_close(total, critic(made).mean() - critic(X).mean())


@pytest.mark.parametrize("reuse", [False, True])
def test_each_update_teaches_its_own_network_only(networks, reuse: bool) -> None:
    made = task(reuse_fakes=reuse)
    made.losses("discriminator", networks, {"x": X}).total.backward()
    assert all(p.grad is None for p in networks["generator"].parameters())
    assert all(p.grad is not None for p in networks["discriminator"].parameters())
    for p in networks["discriminator"].parameters():
        p.grad = None
    made.losses("generator", networks, {"x": X}).total.backward()
    assert all(p.grad is None for p in networks["discriminator"].parameters())
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in networks["generator"].parameters())
    made.losses("discriminator", networks, {"x": X}).total.backward()  # the critic learns again
    assert all(p.grad is not None for p in networks["discriminator"].parameters())


@pytest.mark.parametrize("reuse", [False, True])
def test_weights_at_rest_stay_at_rest(reuse: bool) -> None:
    """A phase froze the critic's first layer: no gradient piles up in it."""
    critic = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    critic[0].requires_grad_(False)
    networks = {"generator": nn.Linear(3, 4), "discriminator": critic}
    made, before = task(reuse_fakes=reuse), [p.requires_grad for p in critic.parameters()]
    for _ in range(2):
        for update in ("discriminator", "generator"):
            for p in critic.parameters():
                p.grad = None
            made.losses(update, networks, {"x": X}).total.backward()
            assert [p.requires_grad for p in critic.parameters()] == before
            learned = [p.grad is not None for p in critic.parameters()]
            assert learned == ([False, False, True, True] if update == "discriminator" else [False] * 4)


def test_a_refused_batch_leaves_the_critic_as_it_was(networks) -> None:
    with pytest.raises(RuntimeError):
        task().losses("generator", {**networks, "generator": nn.Linear(3, 5)}, {"x": X})
    assert all(p.requires_grad for p in networks["discriminator"].parameters())


def test_fakes_are_made_anew_or_used_again(networks) -> None:
    for reuse, calls in ((False, 2), (True, 1)):
        networks["generator"].calls = 0
        made = task(reuse_fakes=reuse)
        d_fake = made.losses("discriminator", networks, {"x": X}).losses["d_fake"]
        g = made.losses("generator", networks, {"x": X}).losses["g_loss"]
        assert networks["generator"].calls == calls
        torch.manual_seed(0)
        if reuse:
            seen = networks["discriminator"](made.points("generator")["fake"]).detach()
            torch.testing.assert_close(d_fake, seen.mean())
            torch.testing.assert_close(g, nn.functional.softplus(-seen).mean())
            assert made.fakes == []


def test_micro_batches_of_fakes_are_used_in_their_order(networks) -> None:
    made = task(reuse_fakes=True)
    halves = [{"x": X[:4]}, {"x": X[4:]}]
    scores = [made.losses("discriminator", networks, half).losses["d_fake"] for half in halves]
    again = [made.losses("generator", networks, half) for half in halves]
    assert len(scores) == len(again) == 2
    torch.testing.assert_close(made.fakes, [])


def test_several_critic_steps_see_new_fakes_each() -> None:
    gan = Gan(latent=3, critic="critic", critic_steps=3)
    assert gan.updates == ("critic", "critic", "critic", "generator")
    assert gan.roles == ("generator", "critic")
    networks = {"generator": Counting(3, 4), "critic": nn.Linear(4, 1)}
    made = gan.start([], "value", Facts(shape=(4,)))
    fakes = []
    for update in gan.updates:
        made.losses(update, networks, {"x": X})
        fakes.append(made.points(update)["fake"])
    assert not torch.equal(fakes[0], fakes[1])
    assert networks["generator"].calls == 4
    with pytest.raises(ValidationError):
        Gan(latent=3, critic_steps=2, reuse_fakes=True)


def test_evaluations_record_nothing_and_draw_the_prior(networks) -> None:
    terms, prediction, target = task(prior="uniform").measure(networks, {"x": X})
    assert (prediction.shape, target.shape) == (X.shape, X.shape)
    assert set(terms.losses) == {"d_loss", "g_loss", "d_real", "d_fake"}
    assert not prediction.requires_grad


@pytest.mark.parametrize(("prior", "low", "high"), [("uniform", -1.0, 1.0), ("normal", -6.0, 6.0)])
def test_the_noise_has_the_shape_and_range_of_its_prior(seeded, prior: str, low: float, high: float) -> None:
    seen: list[Tensor] = []

    class Keeping(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z)
            return z.flatten(1)

    made = Gan(latent=(2, 3, 1), prior=prior).start([], "value", Facts())
    networks = {"generator": Keeping(), "discriminator": nn.Linear(6, 1)}
    made.measure(networks, {"x": torch.randn(2000, 6)})
    (z,) = seen
    assert z.shape == (2000, 2, 3, 1)
    assert low <= float(z.min()) < float(z.max()) <= high
    variance = 1 / 3 if prior == "uniform" else 1.0
    assert float(z.mean()) == pytest.approx(0, abs=0.04)
    assert float(z.var()) == pytest.approx(variance, rel=0.05)


def test_pictures_of_the_range_of_the_samples(networks) -> None:
    wish = Wish(count=5, batch={"x": X})
    torch.manual_seed(1)
    with torch.no_grad():
        images = task().sample(networks, wish).images
    assert images is not None
    assert images.shape == (5, 1, 2, 2)
    torch.manual_seed(1)
    made = networks["generator"](torch.randn(5, 3)).detach().reshape(5, 1, 2, 2)
    torch.testing.assert_close(images, ((made + 1) / 2).clamp(0, 1))  # X goes below 0: samples are taken as -1..1


@pytest.mark.parametrize(
    ("generator", "critic", "span", "found"),
    [
        (((3,), (4,), ("tanh",)), ((4,), (1,), ("linear",)), (-1.0, 1.0), []),
        (((2,), (4,), ()), ((4,), (1,), ()), None, [("generator", "output-width")]),
        (((3,), (5,), ()), ((4,), (1,), ()), None, [("generator", "output-width")]),
        (((3,), (4,), ()), ((4,), (2,), ()), None, [("discriminator", "output-width")]),
        (((3,), (4,), ()), ((4,), (1, 1, 1), ()), None, []),
        (((3,), (4,), ()), ((4,), (1,), ("sigmoid",)), None, [("discriminator", "softmax-before-loss")]),
        (((3,), (4,), ("tanh",)), ((4,), (1,), ()), (0.0, 1.0), [("data", "data-range")]),
        (((3,), (4,), ("sigmoid",)), ((4,), (1,), ()), (-1.0, 1.0), [("data", "data-range")]),
    ],
)
def test_complaints(generator, critic, span, found) -> None:
    outlines = {"generator": Outline(*generator), "discriminator": Outline(*critic)}
    told = Gan(latent=3).complaints(outlines, Facts(shape=(4,), range=span))
    assert [(where, problem.code) for where, problem in told] == found
