"""A call taken apart and put together again, and what belongs to the caller left as it was."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradtrain.gradcheck.callee import at_precision, installed, laid_out, taken_apart
from gradtrain.problems import Problem

F64 = torch.float64
Pair = namedtuple("Pair", "one two")


def given(*inputs: Any, **options: Any) -> Any:
    """What a function gets when it is called through the parts."""
    seen: list[Any] = []
    callee = taken_apart(lambda *arguments: seen.append(arguments) or torch.zeros(1), inputs, F64)
    probe = callee.probe()
    probe.at(probe.moved({}, 0.0))
    return seen[0]


@pytest.mark.parametrize(
    "value",
    [
        [torch.ones(2), [torch.ones(3)]], (torch.ones(2), 3, "a", None), Pair(torch.ones(2), 1), {"a": torch.ones(2)},
        OrderedDict(a=torch.ones(2)), UserDict(a=torch.ones(2)), defaultdict(list, a=torch.ones(2)),
        torch.Size((2, 3)), [], {}, (), None, True, 2, 3.5, "text",
    ],
)  # fmt: skip
def test_arguments_come_back_in_their_own_kind(value: Any) -> None:
    (back,) = given(value)
    assert type(back) is type(value)
    if not isinstance(value, (list, tuple, dict, UserDict)):
        assert back == value
    elif isinstance(value, (list, tuple)):
        assert len(back) == len(value)
    else:
        assert back.keys() == value.keys()


def test_a_mapping_that_cannot_be_written_comes_back_as_a_plain_one_and_misleads_no_other() -> None:
    one, two = torch.rand(2), torch.rand(2)
    mapping, other = given(MappingProxyType({"a": one}), two)
    assert torch.equal(mapping["a"], one.double())
    assert torch.equal(other, two.double())


def test_a_packed_sequence_comes_back() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.rand(3, 2), torch.rand(2, 2)])
    (back,) = given(packed)
    assert isinstance(back, nn.utils.rnn.PackedSequence)
    assert torch.equal(back.data, packed.data.double())
    assert torch.equal(back.batch_sizes, packed.batch_sizes)


def test_names_of_tensors_inside_arguments() -> None:
    def function(x: Tensor, state: Any, *rest: Any) -> None: ...

    callee = taken_apart(function, (torch.rand(2), (torch.rand(1), {"c": torch.rand(1)}), torch.rand(3)), F64)
    assert list(callee.tensors) == ["x", "state[0]", "state[1]['c']", "input 2"]
    assert callee.moved == tuple(callee.tensors)


def test_a_name_that_a_parameter_has_already() -> None:
    class Weighs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, weight: Tensor) -> Tensor:
            return self.weight * weight

    callee = taken_apart(Weighs(), (torch.rand(2),), F64)
    assert set(callee.probe().leaves) == {"weight", "input weight"}


def test_inputs_that_are_marked_are_the_only_ones() -> None:
    x, y = torch.rand(2), torch.rand(2, requires_grad=True)
    assert taken_apart(torch.mul, (x, y), F64).moved == ("input 1",)
    assert len(taken_apart(torch.mul, (x, x), F64).moved) == 2


def test_labels_after_an_input_are_constants() -> None:
    def loss(x: Tensor, target: Tensor) -> Tensor:
        return x * target

    assert taken_apart(loss, (torch.rand(4), torch.tensor([0.0, 1.0, 1.0, 0.0])), F64).moved == ("x",)
    assert taken_apart(loss, (torch.rand(4), torch.rand(4)), F64).moved == ("x", "target")
    assert taken_apart(loss, (torch.ones(4), torch.ones(4)), F64).moved == ("x", "target")


def test_whole_numbers_truths_and_sparse_tensors_stay_constants() -> None:
    inputs = torch.rand(3), torch.arange(3), torch.tensor([True]), torch.eye(3).to_sparse()
    callee = taken_apart(lambda *x: x[0], inputs, F64)
    assert callee.moved == ("input 0",)
    assert callee.tensors["input 1"].dtype == torch.int64
    assert callee.tensors["input 3"].is_sparse


def test_complex_inputs_are_pairs_of_real_numbers_until_they_are_given() -> None:
    z = torch.randn(3, 2, dtype=torch.complex64).t().conj()
    callee = taken_apart(lambda z: z, (z,), F64)
    probe = callee.probe()
    assert probe.leaves["z"].dtype == F64
    assert probe.leaves["z"].shape == (2, 3, 2)
    assert torch.equal(probe.outputs()["output"].detach(), torch.view_as_real(z.resolve_conj()).double())
    (back,) = given(z)
    assert back.dtype == torch.complex128


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(4, 6)[1:, ::2], torch.rand(4, 6).t(), torch.rand(1, 6).expand(3, 6), torch.rand(()),
        torch.rand(0, 3),
        torch.rand(6).unfold(0, 3, 1), torch.rand(2, 3, 4).permute(2, 0, 1),
        torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last), torch.rand(3).half(), torch.rand(3).bfloat16(),
    ],
)  # fmt: skip
def test_a_copy_lies_in_memory_as_the_original(x: Tensor) -> None:
    copied = laid_out(x)
    assert copied.stride() == x.stride()
    assert torch.equal(copied, x)
    assert x.numel() == 0 or copied.data_ptr() != x.data_ptr()
    (back,) = given(x)
    assert back.shape == x.shape
    assert torch.equal(back, x.double())


def test_a_module_is_copied_and_complex_numbers_stay_complex() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("turn", torch.tensor([1 + 2j]))
    module.weight.grad = torch.ones(2, 2)
    callee = taken_apart(module, (torch.rand(3, 2),), F64)
    assert callee.owned is not None
    assert callee.owned is not module
    assert callee.owned.turn.dtype == torch.complex128
    assert complex(callee.owned.turn) == 1 + 2j
    assert callee.owned.weight.grad is None
    assert callee.owned.weight.dtype == F64
    assert module.weight.dtype == torch.float32
    assert not callee.complexes


def test_complex_parameters_are_told() -> None:
    module = nn.Module()
    module.z = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    module.w = nn.Parameter(torch.ones(2))
    callee = taken_apart(module, (), F64)
    assert callee.complexes == ("z",)
    assert set(callee.parameters) == {"w"}
    assert taken_apart(lambda x: module(x), (), F64).complexes == ("module.z",)


def test_a_module_that_reads_another_one_is_not_copied_but_lent() -> None:
    other = nn.Linear(2, 2)

    class Reads(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = other(super().forward(x))
            return answer

    callee = taken_apart(Reads(2, 2), (torch.rand(1, 2),), F64)
    assert callee.owned is None
    assert set(callee.parameters) == {"weight", "bias", "other.weight", "other.bias"}


def test_a_lazy_module_gets_its_weights_in_the_copy_alone() -> None:
    module = nn.LazyLinear(3)
    callee = taken_apart(module, (torch.rand(2, 5, dtype=F64),), F64)
    assert callee.parameters["weight"].shape == (3, 5)
    assert isinstance(module.weight, nn.UninitializedParameter)


class Interrupted(Exception):
    pass


def test_what_is_lent_comes_back_bit_by_bit_at_its_place_with_its_gradient_and_its_version() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    loose = torch.rand(3, requires_grad=True)
    tensors = [*net.parameters(), *net.buffers(), loose]
    net[0].weight.grad = torch.full((2, 2), 7.0)
    gradient = net[0].weight.grad
    before = [(t.data_ptr(), t.dtype, t._version, t.detach().clone()) for t in tensors]
    callee = taken_apart(lambda x: net(x) * loose.sum(), (torch.rand(4, 2),), F64)
    with pytest.raises(Interrupted), at_precision(callee, F64):  # noqa: PT012
        assert {t.dtype for t in tensors if t.is_floating_point()} == {F64}
        assert net[0].weight.grad is None
        net(torch.rand(4, 2, dtype=F64)).sum().backward()
        net.eval()
        with torch.no_grad():
            net[0].weight.add_(1)
            loose.mul_(2)
        raise Interrupted
    for tensor, (place, dtype, version, values) in zip(tensors, before, strict=True):
        assert (tensor.data_ptr(), tensor.dtype, tensor._version) == (place, dtype, version)
        assert torch.equal(tensor.detach(), values) or tensor is net[1].num_batches_tracked
    assert net[0].weight.grad is gradient
    assert bool((gradient == 7).all())
    assert net[0].bias.grad is None
    assert all(inner.training for inner in net.modules())


def test_a_graph_of_the_callers_still_goes_backward() -> None:
    net, x = nn.Linear(3, 3), torch.rand(2, 3, requires_grad=True)
    loss = (net(x).tanh() * net.weight.sum()).sum()
    expected = torch.autograd.grad(loss, x, retain_graph=True)[0]
    callee = taken_apart(lambda x: net(x), (x,), F64)
    with at_precision(callee, F64):
        probe = callee.probe()
        for t in (0.0, 0.1):
            probe.at(probe.moved({name: torch.ones_like(leaf) for name, leaf in probe.leaves.items()}, t))
    loss.backward()
    assert x.grad is not None
    assert torch.equal(x.grad, expected)


def test_constants_are_lent_only_where_they_do_not_mix() -> None:
    constant = torch.rand(2, 2)
    callee = taken_apart(lambda x: x @ constant, (torch.rand(2),), F64)
    with at_precision(callee, F64):
        assert constant.dtype == torch.float32
    with at_precision(callee, F64, constants=True):
        assert constant.dtype == F64
    assert constant.dtype == torch.float32


def test_installed_parameters_are_seen_wherever_they_are_tied_and_by_recurrent_layers() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.LSTM(2, 2)).double()
    net[1].weight = net[0].weight
    own = dict(net.named_parameters())
    new = {name: torch.randn_like(p).requires_grad_() for name, p in own.items()}
    x = torch.rand(3, 2, dtype=F64)
    expected = torch.func.functional_call(net, {k: v.detach() for k, v in new.items()}, (x,), tie_weights=True)
    flat = net[2]._flat_weights
    with installed(net, own, new):
        answer, _ = net(x)
        found = torch.autograd.grad(answer.sum(), list(new.values()))
    assert all(bool(g.any()) for g in found)
    assert net[0].weight is net[1].weight is own["0.weight"]
    assert net[2]._flat_weights is flat
    by_hand = x @ new["0.weight"].T + new["0.bias"]
    by_hand = by_hand @ new["0.weight"].T + new["1.bias"]
    lstm = nn.LSTM(2, 2).double()
    lstm.load_state_dict({name.removeprefix("2."): v for name, v in new.items() if name.startswith("2.")})
    assert torch.allclose(answer, lstm(by_hand)[0])
    assert answer.shape == expected[0].shape


@pytest.mark.parametrize("what", [nn.Linear, 3, None, torch.zeros(2)])
def test_what_cannot_be_called_is_a_problem(what: Any) -> None:
    with pytest.raises(Problem, match="gradcheck was given"):
        taken_apart(what, (), F64)


def test_a_function_given_keywords_at_another_point() -> None:
    def function(x: Tensor, slope: float = 0.5) -> Tensor:
        return slope * x

    callee = taken_apart(function, (torch.ones(2),), F64)
    probe = callee.at({"x": torch.full((2,), 3.0, dtype=F64)}, {"slope": 2.0}).probe()
    assert probe.at(probe.moved({}, 0.0))["output"].tolist() == [6.0, 6.0]
