"""The adapter, run with rules that torch has as well: the two must take the same steps."""

from __future__ import annotations

import copy

import pytest
import torch

from gradtrain.components.optimizers import Optimizer
from gradtrain.components.optimizers.adagrad import Adagrad
from gradtrain.components.optimizers.adamw import Adamw
from gradtrain.rule import Rule

RULES = [Adamw(lr=0.05, eps=0.1, weight_decay=0.3), Adagrad(lr=0.1, lr_decay=0.5, eps=0.1, weight_decay=0.1)]


def weights() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 4, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(3)]


def pull(tensors: list[torch.Tensor], t: int) -> None:
    """New gradients; the second weight has none at every third step."""
    generator = torch.Generator().manual_seed(t)
    for number, tensor in enumerate(tensors):
        g = torch.randn(3, 4, generator=generator, dtype=torch.float64)
        tensor.grad = None if number == 1 and t % 3 == 0 else g


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name())
def test_the_adapter_counts_each_weights_own_steps_and_keeps_to_its_groups(rule: Optimizer) -> None:
    ours, theirs = weights(), weights()
    decay = rule.weight_decay  # type: ignore[attr-defined]

    def groups(tensors: list[torch.Tensor]) -> list[dict[str, object]]:
        return [{"params": tensors[:2], "lr": 0.02}, {"params": tensors[2:], "weight_decay": 0.01}]

    adapted, built = Rule(groups(ours), rule, weight_decay=decay), rule.build(groups(theirs), "single")
    for t in range(1, 10):
        pull(ours, t)
        pull(theirs, t)
        if t == 6:
            adapted.param_groups[0]["weight_decay"] = built.param_groups[0]["weight_decay"] = 0.2
        adapted.step()
        built.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_groups_that_differ_come_back_with_the_state() -> None:
    rule = Adagrad(lr=0.1, lr_decay=0.5, weight_decay=0.1)
    first, second = weights(), weights()
    one = Rule([{"params": first, "weight_decay": 0.0}], rule, weight_decay=rule.weight_decay)
    two = Rule([{"params": second}], rule, weight_decay=rule.weight_decay)
    pull(first, 1)
    one.step()
    with torch.no_grad():
        for a, b in zip(first, second, strict=True):
            b.copy_(a)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for t in (2, 3, 4):
        pull(first, t)
        pull(second, t)
        one.step()
        two.step()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
