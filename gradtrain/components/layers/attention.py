"""Multi-head attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from gradtrain.components.layers import Layer
from gradtrain.components.layers._attention import Seen, angles, attend, attend_gradient, joined, past, split, turn
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Attention(Layer):
    """Every step asks all steps a question and takes an average of their answers, weighted by how well they fit.

    For every head, q, k, v = slices of x qkv.weightᵀ + qkv.bias, d its width, P = softmax(q kᵀ / √d) over the steps
    that may be looked at, y the heads side by side:

    value     out = y proj.weightᵀ + proj.bias,  y = P v
    gradient  with h = g proj.weight:  dv = Pᵀ h,  dP = h vᵀ,  dS = P (dP - Σ dP P) / √d,  dq = dS k,  dk = dSᵀ q;
              the weights as in `linear`
    paper     Vaswani et al. (2017), NeurIPS, arXiv:1706.03762; rotary: Su et al. (2021), arXiv:2104.09864
    shape     [batch, time, width] → the same; qkv.weight [3 width, width], proj.weight [width, width]
    note      Dropout is on P, as in the paper. Without it torch's fused kernel computes y, which has no second
              derivative: a run that needs one uses separate products. Rotary turns the halves of a head, the first
              coordinate with the one half a head further, as GPT-NeoX does.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((5, 4), (1, 8))
    cases = [
        {"heads": 2},
        {"heads": 1, "bias": False},
        {"heads": 2, "causal": True},
        {"heads": 2, "causal": True, "dropout": 0.3},
        {"heads": 2, "rotary": True},
    ]
    random = True

    heads: PositiveInt
    """Questions asked side by side; the width is a multiple of it."""
    causal: bool = False
    """A step looks at itself and at earlier steps only."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that an answer is silenced while training."""
    bias: bool = True
    """Learn a bias in both products."""
    rotary: bool = False
    """Turn questions and keys by an angle that grows with the step, so that their product depends on the distance."""

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise Misfit(
                f"`attention` takes [time, width], got {list(shape)}", "put `embedding` or `patches` before it"
            )
        if shape[1] % self.heads:
            raise Misfit(
                f"a width of {shape[1]} does not divide into {self.heads} heads", "make it a multiple of `heads`"
            )
        if self.rotary and shape[1] // self.heads % 2:
            raise Misfit(f"rotary turns pairs, a head has {shape[1] // self.heads} numbers", "give heads an even width")
        return shape

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.attention import Attention as Module

        time, width = self.output_shape(shape)
        turns = angles(time, width // self.heads) if self.rotary else None
        return Module(width, self.heads, causal=self.causal, dropout=self.dropout, bias=self.bias, angles=turns)

    def _forward(self, x: Tensor, parameters: Mapping[str, Tensor]) -> Seen:
        whole = x @ parameters["qkv.weight"].T + parameters.get("qkv.bias", 0)
        q, k, v = (split(part, self.heads) for part in whole.chunk(3, dim=-1))
        if self.rotary:
            by = self._angles(parameters)
            q, k = turn(q, by), turn(k, by)
        return attend(q, k, v, past(x.shape[1]) if self.causal else None, self.dropout)

    def _angles(self, parameters: Mapping[str, Tensor]) -> Tensor:
        return torch.atan2(parameters["sine"], parameters["cosine"])

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        y = joined(self._forward(x, parameters).y)
        return y @ parameters["proj.weight"].T + parameters.get("proj.bias", 0)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        seen = self._forward(x, parameters)
        dq, dk, dv = attend_gradient(split(g @ parameters["proj.weight"], self.heads), seen)
        if self.rotary:
            by = -self._angles(parameters)
            dq, dk = turn(dq, by), turn(dk, by)
        whole = torch.cat([joined(part) for part in (dq, dk, dv)], dim=-1)
        answer = {
            "x": whole @ parameters["qkv.weight"],
            "qkv.weight": whole.flatten(0, 1).T @ x.flatten(0, 1),
            "proj.weight": g.flatten(0, 1).T @ joined(seen.y).flatten(0, 1),
        }
        if self.bias:
            answer |= {"qkv.bias": whole.sum(dim=(0, 1)), "proj.bias": g.sum(dim=(0, 1))}
        return answer
