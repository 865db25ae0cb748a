"""Lists of layers: shapes, names, refusals, and the chain rule by hand against autograd."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gradtrain.components.activations.relu import Relu
from gradtrain.components.activations.tanh import Tanh
from gradtrain.components.layers import TAKEN, Layer, Layers, Placed, _chain
from gradtrain.components.layers.avg_pool import AvgPool
from gradtrain.components.layers.conv import Conv
from gradtrain.components.layers.dropout import Dropout
from gradtrain.components.layers.flatten import Flatten
from gradtrain.components.layers.global_avg_pool import GlobalAvgPool
from gradtrain.components.layers.linear import Linear
from gradtrain.components.layers.max_pool import MaxPool
from gradtrain.components.layers.parallel import Parallel
from gradtrain.components.layers.repeat import Repeat
from gradtrain.components.layers.residual import Residual
from gradtrain.components.layers.save import Save
from gradtrain.components.layers.take import Take
from gradtrain.components.normalizations.batch_norm import BatchNorm
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.modules import Sequence, Skips
from gradtrain.stage import Misfit, Shape, Stage


def listed(*parts: Stage | Placed) -> Layers:
    return tuple(part if isinstance(part, Placed) else Placed(part=part) for part in parts)


def block(out: int) -> Layers:
    return listed(Conv(out=out, kernel=3, padding=1, bias=False), BatchNorm(), Tanh())


IMAGES = listed(
    Conv(out=8, kernel=3, padding="same"), Relu(), MaxPool(kernel=2),
    Residual(body=block(12), shortcut="auto"), AvgPool(kernel=3, stride=2, padding=1),
    GlobalAvgPool(), Placed(part=Linear(out=10), name="head"),
)  # fmt: skip

CHAINS: dict[str, tuple[Layers, Shape]] = {
    "empty": ((), (6,)),
    "perceptron": (listed(Flatten(), Linear(out=7), Tanh(), Linear(out=3)), (2, 3)),
    "image": (IMAGES, (3, 8, 8)),
    "signal": (
        listed(Conv(out=4, kernel=3, stride=2), LayerNorm(), MaxPool(kernel=2), Flatten(), Linear(out=2)), (2, 12),
    ),
    "two masks": (listed(Linear(out=9), Dropout(), Linear(out=8), Dropout(p=0.3), Linear(out=2)), (6,)),
    "no mask": (listed(Dropout(p=0.0), Linear(out=8), Dropout(p=0.3)), (6,)),
    "skip, added": (listed(Save(key="a"), Linear(out=6), Tanh(), Take(key="a"), Linear(out=2)), (6,)),
    "skip, averaged": (listed(Linear(out=5), Save(key="a"), Linear(out=5), Take(key="a", merge="mean"), Tanh()), (6,)),
    "skip, side by side": (
        listed(
            Conv(out=3, kernel=1), Save(key="early"),
            Conv(out=2, kernel=3, padding=1), Take(key="early", merge="concat"), Conv(out=4, kernel=1),
        ),
        (2, 5, 5),
    ),
    "one value taken twice": (
        listed(Save(key="a"), Linear(out=6), Take(key="a"), Linear(out=6), Take(key="a", merge="concat"), Tanh()), (6,),
    ),
    "crossing skips": (
        listed(
            Save(key="a"), Linear(out=6), Save(key="b"), Tanh(), Take(key="a"), Linear(out=6), Take(key="b"), Dropout(),
        ),
        (6,),
    ),
    "a skip within a skip": (
        listed(Save(key="a"), Residual(body=listed(Save(key="a"), Linear(out=6), Take(key="a"))), Take(key="a")), (6,),
    ),
    "masks in repetitions": (listed(Repeat(times=3, layers=listed(Linear(out=6), Dropout())), Dropout()), (6,)),
    "masks in branches": (
        listed(
            Parallel(branches=(listed(Dropout()), listed(Linear(out=3), Dropout(p=0.2)), ()), merge="concat"),
            Dropout(),
        ),
        (6,),
    ),
    "a mask in a body": (
        listed(Residual(body=listed(Linear(out=4), Dropout(), Tanh()), shortcut="auto"), Dropout(), Linear(out=2)),
        (6,),
    ),
    "branches, averaged": (listed(Parallel(branches=(listed(Linear(out=6), Tanh()), ()), merge="mean")), (6,)),
    "branches, added": (listed(Parallel(branches=(listed(Tanh()), listed(Linear(out=6))), merge="add")), (6,)),
    "everything in everything": (
        listed(
            Repeat(
                times=2,
                layers=listed(
                    Residual(
                        body=listed(
                            Parallel(branches=(block(2), listed(Dropout(p=0.4), Conv(out=1, kernel=3, padding=1)))),
                            Tanh(),
                        ),
                        shortcut="auto",
                    ),
                    Dropout(p=0.2),
                ),
            )
        ),
        (2, 4, 4),
    ),
    "time and features": (listed(Linear(out=6), Tanh(), Residual(body=listed(Linear(out=2)), shortcut="auto")), (5, 4)),
}  # fmt: skip


def near(found: Tensor, expected: Tensor) -> bool:
    return found.shape == expected.shape and bool(torch.allclose(found, expected, rtol=1e-10, atol=1e-10))


@pytest.mark.parametrize("name", CHAINS)
def test_textbook_and_chain_rule_agree_with_autograd(name: str, seeded: torch.Generator) -> None:
    layers, shape = CHAINS[name]
    module = _chain.build(layers, shape).double().train()
    x = torch.randn(7, *shape, generator=seeded, dtype=torch.float64).requires_grad_()
    parameters: dict[str, Tensor] = dict(module.named_parameters())

    torch.manual_seed(5)
    y = module(x)
    after = torch.get_rng_state()
    assert y.shape == (7, *_chain.output_shape(layers, shape))
    torch.manual_seed(5)
    assert near(_chain.textbook(layers, x, parameters), y)
    assert torch.equal(torch.get_rng_state(), after)

    g = torch.randn(y.shape, generator=seeded, dtype=torch.float64)
    expected = dict(zip(["x", *parameters], torch.autograd.grad(y, [x, *parameters.values()], g), strict=True))
    torch.manual_seed(5)
    found = _chain.gradient(layers, g, x, parameters)
    assert found.keys() == expected.keys()
    assert [key for key in expected if not near(found[key], expected[key])] == []
    assert torch.equal(torch.get_rng_state(), after), "what follows would draw other random numbers"


def test_shapes_are_followed_through_the_list() -> None:
    found = [(link.name, link.before, link.after) for link in _chain.links(IMAGES, (3, 8, 8))]
    assert found == [
        ("0", (3, 8, 8), (8, 8, 8)),
        ("1", (8, 8, 8), (8, 8, 8)),
        ("2", (8, 8, 8), (8, 4, 4)),
        ("3", (8, 4, 4), (12, 4, 4)),
        ("4", (12, 4, 4), (12, 2, 2)),
        ("5", (12, 2, 2), (12,)),
        ("head", (12,), (10,)),
    ]


def test_shapes_need_no_torch() -> None:
    script = """if True:
        import sys
        from gradtrain.components.layers import Placed, _chain
        from gradtrain.components.models.resnet import Resnet
        assert _chain.output_shape(Resnet(out=10).expanded(), (3, 32, 32)) == (10,)
        assert "torch" not in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_parameters_are_named_by_position_or_name() -> None:
    layers = listed(
        Linear(out=6),
        Save(key="a"),
        Residual(body=listed(Tanh(), Linear(out=4)), shortcut="auto"),
        Repeat(times=2, layers=listed(Placed(part=Linear(out=4, bias=False), name="mix"))),
        Parallel(branches=(listed(Linear(out=1, bias=False)), ())),
        Placed(part=LayerNorm(), name="last"),
    )
    assert list(_chain.build(layers, (6,)).state_dict()) == [
        "0.weight", "0.bias", "2.body.1.weight", "2.body.1.bias", "2.shortcut.0.weight",
        "3.0.mix.weight", "3.1.mix.weight", "4.0.0.weight", "last.weight", "last.bias",
    ]  # fmt: skip


