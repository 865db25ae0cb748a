"""A function as named tensors: every kind of answer, and nothing left behind."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from gradtrain.gradcheck.probe import Probe, Unfit, flattened, floating

Pair = namedtuple("Pair", "one two")


@dataclass
class Record:
    value: Tensor
    more: dict[str, Tensor]


ONE = torch.ones(2)

NAMES: list[tuple[Any, list[str]]] = [
    (ONE, ["output"]),
    (3.5, ["output"]),
    ((ONE, ONE), ["output 0", "output 1"]),
    ((ONE, None, 3, "a", ONE.long(), ONE), ["output 0", "output 5"]),
    ([[ONE], (ONE, ONE)], ["output 0.0", "output 1.0", "output 1.1"]),
    ({"a": ONE, "b": {"c": ONE}}, ["output.a", "output.b.c"]),
    (OrderedDict(a=(ONE,)), ["output.a.0"]),
    (Pair(ONE, ONE), ["output 0", "output 1"]),
    (Record(ONE, {"k": ONE}), ["output.value", "output.more.k"]),
    ((ONE, {"aux": ONE}), ["output 0", "output 1.aux"]),
]


@pytest.mark.parametrize(("answer", "names"), NAMES)
def test_an_answer_of_any_nesting_is_named_by_its_places(answer: Any, names: list[str]) -> None:
    assert [name for name, _ in flattened(answer, "output")] == names


def test_complex_and_sparse_answers_are_real_and_dense() -> None:
    found = floating((torch.tensor([1 + 2j, 3j]).conj(), torch.eye(2).to_sparse()))
    assert found["output 0"].tolist() == [[1, -2], [0, -3]]
    assert torch.equal(found["output 1"], torch.eye(2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "None"), (3, "int 3"), ("text", "str"), ((), "tuple"), (ONE.long(), "a tensor of int64"), ({ONE}, "set"),
        (torch.distributions.Normal(0.0, 1.0), "rsample"), (iter([ONE]), "generator"), (ONE > 0, "a tensor of bool"),
    ],
)  # fmt: skip
def test_an_answer_without_a_derivative_is_unfit_in_words(answer: Any, said: str) -> None:
    with pytest.raises(Unfit, match=said):
        floating(answer)


def probe(call: Any, *values: float) -> Probe:
    return Probe({"x": torch.tensor(values, dtype=torch.float64, requires_grad=True)}, call)


def test_a_point_is_moved_along_a_direction_and_stays_where_it_was() -> None:
    one = probe(lambda point: point["x"], 1.0, 2.0)
    moved = one.moved({"x": torch.tensor([1.0, -1.0], dtype=torch.float64)}, 0.5)
    assert moved["x"].tolist() == [1.5, 1.5]
    assert not moved["x"].requires_grad
    assert one.leaves["x"].tolist() == [1.0, 2.0]
    assert torch.equal(one.moved({}, 3.0)["x"], one.leaves["x"].detach())


def test_values_have_no_graph_and_outputs_have_one_whatever_the_caller_chose() -> None:
    one = probe(lambda point: point["x"].sin(), 1.0)
    with torch.no_grad():
        assert one.outputs()["output"].requires_grad
    assert not one.at(one.moved({}, 0.0))["output"].requires_grad
    assert torch.is_grad_enabled()


def test_a_function_that_differentiates_inside_is_evaluated_with_autograd() -> None:
    def slope(point: Any) -> Tensor:
        x = point["x"]
        return torch.autograd.grad(x.pow(3).sum(), x, create_graph=True)[0]

    one = probe(slope, 2.0)
    with pytest.raises(RuntimeError):
        one.at(one.moved({}, 0.0))
    one.grad_mode = True
    found = one.at(one.moved({}, 0.0))["output"]
    assert found.tolist() == [12.0]
    assert not found.requires_grad


def test_a_tolerance_is_never_below_the_rounding_of_the_precision() -> None:
    assert probe(None, 1.0).slack(1e-10) == 1e-10
    single = Probe({"x": torch.ones(1)}, lambda point: point["x"])
    assert single.slack(1e-10) == pytest.approx(1.19e-5, rel=0.01)
    assert single.slack(0.1) == 0.1
