"""Selectors: words, patterns, lists and mappings against networks with every kind of parameter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn

from gradtrain.training.selectors import WORDS, Selector, describe, parameters, select

SELECTOR: TypeAdapter[Any] = TypeAdapter(Selector)


def named(module: nn.Module, component: str) -> nn.Module:
    module.component = component  # type: ignore[assignment]
    return module


@pytest.fixture(scope="module")
def network() -> nn.Module:
    net = nn.Sequential()
    net.add_module("0", named(nn.Embedding(5, 4), "embedding"))
    net.add_module("1", named(nn.Linear(4, 4), "linear"))
    net.add_module("2", named(nn.LayerNorm(4), "layer_norm"))
    net.add_module("3", named(nn.Conv1d(4, 4, 3), "conv"))
    net.add_module("head", named(nn.Linear(4, 2), "linear"))
    return net


ALL = ["0.weight", "1.weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.bias", "head.weight", "head.bias"]


def chosen(network: nn.Module, selector: Any) -> list[str]:
    return [p.name for p in select(SELECTOR.validate_python(selector), parameters({"model": network}))]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("all", ALL),
        ("weights", ["0.weight", "1.weight", "3.weight", "head.weight"]),
        ("biases", ["1.bias", "3.bias", "head.bias"]),
        ("norms", ["2.weight", "2.bias"]),
        ("embeddings", ["0.weight"]),
        ("head.*", ["head.weight", "head.bias"]),
        ("*.bias", ["1.bias", "2.bias", "3.bias", "head.bias"]),
        ("[13].weight", ["1.weight", "3.weight"]),
        ("?.weight", ["0.weight", "1.weight", "2.weight", "3.weight"]),
        ("head.weight", ["head.weight"]),
        ("HEAD.*", []),
        ("head", []),
        (["norms", "head.*"], ["2.weight", "2.bias", "head.weight", "head.bias"]),
        (["head.*", "norms"], ["2.weight", "2.bias", "head.weight", "head.bias"]),
        ({"of": "linear"}, ["1.weight", "1.bias", "head.weight", "head.bias"]),
        ({"of": ["linear", "conv"], "tensor": "weight"}, ["1.weight", "3.weight", "head.weight"]),
        ({"tensor": ["bias"]}, ["1.bias", "2.bias", "3.bias", "head.bias"]),
        ({"ndim": 1}, ["1.bias", "2.weight", "2.bias", "3.bias", "head.bias"]),
        ({"ndim": "<2"}, ["1.bias", "2.weight", "2.bias", "3.bias", "head.bias"]),
        ({"ndim": ">= 3"}, ["3.weight"]),
        ({"ndim": ">2"}, ["3.weight"]),
        ({"ndim": "<=1"}, ["1.bias", "2.weight", "2.bias", "3.bias", "head.bias"]),
        ({"ndim": "=3"}, ["3.weight"]),
        ({"only": "weights", "not": ["norms", "embeddings", "head.*"]}, ["1.weight", "3.weight"]),
        ({"not": "weights"}, ["1.bias", "2.weight", "2.bias", "3.bias", "head.bias"]),
        ({"only": {"of": "linear"}, "not": {"not": "head.*"}}, ["head.weight", "head.bias"]),
        ({"of": "nothing"}, []),
    ],
    ids=str,
)
def test_what_a_selector_means(network: nn.Module, selector: Any, names: list[str]) -> None:
    assert chosen(network, selector) == names


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("", "is no selector"),
        ("a b", "is no selector"),
        ("../x", "is no selector"),
        (3, "a selector is a word"),
        (True, "a selector is a word"),
        (None, "a selector is a word"),
        ([], "selects nothing"),
        ([3], "a selector is a word"),
        ({}, "keys are `only`"),
        ({"onyl": "weights"}, "keys are `only`"),
        ({"only": "weights", "x": 1}, "keys are `only`"),
        ({"not": []}, "selects nothing"),
        ({"ndim": "~2"}, "`ndim` is written"),
        ({"ndim": 2.5}, "`ndim` is written"),
        ({"ndim": True}, "`ndim` is written"),
        ({"ndim": None}, "`ndim` is written"),
        ({"of": 3}, "`of` takes a name"),
        ({"of": []}, "`of` takes a name"),
        ({"of": {"a": 1}}, "`of` takes a name"),
        ({"tensor": ["bias", None]}, "`tensor` takes a name"),
        ({"tensor": ""}, "`tensor` takes a name"),
    ],
    ids=str,
)
def test_what_is_no_selector(selector: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SELECTOR.validate_python(selector)
    (error,) = caught.value.errors()
    assert error["type"] == "value_error"
    assert said in error["msg"]


def test_several_networks_put_the_role_in_front(network: nn.Module) -> None:
    both = parameters({"a": network, "b": nn.Linear(2, 1)})
    assert [p.name for p in both] == [f"a.{name}" for name in ALL] + ["b.weight", "b.bias"]
    assert [p.name for p in select("b.*", both)] == ["b.weight", "b.bias"]


def test_a_tied_weight_is_one_parameter_under_its_first_name() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert [p.name for p in parameters({"model": net})] == ["0.weight", "0.bias", "1.bias"]


leaves = st.sampled_from([*WORDS, "head.*", "*.weight", "nothing"]) | st.sampled_from(
    [{"of": "linear"}, {"ndim": "<2"}, {"tensor": "bias"}]
)
selectors = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.fixed_dictionaries({}, optional={"only": inner, "not": inner}).filter(bool)
    ),
    max_leaves=5,
)


@given(selectors, selectors)
def test_lists_unite_mappings_intersect_and_not_takes_away(one: Any, other: Any) -> None:
    net = nn.Sequential(named(nn.Linear(4, 4), "linear"), named(nn.LayerNorm(4), "layer_norm"), nn.Embedding(3, 2))
    first, second = set(chosen(net, one)), set(chosen(net, other))
    assert set(chosen(net, [one, other])) == first | second
    assert set(chosen(net, {"only": one, "not": other})) == first - second
    assert set(chosen(net, {"not": one})) == set(chosen(net, "all")) - first
    assert isinstance(describe(SELECTOR.validate_python(one)), str)


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("weights", "weights"),
        (["norms", "head.*"], "[norms, head.*]"),
        ({"only": "weights", "not": ["norms", "a"]}, "{only: weights, not: [norms, a]}"),
        ({"of": ["conv"], "ndim": 2}, "{of: [conv], ndim: 2}"),
    ],
    ids=str,
)
def test_a_selector_reads_as_it_was_written(selector: Any, said: str) -> None:
    assert describe(SELECTOR.validate_python(selector)) == said
