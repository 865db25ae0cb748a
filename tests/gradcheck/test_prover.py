"""The whole proof on inputs of every kind: right code is accepted, wrong code is not, nothing of the caller's moves."""

from __future__ import annotations

import functools
import itertools
import random
import warnings
from collections import UserDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import gradtrain


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return ctx.factor * ctx.saved_tensors[0] * g, None


def right(x: Tensor) -> Tensor:
    answer: Tensor = Square.apply(x, 2.0)
    return answer


def wrong(x: Tensor) -> Tensor:
    answer: Tensor = Square.apply(x, 2.02)
    return answer


torch_generator = torch.Generator().manual_seed(0)


def draw(*shape: int, dtype: torch.dtype = torch.float32, grad: bool = False) -> Tensor:
    return torch.randn(shape, generator=torch_generator).to(dtype).requires_grad_(grad)


def proven(function: Callable[..., Any], *inputs: Any, **faces: Any) -> gradtrain.gradcheck.Report:
    """A proof after which torch's, Python's and numpy's generators and autograd's mode are as they were."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy(), torch.is_grad_enabled()
    report: gradtrain.gradcheck.Report = gradtrain.gradcheck(function, *inputs, **faces)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()
    assert torch.is_grad_enabled() == states[3]
    return report


def linear() -> nn.Linear:
    return nn.Linear(4, 3)


INPUTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "the same tensor twice": ((lambda x: (lambda a, b: right(a) * b, (x, x)))(draw(3))),
    "a view of a larger storage": (right, (draw(6, 6)[1:4, ::2],)),
    "an expanded tensor": (right, (draw(3, 1).expand(3, 4),)),
    "a transposed one": (right, (draw(3, 4).t(),)),
    "overlapping windows": (right, (draw(6).unfold(0, 3, 1),)),
    "a result of other tensors": (right, (draw(3, grad=True) * 2,)),
    "half precision": (right, (draw(3, 4, dtype=torch.float16),)),
    "bfloat16": (right, (draw(3, 4, dtype=torch.bfloat16),)),
    "no dimension": (right, (draw(),)),
    "no element": (right, (draw(0, 4),)),
    "huge numbers": (right, (1e100 * draw(3, dtype=torch.float64),)),
    "tiny numbers": (right, (1e-100 * draw(3, dtype=torch.float64),)),
    "denormal numbers": (lambda x: 3 * x, (1e-310 * draw(3, dtype=torch.float64),)),
    "numbers of all sizes": (right, (torch.tensor([1e-8, 1.0, 1e8], dtype=torch.float64),)),
    "a complex tensor": (lambda z: z.abs() * z.real, (draw(3) + 1j * draw(3),)),
    "integers, truths, text and nothing": (
        lambda x, i, m, n, s: right(x[i]).masked_fill(m, 0.0),
        (draw(5, 4), torch.tensor([0, 1, 1]), torch.tensor([True, False, True, False]), None, "text"),
    ),
    "nested lists": (lambda s: right(s[0][0]) * s[1]["a"], ([[draw(3)], {"a": draw(3)}],)),
    "a mapping of its own kind": (lambda d, y: d["a"] * right(y), (UserDict(a=draw(3)), draw(3))),
    "a sparse constant": (lambda x, a: torch.sparse.mm(a, right(x)), (draw(3, 2), torch.eye(3).double().to_sparse())),
    "keywords alone": (functools.partial(lambda x, *, a, b: a * right(x) + b, a=2.0, b=1), (draw(3),)),
    "a shape": (lambda x, s: right(x).view(s), (draw(2, 6), torch.Size((3, 4)))),
}

FUNCTIONS: dict[str, Callable[[Tensor], Any]] = {
    "returns its input": lambda x: x,
    "returns a view": lambda x: x.t(),
    "returns its input beside a result": lambda x: (x, x.sin()),
    "returns a shape that depends on data": lambda x: right(x[x > 0]),
    "returns more than tensors": lambda x: (right(x), x.argmax(), None, "text", 3),
    "returns complex numbers": lambda x: torch.fft.rfft(x),
    "changes a copy in place": lambda x: x.clone().mul_(x).add_(1),
    "differentiates inside": lambda x: torch.autograd.grad(x.sin().sum(), x, create_graph=True)[0],
    "differentiates with torch.func": torch.func.grad(lambda x: x.sin().sum()),
    "is mapped": torch.vmap(lambda row: row.sin().sum()),
    "is cached": functools.lru_cache(maxsize=1)(lambda x: x.sin()),
    "draws": lambda x: x * torch.rand(x.shape) * random.random() * float(np.random.rand()),
    "seeds": lambda x: (torch.manual_seed(1), x * torch.rand(x.shape))[1],
    "drops out": lambda x: F.dropout(right(x), 0.4),
    "is constant": lambda x: x * 0 + 1,
    "is linear": lambda x: 3 * x,
    "is flat here": lambda x: (x * 1e-3).round(),
    "turns many times": lambda x: (x.repeat(40, 1) * torch.linspace(-1, 1, x.numel() * 40).view(-1, 4)).relu(),
    "is checkpointed": lambda x: checkpoint(lambda y: y.sin().exp(), x, use_reentrant=False),
    "warns": lambda x: (warnings.warn("often", stacklevel=1), right(x))[1],
    "branches on values": lambda x: right(x) if float(x.detach().sum()) > 0 else x.exp(),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_of_every_kind(name: str) -> None:
    function, inputs = INPUTS[name]
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    before = [(x.requires_grad, x.dtype, x._version) for x in tensors]
    values = [x.detach().clone() for x in tensors]
    report = proven(function, *inputs)
    assert not report.failures
    assert any(finding.check.startswith("gradient of") for finding in report.findings)
    assert [(x.requires_grad, x.dtype, x._version) for x in tensors] == before
    assert all(torch.equal(x.detach().to_dense(), v.to_dense()) for x, v in zip(tensors, values, strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_every_kind(name: str) -> None:
    assert not proven(FUNCTIONS[name], draw(4, 4)).failures


net = linear()
first, second = draw(4, grad=True), draw(4, grad=True)


def by_default_wrong(x: Tensor, a: Tensor = first, b: Tensor = second) -> Tensor:
    return a * wrong(b) * x


def everything(net: nn.Module) -> dict[tuple[str, str], Any]:
    """Which objects a module is made of, and the numbers in them."""
    found: dict[tuple[str, str], Any] = {}
    for name, inner in net.named_modules():
        found |= {(name, key): id(value) for key, value in vars(inner).items()}
        found[name, "mode"] = inner.training
        for key, tensor in (*inner._parameters.items(), *inner._buffers.items()):
            if tensor is not None:
                found[name, f"tensor {key}"] = (id(tensor), tensor.dtype, tensor.data_ptr(), tensor.grad)
                found[name, f"numbers {key}"] = tensor.detach().flatten().tolist()
    return found


constant, table = draw(4, 4), draw(4, 4)


class Slots:
    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table = table


hidden = Slots()
WRONG: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "in the second argument of a partial": (
        functools.partial(lambda a, b, x: a * wrong(b) * x, first, second), (draw(4),), "b",
    ),
    "in a default": (by_default_wrong, (draw(4),), "b"),
    "in a module given as an argument": (lambda m, x: wrong(m.weight) @ x, (net, draw(4)), "m.weight"),
    "in one of two complex inputs": (
        lambda z, w: z * torch.complex(wrong(w.real), w.imag), (draw(3) + 1j * draw(3), draw(3) + 1j * draw(3)), "w",
    ),
    "in a list": (lambda s: s[0] * wrong(s[1]), ([draw(3), draw(3)],), "s[1]"),
    "beside a mapping": (lambda d, y: d["a"] * wrong(y), (UserDict(a=draw(3)), draw(3)), "y"),
    "behind a float32 constant": (lambda x: wrong(x @ constant), (draw(2, 4),), "x"),
    "behind one that nobody finds": (lambda x: wrong(x @ hidden.table), (draw(2, 4),), "x"),
    "in half precision": (wrong, (draw(3, dtype=torch.float16),), "x"),
    "in huge numbers": (wrong, (1e120 * draw(3, dtype=torch.float64),), "x"),
    "in tiny numbers": (wrong, (1e-120 * draw(3, dtype=torch.float64),), "x"),
    "in one element": (lambda x: torch.cat([x[:9].square(), wrong(x[9:])]), (draw(10),), "x"),
    "in a tiny term": (lambda x: x.sin() + 1e-4 * wrong(x), (draw(5),), "x"),
    "at a point where it jumps": (
        lambda x: x + ((15 * x).round() / 15 - x).detach(), (torch.tensor([0.5, 0.1, -0.3, 0.0, 0.7, 2.5]) / 15,), "x",
    ),
    "in one output": (lambda x: (x.sin(), wrong(x)), (draw(5),), "x through output 1"),
    "under a gradient that is on the way": (lambda x: wrong(x).detach() + x, (draw(5),), "x"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_found_wherever_it_is(name: str) -> None:
    function, inputs, where = WRONG[name]
    report = proven(function, *inputs)
    assert f"gradient of {where}" in {finding.check for finding in report.failures}


def test_a_float32_constant_is_no_reason_to_refuse() -> None:
    assert not proven(lambda x: (x @ constant).sin(), draw(2, 4)).failures
    assert constant.dtype == torch.float32
    for _ in range(5):
        assert not proven(lambda x: (x @ hidden.table).sin(), draw(2, 4)).failures


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_under_a_mode_without_gradients_the_proof_is_the_same(mode: Callable[[], Any]) -> None:
    x = draw(2, 4)
    with mode():
        made = torch.ones(2, 4) * 0.3
        for function, point in ((net, x), (lambda x: net(x).sin(), x), (right, made), (right, x)):
            assert not proven(function, point).failures
            assert proven(wrong, point).failures
    checks = {finding.check for finding in proven(net, x).findings}
    assert "order 2" in checks


@pytest.mark.parametrize("decorate", [torch.no_grad(), torch.inference_mode()])
def test_a_function_without_gradients_is_detached(decorate: Any) -> None:
    assert proven(decorate(lambda x: x.sin()), draw(3)).verdict == "detached"


def test_a_tensor_that_is_not_connected() -> None:
    report = proven(lambda x: torch.ones(3), draw(3))
    assert not report.ok
    assert "not in the graph" in report.failures[0].note


def test_complex_parameters_are_not_passed_in_silence() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return (torch.fft.fft(x) * self.weight).abs()

    spectral = Spectral()
    for function in (spectral, lambda x: spectral(x)):
        report = proven(function, draw(2, 4))
        assert report.verdict == "unresolved"
        assert "complex" in report.failures[0].note


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 7, 10, 20])
def test_a_function_that_raises_in_the_middle_leaves_nothing_behind(at: int) -> None:
    norm, generator, counted = nn.BatchNorm1d(4), torch.Generator().manual_seed(0), torch.zeros(3)
    calls = itertools.count(1)
    norm.weight.grad = torch.full((4,), 7.0)

    def raises(x: Tensor) -> Tensor:
        counted.add_(1)
        torch.rand(2, generator=generator)
        noise = random.random() * float(np.random.rand())
        answer: Tensor = F.dropout(norm(x), 0.3) * noise
        norm.eval()
        if next(calls) >= at:
            raise ValueError("in the middle")
        return answer

    before, state = everything(norm), generator.get_state()
    x = draw(5, 4, grad=True)
    values = x.detach().clone()
    assert not proven(raises, x).ok
    assert everything(norm) == before
    assert torch.equal(generator.get_state(), state)
    assert not counted.any()
    assert torch.equal(x.detach(), values)
    assert x.grad is None
    assert x.requires_grad


def test_a_graph_that_the_caller_holds_still_goes_backward() -> None:
    x = draw(2, 4, grad=True)
    loss = (net(x).tanh() * net.weight.sum()).sum()
    expected = torch.autograd.grad(loss, [x, net.weight], retain_graph=True)
    assert proven(lambda x: net(x).tanh(), x).ok
    assert proven(net, x).ok
    loss.backward()
    assert x.grad is not None
    assert net.weight.grad is not None
    assert torch.equal(x.grad, expected[0])
    assert torch.equal(net.weight.grad, expected[1])
    net.zero_grad()


def test_the_same_proof_twice_finds_the_same() -> None:
    x = draw(5, 4)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 2))
    one, two = proven(module, x, seed=3), proven(module, x, seed=3)
    assert one.findings == two.findings
    assert proven(module, x, seed=4).findings != one.findings
