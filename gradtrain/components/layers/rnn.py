"""The plain recurrent network."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from gradtrain.components.layers._recurrent import Recurrent, State
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Rnn(Recurrent):
    """Reads a sequence into a memory that is written anew at every step; what lies far back fades or explodes.

    At every step, with h the memory of the step before, zeros at first:

    value     a = x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh;  y = h' = tanh(a),  or max(0, a)
    gradient  back through time, with dh' = what the step's output and the next step ask for:
              da = dh' (1 - h'²),  or dh' where a > 0, else 0;  dh = da weight_hh,  dx = da weight_ih,
              dweight_ih = Σ daᵀ x,  dweight_hh = Σ daᵀ h,  both biases Σ da
    paper     Elman (1990), Cognitive Science 14(2):179-211, doi:10.1207/s15516709cog1402_1
    shape     [batch, time, features] → [batch, time, size], or [batch, size] with `output: last`; twice the size when
              bidirectional; weight_ih_l0 [size, features], weight_hh_l0 [size, size]
    note      Two biases that are only ever added, as in PyTorch. The memory itself is the output: Elman puts a second
              layer on it, here a `linear` after this one.
    """

    cases = [
        {"size": 3},
        {"size": 3, "activation": "relu"},
        {"size": 2, "layers": 2, "output": "last"},
        {"size": 2, "layers": 2, "bidirectional": True, "dropout": 0.3},
    ]

    size: PositiveInt
    """Numbers in the memory."""
    activation: Literal["tanh", "relu"] = "tanh"
    """What every number of the memory goes through."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.recurrent import Rnn as Module

        self.output_shape(shape)
        return Module(
            shape[1], self.size, self.layers, dropout=self.dropout, bidirectional=self.bidirectional,
            last=self.output == "last", nonlinearity=self.activation,
        )  # fmt: skip

    def step(self, of_input: Tensor, of_state: Tensor, state: State) -> State:
        a = of_input + of_state
        return (a.tanh() if self.activation == "tanh" else torch.where(a > 0, a, 0.0),)

    def back(self, later: State, of_input: Tensor, of_state: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        a = of_input + of_state
        da = later[0] * (1 - a.tanh() ** 2) if self.activation == "tanh" else torch.where(a > 0, later[0], 0.0)
        return da, da, (torch.zeros_like(da),)

    def kink(self, x: Tensor, **parameters: Tensor) -> Tensor | None:
        if self.activation == "tanh":
            return None
        with torch.random.fork_rng(devices=[]):
            return torch.cat([moment.of_input + moment.of_state for moment in self._moments(x, parameters)])
