"""Precision: the verbs that the loop uses, and which arithmetic a device is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradtrain.problems import Problem
from gradtrain.training import precision as rooms
from gradtrain.training.precision import Bfloat16, Float16, Precision, fast_bfloat16, precision, warning

CPU = torch.device("cpu")


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the operating system's description of the processor."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(rooms, "CPUINFO", path)
    return path


@pytest.fixture
def network() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


def gradients(arithmetic: Precision, network: torch.nn.Linear, share: float | torch.Tensor) -> torch.Tensor:
    network.zero_grad()
    x = torch.linspace(-1, 1, 8).reshape(2, 4)
    with arithmetic.forward():
        total = network(x).square().mean()
    arithmetic.backward(total, share)
    assert network.weight.grad is not None
    return network.weight.grad.clone()


@pytest.mark.parametrize("share", [0.25, torch.tensor(0.25), torch.tensor(0.25, dtype=torch.float64)])
@pytest.mark.parametrize("arithmetic", [Precision(), Bfloat16(CPU)])
def test_backward_weighs_the_micro_batch(
    arithmetic: Precision, network: torch.nn.Linear, share: float | torch.Tensor
) -> None:
    whole = gradients(arithmetic, network, 1.0)
    assert torch.equal(gradients(arithmetic, network, share), whole / 4)


def test_the_shares_of_a_batch_add_up_to_its_gradient(network: torch.nn.Linear) -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    full = Precision()
    full.backward(network(x).square().mean(), 1.0)
    assert network.weight.grad is not None
    whole = network.weight.grad.clone()
    network.zero_grad()
    for part in (x[:2], x[2:]):
        full.backward(network(part).square().mean(), len(part) / len(x))
    torch.testing.assert_close(network.weight.grad, whole)


def test_full_precision_computes_in_the_dtype_of_the_weights(network: torch.nn.Linear) -> None:
    full = Precision()
    with full.forward():
        assert network(torch.ones(1, 4)).dtype == torch.float32
        assert network.double()(torch.ones(1, 4).double()).dtype == torch.float64
    assert full.forward() is full.forward()
    assert full.state() == {}


@pytest.mark.parametrize(("arithmetic", "dtype"), [(Bfloat16(CPU), torch.bfloat16), (Float16(CPU), torch.float16)])
def test_reduced_precision_is_of_the_products_only(
    arithmetic: Precision, dtype: torch.dtype, network: torch.nn.Linear
) -> None:
    with arithmetic.forward():
        assert network(torch.ones(1, 4)).dtype == dtype
    assert network(torch.ones(1, 4)).dtype == torch.float32
    assert gradients(arithmetic, network, 1.0).dtype == torch.float32


def test_float16_scales_the_gradients_and_takes_the_scale_back(network: torch.nn.Linear) -> None:
    arithmetic, exact = Float16(CPU), gradients(Precision(), network, 0.5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaled = gradients(arithmetic, network, 0.5)
    scale = arithmetic.state()["scale"]
    assert scale > 1
    torch.testing.assert_close(scaled / scale, exact, rtol=1e-2, atol=1e-3)
    arithmetic.unscale(optimizer)
    torch.testing.assert_close(network.weight.grad, scaled / scale)
    before = network.weight.detach().clone()
    arithmetic.step(optimizer)
    torch.testing.assert_close(network.weight.detach(), before - 0.1 * scaled / scale)


def test_float16_leaves_out_a_step_that_overflows_and_halves_the_scale(network: torch.nn.Linear) -> None:
    arithmetic = Float16(CPU)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    gradients(arithmetic, network, 1.0)
    scale, before = arithmetic.state()["scale"], network.weight.detach().clone()
    assert network.weight.grad is not None
    network.weight.grad[0, 0] = float("inf")
    arithmetic.step(optimizer)
    assert torch.equal(network.weight, before)
    assert arithmetic.state()["scale"] == scale / 2


def test_steps_that_float16_leaves_out_are_counted(network: torch.nn.Linear) -> None:
    arithmetic = Float16(CPU)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    told = []
    for spoiled in (True, True, False, True, True, True):
        gradients(arithmetic, network, 1.0)
        assert network.weight.grad is not None
        if spoiled:
            network.weight.grad[0, 0] = float("inf")
        arithmetic.step(optimizer)
        told.append(arithmetic.left_out())
    assert told == [(1, 1), (1, 2), (0, 0), (1, 1), (1, 2), (1, 3)]
    assert Precision().left_out() == (0, 0)


def test_the_scale_survives_a_checkpoint(network: torch.nn.Linear) -> None:
    arithmetic, twin = Float16(CPU), Float16(CPU)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    for spoiled in (True, False, False):
        gradients(arithmetic, network, 1.0)
        assert network.weight.grad is not None
        if spoiled:
            network.weight.grad.fill_(float("inf"))
        arithmetic.step(optimizer)
    state = arithmetic.state()
    assert all(type(value) is float for value in state.values())
    assert state != twin.state()
    twin.restore(state)
    assert twin.state() == state
    for both in (arithmetic, twin):
        gradients(both, network, 1.0)
        both.step(optimizer)
    assert twin.state() == arithmetic.state() != state


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("flags\t\t: fpu sse avx2 avx512f", False),
        ("flags\t\t: fpu avx512f avx512_bf16 amx_int8", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("model name\t: no_avx512_bf16_here", False),
    ],
)
def test_the_processor_says_whether_it_computes_bfloat16(processor: Path, text: str, fast: bool) -> None:
    processor.write_text(text, "utf-8")
    assert fast_bfloat16(CPU) is fast
    assert type(precision("auto", CPU)) is (Bfloat16 if fast else Precision)
    assert (warning("bfloat16", CPU) is None) is fast
    assert warning("auto", CPU) is warning("float32", CPU) is None


def test_where_nobody_can_tell_there_is_no_warning_and_no_bfloat16(processor: Path) -> None:
    assert not processor.exists()
    assert fast_bfloat16(CPU) is None
    assert warning("bfloat16", CPU) is None
    assert type(precision("auto", CPU)) is Precision


def test_slow_bfloat16_is_a_warning_with_a_page(processor: Path) -> None:
    processor.write_text("flags : sse", "utf-8")
    problem = warning("bfloat16", CPU)
    assert problem is not None
    assert (problem.severity, problem.code, problem.exit_code) == ("warning", "slow-precision", 2)
    assert "AVX512-BF16" in problem.why
    assert type(precision("bfloat16", CPU)) is Bfloat16


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_full_precisions_are_the_null_object(name: str) -> None:
    assert type(precision(name, CPU)) is Precision


@pytest.mark.parametrize(("name", "device"), [("float16", "cpu"), ("float64", "mps")])
def test_what_a_device_cannot_do_is_refused_as_a_lack_of_resources(name: str, device: str) -> None:
    with pytest.raises(Problem, match=name) as refusal:
        precision(name, torch.device(device))
    assert (refusal.value.code, refusal.value.exit_code) == ("precision-unsupported", 6)
    assert device in refusal.value.what
    assert "float32" in refusal.value.help


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_emulates_bfloat16_counts_as_slow(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    gpu = torch.device("cuda")
    assert fast_bfloat16(gpu) is native
    assert (warning("bfloat16", gpu) is None) is native
