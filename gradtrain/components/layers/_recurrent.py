"""What the recurrent layers share: their fields and shapes, the walk through time, and the way back, by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PositiveInt, model_validator

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape

State = tuple[Tensor, ...]
"""What a cell remembers, [batch, size] each; the first one is what it says."""


class Moment(NamedTuple):
    """A step of one direction of one layer, as the way back needs it."""

    x: Tensor
    of_input: Tensor
    """x weight_ihᵀ + bias_ih."""
    of_state: Tensor
    """h weight_hhᵀ + bias_hh."""
    state: State
    """Before the step."""


class Pass(NamedTuple):
    """One direction of one layer: its steps in the order in which they were taken."""

    names: tuple[str, str, str, str]
    """Of weight_ih, weight_hh, bias_ih and bias_hh."""
    order: list[int]
    """The time of every step."""
    moments: list[Moment]
    end: State


class Walk(NamedTuple):
    """One layer, all directions."""

    passes: list[Pass]
    mask: Tensor | None
    """Of dropout on what the layer says [time, batch, features]: 0 or 1 / (1 - dropout)."""


class Recurrent(Layer):
    """A recurrent layer maps [batch, time, features] to [batch, time, size], or to [batch, size].

    A member states one step, `step`, and its derivative, `back`, over what input and state give before the gates.
    Parameters are named as in PyTorch: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, with `_reverse`
    for the way from the last step to the first.
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((4, 3), (1, 2))
    random = True
    remembers: ClassVar[int] = 1
    """Tensors in a state."""

    size: PositiveInt
    """Numbers in the memory."""
    layers: PositiveInt = 1
    """Memories on top of one another: each reads what the one below says."""
    output: Literal["sequence", "last"] = "sequence"
    """What the memory says at every step, or only when it has read everything."""
    bidirectional: bool = False
    """Read the sequence from its end too; both memories stand side by side."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a number on its way from one layer to the next is silenced while training."""

    @model_validator(mode="after")
    def _has_a_place_for_dropout(self) -> Self:
        if self.dropout and self.layers == 1:
            raise ValueError("`dropout` acts between layers: with one layer write a layer `dropout` after it")
        return self

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            known = {1: "put `embedding` or `reshape` before it", 3: "put `patches` or `reshape` before it"}
            raise Misfit(f"`{self.name()}` takes [time, features], got {list(shape)}", known.get(len(shape), ""))
        width = 2 * self.size if self.bidirectional else self.size
        return (width,) if self.output == "last" else (shape[0], width)

    def step(self, of_input: Tensor, of_state: Tensor, state: State) -> State:
        """The next state."""
        raise NotImplementedError

    def back(self, later: State, of_input: Tensor, of_state: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The gradient of the next state → those of `of_input`, of `of_state`, and of `state` beside that."""
        raise NotImplementedError

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        return self._walked(x, parameters)[0]

    def _walked(self, x: Tensor, parameters: Mapping[str, Tensor]) -> tuple[Tensor, list[Walk]]:
        """The output, and everything that was computed on the way."""
        said, walks = x.transpose(0, 1), []
        for layer in range(self.layers):
            passes = [self._passed(said, layer, reverse, parameters) for reverse in self._directions()]
            said = torch.cat([self._said(way) for way in passes], dim=-1)
            mask = None
            if self.dropout and layer < self.layers - 1:
                mask = torch.empty_like(said).bernoulli_(1 - self.dropout) / (1 - self.dropout)
                said = said * mask
            walks.append(Walk(passes, mask))
        if self.output == "last":
            return torch.cat([way.end[0] for way in walks[-1].passes], dim=-1), walks
        return said.transpose(0, 1), walks

    def _directions(self) -> tuple[bool, ...]:
        return (False, True) if self.bidirectional else (False,)

    def _passed(self, said: Tensor, layer: int, reverse: bool, parameters: Mapping[str, Tensor]) -> Pass:
        """One direction of one layer over [time, batch, features], from a memory of zeros."""
        a, b, c, d = (
            f"{name}_l{layer}{'_reverse' * reverse}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        order = list(range(len(said)))[:: -1 if reverse else 1]
        state: State = (said.new_zeros(said.shape[1], self.size),) * self.remembers
        moments = []
        for t in order:
            of_input = said[t] @ parameters[a].T + parameters[c]
            of_state = state[0] @ parameters[b].T + parameters[d]
            moments.append(Moment(said[t], of_input, of_state, state))
            state = self.step(of_input, of_state, state)
        return Pass((a, b, c, d), order, moments, state)

    def _said(self, way: Pass) -> Tensor:
        """[time, batch, size], in the order of time."""
        after = [*(moment.state[0] for moment in way.moments[1:]), way.end[0]]
        return torch.stack([h for _, h in sorted(zip(way.order, after, strict=True), key=lambda pair: pair[0])])

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        walks = self._walked(x, parameters)[1]
        result: dict[str, Tensor] = {}
        ends = torch.split(g, self.size, dim=-1) if self.output == "last" else ()
        h = g.transpose(0, 1) if self.output == "sequence" else g.new_zeros(x.shape[1], *g.shape)
        for walk in reversed(walks):
            h = h if walk.mask is None else h * walk.mask
            below = h.new_zeros(len(h), *walk.passes[0].moments[0].x.shape)
            for number, way in enumerate(walk.passes):
                end = ends[number] if ends else None
                share = h[..., number * self.size : (number + 1) * self.size]
                below = below + self._back_through_time(way, share, end, parameters, result)
            h, ends = below, ()
        return {"x": h.transpose(0, 1), **result}

    def _back_through_time(
        self,
        way: Pass,
        g: Tensor,
        end: Tensor | None,
        parameters: Mapping[str, Tensor],
        result: dict[str, Tensor],
    ) -> Tensor:
        """The gradient of what one pass read [time, batch, features]; those of its parameters go to `result`."""
        a, b, c, d = way.names
        sums = {name: torch.zeros_like(parameters[name]) for name in way.names}
        dx = g.new_zeros(len(g), *way.moments[0].x.shape)
        zero = torch.zeros_like(way.end[0])
        later: State = (zero if end is None else end, *(zero,) * (self.remembers - 1))
        for t, moment in zip(reversed(way.order), reversed(way.moments), strict=True):
            later = (later[0] + g[t], *later[1:])
            d_input, d_state, direct = self.back(later, moment.of_input, moment.of_state, moment.state)
            sums[a] += d_input.T @ moment.x
            sums[b] += d_state.T @ moment.state[0]
            sums[c] += d_input.sum(dim=0)
            sums[d] += d_state.sum(dim=0)
            dx[t] = d_input @ parameters[a]
            later = (direct[0] + d_state @ parameters[b], *direct[1:])
        result |= sums
        return dx

    def _moments(self, x: Tensor, parameters: Mapping[str, Tensor]) -> Iterator[Moment]:
        for walk in self._walked(x, parameters)[1]:
            for way in walk.passes:
                yield from way.moments


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), without overflow."""
    small = (-x.abs()).exp()
    return torch.where(x >= 0, 1.0, small) / (1 + small)
