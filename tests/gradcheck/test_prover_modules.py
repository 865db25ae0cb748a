"""The whole proof of modules, given or reached: by every parameter, and everything in them is as it was."""

from __future__ import annotations

import functools
import random
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

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


class Leaves(nn.Module):
    """Keeps what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.last: Tensor | None = None
        self.seen: list[Tensor] = []
        self.noise = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.last = x
        self.seen.append(x)
        self.fresh = x
        return (x * self.weight * torch.rand((), generator=self.noise)).masked_fill(self.mask, 0.0)


def half_frozen() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    net[1].eval()
    net[0].bias.requires_grad_(False)
    return net


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    return net


def hooked() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    net[0].register_forward_hook(lambda module, inputs, output: output * 2)
    net[0].register_full_backward_hook(lambda module, inputs, outputs: None)
    return net


def old(normalize: Callable[[nn.Module], nn.Module]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return normalize(nn.Linear(4, 3))

    return build


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (linear, (2, 4)),
    "in half precision": (lambda: nn.Sequential(linear(), nn.Tanh()).half(), (2, 4)),
    "in bfloat16": (lambda: nn.Sequential(linear(), nn.BatchNorm1d(3)).bfloat16(), (5, 4)),
    "batch norm": (lambda: nn.Sequential(linear(), nn.BatchNorm1d(3), nn.ReLU()), (5, 4)),
    "in evaluation": (lambda: nn.Sequential(linear(), nn.BatchNorm1d(3), nn.Dropout()).eval(), (5, 4)),
    "half frozen": (half_frozen, (5, 4)),
    "tied": (tied, (2, 4)),
    "hooked": (hooked, (2, 4)),
    "keeps everything": (Leaves, (2, 4)),
    "weight norm, old": (old(weight_norm), (2, 4)),
    "spectral norm, old": (old(spectral_norm), (2, 4)),
    "spectral norm": (lambda: parametrizations.spectral_norm(linear()), (2, 4)),
    "spectral norm and batch norm": (
        lambda: nn.Sequential(parametrizations.spectral_norm(linear()), nn.BatchNorm1d(3), nn.Tanh()), (5, 4),
    ),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(4, 4)), (2, 4)),
    "recurrent": (lambda: nn.GRU(4, 3, batch_first=True), (2, 3, 4)),
    "attention": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 3, 4)),
    "frozen": (lambda: linear().requires_grad_(False), (2, 4)),
    "without weights": (nn.Tanh, (2, 4)),
    "scripted": (lambda: old(lambda net: torch.jit.script(nn.Sequential(net, nn.Tanh())))(), (2, 4)),
}  # fmt: skip


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


@pytest.mark.parametrize("captured", [False, True], ids=["given", "captured"])
@pytest.mark.parametrize("name", MODULES)
def test_modules_of_every_kind_are_proven_by_every_parameter_and_left_alone(name: str, captured: bool) -> None:
    build, shape = MODULES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net, x = build(), torch.randn(shape)
    before = everything(net)
    report = proven((lambda x: net(x)) if captured else net, x)
    assert not report.failures
    assert everything(net) == before
    learning = {name for name, p in net.named_parameters() if p.requires_grad}
    prefix = "net." if captured else ""
    assert {f"gradient of {prefix}{name}" for name in learning} <= {f.check for f in report.findings}
    if isinstance(net, Leaves):
        assert net.seen == []


net, other = linear(), linear()
first, second = draw(4, grad=True), draw(4, grad=True)


class Wrapper:
    def __init__(self, module: nn.Module) -> None:
        self.module, self.unused = module, linear()

    def __call__(self, x: Tensor) -> Any:
        return self.module(x)

    def step(self, x: Tensor) -> Any:
        return self.module(x).square().sum()


class Inherits(Wrapper):
    pass


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 2), nn.Linear(2, 4)

    def encode(self, x: Tensor) -> Any:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Any:
        return self.encoder(x)


class Borrows(nn.Module):
    """Calls a module that is not its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Any:
        return net(x) * self.weight


def by_default(x: Tensor, a: Tensor = first, b: Tensor = second) -> Tensor:
    return a * right(b) * x


