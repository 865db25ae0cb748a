"""Correct functions at points where a clumsy checker refuses them: corners, ties, bounds, layouts, unusual answers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from defects.planted import Correct, correct, leaf, rand, randn
from torch import Tensor
from torch.nn import functional as F


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


AT_ZERO = {
    "ReLU": F.relu,
    "abs": torch.abs,
    "leaky ReLU": lambda x: F.leaky_relu(x, 0.1),
    "ELU with alpha 2": lambda x: F.elu(x, 2.0),
    "softshrink": lambda x: F.softshrink(x - 0.5),
    "clamp at its bound": lambda x: x.clamp(0, 2.0),
    "hardtanh": lambda x: F.hardtanh(x + 1),
    "ReLU6": F.relu6,
    "hardswish at -3": lambda x: F.hardswish(x - 3),
    "hardswish at 3": lambda x: F.hardswish(x + 3),
    "maximum with 0": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "where": lambda x: torch.where(x > 0, x, 0.2 * x),
    "L1": lambda x: x.abs().sum(),
    "log-sigmoid": F.logsigmoid,
    "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "norm of a zero and others": lambda x: x.norm(),
    "squared ReLU": lambda x: x.relu().square(),
    "celu": F.celu,
    "a product with ReLU": lambda x: x.relu() * x.sin(),
    "x |x|": lambda x: x * x.abs(),
}

for name, function in AT_ZERO.items():
    correct(f"A07 A08 {name} at exactly 0")(
        lambda function=function: Correct(function, (numbers(0.0, 1.3, -0.7, 0.0),))  # type: ignore[misc]
    )


@correct("ReLU at nothing but 0")
def nothing_but_zero() -> Correct:
    return Correct(F.relu, (torch.zeros(3, dtype=torch.float64),), "kink")


@correct("norm at 0")
def norm_of_zero() -> Correct:
    return Correct(torch.linalg.vector_norm, (torch.zeros(3, dtype=torch.float64),))


@correct("square root near 0")
def root() -> Correct:
    return Correct(torch.sqrt, (numbers(1e-6, 1e-3, 0.5, 2.0),))


@correct("a square root that stays away from 0")
def safe_root() -> Correct:
    return Correct(lambda x: (x.square().sum(1) + 1e-12).sqrt(), (randn(4, 3),))


@correct("Huber at delta")
def huber() -> Correct:
    return Correct(
        lambda x: F.huber_loss(x, torch.zeros_like(x), delta=0.7, reduction="sum"), (numbers(0.7, -0.7, 0.1),)
    )


@correct("smooth L1 at beta and at 0")
def smooth() -> Correct:
    return Correct(lambda x, t: F.smooth_l1_loss(x, t, reduction="none"), (numbers(1, 0, -1), numbers(0, 0, 0)))


@correct("hinge at its margin")
def hinge() -> Correct:
    return Correct(lambda x: (1 - x).relu().sum(), (numbers(1.0, 0.3, 2.0),))


TIED = {
    "max over all": lambda x: x.max(),
    "max over rows": lambda x: x.max(1).values,
    "amax": lambda x: x.amax(1),
    "min": lambda x: x.min(0).values,
    "max pooling": lambda x: F.max_pool1d(x[None], 2),
    "sort": lambda x: x.sort(1).values,
    "topk": lambda x: x.topk(2, 1).values,
    "median": lambda x: x.median(1).values,
    "kthvalue": lambda x: x.kthvalue(2, 1).values,
    "adaptive max pooling": lambda x: F.adaptive_max_pool1d(x[None], 2),
    "cummax": lambda x: x.cummax(1).values,
    "maximum of columns": lambda x: torch.maximum(x[:, 0], x[:, 1]),
    "logsumexp": lambda x: x.logsumexp(1),
    "range": lambda x: x.amax(1) - x.amin(1),
    "quantile": lambda x: x.quantile(0.5, 1),
    "softmax": lambda x: x.softmax(1),
}

for name, function in TIED.items():
    tied = torch.tensor([[1.0, 1.0, 0.2, 1.0], [0.0, -1.0, -1.0, 0.5]], dtype=torch.float64)
    correct(f"{name} with ties")(
        lambda function=function, tied=tied: Correct(function, (tied.clone(),))  # type: ignore[misc]
    )
    correct(f"{name} without ties")(
        lambda function=function: Correct(function, (randn(2, 4),))  # type: ignore[misc]
    )


@correct("T04 dropout draws a mask")
def dropout() -> Correct:
    return Correct(lambda x: F.dropout(x, 0.5), (randn(4, 5),))


@correct("noise from a generator of one's own")
def own_generator() -> Correct:
    source = torch.Generator().manual_seed(3)
    return Correct(lambda x: x * torch.randn(x.shape, generator=source, dtype=x.dtype), (randn(4),))


@correct("random ReLU slopes")
def rrelu() -> Correct:
    return Correct(lambda x: F.rrelu(x, training=True), (randn(4, 3),))


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


ANSWERS = {
    "a tuple": lambda x: (x.sin(), x.sum()),
    "a mapping": lambda x: {"a": x.sin(), "b": x.square().sum()},
    "nested": lambda x: {"a": [x.sin(), (x.cos(),)], "b": None},
    "a named tuple": lambda x: Pair(x.sin(), x.exp()),
    "tensors, whole numbers and text": lambda x: (x.sin(), x.argmax(), "label", 3, None),
    "nothing beside something": lambda x: (x[:0], x.sin()),
    "its input": lambda x: x,
    "a view": lambda x: x[1:],
    "the same tensor twice": lambda x: (y := x.sin(), y),
    "values and indices": lambda x: x.sort(),
    "an expanded tensor": lambda x: x.sum().expand(3, 2),
    "a transposed tensor": lambda x: x.outer(x.sin()).T,
}

for name, function in ANSWERS.items():
    correct(f"the answer is {name}")(
        lambda function=function: Correct(function, (randn(4),))  # type: ignore[misc]
    )


@correct("an output of size 0 alone")
def nothing_out() -> Correct:
    return Correct(lambda x: (x[:0], x.sum()), (randn(3),))


@correct("an input of size 0 beside another")
def nothing_in() -> Correct:
    return Correct(lambda x, y: x.sum() + y.sin(), (randn(0, 3), randn(4)))


@correct("an input of size 0 alone")
def only_nothing() -> Correct:
    return Correct(lambda x: x.sum(), (randn(0, 3),))


@correct("inputs without axes")
def scalars() -> Correct:
    return Correct(lambda x, y: x * y.exp(), (torch.tensor(0.3).double(), torch.tensor(-1.2).double()))


@correct("a transposed input")
def transposed() -> Correct:
    return Correct(lambda x: (x @ x.T).tanh(), (randn(3, 4).T,))


@correct("every other number of an input")
def strided() -> Correct:
    return Correct(lambda x: x.sin() * x.sum(), (randn(8)[::2],))


@correct("an expanded input")
def expanded() -> Correct:
    return Correct(lambda x: (x * torch.arange(3).to(x)).sin(), (randn(4, 1).expand(4, 3),))


@correct("channels last")
def channels_last() -> Correct:
    kernel = randn(2, 3, 2, 2, seed=4)
    x = randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    return Correct(lambda x: F.conv2d(x, kernel.to(x)), (x,))


@correct("a float32 function of float32 inputs")
def float32() -> Correct:
    return Correct(lambda x, y: (x * y).tanh().sum(), (torch.linspace(-1, 1, 6), torch.linspace(1, 2, 6)))


@correct("whole numbers, truths and None among the inputs")
def mixed() -> Correct:
    def function(x: Tensor, rows: Tensor, keep: Tensor, bias: Tensor | None, power: int, name: str = "") -> Tensor:
        y = x[rows].masked_fill(keep, 0.5)
        return y.sin() ** power if bias is None else y + bias

    return Correct(function, (randn(4, 3), torch.tensor([0, 2, 2]), randn(3, 3, seed=2) > 0, None, 2))


@correct("lists and mappings of inputs")
def nested_inputs() -> Correct:
    def function(xs: list[Tensor], named: dict[str, Tensor]) -> Tensor:
        return xs[0] * xs[1].sin() + named["bias"]

    return Correct(function, ([randn(3), randn(3, seed=1)], {"bias": randn(3, seed=2)}))


@correct("an embedding with an id twice")
def duplicates() -> Correct:
    return Correct(lambda table: F.embedding(torch.tensor([1, 1, 3]), table), (randn(4, 2),))


@correct("cross entropy with an ignored label")
def ignored() -> Correct:
    return Correct(
        lambda x, t: F.cross_entropy(x, t, ignore_index=2, label_smoothing=0.1),
        (randn(4, 3), torch.tensor([0, 2, 1, 2])),
    )


@correct("cross entropy of soft labels and weights")
def soft() -> Correct:
    weights = numbers(0.2, 1.0, 3.0)
    return Correct(
        lambda x: F.cross_entropy(x, randn(4, 3, seed=3).softmax(1).to(x), weights.to(x)), (randn(4, 3),)
    )  # fmt: skip


@correct("CTC of logits")
def ctc() -> Correct:
    targets, lengths = torch.tensor([[1, 2, 2], [3, 1, 0]]), (torch.tensor([6, 5]), torch.tensor([3, 2]))
    return Correct(lambda x: F.ctc_loss(x.log_softmax(2), targets, *lengths), (randn(6, 2, 4),))


def definite() -> Tensor:
    a = randn(3, 3)
    return a @ a.T + 3 * torch.eye(3, dtype=torch.float64)


LINEAR = {
    "Cholesky factor": lambda a: torch.linalg.cholesky((a + a.T) / 2),
    "solve": lambda a: torch.linalg.solve(a, torch.arange(3).to(a)),
    "inverse": torch.linalg.inv,
    "determinant": torch.linalg.det,
    "log determinant": lambda a: torch.linalg.slogdet(a).logabsdet,
    "singular values": torch.linalg.svdvals,
    "eigenvalues": lambda a: torch.linalg.eigvalsh((a + a.T) / 2),
    "matrix exponential": lambda a: torch.linalg.matrix_exp(a / 5),
    "spectral norm": lambda a: torch.linalg.matrix_norm(a, 2),
    "nuclear norm": lambda a: torch.linalg.matrix_norm(a, "nuc"),
    "QR": lambda a: torch.linalg.qr(a).R.abs(),
    "least squares": lambda a: torch.linalg.lstsq(a, torch.eye(3).to(a)).solution,
}

for name, function in LINEAR.items():
    correct(f"{name} of a well-conditioned matrix")(
        lambda function=function: Correct(function, (definite(),))  # type: ignore[misc]
    )

SMOOTH = {
    "logarithm of positive numbers": torch.log,
    "power": lambda x: x**2.5,
    "reciprocal": torch.reciprocal,
    "lgamma": torch.lgamma,
    "arc sine": lambda x: torch.asin(x * 0.9),
    "Fourier transform": lambda x: torch.fft.rfft(x).abs(),
    "complex answer": lambda x: torch.fft.fft(x),
    "complex inside": lambda x: (x * torch.exp(1j * x)).real.cumsum(0),
    "cumulative product": lambda x: x.cumprod(0),
    "erfinv": lambda x: torch.erfinv(0.9 * x),
    "softplus": F.softplus,
    "log1p": torch.log1p,
    "atan2": lambda x: torch.atan2(x, x.flip(0)),
    "product": torch.prod,
    "variance": torch.var,
    "standard deviation": torch.std,
    "roll": lambda x: x.roll(1) * x,
    "cosine similarity": lambda x: F.cosine_similarity(x, x.flip(0), 0),
    "interpolation": lambda x: F.interpolate(x[None, None], scale_factor=2.0, mode="linear"),
    "xlogy": lambda x: torch.xlogy(x, x),
    "a loop that stops at a value": lambda x: x if float(x.detach().sum()) > 100 else x.sin(),
}

for name, function in SMOOTH.items():
    correct(f"{name} inside its domain")(
        lambda function=function: Correct(function, (0.1 + 0.8 * rand(5),))  # type: ignore[misc]
    )


@correct("an input that is not differentiated by")
def constant_input() -> Correct:
    return Correct(lambda x, y: (x * y).sin(), (leaf(randn(3)), randn(3, seed=1)))


@correct("a result that adds large constants")
def cancellation() -> Correct:
    return Correct(lambda x: (x + 1e6).square().sum() - 1e12, (randn(4),))


@correct("very small numbers")
def small() -> Correct:
    return Correct(lambda x: (x * 1e-12).tanh() * 1e-6, (1e-6 * randn(4),))


@correct("very large numbers")
def large() -> Correct:
    return Correct(lambda x: x.square().sum(), (1e9 * randn(4),))


@correct("a saturated sigmoid")
def saturated() -> Correct:
    return Correct(torch.sigmoid, (numbers(60.0, -60.0, 800.0, -800.0),))


@correct("a derivative that is truly zero")
def flat() -> Correct:
    return Correct(lambda x: x.clamp(10, 20), (randn(4),), "inert")
