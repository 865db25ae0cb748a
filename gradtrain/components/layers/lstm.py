"""Long short-term memory."""

from __future__ import annotations

from pydantic import PositiveInt

from gradtrain.components.layers._recurrent import Recurrent, State, sigmoid
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Lstm(Recurrent):
    """Reads a sequence into a memory with gates: what to forget, what to write down, what to say.

    At every step, with a = x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh cut into a_i, a_f, a_g, a_o, σ the sigmoid,
    and h, c the memory of the step before, zeros at first:

    value     i = σ(a_i),  f = σ(a_f),  g = tanh(a_g),  o = σ(a_o);  c' = f c + i g;  y = h' = o tanh(c')
    gradient  back through time, with dh' = what the step's output and the next step ask for and
              dc' ← dc' + dh' o (1 - tanh²(c')):  da_i = dc' g i (1 - i),  da_f = dc' c f (1 - f),
              da_g = dc' i (1 - g²),  da_o = dh' tanh(c') o (1 - o);  dc = dc' f,  dh = da weight_hh,
              dx = da weight_ih,  dweight_ih = Σ daᵀ x,  dweight_hh = Σ daᵀ h,  both biases Σ da
    paper     Hochreiter & Schmidhuber (1997), Neural Computation 9(8):1735-1780, doi:10.1162/neco.1997.9.8.1735;
              the forget gate: Gers, Schmidhuber & Cummins (2000), Neural Computation 12(10):2451-2471
    shape     [batch, time, features] → [batch, time, size], or [batch, size] with `output: last`; twice the size when
              bidirectional; weight_ih_l0 [4 size, features], weight_hh_l0 [4 size, size]
    note      Two biases that are only ever added, as in PyTorch; Keras has one, at 1 for the forget gate.
              `last` is the memory after the last step, for the way back that after the first.
    """

    remembers = 2
    cases = [
        {"size": 3},
        {"size": 2, "layers": 2, "output": "last"},
        {"size": 2, "layers": 2, "bidirectional": True, "dropout": 0.3},
        {"size": 3, "bidirectional": True, "output": "last"},
    ]

    size: PositiveInt
    """Numbers in the memory."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.recurrent import Lstm as Module

        self.output_shape(shape)
        return Module(
            shape[1], self.size, self.layers, dropout=self.dropout, bidirectional=self.bidirectional,
            last=self.output == "last",
        )  # fmt: skip

    def step(self, of_input: Tensor, of_state: Tensor, state: State) -> State:
        i, f, g, o = (of_input + of_state).chunk(4, dim=-1)
        c = sigmoid(f) * state[1] + sigmoid(i) * g.tanh()
        return sigmoid(o) * c.tanh(), c

    def back(self, later: State, of_input: Tensor, of_state: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        a_i, a_f, a_g, a_o = (of_input + of_state).chunk(4, dim=-1)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), a_g.tanh(), sigmoid(a_o)
        said = (f * state[1] + i * g).tanh()
        dh, dc = later
        dc = dc + dh * o * (1 - said**2)
        da = torch.cat(
            [dc * g * i * (1 - i), dc * state[1] * f * (1 - f), dc * i * (1 - g**2), dh * said * o * (1 - o)], dim=-1
        )
        return da, da, (torch.zeros_like(dh), dc * f)
