"""Batches: the order is a pure function of seed, epoch and position, and the shares of micro-batches are exact."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from gradtrain.components.augmentations.noise import Noise
from gradtrain.components.losses.cross_entropy import CrossEntropy
from gradtrain.components.losses.mse import Mse
from gradtrain.training import batches as module
from gradtrain.training.batches import Batch, Batches, generator

X = torch.arange(23, dtype=torch.float32).unsqueeze(1)


def first(source: Batches, number: int, start: int = 0) -> list[Tensor]:
    return [batch["x"].flatten() for batch in itertools.islice(source.starting_at(start), number)]


@pytest.fixture(params=["in one piece", "gathered"])
def layout(request, monkeypatch) -> None:
    """Both ways of cutting an epoch."""
    if request.param == "gathered":
        monkeypatch.setattr(module, "IN_ONE_PIECE", 0)


@pytest.mark.usefixtures("layout")
class TestOrder:
    @pytest.mark.parametrize("shuffle", [True, False])
    @pytest.mark.parametrize("size", [1, 5, 23, 40])
    def test_an_epoch_shows_every_sample_once(self, size, shuffle) -> None:
        source = Batches({"x": X}, size, seed=1, shuffle=shuffle)
        assert source.per_epoch == -(-23 // size)
        for epoch in range(3):
            seen = torch.cat(first(source, source.per_epoch, epoch * source.per_epoch))
            assert torch.equal(seen.sort().values, X.flatten())
            assert shuffle or torch.equal(seen, X.flatten())

    @pytest.mark.parametrize("drop_last", [True, False])
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_any_start_gives_the_tail(self, shuffle, drop_last) -> None:
        source = Batches({"x": X}, 5, seed=1, shuffle=shuffle, drop_last=drop_last, augment=(Noise(std=0.1),))
        whole = first(source, 18)
        for start in range(12):
            tail = first(source, 18 - start, start)
            assert all(torch.equal(a, b) for a, b in zip(whole[start:], tail, strict=True))

    def test_the_order_is_a_function_of_seed_and_epoch(self) -> None:
        one, same, other = (first(Batches({"x": X}, 5, seed=seed), 10) for seed in (1, 1, 2))
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert not torch.equal(torch.cat(one[:5]), torch.cat(other[:5]))
        assert not torch.equal(torch.cat(one[:5]), torch.cat(one[5:])), "the second epoch has another order"

    def test_the_batch_size_does_not_change_the_order(self) -> None:
        orders = [torch.cat(first(Batches({"x": X}, size, seed=1), -(-23 // size))) for size in (3, 5, 23)]
        assert torch.equal(orders[0], orders[1])
        assert torch.equal(orders[0], orders[2])

    def test_the_global_generator_has_no_part_in_it(self) -> None:
        before = torch.get_rng_state()
        first(Batches({"x": X}, 5, seed=1, augment=(Noise(std=0.1),)), 7)
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize(("size", "steps"), [(5, 4), (23, 1), (40, 1)])
    def test_drop_last(self, size, steps) -> None:
        source = Batches({"x": X}, size, seed=1, drop_last=True)
        assert source.per_epoch == steps
        assert [len(x) for x in first(source, 3 * steps)] == [min(size, 23)] * (3 * steps)

    def test_indices_name_the_samples_of_a_step(self) -> None:
        for drop_last in (True, False):
            source = Batches({"x": X}, 5, seed=1, drop_last=drop_last)
            for step, x in enumerate(first(source, 12)):
                assert torch.equal(X[source.indices(step)].flatten(), x)

    def test_fields_stay_together(self) -> None:
        source = Batches({"x": X, "y": 2 * X.flatten()}, 5, seed=1)
        for batch in itertools.islice(source.starting_at(3), 8):
            assert torch.equal(2 * batch["x"].flatten(), batch["y"])

    def test_samples_are_prepared_then_augmented(self) -> None:
        source = Batches(
            {"x": X}, 5, seed=1, prepare=lambda fields: {"x": 100 * fields["x"]}, augment=(Noise(std=0.1),)
        )
        plain = first(Batches({"x": X}, 5, seed=1), 7)
        for batch, x in zip(first(source, 7), plain, strict=True):
            assert float((batch - 100 * x).abs().max()) < 1
            assert not torch.equal(batch, 100 * x)

    def test_every_step_draws_its_own_augmentation(self) -> None:
        source = Batches({"x": torch.zeros(10, 4)}, 5, seed=1, augment=(Noise(std=1.0),))
        drawn = [batch["x"] for batch in itertools.islice(source.starting_at(0), 4)]
        assert not any(torch.equal(a, b) for a, b in itertools.combinations(drawn, 2))
        assert bool((source.fields["x"] == 0).all()), "the stored samples stay as they are"


def test_once_is_one_pass_in_the_stored_order_without_augmentation() -> None:
    source = Batches({"x": X}, 5, seed=1, augment=(Noise(std=1.0),), prepare=lambda fields: {"x": -fields["x"]})
    seen = [batch["x"] for batch in source.once()]
    assert torch.equal(torch.cat(seen), -X)
    assert [len(x) for x in seen] == [5, 5, 5, 5, 3]
    assert [len(batch["x"]) for batch in source.once(2)] == [5, 5]


def test_a_generator_is_a_function_of_its_words() -> None:
    def draw(*words: object) -> float:
        return float(torch.rand(1, generator=generator(*words)))

    assert draw(1, "order", 2) == draw(1, "order", 2)
    words = [(1, "order", 2), (1, "order", 3), (2, "order", 2), (1, "augment", 2), (1, "order", 2, 0)]
    assert len({draw(*w) for w in words}) == len(words)


class TestShares:
    @pytest.mark.parametrize("parts", [2, 3, 4, 7, 10, 99])
    def test_they_add_up_to_one(self, parts) -> None:
        batch = Batch({"x": torch.zeros(10, 2), "y": torch.zeros(10, 1)})
        shares = list(batch.shares(parts, lambda fields: Mse().count(fields["y"])))
        assert len(shares) == min(parts, 10)
        assert sum(float(share) for _, share, _ in shares) == pytest.approx(1, abs=1e-12)
        assert [last for *_, last in shares] == [False] * (len(shares) - 1) + [True]
        assert torch.equal(torch.cat([micro["y"] for micro, *_ in shares]), batch["y"])

    def test_one_part_is_the_batch_itself(self) -> None:
        batch = Batch({"x": torch.zeros(3, 1)})
        ((micro, share, last),) = batch.shares(1, lambda fields: pytest.fail("there is nothing to count"))
        assert micro is batch
        assert share == 1.0
        assert last

    @pytest.mark.parametrize(
        "ignored",
        [(), (0,), (0, 1, 2), (7, 8, 9, 10), (0, 1, 2, 3, 4, 5, 6), (3, 4, 5, 6, 7, 8, 9, 10), tuple(range(10))],
        ids=["none", "one", "first micro-batch", "last", "two", "in the middle", "all but one"],
    )
    @pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0)])
    @pytest.mark.parametrize("reduce", ["mean", "sum_per_sample"])
    def test_the_gradient_is_that_of_the_whole_batch(self, ignored, weights, reduce) -> None:
        """11 samples in 3 unequal micro-batches, some of them with no real target at all."""
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(11, 4, generator=draw, dtype=torch.float64)
        y = torch.randint(0, 3, (11,), generator=draw)
        y[list(ignored)] = 9
        loss = CrossEntropy(ignore_index=9, weights=weights, reduce=reduce)

        def count(fields: dict[str, Tensor]) -> Tensor | float:
            return float(len(fields["y"])) if reduce == "sum_per_sample" else loss.count(fields["y"])

        w = torch.randn(4, 3, generator=draw, dtype=torch.float64, requires_grad=True)
        whole = loss.reduced(x @ w, y)
        (expected,) = torch.autograd.grad(whole, w)
        total, gradient = torch.zeros((), dtype=torch.float64), torch.zeros_like(w)
        shares = Batch({"x": x, "y": y}).shares(3, count)
        for micro, share, _ in shares:
            part = share * loss.reduced(micro["x"] @ w, micro["y"])
            total, gradient = total + part.detach(), gradient + torch.autograd.grad(part, w)[0]
        assert bool(gradient.isfinite().all())
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(total, whole.detach(), rtol=1e-12, atol=1e-14)
        assert [last for *_, last in shares] == [False] * (len(shares) - 1) + [True]

    def test_a_batch_without_any_real_target_is_left_whole(self) -> None:
        """Its loss is 0/0, as it is without micro-batches: the loop stops there and says so."""
        loss = CrossEntropy(ignore_index=9)
        batch = Batch({"x": torch.zeros(6, 2), "y": torch.full((6,), 9)})
        ((micro, share, last),) = batch.shares(3, lambda fields: loss.count(fields["y"]))
        assert micro is batch
        assert share == 1.0
        assert last
