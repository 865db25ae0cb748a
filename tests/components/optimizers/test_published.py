"""Rules that the contract proves against their own equations, here against somebody else's numbers."""

from __future__ import annotations

import math

import pytest
import torch

from gradtrain.components.optimizers import Optimizer
from gradtrain.components.optimizers.adafactor import Adafactor
from gradtrain.components.optimizers.lamb import Lamb
from gradtrain.components.optimizers.lion import Lion
from gradtrain.components.optimizers.muon import QUINTIC, Muon
from gradtrain.components.optimizers.nadam import Nadam
from gradtrain.components.optimizers.sam import Sam
from gradtrain.components.optimizers.schedule_free import ScheduleFree
from gradtrain.components.optimizers.yogi import Yogi


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pair(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    return drawn(*shape, dtype=dtype).requires_grad_(), drawn(*shape, dtype=dtype).requires_grad_()


def follow(*optimizers: torch.optim.Optimizer, steps: int = 8, scale: float = 1.0) -> None:
    """The same gradients for all."""
    for t in range(steps):
        for built in optimizers:
            for number, p in enumerate(p for group in built.param_groups for p in group["params"]):
                p.grad = scale * drawn(*p.shape, seed=100 * t + number, dtype=p.dtype)
            built.step()


def test_adafactor_is_torchs_where_its_floor_does_not_matter() -> None:
    for shape in ((5, 4), (6,)):
        ours, theirs = pair(*shape)
        follow(
            Adafactor(lr=0.5, decay=0.7, clip=1.0, weight_decay=0.1).build([{"params": [ours]}]),
            torch.optim.Adafactor([theirs], lr=0.5, beta2_decay=-0.7, d=1.0, weight_decay=0.1),
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 4), (6,)])
def test_adafactor_takes_the_same_steps_whatever_the_gradients_unit(shape: tuple[int, ...]) -> None:
    small, large = pair(*shape, dtype=torch.float32)
    rule = Adafactor(lr=0.1)
    follow(rule.build([{"params": [small]}]), scale=1e-6)
    follow(rule.build([{"params": [large]}]))
    torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-6)


def test_adafactor_remembers_rows_and_columns_of_a_bank_of_filters() -> None:
    memory = Adafactor().init(torch.zeros(8, 3, 2, 2))
    assert {name: tuple(t.shape) for name, t in memory.items()} == {"r": (8,), "c": (12,)}


def test_nadam_is_torchs_up_to_its_float32() -> None:
    ours, theirs = pair(5, 4)
    options = {"lr": 0.05, "betas": (0.8, 0.95), "momentum_decay": 0.1, "weight_decay": 0.1}
    follow(Nadam(**options).build([{"params": [ours]}]), torch.optim.NAdam([theirs], **options))
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_lion_moves_every_weight_by_the_rate() -> None:
    p = drawn(4, 3).requires_grad_()
    before = p.detach().clone()
    built = Lion(lr=0.01).build([{"params": [p]}])
    p.grad = drawn(4, 3, seed=1)
    built.step()
    torch.testing.assert_close(p.detach() - before, -0.01 * p.grad.sign())
    p.grad = -2 * p.grad  # c = 0.9 · 0.01 g - 0.1 · 2 g: against the memory; m = 0.99 · 0.01 g - 0.01 · 2 g
    built.step()
    torch.testing.assert_close(p.detach(), before, rtol=0, atol=1e-15)
    torch.testing.assert_close(built.state[p]["m"], -0.5 * p.grad * (0.99 * 0.01 - 0.01 * 2))


def test_yogis_memory_moves_by_a_share_of_the_new_square() -> None:
    rule = Yogi(betas=(0.9, 0.99), start=1.0, corrected=False, eps=0.5, lr=0.1)
    p, g = torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.2], dtype=torch.float64)
    weight, memory = rule.update(g, p, rule.init(p), 1, 0.1)
    assert memory["v"].item() == pytest.approx(1 - 0.01 * 0.04)  # Adam: 1 - 0.01 (1 - 0.04)
    assert weight.item() == pytest.approx(1 - 0.1 * 0.1 * 0.2 / (math.sqrt(1 - 0.01 * 0.04) + 0.5))
    _, memory = rule.update(10 * g, p, memory, 2, 0.1)
    assert memory["v"].item() == pytest.approx(1 - 0.0004 + 0.01 * 4)


@pytest.mark.parametrize("implementation", Lamb.implementations)
def test_lamb_changes_every_tensor_by_the_same_share(implementation: str) -> None:
    weights = [drawn(4, 3).requires_grad_(), (100 * drawn(5, seed=1)).requires_grad_()]
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    before = [w.detach().clone() for w in weights]
    built = Lamb(lr=0.1).build([{"params": [*weights, zero]}], implementation)
    for number, w in enumerate((*weights, zero)):
        w.grad = drawn(*w.shape, seed=2 + number)
    built.step()
    for w, old in zip(weights, before, strict=True):
        assert (w.detach() - old).norm().item() == pytest.approx(0.1 * old.norm().item())
    torch.testing.assert_close(zero.detach(), -0.1 * zero.grad.sign(), rtol=1e-4, atol=0)  # ‖p‖ = 0: Adam's step


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (9, 2, 2, 2), (3, 2, 2, 2)])
def test_muon_makes_steps_almost_orthogonal(shape: tuple[int, ...]) -> None:
    p = drawn(*shape).requires_grad_()
    before = p.detach().clone()
    built = Muon(lr=1.0).build([{"params": [p]}])
    p.grad = drawn(*shape, seed=1)
    built.step()
    step = (before - p.detach()).flatten(1)
    tall = math.sqrt(max(1.0, step.shape[0] / step.shape[1]))
    sigma = torch.linalg.svdvals(step / tall)
    assert 0.6 < sigma.min() < sigma.max() < 1.3
    _, memory = Muon(lr=1.0).update(p.grad, before, Muon().init(before), 1, 1.0)
    torch.testing.assert_close(built.state[p]["b"], memory["b"])


