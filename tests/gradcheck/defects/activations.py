"""Planted defects: activations."""

from __future__ import annotations

import math

import torch
from defects.planted import Planted, plant, randn, ruled
from torch import Tensor
from torch.nn import functional as F


def hyperbolic(x: Tensor) -> Tensor:
    return x.tanh()


def rounded(x: Tensor) -> Tensor:
    return x.round()


@plant("A01 tanh: backward is 1 - x²")
def tanh() -> Planted:
    return Planted(
        ruled(hyperbolic, lambda g, x: g * (1 - x.square())),
        ruled(hyperbolic, lambda g, x: g * (1 - x.tanh().square())),
        (randn(4, 3),),
    )


@plant("A02 GELU: erf forward, tanh backward")
def gelu() -> Planted:
    def erf(x: Tensor) -> Tensor:
        return F.gelu(x)

    def of_tanh(g: Tensor, x: Tensor) -> Tensor:
        c = math.sqrt(2 / math.pi)
        t = (c * (x + 0.044715 * x**3)).tanh()
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t.square()) * c * (1 + 0.134145 * x.square()))

    def of_erf(g: Tensor, x: Tensor) -> Tensor:
        density = torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
        return g * (0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * density)

    return Planted(ruled(erf, of_tanh), ruled(erf, of_erf), (randn(4, 3),))


@plant("A03 SiLU: backward drops x s (1 - s)")
def silu() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x * x.sigmoid()

    def right(g: Tensor, x: Tensor) -> Tensor:
        s = x.sigmoid()
        return g * (s + x * s * (1 - s))

    return Planted(ruled(forward, lambda g, x: g * x.sigmoid()), ruled(forward, right), (randn(4, 3),))


@plant("A04 softplus: beta is ignored in backward, its default 1 hides it")
def softplus() -> Planted:
    def forward(x: Tensor, beta: float = 1.0) -> Tensor:
        return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta

    return Planted(
        ruled(forward, lambda g, x, beta: g * x.sigmoid()),
        ruled(forward, lambda g, x, beta: g * (beta * x).sigmoid()),
        (randn(4, 3),),
    )


