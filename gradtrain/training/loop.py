"""The training loop: one page, every step of it an equation.

    forward         terms  = losses(networks(batch))
    regularization  total  = terms + penalties(weights)
    backward        g      = ∂ total / ∂ weights             the chain rule, by autograd
    clip            g      = g · min(1, clip_norm / ‖g‖)
    update          w      = rule(w, g, learning rate)

Whoever saves, logs, draws or stops is the body of a `for` over this generator. It imports nothing of the config, the
terminal or the file system, and can be pasted into a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from gradtrain.components.objectives import Task
    from gradtrain.training.batches import Batch, Batches
    from gradtrain.training.parallel import Parallel
    from gradtrain.training.penalties import Penalties
    from gradtrain.training.precision import Precision
    from gradtrain.training.schedule import LearningRate
    from gradtrain.training.update import Update


@dataclass(slots=True)
class Step:
    """What one step did. Its tensors are detached and 0-d: turning them into numbers waits for the device."""

    number: int
    """Steps finished so far."""
    losses: Mapping[str, Tensor]
    """Each loss by its name, unweighted, of all updates; of the last micro-batch when there are several."""
    penalties: Mapping[str, Tensor]
    total: Tensor
    """What the last update differentiated: weighted losses and penalties, summed over micro-batches by their shares."""
    norm: Tensor | None
    """Norm of the whole gradient before clipping, where clipping needed it."""
    rate: float
    """The learning rate of the update."""


def train(
    networks: Mapping[str, nn.Module],
    task: Task,
    penalties: Penalties,
    updates: Sequence[Update],
    rate: LearningRate,
    batches: Batches,
    precision: Precision,
    parallel: Parallel,
    *,
    start: int = 0,
    steps: int,
) -> Iterator[Step]:
    """One training step per iteration, from `start` to `steps`; the gradients stay readable until the next one."""
    for number, batch in zip(range(start, steps), batches.starting_at(start), strict=False):
        lr = rate.at(number)
        task.begin(number)
        told: Mapping[str, Tensor] = {}
        owed: Mapping[str, Tensor] = {}
        for update in updates:  # one for most runs; two for a GAN
            losses: Mapping[str, Tensor] = {}
            penalty: Mapping[str, Tensor] = {}

            def evaluate(batch: Batch = batch, update: Update = update) -> Tensor:  # L-BFGS and SAM call it again
                nonlocal losses, penalty
                whole: Tensor | None = None
                update.zero_grad()
                for micro, share, last in batch.shares(update.accumulate, task.count):
                    with parallel.sync(networks, last), precision.forward():
                        total, losses = task.losses(update.name, networks, micro)  # forward, loss
                        total, penalty = penalties.added(update.name, total, networks, task)  # regularization
                    precision.backward(total, share)  # backward: the chain rule
                    total = total.detach()
                    whole = total if share == 1.0 else total * share if whole is None else whole + total * share
                return whole  # type: ignore[return-value]

            total = evaluate()
            told, owed = {**told, **losses}, {**owed, **penalty}
            norm = update.clip(precision, total)  # clip
            update.step(precision, lr, evaluate)  # update
        yield Step(number + 1, told, owed, total, norm, lr)