def by_default_wrong(x: Tensor, a: Tensor = first, b: Tensor = second) -> Tensor:
    return a * wrong(b) * x


holder = SimpleNamespace(net=net)

REACHED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], set[str]]] = {
    "a wrapper": (Wrapper(net), (draw(2, 4),), {"module.weight", "module.bias"}),
    "a wrapper whose class inherits": (Inherits(net), (draw(2, 4),), {"module.weight", "module.bias"}),
    "a method": (Wrapper(net).step, (draw(2, 4),), {"module.weight", "module.bias"}),
    "a method of a module that uses a part": (TwoHeads().encode, (draw(2, 4),), {"encoder.weight", "encoder.bias"}),
    "a partial of a module": (functools.partial(net), (draw(2, 4),), {"weight", "bias"}),
    "a partial of tensors": (functools.partial(by_default, b=second), (draw(4),), {"a", "b", "x"}),
    "defaults": (by_default, (draw(4),), {"a", "b"}),
    "a default that is not used": (by_default, (draw(4), draw(4)), {"b"}),
    "an object in a closure": (lambda x: holder.net(x), (draw(2, 4),), {"holder.net.weight"}),
    "one weight of a module": (lambda x: F.linear(x, net.weight), (draw(2, 4),), {"net.weight"}),
    "a module as an argument": (lambda m, x: m(x), (net, draw(2, 4)), {"m.weight", "m.bias"}),
    "a module that calls another": (Borrows(), (draw(2, 4),), {"weight", "net.weight", "net.bias"}),
    "a module that shares with a captured one": (
        lambda m, x: m(x) + net(x), (nn.Sequential(net, nn.Tanh()), draw(2, 4)), {"x"},
    ),
    "a tensor that is an argument too": (lambda x: x * first, (first,), {"x"}),
    "other weights in its place": (
        lambda w, x: torch.func.functional_call(net, {"weight": w}, (x,)), (draw(3, 4), draw(2, 4)), {"w", "x"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REACHED)
def test_what_a_function_reaches_is_proven_and_what_only_hangs_on_it_is_no_failure(name: str) -> None:
    function, inputs, names = REACHED[name]
    before, tensors = everything(net), (first.detach().clone(), second.detach().clone())
    report = proven(function, *inputs)
    assert not report.failures
    assert {f"gradient of {name}" for name in names} <= {finding.check for finding in report.findings}
    assert everything(net) == before
    assert torch.equal(first.detach(), tensors[0])
    assert torch.equal(second.detach(), tensors[1])


class Forgets(nn.Module):
    """Has a weight that it does not use, and one that it detaches."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.cut = (nn.Parameter(torch.rand(4)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.used * self.cut.detach()


@pytest.mark.parametrize("captured", [False, True])
def test_weights_that_are_forgotten_or_detached(captured: bool) -> None:
    forgets = Forgets()
    report = proven((lambda x: forgets(x)) if captured else forgets, draw(2, 4))
    prefix = "forgets." if captured else ""
    verdicts = {finding.check: finding.verdict for finding in report.failures}
    assert verdicts == {f"gradient of {prefix}unused": "inert", f"gradient of {prefix}cut": "detached"}


class CutInEvaluation(nn.Linear):
    """The same numbers in both modes, the gradient only in training."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x).tanh()
        return y if self.training else y.detach() + 0 * y


def test_a_gradient_that_is_wrong_only_in_the_other_mode() -> None:
    (failure, *_) = gradtrain.gradcheck(CutInEvaluation(3, 2), torch.randn(4, 3)).failures
    assert failure.verdict == "detached"
    assert "in evaluation mode" in failure.point


def test_lazy_modules() -> None:
    lazy = nn.Sequential(nn.LazyLinear(3), nn.Tanh())
    assert not proven(lazy, draw(2, 4)).failures
    assert isinstance(lazy[0].weight, nn.UninitializedParameter)
    report = proven(lambda x: lazy(x), draw(2, 4))
    assert "has no weights yet" in report.failures[0].note
    assert isinstance(lazy[0].weight, nn.UninitializedParameter)
