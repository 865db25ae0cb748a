"""Parallel branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gradtrain.components.layers import Layer, Layers, Placed, _chain
from gradtrain.components.layers.linear import Linear
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.stage import Misfit, Shape


class Parallel(Layer):
    """Several lists of layers read the same input; their outputs are joined.

    value     concat: y = [branch_1(x), branch_2(x), …] on axis 1;  add: y = Σ_b branch_b(x);
              mean: y = Σ_b branch_b(x) / (number of branches)
    gradient  dx = Σ_b Jᵀ_b g_b,  with g_b the part of g that branch b made, g, or g over their number
    paper     Szegedy et al. (2015), CVPR, Going deeper with convolutions, arXiv:1409.4842
    """

    inputs: ClassVar[tuple[Shape, ...]] = ((6,),)
    cases = [
        {
            "branches": (
                (Placed(part=Linear(out=3)),),
                (Placed(part=Linear(out=5)), Placed(part=Linear(out=2))),
            )
        },
        {"branches": ((Placed(part=Linear(out=3)),), (Placed(part=Linear(out=3)),)), "merge": "add"},
        {"branches": ((Placed(part=Linear(out=6)),), ()), "merge": "mean"},
    ]

    branches: Annotated[tuple[Layers, ...], Field(min_length=1)]
    """The lists of layers; an empty one passes its input on."""
    merge: Literal["concat", "add", "mean"] = "concat"
    """How the outputs are joined."""

    def _shapes(self, shape: Shape) -> list[Shape]:
        shapes = []
        for number, branch in enumerate(self.branches):
            try:
                shapes.append(_chain.output_shape(branch, shape))
            except Misfit as misfit:
                misfit.path = ("branches", number, *misfit.path)
                raise
        return shapes

    def output_shape(self, shape: Shape) -> Shape:
        shapes = self._shapes(shape)
        first, said = shapes[0], ", ".join(str(list(s)) for s in shapes)
        if self.merge == "concat":
            if any(s[1:] != first[1:] for s in shapes):
                raise Misfit(f"the branches of `parallel` cannot be concatenated: {said} differ beyond the channels")
            return (sum(s[0] for s in shapes), *first[1:])
        if any(s != first for s in shapes):
            raise Misfit(f"the branches of `parallel` cannot be added: {said} differ")
        return first

    def build(self, shape: Shape) -> nn.Module:
        from gradtrain.modules import Parallel as Module

        self.output_shape(shape)
        return Module([_chain.build(branch, shape) for branch in self.branches], self.merge)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        values = [
            _chain.textbook(branch, x, _chain.below(parameters, str(i))) for i, branch in enumerate(self.branches)
        ]
        if self.merge == "concat":
            return torch.cat(values, dim=1)
        return torch.stack(values).sum(dim=0) / (len(values) if self.merge == "mean" else 1)

    def gradient(self, g: Tensor, x: Tensor, **parameters: Tensor) -> Mapping[str, Tensor]:
        widths = [shape[0] for shape in self._shapes(tuple(x.shape[1:]))]
        shares = (
            torch.split(g, widths, dim=1)
            if self.merge == "concat"
            else [g / (len(widths) if self.merge == "mean" else 1)] * len(widths)
        )
        result: dict[str, Tensor] = {"x": torch.zeros_like(x)}
        for i, (branch, share) in enumerate(zip(self.branches, shares, strict=True)):
            answer = _chain.gradient(branch, share, x, _chain.below(parameters, str(i)))
            result["x"] = result["x"] + answer["x"]
            result |= {f"{i}.{key}": value for key, value in answer.items() if key != "x"}
        return result