def test_muon_is_torchs_up_to_its_bfloat16() -> None:
    ours, theirs = pair(6, 4, dtype=torch.float32)
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    follow(Muon(**options).build([{"params": [ours]}]), torch.optim.Muon([theirs], **options))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)
    assert (ours - drawn(6, 4, dtype=torch.float32)).abs().max() > 0.3


def test_matrices_of_one_shape_are_not_mixed_up() -> None:
    together = [drawn(5, 3, seed=s).requires_grad_() for s in range(3)] + [drawn(4, seed=3).requires_grad_()]
    apart = [p.detach().clone().requires_grad_() for p in together]
    rule = Muon(lr=0.1, weight_decay=0.2)
    for p, q in zip(together, apart, strict=True):
        p.grad = drawn(*p.shape, seed=9) * p.detach()
        q.grad = p.grad.clone()
        rule.build([{"params": [q]}]).step()
    rule.build([{"params": together}]).step()
    torch.testing.assert_close(together, apart, rtol=1e-11, atol=1e-13)


def test_muons_vectors_learn_by_adamw() -> None:
    ours, theirs = pair(5)
    rule = Muon(lr=0.1, vectors=0.5, betas=(0.8, 0.9), eps=0.1, weight_decay=0.3)
    adamw = torch.optim.AdamW([theirs], lr=0.05, betas=(0.8, 0.9), eps=0.1, weight_decay=0.3)
    follow(rule.build([{"params": [ours]}]), adamw)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_the_quintic_lifts_small_singular_values_and_keeps_large_ones() -> None:
    a, b, c = QUINTIC
    for start in (0.01, 0.1, 0.5, 1.0):
        sigma = start
        for _ in range(5):
            sigma = a * sigma + b * sigma**3 + c * sigma**5
        assert 0.6 < sigma < 1.3


@pytest.mark.parametrize("implementation", ScheduleFree.implementations)
def test_schedule_free_measures_at_the_average_of_its_points(implementation: str) -> None:
    """x after t steps is Σ γᵢ² zᵢ / Σ γᵢ², each z a step of AdamW whose gradient is taken between z and x."""
    rule = ScheduleFree(lr=0.1, betas=(0.8, 0.9), weight_decay=0.2, warmup=3)
    p = drawn(4, 3).requires_grad_()
    z, v, points, rates = p.detach().clone(), torch.zeros(4, 3, dtype=torch.float64), [], []
    built = rule.build([{"params": [p]}], implementation)
    x = z.clone()
    for t in range(1, 9):
        lr = 0.0 if t == 2 else 0.1  # a rate of 0 adds nothing to the average
        built.param_groups[0]["lr"] = lr
        y = 0.2 * z + 0.8 * x
        torch.testing.assert_close(p.detach(), y, rtol=1e-12, atol=1e-13)
        p.grad = y + drawn(4, 3, seed=t)
        v = 0.9 * v + 0.1 * p.grad**2
        rates.append(lr * math.sqrt(1 - 0.9**t) * min(1, t / 3))
        z = z - rates[-1] * (p.grad / (v.sqrt() + 1e-8) + 0.2 * y)
        points.append(z)
        built.step()
        x = sum(r**2 * q for r, q in zip(rates, points, strict=True)) / sum(r**2 for r in rates)
        torch.testing.assert_close(rule.average(p.detach(), built.state[p]), x, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("rule", [ScheduleFree(), Nadam(), Lamb(), Muon(), Yogi(), Adafactor()], ids=lambda r: r.name())
def test_a_rate_of_zero_leaves_the_weights(rule: Optimizer) -> None:
    p = drawn(4, 3).requires_grad_()
    before = p.detach().clone()
    built = rule.build([{"params": [p], "lr": 0.0}])
    p.grad = drawn(4, 3, seed=1)
    built.step()
    assert torch.equal(p.detach(), before)


@pytest.mark.parametrize("implementation", Sam.implementations)
def test_sam_by_hand(implementation: str) -> None:
    """f = a² + 2 b², the weights in two groups: at (3, 1) the gradient is (6, 4), of length √52."""
    a, b = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (3.0, 1.0))
    built = Sam(lr=0.1, rho=0.5, momentum=0.0).build([{"params": [a]}, {"params": [b], "lr": 0.01}], implementation)
    seen = []

    def closure() -> float:
        seen.append((a.item(), b.item()))
        a.grad, b.grad = 2 * a.detach(), 4 * b.detach()
        return float(a.detach() ** 2 + 2 * b.detach() ** 2)

    assert built.step(closure) == 11.0
    there = (3 + 0.5 * 6 / math.sqrt(52), 1 + 0.5 * 4 / math.sqrt(52))
    assert seen == [(3.0, 1.0), pytest.approx(there)]
    assert (a.item(), b.item()) == pytest.approx((3 - 0.1 * 2 * there[0], 1 - 0.01 * 4 * there[1]))


def test_sam_stands_where_it_stood_when_the_second_look_fails() -> None:
    p = drawn(4, 3).requires_grad_()
    before = p.detach().clone()
    built = Sam().build([{"params": [p]}])
    calls = 0

    def closure() -> float:
        nonlocal calls
        calls += 1
        p.grad = drawn(4, 3, seed=1)
        if calls == 2:
            raise ArithmeticError
        return 0.0

    with pytest.raises(ArithmeticError):
        built.step(closure)
    assert torch.equal(p.detach(), before)
