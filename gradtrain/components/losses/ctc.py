"""Connectionist temporal classification."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt

from gradtrain.components.losses import Loss
from gradtrain.lazy import F, Tensor, torch
from gradtrain.problems import Problem
from gradtrain.stage import Shape


class Ctc(Loss):
    """How surprised the model is by a string when nobody says where in time each of its symbols stands.

    A path names one class at every time step; without its repetitions and then without its blanks it reads as a
    string. With y_t = softmax(prediction[:, t]) and z = (blank, target_1, blank, target_2, ..., blank):

    value     -log P,  P = Σ over all paths that read as the target of Π_t y_t[path_t]
              = α_T(last) + α_T(last but one), where α_t(s) = y_t[z_s] (α_{t-1}(s) + α_{t-1}(s - 1) + α_{t-1}(s - 2)),
              the last term only where z_s is no blank and not z_{s-2}
    gradient  y_t[k] - 1/P Σ_{s: z_s = k} α_t(s) β_t(s)  with respect to prediction[k, t], where β_t(s) sums what the
              rest of the paths through s at t is worth, after t
    paper     Graves et al. (2006), ICML, doi:10.1145/1143844.1143891
    shape     prediction [batch, class, time], raw scores; target int64 [batch, length], padded at the end with the
              blank or a negative number; one number per sample: [batch]
    note      It applies log_softmax itself. All time steps count. The mean is over samples; PyTorch's also divides each
              by the length of its target. PyTorch's kernel takes its gradient as if log_softmax came before it, which
              here is so; it has no second derivative.
    """

    kinds = ("class",)
    applies = ("softmax",)
    cases = [{}, {"blank": 3}, {"impossible": "ignore"}, {"reduce": "sum_per_sample"}]

    blank: NonNegativeInt = 0
    """The class that means no symbol."""
    impossible: Literal["refuse", "ignore"] = "refuse"
    """What to do with a target that has not enough time steps: stop, or let it cost nothing and still count."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        lengths = self._lengths(prediction, target)
        single = torch.promote_types(prediction.dtype, torch.float32)  # the kernel knows no half precision
        log_y = F.log_softmax(prediction, dim=1, dtype=single).permute(2, 0, 1)
        steps = torch.full_like(lengths, prediction.shape[2])
        kept = target.clamp(min=0)
        return F.ctc_loss(log_y, kept, steps, lengths, self.blank, reduction="none", zero_infinity=self._lenient)

    @property
    def _lenient(self) -> bool:
        return self.impossible == "ignore"

    def _lengths(self, prediction: Tensor, target: Tensor) -> Tensor:
        """How many symbols each target has `[batch]`. Raises `Problem` for a target that cannot be read."""
        if prediction.ndim != 3 or target.ndim != 2 or len(prediction) != len(target):
            raise Problem(
                "loss-shape",
                f"`ctc` has a prediction {list(prediction.shape)} for a target {list(target.shape)}",
                why="it scores classes at time steps [batch, class, time] against strings [batch, length]",
                help="let the network end in [class, time]",
            )
        real = (target != self.blank) & (target >= 0)
        classes = prediction.shape[1]
        if bool((target >= classes).any()):
            raise Problem(
                "ctc-target",
                f"a target of `ctc` has the symbol {int(target.max())}, the network {classes} classes",
                why=f"symbols are the classes 0 to {classes - 1} other than {self.blank}, the blank",
                help="give the network one output a symbol and one for the blank",
            )
        if bool((real[:, 1:] & ~real[:, :-1]).any()):
            raise Problem(
                "ctc-target",
                "a target of `ctc` has a blank or padding before a symbol",
                why=f"{self.blank} is the blank, which with negative numbers may only fill a target up at its end",
                help="leave blanks out of the targets, or name another class under `blank`",
            )
        lengths = real.sum(1)
        repeats = ((target[:, 1:] == target[:, :-1]) & real[:, 1:]).sum(1)
        if not self._lenient and bool((lengths + repeats > prediction.shape[2]).any()):
            worst = int((lengths + repeats).argmax())
            raise Problem(
                "ctc-too-long",
                f"a target of {int(lengths[worst])} symbols needs {int((lengths + repeats)[worst])} time steps, "
                f"the prediction has {prediction.shape[2]}",
                why="every symbol takes a step, and equal neighbours a blank between them: no path reads as the target",
                help="let the network keep more time steps, or write `impossible: ignore`",
            )
        return lengths

    def textbook(self, prediction: Tensor, target: Tensor) -> Tensor:
        costs = []
        for score, symbols in zip(_log_shares(prediction), target, strict=True):
            z, over = self._states(symbols)
            cost = -_ends(_forward(score[z], over)[-1])
            costs.append(torch.where(cost == torch.inf, 0.0, cost) if self._lenient else cost)
        return torch.stack(costs)

    def _states(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """z, and where the blank before a symbol may be left out `[state]`."""
        real = symbols[(symbols != self.blank) & (symbols >= 0)]
        z = torch.full((2 * len(real) + 1,), self.blank, dtype=torch.int64)
        z[1::2] = real
        over = torch.zeros(len(z), dtype=torch.bool)
        over[3::2] = real[1:] != real[:-1]
        return z, over

    def gradient(self, g: Tensor, prediction: Tensor, target: Tensor) -> Tensor:
        slopes = []
        for score, symbols in zip(_log_shares(prediction), target, strict=True):
            z, over = self._states(symbols)
            alpha = _forward(score[z], over)
            # A path read backwards is a path of the string read backwards.
            after = _forward(score[z].flip(0, 1), self._states(symbols.flip(0))[1]).flip(0, 1)
            total = _ends(alpha[-1])
            through = (alpha.T + after.T - score[z] - total).exp()  # α_t(s) β_t(s) / P; y_t[z_s] is in both
            expected = torch.zeros_like(score).index_add(0, z, through)
            slopes.append(score.exp() - expected if total > -torch.inf else torch.zeros_like(score))
        return g.reshape(-1, 1, 1) * torch.stack(slopes)

    def result_shape(self, prediction: Tensor, target: Tensor) -> Shape:
        return (len(prediction),)

    def count(self, target: Tensor) -> Tensor | float:
        return float(len(target))

    def samples(self, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """Lengths from none to all that the time allows, equal neighbours, either padding, far scores."""
        symbols = [k for k in range(4) if k != self.blank]
        a, b, c = symbols
        points = []
        for size, steps, pad, strings in (
            (1, 6, self.blank, [[a, b, c], [b, b], [c], []]),
            (2, 5, -1, [[a, b, a, b, a], [c, c, c], [a, b]]),
            (1, 1, -1, [[b]]),
            (20, 7, self.blank, [[a, b, b], [c, a]]),
        ):
            width = max(len(string) for string in strings)
            target = torch.tensor([string + [pad] * (width - len(string)) for string in strings])
            drawn = torch.randn(len(strings), 4, steps, generator=generator, dtype=torch.float64)
            points.append((size * drawn, target))
        if self._lenient:
            points.append((points[0][0][:2, :, :2], torch.tensor([[a, b, c], [a, -1, -1]])))
        return points


def _log_shares(prediction: Tensor) -> Tensor:
    """log y [batch, class, time]."""
    below = prediction - prediction.max(dim=1, keepdim=True).values
    return below - below.exp().sum(dim=1, keepdim=True).log()


def _forward(log_y: Tensor, over: Tensor) -> Tensor:
    """log α [time, state] from log y_t[z_s] [state, time]: what the paths that are in s at t are worth up to t."""
    states, steps = log_y.shape
    nowhere = log_y.new_full((2,), -torch.inf)
    now = torch.cat([log_y[:2, 0], log_y.new_full((max(states - 2, 0),), -torch.inf)])
    rows = [now]
    for t in range(1, steps):
        one, two = torch.cat([nowhere[:1], now[:-1]]), torch.cat([nowhere, now])[:states]
        now = _log_sum(torch.stack([now, one, two.where(over, -torch.inf)])) + log_y[:, t]
        rows.append(now)
    return torch.stack(rows)


def _ends(row: Tensor) -> Tensor:
    """The logarithm of what all whole paths are worth: they end in the last symbol or the blank after it."""
    return _log_sum(row[-2:])


def _log_sum(x: Tensor) -> Tensor:
    """log Σ exp(x) over the first axis, of terms that may all be log 0."""
    top = x.max(dim=0).values
    return torch.where(
        top > -torch.inf, top + (x - top.clamp(min=torch.finfo(x.dtype).min)).exp().sum(dim=0).log(), top
    )
