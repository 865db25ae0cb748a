"""Functions that nobody can differentiate: a report says so, nothing is raised, nothing of the caller's is changed."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gradtrain
from gradtrain.problems import Problem

X = [0.3, -1.2, 2.0, 0.7]


def numbers() -> Tensor:
    return torch.tensor(X, dtype=torch.float64)


def raises(error: BaseException, at: int = 1) -> Callable[[Tensor], Tensor]:
    calls = itertools.count(1)

    def function(x: Tensor) -> Tensor:
        if next(calls) >= at:
            raise error
        return x.sin()

    return function


def recursive(x: Tensor) -> Tensor:
    return recursive(x)


def generates(x: Tensor) -> Iterator[Tensor]:
    yield x.sin()


async def waits(x: Tensor) -> Tensor:
    return x.sin()


async def generates_later(x: Tensor) -> AsyncIterator[Tensor]:
    yield x.sin()


def in_place(x: Tensor) -> Tensor:
    x.mul_(2)
    return x.sin()


def in_place_through_data(x: Tensor) -> Tensor:
    x.data.mul_(2)
    return x.sin()


def in_place_without_graph(x: Tensor) -> Tensor:
    with torch.no_grad():
        x[0] = 1
    return x.sin()


def greedy(x: Tensor) -> Tensor:
    return (x.sum() * torch.ones(10**15, dtype=torch.float64)).sum()


def counted() -> Callable[[Tensor], Tensor]:
    calls = itertools.count()
    return lambda x: x * (1 + next(calls))


def resized() -> Callable[[Tensor], Tensor]:
    calls = itertools.count()
    return lambda x: x[: 1 + next(calls) % 4].sin()


def backpropagates(x: Tensor) -> float:
    loss = x.sin().sum()
    loss.backward()
    return loss.item()


def under_no_grad(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x.sin()


class WrongShape(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.sum()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g.expand(7)


class TooMany(WrongShape):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g.expand(4), g


class Nothing(WrongShape):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return None


class Stumbles(WrongShape):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        raise KeyError("no such gradient")


class Text(WrongShape):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return "a gradient"


class NotFinite(WrongShape):
    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return g.expand(4) * torch.nan


class Unfinished(nn.Module):
    """No forward."""


class Refuses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight  # 4 numbers against 3


own_numbers = random.Random()
own_array = np.random.default_rng()

BAD: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "raises ValueError": (raises(ValueError("no")), (numbers(),)),
    "raises an error without words": (raises(ValueError()), (numbers(),)),
    "raises words of many lines": (raises(RuntimeError("one\ntwo\x1b[31m\nthree")), (numbers(),)),
    "raises KeyError": (lambda x: {}["missing"], (numbers(),)),
    "raises AssertionError": (raises(AssertionError("no")), (numbers(),)),
    "raises StopIteration": (raises(StopIteration()), (numbers(),)),
    "raises NotImplementedError": (raises(NotImplementedError()), (numbers(),)),
    "ends the program": (raises(SystemExit(0)), (numbers(),)),
    "ends the program at its tenth call": (raises(SystemExit(0), 10), (numbers(),)),
    "never returns from itself": (recursive, (numbers(),)),
    "returns text": (lambda x: "a number", (numbers(),)),
    "returns None": (lambda x: None, (numbers(),)),
    "returns a whole number": (lambda x: 3, (numbers(),)),
    "returns a truth": (lambda x: bool(x.sum() > 0), (numbers(),)),
    "returns a Python number": (lambda x: float(x.detach().sum()), (numbers(),)),
    "returns whole numbers": (lambda x: x.long(), (numbers(),)),
    "returns truths": (lambda x: x > 0, (numbers(),)),
    "returns an empty tuple": (lambda x: (), (numbers(),)),
    "returns an empty mapping": (lambda x: {}, (numbers(),)),
    "returns a set": (lambda x: {x.sin()}, (numbers(),)),
    "returns an object": (lambda x: object(), (numbers(),)),
    "returns a function": (lambda x: x.sin, (numbers(),)),
    "returns an array": (lambda x: x.detach().numpy().copy(), (numbers(),)),
    "returns a distribution": (lambda x: torch.distributions.Normal(x, 1.0), (numbers(),)),
    "returns NaN": (lambda x: x.sum() * torch.nan, (numbers(),)),
    "returns infinity": (lambda x: (x.sum() * 0 + 1) / 0, (numbers(),)),
    "is NaN at the point": (torch.log, (numbers(),)),
    "is given NaN": (torch.sin, (torch.tensor([0.1, torch.nan]),)),
    "is given infinity": (torch.exp, (torch.tensor([0.1, torch.inf]),)),
    "is a generator": (generates, (numbers(),)),
    "is a coroutine": (waits, (numbers(),)),
    "is an asynchronous generator": (generates_later, (numbers(),)),
    "changes its input": (in_place, (numbers(),)),
    "changes its input through .data": (in_place_through_data, (numbers(),)),
    "changes its input under no_grad": (in_place_without_graph, (numbers(),)),
    "asks for petabytes": (greedy, (numbers(),)),
    "asks for a negative shape": (lambda x: x.new_zeros(-1), (numbers(),)),
    "counts its calls": (counted(), (numbers(),)),
    "reads a clock": (lambda x: x * time.perf_counter_ns(), (numbers(),)),
    "draws numbers of its own": (lambda x: x * own_numbers.random(), (numbers(),)),
    "draws an array of its own": (lambda x: x * float(own_array.random()), (numbers(),)),
    "reads the system's noise": (lambda x: x * os.urandom(8)[0] * os.urandom(8)[1], (numbers(),)),
    "answers in another shape every time": (resized(), (numbers(),)),
    "raises at its second call": (raises(ValueError("once"), 2), (numbers(),)),
    "raises at its third call": (raises(ValueError("twice"), 3), (numbers(),)),
    "raises at its fourth call": (raises(ValueError("thrice"), 4), (numbers(),)),
    "raises at its tenth call": (raises(ValueError("often"), 10), (numbers(),)),
    "takes no tensor": (lambda x: x + 1, (3,)),
    "takes whole numbers": (lambda x: x.double().sin(), (torch.arange(4),)),
    "takes nothing": (lambda: torch.ones(3), ()),
    "takes another number of arguments": (lambda x, y: x + y, (numbers(),)),
    "takes other arguments": (F.cross_entropy, (numbers(), numbers()[:2])),
    "is given no arguments": (torch.sin, ()),
    "goes backward inside": (backpropagates, (numbers(),)),
    "computes under no_grad": (under_no_grad, (numbers(),)),
    "detaches": (lambda x: x.detach().sin(), (numbers(),)),
    "has a gradient of another shape": (lambda x: WrongShape.apply(x), (numbers(),)),
    "has too many gradients": (lambda x: TooMany.apply(x), (numbers(),)),
    "has no gradient": (lambda x: Nothing.apply(x), (numbers(),)),
    "raises in its backward": (lambda x: Stumbles.apply(x), (numbers(),)),
    "has text for a gradient": (lambda x: Text.apply(x), (numbers(),)),
    "has a gradient of NaN": (lambda x: NotFinite.apply(x), (numbers(),)),
    "is a module without forward": (Unfinished(), (numbers(),)),
    "is a module that refuses its input": (Refuses(), (numbers(),)),
    "is a module of whole numbers without weights": (nn.Identity(), (torch.arange(4),)),
}  # fmt: skip


def proven(function: Callable[..., Any], *inputs: Any, **faces: Any) -> bool:
    """Whether a function is accepted; a `Problem` is a refusal, any other error is one too many."""
    try:
        report = gradtrain.gradcheck(function, *inputs, **faces)
    except gradtrain.Problem:
        return False
    assert report.findings
    assert isinstance(gradtrain_text(report), str)
    return report.ok


def gradtrain_text(report: gradtrain.gradcheck.Report) -> str:
    """The report as it is shown, and as machines read it."""
    from rich.console import Console

    gradtrain.gradcheck.as_json(report)
    console = Console(width=100, record=True, quiet=True)
    with console.capture() as capture:
        gradtrain.gradcheck.show(report, console)
    return capture.get()


@pytest.mark.parametrize("what", BAD)
def test_it_is_refused_in_words_and_what_it_was_given_is_as_it_was(what: str) -> None:
    function, inputs = BAD[what]
    tensors = [x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
    for x in tensors:
        x.requires_grad_()
        x.grad = torch.full_like(x, 7.0)
    before = [x.detach().clone() for x in tensors]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    assert not proven(function, *inputs)
    for x, values in zip(tensors, before, strict=True):
        assert x.requires_grad
        assert x.grad is not None
        assert bool((x.grad == 7).all())
        assert torch.equal(x.detach().nan_to_num(5.5), values.nan_to_num(5.5))
        x.grad = None
        x.requires_grad_(False)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()
    assert torch.is_grad_enabled()


def test_a_function_that_draws_from_the_global_generators_leaves_them_as_they_were() -> None:
    def function(x: Tensor) -> Tensor:
        return x * torch.rand(()) * random.random() * float(np.random.rand())

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    assert proven(function, numbers())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()


def test_a_function_that_seeds_leaves_the_generator_as_it_was() -> None:
    def function(x: Tensor) -> Tensor:
        torch.manual_seed(3)
        return x * torch.rand(x.shape)

    state = torch.get_rng_state()
    assert proven(function, numbers())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_function_that_leaves_autograd_off_does_not_leave_it_off_for_the_caller() -> None:
    def function(x: Tensor) -> Tensor:
        torch.set_grad_enabled(False)
        return x.sin()

    try:
        assert not proven(function, numbers())
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


def test_a_module_its_buffers_its_mode_and_its_gradients_are_as_they_were() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.3))
    network[0].weight.grad = torch.full((3, 4), 7.0)
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    addresses = [parameter.data_ptr() for parameter in network.parameters()]
    x = torch.randn(5, 4)
    assert proven(network, x)
    assert proven(lambda x: network(x).square().sum(), x)
    assert [parameter.data_ptr() for parameter in network.parameters()] == addresses
    for name, value in network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    assert int(network[1].num_batches_tracked) == 0
    assert (network.training, network[0].training, network[2].training) == (True, True, False)
    assert torch.equal(network[0].weight.grad, torch.full((3, 4), 7.0))
    assert network[0].bias.grad is None


def test_a_module_that_raises_is_as_it_was() -> None:
    stops = raises(RuntimeError("enough"), 6)

    class Stops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return stops(self.norm(x))

    network = Stops()
    holder = network.norm
    assert not proven(network, torch.randn(4, 3))
    assert not proven(lambda x: network(x), torch.randn(4, 3))
    assert int(holder.num_batches_tracked) == 0
    assert torch.equal(holder.running_mean, torch.zeros(3))
    assert holder.weight.dtype == torch.float32


def test_a_tensor_that_is_counted_up_is_as_it_was() -> None:
    count = torch.zeros(())

    def function(x: Tensor) -> Tensor:
        count.add_(1)
        return x.sin() * count

    assert proven(function, numbers())
    assert float(count) == 0


def test_an_interruption_is_passed_on_and_leaves_everything_as_it_was() -> None:
    network = nn.Linear(4, 2)
    function = raises(KeyboardInterrupt(), 6)
    x = numbers().float()
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        gradtrain.gradcheck(lambda x: network(function(x)), x)
    assert torch.equal(x, torch.tensor(X))
    assert network.weight.dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("what", [nn.Linear, torch.zeros(3), 3, None, "no_such_thing", object()])
def test_what_is_no_function_is_a_problem(what: Any) -> None:
    with pytest.raises(gradtrain.Problem):
        gradtrain.gradcheck(what, numbers())


def stumbles(*inputs: Any) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize("kind", ["textbook", "gradient", "surrogate"])
@pytest.mark.parametrize(
    "face",
    [
        stumbles, lambda *inputs: None, lambda *inputs: "text", lambda *inputs: torch.ones(2, 7), lambda: torch.ones(4),
        lambda *inputs: inputs[0] * torch.nan, lambda *inputs: (), lambda *inputs: {"nobody": torch.ones(4)},
        lambda *inputs: (torch.ones(4), torch.ones(4), torch.ones(4)), lambda *inputs: inputs[0].long(),
    ],
)  # fmt: skip
def test_a_face_that_makes_no_sense_is_refused_in_words(kind: str, face: Callable[..., Any]) -> None:
    assert not proven(torch.sin, numbers(), **{kind: face})


def test_a_tensor_without_numbers_is_a_problem() -> None:
    with pytest.raises(Problem, match="meta tensor"):
        gradtrain.gradcheck(torch.sin, torch.randn(3, device="meta"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("made", [lambda x: x.to_sparse(), lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)])
def test_numbers_that_are_not_dense_are_refused_in_words(made: Callable[[Tensor], Tensor]) -> None:
    given = made(torch.eye(3))
    report = gradtrain.gradcheck(lambda x: 2 * x.to_dense() if x.is_sparse else x.dequantize(), given)
    assert [finding.note for finding in report.failures] == [
        "no input is a dense tensor of real or complex numbers: there is nothing to derive by"
    ]


def test_a_call_that_changes_a_leaf_in_place_is_named() -> None:
    x = numbers()
    report = gradtrain.gradcheck(lambda x: x.mul_(2), x)
    assert report.failures[0].check == "inputs kept"
    assert torch.equal(x, numbers())
