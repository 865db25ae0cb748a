"""What a run may do about numbers that are not finite, and the bounds of its patience."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from gradtrain.registry import Record


class Skip(Record):
    """How many steps may be left out before the run stops all the same."""

    in_a_row: PositiveInt = 5
    """Steps one after the other."""
    share: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Share of the steps so far; `in_a_row` of them are permitted in any case."""


class Rollback(Record):
    """How often a run may go back to its last checkpoint before it stops all the same."""

    times: Annotated[int, Field(ge=1, le=100)] = 3
    """Returns in the whole run."""
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A factor on the learning rate, from each return on."""


class OnNonfinite(Record):
    """What a run does about a loss or gradient that is not finite, with the bounds of its patience."""

    skip: Skip | None = None
    """Leave out the step: weights and buffers stay as they were."""
    rollback: Rollback | None = None
    """Take back the weights of the last checkpoint, and go on behind the data that led here."""
