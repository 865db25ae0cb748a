"""Weight normalization against torch's own, and what initializers, selectors and copies see of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gradtrain.assemble import Parts
from gradtrain.components.layers import Layer, Placed
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.conv_transpose import ConvTranspose
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.spectral_norm import SpectralNorm
from gradtrain.components.layers.weight_norm import WeightNorm
from gradtrain.config.load import read
from gradtrain.stage import Misfit, Shape
from gradtrain.start import prepare
from gradtrain.training.selectors import select

INNER: list[tuple[Layer, Shape]] = [
    (Linear(out=3), (6,)),
    (Conv(out=3, kernel=3), (2, 5, 5)),
    (ConvTranspose(out=3, kernel=2), (2, 5, 5)),
]
IDS = ["linear", "conv", "conv_transpose"]


@pytest.mark.parametrize(("part", "shape"), INNER, ids=IDS)
def test_torch_computes_the_same(part: Layer, shape: Shape, seeded: torch.Generator) -> None:
    module = WeightNorm(of=(Placed(part=part),)).build(shape)
    plain = part.build(shape)
    own: Any = module.inner
    with torch.no_grad():
        plain.weight.copy_(module.direction)
        plain.bias.copy_(own.bias)
        module.magnitude.copy_(torch.tensor([0.5, -2.0, 3.0]))
    theirs = parametrizations.weight_norm(plain, dim=1 if isinstance(part, ConvTranspose) else 0)
    kept = theirs.parametrizations.weight
    with torch.no_grad():
        kept.original0.copy_(module.magnitude.reshape(kept.original0.shape))
    x = torch.randn(4, *shape, generator=seeded)
    torch.testing.assert_close(module(x), theirs(x))
    module(x).square().sum().backward()
    theirs(x).square().sum().backward()
    torch.testing.assert_close(module.magnitude.grad, kept.original0.grad.flatten())
    torch.testing.assert_close(module.direction.grad, kept.original1.grad)


@pytest.mark.parametrize(("part", "shape"), INNER, ids=IDS)
def test_it_begins_as_the_layer_it_owns(part: Layer, shape: Shape, seeded: torch.Generator) -> None:
    torch.manual_seed(4)
    plain = part.build(shape)
    torch.manual_seed(4)
    module = WeightNorm(of=(Placed(part=part),)).build(shape)
    x = torch.randn(4, *shape, generator=seeded)
    torch.testing.assert_close(module(x), plain(x))


def test_the_length_of_the_direction_changes_nothing(seeded: torch.Generator) -> None:
    module, x = WeightNorm(of=(Placed(part=Linear(out=3)),)).build((6,)), torch.randn(4, 6, generator=seeded)
    before = module(x)
    with torch.no_grad():
        module.direction.mul_(7.0)
    torch.testing.assert_close(module(x), before)


@pytest.mark.parametrize("cls", [WeightNorm, SpectralNorm])
def test_a_used_network_can_be_copied_and_is_kept_without_the_made_weight(
    cls: type[Layer], seeded: torch.Generator
) -> None:
    module, x = cls(of=(Placed(part=Linear(out=3)),)).build((6,)), torch.randn(4, 6, generator=seeded)
    module(x).sum().backward()
    twin = copy.deepcopy(module.eval())
    assert torch.equal(twin(x), module(x))
    assert "inner.weight" not in module.state_dict()
    with pytest.raises(RuntimeError):
        module(torch.randn(4, 5))
    assert copy.deepcopy(module) is not module


@pytest.mark.parametrize("cls", [WeightNorm, SpectralNorm])
def test_what_has_no_weight_is_refused_before_torch_is_asked(cls: type[Layer]) -> None:
    with pytest.raises(Misfit, match="`dropout` has none") as refused:
        cls(of=(Placed(part=Dropout()),)).output_shape((6,))
    assert refused.value.path == ("of", 0)
    with pytest.raises(Misfit, match=r"linear. takes") as refused:
        cls(of=(Placed(part=Linear(out=3)),)).output_shape((3, 4, 5))
    assert refused.value.path == ("of", 0)
    with pytest.raises(Misfit, match="`name` and `share` say nothing"):
        cls(of=(Placed(part=Linear(out=3), name="head"),)).output_shape((6,))


CONFIG = """\
name: made
data: {{source: {{blobs: {{count: 60}}}}, transforms: [standardize], batch_size: 20}}
model:
  layers:
    - weight_norm: {{of: [{{linear: 8}}]}}
    - relu
    - spectral_norm: {{of: [{{linear: 8}}]}}
    - relu
    - linear: $data.classes
loss: cross_entropy
init: {init}
optimizer: {{sgd: 0.1}}
training: {{steps: 2}}
"""


def parts(folder: Path, init: str) -> Parts:
    (folder / "made.yaml").write_text(CONFIG.format(init=init))
    _, made, _ = prepare(read(folder / "made.yaml"), folder)
    return made


def test_weights_are_weights(tmp_path: Path) -> None:
    named = parts(tmp_path, "kaiming_normal").parameters
    assert [n.name for n in select("weights", named)] == ["0.direction", "2.weight", "4.weight"]
    assert [n.name for n in select("biases", named)] == ["0.inner.bias", "2.inner.bias", "4.bias"]
    assert select("norms", named) == []


def test_an_initializer_means_the_weight_that_is_made(tmp_path: Path) -> None:
    network: Any = parts(tmp_path, "orthogonal").networks["model"]
    first, second = network[0], network[2]
    torch.testing.assert_close(first.made(), first.direction)
    torch.testing.assert_close(first.direction.T @ first.direction, torch.eye(2))
    assert torch.linalg.svdvals(second.eval().made())[0].item() == pytest.approx(1, rel=1e-5)


def test_a_length_of_ones_own_stays(tmp_path: Path) -> None:
    network: Any = parts(tmp_path, "[xavier_normal, {constant: 0.3, params: '0.magnitude'}]").networks["model"]
    assert network[0].magnitude.tolist() == pytest.approx([0.3] * 8)
    torch.testing.assert_close(network[0].made().norm(dim=1), torch.full((8,), 0.3))


def test_modules_are_found_by_the_names_of_their_components(tmp_path: Path) -> None:
    network = parts(tmp_path, "kaiming_normal").networks["model"]
    named = {path: getattr(module, "component", "") for path, module in network.named_modules()}
    assert (named["0"], named["0.inner"]) == ("weight_norm", "linear")
    assert isinstance(network, nn.Module)
