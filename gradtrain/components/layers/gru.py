"""The gated recurrent unit."""

from __future__ import annotations

from pydantic import PositiveInt

from gradtrain.components.layers._recurrent import Recurrent, State, sigmoid
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Shape


class Gru(Recurrent):
    """Reads a sequence into a memory with two gates: how much of it to look at, and how much of it to keep.

    At every step, with a = x weight_ihᵀ + bias_ih and s = h weight_hhᵀ + bias_hh, each cut into its r, z and n part,
    σ the sigmoid, and h the memory of the step before, zeros at first:

    value     r = σ(a_r + s_r),  z = σ(a_z + s_z),  n = tanh(a_n + r s_n);  y = h' = (1 - z) n + z h
    gradient  back through time, with dh' = what the step's output and the next step ask for:
              da_n = dh' (1 - z) (1 - n²),  da_z = dh' (h - n) z (1 - z),  da_r = da_n s_n r (1 - r);
              ds_r = da_r,  ds_z = da_z,  ds_n = da_n r;  dh = dh' z + ds weight_hh,  dx = da weight_ih,
              dweight_ih = Σ daᵀ x,  dweight_hh = Σ dsᵀ h,  dbias_ih = Σ da,  dbias_hh = Σ ds
    paper     Cho et al. (2014), EMNLP, arXiv:1406.1078
    shape     [batch, time, features] → [batch, time, size], or [batch, size] with `output: last`; twice the size when
              bidirectional; weight_ih_l0 [3 size, features], weight_hh_l0 [3 size, size]
    note      The reset gate r acts after the product with weight_hh, as in PyTorch and in Keras (`reset_after`); in the
              paper it acts on h before it.
    """

    cases = [
        {"size": 3},
        {"size": 2, "layers": 2, "output": "last"},
        {"size": 2, "layers": 2, "bidirectional": True, "dropout": 0.3},
        {"size": 3, "bidirectional": True, "output": "last"},
    ]

    size: PositiveInt
    """Numbers in the memory."""

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules.recurrent import Gru as Module

        self.output_shape(shape)
        return Module(
            shape[1], self.size, self.layers, dropout=self.dropout, bidirectional=self.bidirectional,
            last=self.output == "last",
        )  # fmt: skip

    def step(self, of_input: Tensor, of_state: Tensor, state: State) -> State:
        (a_r, a_z, a_n), (s_r, s_z, s_n) = of_input.chunk(3, dim=-1), of_state.chunk(3, dim=-1)
        z = sigmoid(a_z + s_z)
        n = (a_n + sigmoid(a_r + s_r) * s_n).tanh()
        return ((1 - z) * n + z * state[0],)

    def back(self, later: State, of_input: Tensor, of_state: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        (a_r, a_z, a_n), (s_r, s_z, s_n) = of_input.chunk(3, dim=-1), of_state.chunk(3, dim=-1)
        r, z = sigmoid(a_r + s_r), sigmoid(a_z + s_z)
        n = (a_n + r * s_n).tanh()
        dn = later[0] * (1 - z) * (1 - n**2)
        dz = later[0] * (state[0] - n) * z * (1 - z)
        dr = dn * s_n * r * (1 - r)
        return torch.cat([dr, dz, dn], dim=-1), torch.cat([dr, dz, dn * r], dim=-1), (later[0] * z,)