def test_repetitions_have_weights_of_their_own() -> None:
    module = _chain.build(listed(Repeat(times=3, layers=listed(Linear(out=6)))), (6,))
    first, second, third = (module.get_parameter(f"0.{i}.0.weight") for i in range(3))
    assert first is not second
    assert len({p.data_ptr() for p in (first, second, third)}) == 3


def test_leaf_modules_carry_their_component() -> None:
    layers = listed(Repeat(times=2, layers=listed(Residual(body=block(2), shortcut="auto"))), Flatten(), Linear(out=1))
    module = _chain.build(layers, (3, 4, 4))
    owners = {name: module.get_submodule(name.rpartition(".")[0]).component for name, _ in module.named_parameters()}
    assert owners == {
        "0.0.0.body.0.weight": "conv",
        "0.0.0.body.1.weight": "batch_norm",
        "0.0.0.body.1.bias": "batch_norm",
        "0.0.0.shortcut.0.weight": "conv",
        "0.1.0.body.0.weight": "conv",
        "0.1.0.body.1.weight": "batch_norm",
        "0.1.0.body.1.bias": "batch_norm",
        "2.weight": "linear",
        "2.bias": "linear",
    }


def test_a_plain_list_costs_what_a_plain_sequential_costs() -> None:
    module = _chain.build(IMAGES, (3, 8, 8))
    assert type(module) is Sequence
    assert Sequence.forward is nn.Sequential.forward
    assert type(_chain.build(CHAINS["skip, added"][0], (6,))) is Skips


