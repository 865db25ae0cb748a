"""What a function reads besides its arguments is found, under the name that its code has for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradtrain.gradcheck.captured import captured, captured_with

weight = torch.ones(2, requires_grad=True)
network = nn.Linear(2, 2)


def learns(*shape: int) -> Tensor:
    return torch.ones(*shape, requires_grad=True)


def closed(w: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: x * w


def both(one: Callable[[Tensor], Tensor], w: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: one(x) * w


class Holder:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def step(self, x: Tensor) -> Any:
        return self.net(x)  # type: ignore[attr-defined]

    def __call__(self, x: Tensor) -> Any:
        return self.net(x)  # type: ignore[attr-defined]


class Inherits(Holder):
    pass


def wraps(net: nn.Module, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    @functools.wraps(function)
    def wrapped(x: Tensor) -> Tensor:
        answer: Tensor = net(function(x))
        return answer

    return wrapped


def test_free_variables_by_name() -> None:
    w = learns(2)
    assert captured(closed(w)).tensors == {"w": w}


def test_globals_that_the_code_names() -> None:
    found = captured(lambda x: network(x) * weight)
    assert found.tensors == {"weight": weight}
    assert found.modules == {"network": network}


def test_an_attribute_of_a_globals_name_is_not_that_global() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x, network.weight)

    assert captured(function).tensors == {}


def test_globals_inside_a_nested_function() -> None:
    def function(x: Tensor) -> Tensor:
        def inner() -> Tensor:
            return x * weight

        return inner()

    assert set(captured(function).tensors) == {"weight"}


def test_positional_arguments_of_a_partial_have_the_names_of_the_function() -> None:
    one, two = learns(2), learns(2)
    found = captured(functools.partial(lambda a, b, x: a * b * x, one, two))
    assert found.tensors["a"] is one
    assert found.tensors["b"] is two


def test_keywords_of_a_partial_and_of_partials_of_partials() -> None:
    one, two = learns(2), learns(2)
    inner = functools.partial(lambda *, a, b, x: a * b * x, a=one)
    found = captured(functools.partial(inner, b=two))
    assert found.tensors["a"] is one
    assert found.tensors["b"] is two


def test_defaults_by_the_names_of_their_arguments() -> None:
    one, two, three = learns(2), learns(2), learns(2)

    def function(x: Tensor, a: Tensor = one, b: Tensor = two, *, c: Tensor = three) -> Tensor:
        return x * a * b * c

    found = captured(function)
    assert [found.tensors[name] is value for name, value in (("a", one), ("b", two), ("c", three))] == [True] * 3


def test_two_things_of_one_name_are_both_kept() -> None:
    one, two = learns(2), learns(3)
    found = captured(both(closed(one), two))
    assert {id(one), id(two)} == {id(tensor) for tensor in found.tensors.values()}
    assert len(found.trainable) == 2


def test_one_thing_under_two_names_is_met_once() -> None:
    w = learns(2)
    assert len(captured(both(closed(w), w)).tensors) == 1


@pytest.mark.parametrize("kind", [Holder, Inherits])
def test_an_object_that_can_be_called(kind: type[Holder]) -> None:
    net = nn.Linear(2, 2)
    assert captured(kind(net=net)).modules == {"net": net}


def test_a_method_and_the_objects_inside_its_object() -> None:
    net = nn.Linear(2, 2)
    holder = Holder(net=net, inner=SimpleNamespace(w=weight), data=list(range(1000)))
    found = captured(holder.step)
    assert found.modules == {"net": net}
    assert set(found.tensors) == {"inner.w"}
    assert id(weight) in found.loose


def test_an_object_in_a_closure() -> None:
    holder = Holder(net=network)
    assert captured(lambda x: holder.net(x)).modules == {"holder.net": network}  # type: ignore[attr-defined]


def test_a_method_of_a_module_and_a_partial_of_a_module() -> None:
    for function in (network.forward, functools.partial(network), functools.partial(network.forward)):
        found = captured(function)
        assert found.modules == {"": network}
        assert set(found.trainable) == {"weight", "bias"}


def test_a_decorators_closure_and_what_it_decorates() -> None:
    net, w = nn.Linear(2, 2), learns(2)
    found = captured(wraps(net, closed(w)))
    assert list(found.modules.values()) == [net]
    assert list(found.tensors.values()) == [w]


def test_what_torch_wraps() -> None:
    w = learns(2)
    for function in (torch.no_grad()(closed(w)), torch.vmap(closed(w)), functools.lru_cache(closed(w))):
        assert list(captured(function).tensors.values()) == [w]


def test_lists_mappings_and_generators() -> None:
    w, generator = learns(2), torch.Generator()
    found = captured(closed({"weights": [w, (weight,)], "noise": generator}))
    assert set(found.tensors) == {"w['weights'][0]", "w['weights'][1][0]"}
    assert found.generators == [generator]


def test_things_that_contain_themselves_come_to_an_end() -> None:
    endless: list[Any] = [weight]
    endless.append(endless)
    mapping: dict[str, Any] = {"list": endless}
    mapping["mapping"] = mapping
    holder = Holder(mapping=mapping)
    holder.holder = holder  # type: ignore[attr-defined]
    assert len(captured(closed(holder)).tensors) == 1

    def recursive(x: Tensor) -> Tensor:
        return recursive(x) * weight

    assert set(captured(recursive).tensors) == {"weight"}


def test_tensors_of_tied_and_frozen_modules() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net[1].bias.requires_grad_(False)
    assert set(captured(closed(net)).trainable) == {"w.0.weight", "w.0.bias"}


def test_neither_classes_nor_optimizers_nor_python_modules_are_opened() -> None:
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for value in (Holder, optimizer, torch, functools):
        assert captured(closed(value)).tensors == {}


def test_a_free_variable_that_is_not_filled_yet() -> None:
    def outer() -> Callable[[Tensor], Tensor]:
        def function(x: Tensor) -> Tensor:
            return x * later

        assert captured(function).tensors == {}
        later = weight
        return function

    assert list(captured(outer()).tensors.values()) == [weight]


def test_what_cannot_be_looked_into() -> None:
    assert captured(torch.sin).tensors == {}
    assert captured(len).tensors == {}
    assert captured(3).tensors == {}


def test_modules_among_the_arguments_and_those_that_a_modules_code_reads() -> None:
    class Reads(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = network(x)
            return answer

    module, other = Reads(), nn.Linear(2, 2)
    found = captured_with(module, {"others": [other], "x": weight})
    assert found.modules == {"": module, "network": network, "others[0]": other}
    assert found.tensors == {}
