"""What batch norm remembers: the law of its running statistics, and their use in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.stage import Misfit, Shape

SHAPES: list[Shape] = [(3,), (3, 5), (3, 4, 5), (3, 2, 4, 2)]


def batches(shape: Shape, count: int = 3) -> list[Tensor]:
    draw = torch.Generator().manual_seed(6)
    return [3 + 2 * torch.randn(4, *shape, generator=draw, dtype=torch.float64) for _ in range(count)]


def channels(x: Tensor) -> Tensor:
    """The numbers of every channel as a row `[channel, batch and all other axes]`."""
    return x.transpose(0, 1).flatten(1)


@pytest.mark.parametrize("momentum", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_statistics_follow_the_law_of_the_note(shape: Shape, momentum: float) -> None:
    module = BatchNorm(momentum=momentum).build(shape).double()
    mean, variance = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for x in batches(shape):
        module(x)
        rows = channels(x)
        centred = rows - rows.mean(dim=1, keepdim=True)
        mean = (1 - momentum) * mean + momentum * rows.mean(dim=1)
        variance = (1 - momentum) * variance + momentum * centred.square().sum(dim=1) / (rows.shape[1] - 1)

    torch.testing.assert_close(module.running_mean, mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(module.running_var, variance, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_evaluation_uses_what_was_remembered_and_learns_nothing(shape: Shape) -> None:
    module = BatchNorm(eps=0.1, momentum=0.3).build(shape).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
        module.bias.copy_(torch.tensor([0.1, 0.0, 3.0]))
    first, second, x = batches(shape)
    module(first)
    module(second)
    module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    y = module(x)

    wide = (1, 3, *[1] * (len(shape) - 1))
    mean, variance = before["running_mean"].reshape(wide), before["running_var"].reshape(wide)
    expected = module.weight.reshape(wide) * (x - mean) / (variance + 0.1).sqrt() + module.bias.reshape(wide)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    torch.testing.assert_close(module(x[:1]), y[:1], rtol=1e-12, atol=1e-12)  # alone as in company


def test_training_ignores_what_was_remembered() -> None:
    x, other, _ = batches((3,))
    module = BatchNorm().build((3,)).double()
    fresh = module(x)
    module(other)

    assert torch.equal(module(x), fresh)


def test_without_affine_nothing_is_learned() -> None:
    module = BatchNorm(affine=False).build((3, 4))

    assert not list(module.parameters())
    assert isinstance(module, nn.BatchNorm1d)


@pytest.mark.parametrize("shape", [(), (3, 2, 2, 2, 2)], ids=str)
def test_other_ranks_are_a_misfit(shape: Shape) -> None:
    with pytest.raises(Misfit, match="batch_norm takes"):
        BatchNorm().output_shape(shape)
