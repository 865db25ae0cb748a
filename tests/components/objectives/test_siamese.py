"""Siamese networks: three ways to combine two answers of one network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtrain.components.datasets import Facts
from gradtrain.components.losses import WeightedLoss
from gradtrain.components.losses.binary_cross_entropy import BinaryCrossEntropy
from gradtrain.components.losses.contrastive import Contrastive
from gradtrain.components.objectives import Outline, Task
from gradtrain.components.objectives.siamese import Siamese

A, B = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64).unbind(0)
Y = torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0]], dtype=torch.float64)
BATCH = {"a": A, "b": B, "y": Y}


def networks(head: int) -> dict[str, nn.Module]:
    return {"embed": nn.Linear(4, 3).double(), "head": nn.Linear(head, 1).double()}


def task(combine: str) -> Task:
    part = Contrastive(margin=2.0, same_label=1) if combine == "distance" else BinaryCrossEntropy()
    return Siamese(combine=combine).start([WeightedLoss(part=part)], "binary", Facts())


@pytest.mark.parametrize("combine", ["concat", "abs_difference"])
def test_a_head_decides(seeded, combine: str) -> None:
    made = networks(6 if combine == "concat" else 3)
    u, v = made["embed"](A), made["embed"](B)
    p = made["head"](torch.cat([u, v], 1) if combine == "concat" else (u - v).abs()).sigmoid()
    expected = -(Y * p.log() + (1 - Y) * (1 - p).log()).mean()
    terms = task(combine).losses("model", made, BATCH)
    torch.testing.assert_close(terms.total, expected)
    terms.total.backward()
    assert all(n.weight.grad.abs().max() > 0 for n in made.values())


def test_both_samples_teach_the_same_weights(seeded) -> None:
    made = networks(6)
    task("concat").losses("model", made, BATCH).total.backward()
    both = made["embed"].weight.grad.clone()
    parts = []
    for kept in ("a", "b"):
        made["embed"].weight.grad = None
        u, v = made["embed"](A), made["embed"](B)
        u, v = (u, v.detach()) if kept == "a" else (u.detach(), v)
        nn.functional.binary_cross_entropy_with_logits(made["head"](torch.cat([u, v], 1)), Y).backward()
        parts.append(made["embed"].weight.grad)
    torch.testing.assert_close(both, parts[0] + parts[1])


def test_distance_without_a_head(seeded) -> None:
    network = {"model": nn.Linear(4, 3).double()}
    distance = (network["model"](A) - network["model"](B)).norm(dim=1, keepdim=True)
    expected = (Y * distance**2 / 2 + (1 - Y) * (2 - distance).clamp(min=0) ** 2 / 2).mean()
    terms, prediction, _ = task("distance").measure(network, BATCH)
    torch.testing.assert_close(prediction, distance)
    torch.testing.assert_close(terms.total, expected)


def test_equal_samples_have_a_slope_that_is_a_number(seeded) -> None:
    network = {"model": nn.Linear(4, 3).double()}
    task("distance").losses("model", network, {"a": A, "b": A, "y": Y}).total.backward()
    assert bool(network["model"].weight.grad.isfinite().all())


def test_roles_and_complaints() -> None:
    assert (Siamese().roles, Siamese(combine="distance").roles) == (("embed", "head"), ("model",))

    def told(embed: tuple[int, ...], head: tuple[int, ...], output: tuple[int, ...], combine: str) -> list:
        outlines = {"embed": Outline((4,), embed, ()), "head": Outline(head, output, ())}
        return [(w, p.code) for w, p in Siamese(combine=combine).complaints(outlines, Facts())]

    assert told((3,), (6,), (1,), "concat") == told((3,), (3,), (1,), "abs_difference") == []
    assert told((3,), (3,), (1,), "concat") == told((3,), (6,), (1,), "abs_difference") == [("head", "output-width")]
    assert told((3, 2, 2), (24,), (1,), "concat") == [("embed", "output-width")]
    assert told((3,), (6,), (2,), "concat") == [("head", "output-width")]
    assert told((3, 2), (1,), (9,), "distance") == []
