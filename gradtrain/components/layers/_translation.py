"""The pieces of an encoder and a decoder in plain tensor algebra: every step knows its way back, by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from gradtrain.components.activations.gelu import Gelu
from gradtrain.components.layers._attention import attend, attend_gradient, joined, split
from gradtrain.components.normalizations.layer_norm import LayerNorm
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Stage

Back: TypeAlias = Callable[[Tensor], Tensor]
"""The gradient of a step's value → the gradient of what the step read."""

Step: TypeAlias = "Callable[[Tensor], tuple[Tensor, Back]]"
"""What was read → the value, and the way back."""


class Pieces:
    """The steps of one pass over named parameters; on the way back `found` adds up what falls to each of them."""

    def __init__(self, parameters: Mapping[str, Tensor], heads: int, dropout: float) -> None:
        self.parameters, self.heads, self.dropout = parameters, heads, dropout
        self.found: dict[str, Tensor] = {}

    def collect(self, name: str, gradient: Tensor) -> None:
        self.found[name] = self.found[name] + gradient if name in self.found else gradient

    def stage(self, stage: Stage, name: str) -> Step:
        """A component that draws no random numbers, with the parameters under this name."""
        own = {key.removeprefix(f"{name}."): p for key, p in self.parameters.items() if key.startswith(f"{name}.")}

        def step(x: Tensor) -> tuple[Tensor, Back]:
            def back(g: Tensor) -> Tensor:
                answer = dict(stage.gradient(g, x, **own))
                dx = answer.pop("x")
                for key, value in answer.items():
                    self.collect(f"{name}.{key}", value)
                return dx

            return stage.textbook(x, **own), back

        return step

    def linear(self, name: str) -> Step:
        """y = x weightᵀ + bias."""
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]

        def step(x: Tensor) -> tuple[Tensor, Back]:
            def back(g: Tensor) -> Tensor:
                self.collect(f"{name}.weight", g.flatten(0, 1).T @ x.flatten(0, 1))
                self.collect(f"{name}.bias", g.sum(dim=(0, 1)))
                return g @ weight

            return x @ weight.T + bias, back

        return step

    def drop(self, x: Tensor) -> tuple[Tensor, Back]:
        """y = x mask / (1 - dropout), the mask drawn here once for both ways."""
        if self.dropout == 0:
            return x, lambda g: g
        mask = torch.empty_like(x).bernoulli_(1 - self.dropout) / (1 - self.dropout)
        return x * mask, lambda g: g * mask

    def attention(self, name: str, keep: Tensor, memory: Tensor | None = None) -> Step:
        """Attention to what is read itself, or to a memory, whose gradient is added up as `memory`."""
        weight, bias = self.parameters[f"{name}.qkv.weight"], self.parameters[f"{name}.qkv.bias"]

        def step(x: Tensor) -> tuple[Tensor, Back]:
            looked_at = x if memory is None else memory
            width = x.shape[-1]
            query = x @ weight[:width].T + bias[:width]
            answers = looked_at @ weight[width:].T + bias[width:]
            q, k, v = (split(part, self.heads) for part in (query, *answers.chunk(2, dim=-1)))
            seen = attend(q, k, v, keep, self.dropout)
            y, proj_back = self.linear(f"{name}.proj")(joined(seen.y))

            def back(g: Tensor) -> Tensor:
                dq, dk, dv = (joined(part) for part in attend_gradient(split(proj_back(g), self.heads), seen))
                dkv = torch.cat([dk, dv], dim=-1)
                to_query = dq.flatten(0, 1).T @ x.flatten(0, 1)
                to_answers = dkv.flatten(0, 1).T @ looked_at.flatten(0, 1)
                self.collect(f"{name}.qkv.weight", torch.cat([to_query, to_answers]))
                self.collect(f"{name}.qkv.bias", torch.cat([dq.sum(dim=(0, 1)), dkv.sum(dim=(0, 1))]))
                dx, aside = dq @ weight[:width], dkv @ weight[width:]
                if memory is None:
                    return dx + aside
                self.collect("memory", aside)
                return dx

            return y, back

        return step

    def residual(self, *steps: Step) -> Step:
        """y = x + the steps, one after the other, of x."""

        branch = chained(*steps)

        def step(x: Tensor) -> tuple[Tensor, Back]:
            y, back = branch(x)
            return x + y, lambda g: g + back(g)

        return step

    def block(self, name: str, keep: Tensor, memory: Tensor | None = None, seen: Tensor | None = None) -> Step:
        """Attention to itself (where `keep`), to a memory (where `seen`), and an mlp."""

        def norm(which: str) -> Step:
            return self.stage(LayerNorm(), f"{name}.{which}_norm")

        branches = [self.residual(norm("attention"), self.attention(f"{name}.attention", keep), self.drop)]
        if memory is not None and seen is not None:
            reading = self.attention(f"{name}.memory", seen, memory)
            branches.append(self.residual(norm("memory"), reading, self.drop))
        mlp = (self.linear(f"{name}.up"), self.stage(Gelu(), ""), self.linear(f"{name}.proj"))
        return chained(*branches, self.residual(norm("mlp"), *mlp, self.drop))


def chained(*steps: Step) -> Step:
    """The steps one after the other; the way back takes them from the last to the first."""

    def step(x: Tensor) -> tuple[Tensor, Back]:
        backs: list[Back] = []
        for inner in steps:
            x, back = inner(x)
            backs.append(back)

        def all_back(g: Tensor) -> Tensor:
            for back in reversed(backs):
                g = back(g)
            return g

        return x, all_back

    return step
