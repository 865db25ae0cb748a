"""Pairs and balanced batches: labels, shares, order."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.training.groups import Balanced, Paired

LABELS = torch.randint(0, 4, (4000,), generator=torch.Generator().manual_seed(0))


def paired(labels: Tensor = LABELS, seed: int = 0, **options: float) -> Paired:
    """Samples that carry their own number and label."""
    x = torch.stack([torch.arange(len(labels)), labels], dim=1)
    return Paired({"x": x, "y": labels}, 100, seed, **options)  # type: ignore[arg-type]


def test_a_pair_is_labelled_by_its_two_labels() -> None:
    fields = paired().laid(0)
    assert torch.equal(fields["y"], (fields["a"][:, 1] == fields["b"][:, 1]).float().unsqueeze(1))
    assert torch.equal(fields["a"][:, 0], torch.arange(4000))  # every sample comes once as the first of a pair


@pytest.mark.parametrize("positive", [0.2, 0.5, 0.9])
def test_the_share_of_pairs_that_belong_together(positive: float) -> None:
    share = float(paired(positive=positive).laid(0)["y"].mean())
    assert share == pytest.approx(positive, abs=4 * (positive * (1 - positive) / 4000) ** 0.5)


def test_no_sample_is_its_own_partner_and_all_others_can_be() -> None:
    batches = paired(torch.tensor([0, 0, 0, 1, 1]))
    met: dict[int, set[int]] = {i: set() for i in range(5)}
    for epoch in range(200):
        fields = batches.laid(epoch)
        for one, other in zip(fields["a"][:, 0].tolist(), fields["b"][:, 0].tolist(), strict=True):
            met[one].add(other)
    assert met == {i: set(range(5)) - {i} for i in range(5)}


def test_a_class_of_one_sample_is_paired_with_itself() -> None:
    batches = paired(torch.tensor([0, 1, 1]), positive=0.9)
    for epoch in range(20):
        fields = batches.laid(epoch)
        if fields["y"][0] == 1:
            assert torch.equal(fields["b"][0], fields["a"][0])


def test_partners_follow_from_the_seed_and_the_epoch() -> None:
    assert torch.equal(paired().laid(3)["b"], paired().laid(3)["b"])
    assert not torch.equal(paired().laid(3)["b"], paired().laid(4)["b"])
    assert not torch.equal(paired().laid(3)["b"], paired(seed=1).laid(3)["b"])


def test_a_batch_holds_pairs_and_any_step_can_be_the_first() -> None:
    batches = paired()
    steps = list(islice(batches.starting_at(0), 90))
    assert {name: tensor.shape for name, tensor in steps[0].items()} == {"a": (100, 2), "b": (100, 2), "y": (100, 1)}
    (again,) = islice(batches.starting_at(57), 1)
    assert all(torch.equal(again[name], steps[57][name]) for name in again)
    assert all(torch.equal(b["y"][:, 0] == 1, b["a"][:, 1] == b["b"][:, 1]) for b in steps)


def test_an_evaluation_sees_the_same_pairs_every_time() -> None:
    batches = paired()
    one, two = list(batches.once()), list(batches.once())
    assert all(torch.equal(a["b"], b["b"]) for a, b in zip(one, two, strict=True))
    assert sum(len(batch["y"]) for batch in one) == 4000


def balanced(labels: Tensor = LABELS, seed: int = 0, classes: int = 3, per_class: int = 5) -> Balanced:
    x = torch.arange(len(labels)).unsqueeze(1)
    return Balanced({"x": x, "y": labels}, 7, seed, classes=classes, per_class=per_class)


def test_every_batch_has_so_many_of_so_many_classes() -> None:
    batches = balanced()
    assert batches.size == 15
    for batch in islice(batches.starting_at(0), 2 * batches.per_epoch):
        found, counts = torch.unique(batch["y"], return_counts=True)
        assert (len(found), set(counts.tolist())) == (3, {5})
        assert len(torch.unique(batch["x"])) == 15  # no sample twice


def test_a_class_begins_again_only_when_all_of_it_was_seen() -> None:
    labels = torch.arange(3).repeat_interleave(20)
    batches = balanced(labels, classes=3, per_class=5)
    order = batches.order(0)
    assert batches.per_epoch == 4
    assert sorted(order.tolist()) == list(range(60))


def test_every_micro_batch_of_a_step_is_balanced() -> None:
    x = torch.arange(4000).unsqueeze(1)
    batches = Balanced({"x": x, "y": LABELS}, 7, 0, classes=3, per_class=5, accumulate=4)
    for batch in islice(batches.starting_at(0), 10):
        for micro, *_ in batch.shares(4, lambda fields: float(len(fields["y"]))):
            found, counts = torch.unique(micro["y"], return_counts=True)
            assert (len(found), set(counts.tolist())) == (3, {5})


def test_batches_are_balanced_also_where_the_data_is_not_shuffled() -> None:
    x = torch.arange(4000).unsqueeze(1)
    batches = Balanced({"x": x, "y": LABELS.sort().values}, 7, 0, shuffle=False, classes=3, per_class=5)
    assert all(len(torch.unique(batch["y"])) == 3 for batch in islice(batches.starting_at(0), 5))


def test_the_order_follows_from_the_seed_and_the_epoch() -> None:
    assert torch.equal(balanced().order(2), balanced().order(2))
    assert not torch.equal(balanced().order(2), balanced().order(3))
    assert not torch.equal(balanced().order(2), balanced(seed=1).order(2))


@pytest.mark.parametrize(("classes", "per_class"), [(5, 2), (4, 30)])
def test_more_than_the_split_has_is_refused(classes: int, per_class: int) -> None:
    with pytest.raises(Problem) as caught:
        balanced(torch.arange(4).repeat_interleave(20), classes=classes, per_class=per_class)
    assert (caught.value.code, caught.value.exit_code) == ("balanced-classes", 3)
