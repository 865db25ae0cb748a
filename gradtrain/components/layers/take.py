"""Join a remembered value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gradtrain.components.layers import Layer
from gradtrain.lazy import Tensor, torch
from gradtrain.stage import Misfit, Shape


class Take(Layer):
    """Joins the value saved under a key to what flows past: added, averaged, or side by side on the channel axis.

    value     add: y = saved + x;  mean: y = (saved + x)/2;  concat: y = [saved, x] on axis 1
    gradient  add: dsaved = dx = g;  mean: dsaved = dx = g/2;  concat: g cut where the values were joined
    paper     concat: Ronneberger, Fischer & Brox (2015), MICCAI, arXiv:1505.04597;
              add: He, Zhang, Ren & Sun (2016), CVPR, arXiv:1512.03385
    """

    cases = [{"key": "skip"}, {"key": "skip", "merge": "concat"}, {"key": "skip", "merge": "mean"}]
    inputs = ()  # it has no meaning alone: the chain of a list proves it

    key: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    """Name under which the value was saved."""
    merge: Literal["add", "concat", "mean"] = "add"
    """How the two are joined."""

    def merged(self, saved: Shape, shape: Shape) -> Shape:
        """The joint shape. Raises `Misfit`."""
        if self.merge == "concat":
            if saved[1:] != shape[1:]:
                raise Misfit(
                    f"`take` cannot join the saved {list(saved)} and {list(shape)}: they differ beyond the channels",
                    "save where height and width are the same",
                )
            return (saved[0] + shape[0], *shape[1:])
        if saved != shape:
            verb = "add" if self.merge == "add" else "average"
            raise Misfit(
                f"`take` cannot {verb} the saved {list(saved)} and {list(shape)}: the shapes differ",
                "save where the shape is the same, or write `merge: concat`",
            )
        return shape

    def textbook_merge(self, saved: Tensor, x: Tensor) -> Tensor:
        """The joint value."""
        if self.merge == "concat":
            return torch.cat([saved, x], dim=1)
        return (saved + x) / (2 if self.merge == "mean" else 1)

    def split_gradient(self, g: Tensor, saved: Tensor) -> tuple[Tensor, Tensor]:
        """(gradient of the saved value, gradient of what flowed past)."""
        if self.merge == "concat":
            return g[:, : saved.shape[1]], g[:, saved.shape[1] :]
        share = g / (2 if self.merge == "mean" else 1)
        return share, share