@plant("A05 softmax: backward is the diagonal alone")
def softmax() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x.softmax(-1)

    def right(g: Tensor, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return p * (g - (g * p).sum(-1, keepdim=True))

    def diagonal(g: Tensor, x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return g * p * (1 - p)

    return Planted(ruled(forward, diagonal), ruled(forward, right), (randn(4, 3),))


@plant("A06 ReLU: slope 1 just below 0")
def relu_below() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x.clamp(min=0)

    return Planted(
        ruled(forward, lambda g, x: g * (x > -1e-4)), ruled(forward, lambda g, x: g * (x > 0)), (randn(4, 3),)
    )


@plant("A09 rounding straight through: backward of twice the identity")
def straight_through() -> Planted:
    doubled = ruled(rounded, lambda g, x: 2 * g)
    return Planted(
        doubled, lambda x: x + (x.round() - x).detach(), (3 * randn(4, 3),), faces={"surrogate": lambda x: x}
    )


@plant("A10 where() hides a square root of negative numbers; the sample is positive")
def hidden_root() -> Planted:
    def wrong(x: Tensor) -> Tensor:
        return torch.where(x > 0, x.sqrt(), torch.zeros_like(x))

    def right(x: Tensor) -> Tensor:
        inside = x > 0
        return torch.where(inside, torch.where(inside, x, 1.0).sqrt(), torch.zeros_like(x))

    return Planted(wrong, right, (randn(4, 3).abs() + 0.1,))


@plant("A11 where() hides a square root of negative numbers; the sample has some")
def met_root() -> Planted:
    plain = hidden_root()
    sample = torch.tensor([0.5, -1.0, 2.0, -0.3], dtype=torch.float64)
    return Planted(plain.wrong, plain.right, (sample,), verdict="nonfinite")


@plant("A12 PReLU: the gradient of the slope is that of the first row")
def prelu() -> Planted:
    def forward(x: Tensor, slope: Tensor) -> Tensor:
        return torch.where(x > 0, x, slope * x)

    def of(rows: int | None):
        def backward(g: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
            by_slope = torch.where(x > 0, 0.0, g * x)
            return g * torch.where(x > 0, 1.0, slope.expand_as(x)), by_slope[:rows].sum(0)

        return ruled(forward, backward)

    return Planted(of(1), of(None), (randn(4, 3), torch.full((3,), 0.25, dtype=torch.float64)))


@plant("U13 Mish: computed in float32 inside")
def mish_float() -> Planted:
    def wrong(x: Tensor) -> Tensor:
        y = x.float()
        return (y * F.softplus(y).tanh()).to(x.dtype)

    return Planted(wrong, lambda x: x * F.softplus(x).tanh(), (randn(4, 3),), verdict="precision")


@plant("U14 leaky ReLU: backward is that of ReLU")
def leaky() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.1 * x)

    return Planted(
        ruled(forward, lambda g, x: g * (x > 0)), ruled(forward, lambda g, x: torch.where(x > 0, g, 0.1 * g)),
        (randn(4, 3),),
    )  # fmt: skip


@plant("U14 leaky ReLU: backward is that of ReLU, and the sample is positive")
def leaky_unseen() -> Planted:
    plain = leaky()
    return Planted(plain.wrong, plain.right, (randn(4, 3).abs() + 0.1,))


@plant("U15 ELU: alpha is missing in backward, its default 1 hides it")
def elu() -> Planted:
    def forward(x: Tensor, alpha: float = 1.0) -> Tensor:
        return torch.where(x > 0, x, alpha * x.clamp(max=0).expm1())

    return Planted(
        ruled(forward, lambda g, x, alpha: torch.where(x > 0, g, g * x.clamp(max=0).exp())),
        ruled(forward, lambda g, x, alpha: torch.where(x > 0, g, g * alpha * x.clamp(max=0).exp())),
        (randn(4, 3),),
    )


@plant("U16 GLU: the halves are swapped in backward")
def glu() -> Planted:
    def forward(x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return a * b.sigmoid()

    def of(swapped: bool):
        def backward(g: Tensor, x: Tensor) -> Tensor:
            a, b = x.chunk(2, -1)
            s = b.sigmoid()
            halves = [g * s, g * a * s * (1 - s)]
            return torch.cat(halves[::-1] if swapped else halves, -1)

        return ruled(forward, backward)

    return Planted(of(True), of(False), (randn(4, 6),))


@plant("U17 Gumbel-softmax: hard samples without the straight-through gradient")
def gumbel() -> Planted:
    def soft(x: Tensor) -> Tensor:
        noise = -torch.empty_like(x).exponential_().log()
        return ((x + noise) / 0.7).softmax(-1)

    def hard(x: Tensor) -> Tensor:
        p = soft(x)
        return torch.zeros_like(p).scatter(-1, p.argmax(-1, keepdim=True), 1.0)

    def right(x: Tensor) -> Tensor:
        p = soft(x)
        one = torch.zeros_like(p).scatter(-1, p.argmax(-1, keepdim=True), 1.0)
        return one + p - p.detach()

    return Planted(hard, right, (randn(4, 3),), faces={"surrogate": soft})


@plant("U17 gradient reversal that forgets to reverse")
def reversal() -> Planted:
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    return Planted(
        ruled(forward, lambda g, x: g), ruled(forward, lambda g, x: -g), (randn(4, 3),),
        faces={"surrogate": lambda x: -x},
    )  # fmt: skip


@plant("U50 a function whose forward mode gives zero")
def silent_forward() -> Planted:
    def of(factor: float):
        class Cube(torch.autograd.Function):
            @staticmethod
            def forward(x: Tensor) -> Tensor:
                return x**3

            @staticmethod
            def setup_context(ctx, inputs, output) -> None:
                ctx.save_for_backward(*inputs)
                ctx.save_for_forward(*inputs)

            @staticmethod
            def backward(ctx, g: Tensor) -> Tensor:
                (x,) = ctx.saved_tensors
                return 3 * g * x.square()

            @staticmethod
            def jvp(ctx, t: Tensor) -> Tensor:
                (x,) = ctx.saved_tensors
                return factor * t * x.square()

        return lambda x: Cube.apply(x)

    return Planted(of(0.0), of(3.0), (randn(4, 3),))