class TestShortcut:
    def names(self, body: Layers, shape: Shape) -> dict[str, tuple[int, ...]]:
        parameters = Residual(body=body, shortcut="auto").build(shape).named_parameters()
        return {name: tuple(p.shape) for name, p in parameters if name.startswith("shortcut")}

    def test_is_the_identity_where_the_shape_stays(self) -> None:
        assert self.names(listed(Linear(out=6)), (6,)) == {}

    def test_is_linear_for_vectors(self) -> None:
        assert self.names(listed(Linear(out=4)), (6,)) == {"shortcut.0.weight": (4, 6)}

    def test_acts_on_the_features_of_a_sequence(self) -> None:
        assert self.names(listed(Linear(out=2)), (5, 4)) == {"shortcut.0.weight": (2, 4)}

    def test_mixes_channels_and_not_times_for_signals(self) -> None:
        halving = listed(Conv(out=4, kernel=3, padding=1, stride=2))
        assert self.names(halving, (4, 8)) == {"shortcut.0.weight": (4, 4, 1)}

    def test_is_a_1x1_convolution_for_images(self) -> None:
        assert self.names(block(7), (3, 4, 4)) == {"shortcut.0.weight": (7, 3, 1, 1)}

    @pytest.mark.parametrize(("size", "stride"), [(8, 2), (7, 2), (9, 3), (4, 4)])
    def test_shrinks_with_the_body(self, size: int, stride: int) -> None:
        shape = (2, size, size)
        module = Residual(body=listed(Conv(out=2, kernel=3, padding=1, stride=stride)), shortcut="auto").build(shape)
        assert module(torch.zeros(1, *shape)).shape[2] == -(-size // stride)

    def test_refuses_what_no_stride_leads_to(self) -> None:
        with pytest.raises(Misfit, match=r"no 1x1 convolution leads from \[2, 7, 7\] to the \[2, 5, 5\]"):
            Residual(body=listed(Conv(out=2, kernel=3)), shortcut="auto").output_shape((2, 7, 7))


def nested(part: Layer) -> Layers:
    return listed(Relu(), Relu(), Relu(), part)


MISFITS: dict[str, tuple[Layers, Shape, tuple[int | str, ...], str, str]] = {
    "conv on features": (
        listed(Flatten(), Conv(out=2, kernel=3)), (1, 8, 8), (1,),
        "`conv` takes [channels, height, width] or [channels, length], got [64]: 64 features without channels",
        "move it before `flatten`; data without channels cannot use it",
    ),
    "kernel beyond the image": (
        listed(Conv(out=2, kernel=5)), (1, 3, 3), (0,),
        "`conv` with kernel 5x5 does not fit an input of 3x3: [1, 3, 3] would become [2, -1, -1]",
        "use a smaller kernel, more padding, or shrink less before it",
    ),
    "kernel beyond the padded image": (
        listed(Conv(out=2, kernel=3, dilation=4, padding=1)), (1, 5, 9), (0,),
        "`conv` with kernel 3x3 and dilation 4x4 does not fit an input of 5x9 padded by 1x1: "
        "[1, 5, 9] would become [2, -1, 3]",
        "use a smaller kernel, more padding, or shrink less before it",
    ),
    "groups": (
        listed(Conv(out=4, kernel=1, groups=4)), (6, 2, 2), (0,),
        "`conv` cannot cut 6 input and 4 output channels into 4 equal groups",
        "write a number of groups that divides both",
    ),
    "one number too many": (
        listed(Conv(out=4, kernel=(3, 3))), (6, 9), (0,),
        "`conv` has 2 numbers in `kernel` for an input of [6, 9]: [channels, length]",
        "write one number, or 1 in a list",
    ),
    "same with a stride": (
        listed(Conv(out=4, kernel=3, stride=2, padding="same")), (6, 9), (0,),
        "`padding: same` keeps the size, the stride 2 of `conv` does not", "write the padding as a number",
    ),
    "pool beyond the image": (
        listed(MaxPool(kernel=2), MaxPool(kernel=2), AvgPool(kernel=(2, 3))), (1, 8, 8), (2,),
        "`avg_pool` with kernel 2x3 does not fit an input of 2x2: [1, 2, 2] would become [1, 1, 0]",
        "use a smaller kernel, more padding, or shrink less before it",
    ),
    "too much padding": (
        listed(MaxPool(kernel=2, padding=2)), (1, 8), (0,),
        "`max_pool` cannot pad an input by 2 for a kernel of 2: too far", "pad by half the kernel at most",
    ),
    "linear on an image": (
        listed(Relu(), Linear(out=3)), (3, 8, 8), (1,),
        "`linear` takes [features] or [time, features], got [3, 8, 8]: 3 channels of 8x8", "put `flatten` before it",
    ),
    "average over no positions": (
        listed(GlobalAvgPool()), (3,), (0,),
        "`global_avg_pool` takes [channels, height, width] or [channels, length], got [3]",
        "leave it out: there are no positions to average over",
    ),
    "in a body": (
        nested(Residual(body=listed(Relu(), Linear(out=1)))), (1, 2, 2), (3, "body", 1),
        "`linear` takes [features] or [time, features], got [1, 2, 2]: 1 channels of 2x2", "put `flatten` before it",
    ),
    "a body that changes the shape": (
        nested(Residual(body=listed(Linear(out=4)))), (6,), (3,),
        "the body of `residual` turns [6] into [4]: they cannot be added",
        "write `shortcut: auto`, or keep the shape in the body",
    ),
    "in the second repetition": (
        nested(
            Repeat(times=2, layers=listed(Conv(out=1, kernel=3), Repeat(times=1, layers=listed(MaxPool(kernel=2)))))
        ),
        (1, 8), (3, "layers", 1, "layers", 0),
        "`max_pool` with kernel 2 does not fit an input of 1: [1, 1] would become [1, 0]",
        "use a smaller kernel, more padding, or shrink less before it",
    ),
    "in a branch": (
        nested(Parallel(branches=((), listed(Relu(), Conv(out=1, kernel=9))))), (1, 4), (3, "branches", 1, 1),
        "`conv` with kernel 9 does not fit an input of 4: [1, 4] would become [1, -4]",
        "use a smaller kernel, more padding, or shrink less before it",
    ),
    "nothing saved": (
        listed(Take(key="a"), Save(key="a")), (6,), (0,),
        "nothing is saved as `a` before this place in the list", "write `save: a` earlier in the same list",
    ),
    "saved in another list": (
        listed(Save(key="a"), Residual(body=listed(Take(key="a")))), (6,), (1, "body", 0),
        "nothing is saved as `a` before this place in the list", "write `save: a` earlier in the same list",
    ),
    "saved twice": (
        listed(Save(key="a"), Save(key="a")), (6,), (1,),
        "`save: a` stands twice in one list", "give each its own key",
    ),
    "added to another shape": (
        listed(Save(key="a"), Linear(out=4), Take(key="a")), (6,), (2,),
        "`take` cannot add the saved [6] and [4]: the shapes differ",
        "save where the shape is the same, or write `merge: concat`",
    ),
    "joined to another size": (
        listed(Save(key="a"), MaxPool(kernel=2), Take(key="a", merge="concat")), (1, 4, 4), (2,),
        "`take` cannot join the saved [1, 4, 4] and [1, 2, 2]: they differ beyond the channels",
        "save where height and width are the same",
    ),
    "one name twice": (
        listed(Placed(part=Relu(), name="a"), Placed(part=Tanh(), name="a")), (6,), (1,),
        "two layers of one list are named `a`", "give each its own name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_where_it_stands(case: str) -> None:
    layers, shape, path, what, help = MISFITS[case]
    with pytest.raises(Misfit) as caught:
        _chain.links(layers, shape)
    assert (caught.value.path, str(caught.value), caught.value.help) == (path, what, help)
    with pytest.raises(Misfit):
        _chain.build(layers, shape)


@pytest.mark.parametrize("merge", ["add", "mean"])
def test_branches_of_different_widths_cannot_be_summed(merge: str) -> None:
    with pytest.raises(Misfit, match=r"cannot be added: \[3\], \[6\] differ"):
        Parallel(branches=(listed(Linear(out=3)), ()), merge=merge).output_shape((6,))


def test_branches_of_different_sizes_cannot_be_concatenated() -> None:
    with pytest.raises(Misfit, match=r"cannot be concatenated: \[1, 2\], \[1, 4\] differ beyond the channels"):
        Parallel(branches=(listed(MaxPool(kernel=2)), ())).output_shape((1, 4))


def test_no_layer_takes_a_name_that_modules_need() -> None:
    for module in (Sequence({}), Skips({}, ())):
        assert {name for name in dir(module) if not name.startswith("_")} <= TAKEN
    assert "component" in TAKEN


@pytest.mark.parametrize("name", ["train", "component", "a.b", "0", "_modules", "", "head*", "ä"])
def test_names_that_would_break_the_module_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Placed(part=Relu(), name=name)


@pytest.mark.parametrize("name", ["head", "block-2", "Stem_1"])
def test_names_are_free_otherwise(name: str) -> None:
    assert list(_chain.build(listed(Placed(part=Linear(out=1), name=name)), (2,)).state_dict()) == [
        f"{name}.weight", f"{name}.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["", "a b", "1", "a.b"])
def test_keys_are_words(key: str) -> None:
    for cls in (Save, Take):
        with pytest.raises(ValidationError):
            cls(key=key)
