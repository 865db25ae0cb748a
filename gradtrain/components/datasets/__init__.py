"""The family of datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from gradtrain.lazy import Tensor
from gradtrain.problems import Place
from gradtrain.registry import Component
from gradtrain.stage import Shape

IGNORED = -1
"""The label of a target that does not count: padding, a prompt, a node of another split."""

PADDING, BEGIN, END = range(3)
"""Symbols that frame a text which is read or written as a whole: filling, its beginning, its end."""


@dataclass(frozen=True)
class Facts:
    """What the data publishes to the rest of the config as `$data.…`; None where a fact is not known."""

    count: int | None = None
    """Samples in all splits together."""
    shape: Shape | None = None
    """Shape of one input, without the batch axis, channel-first."""
    classes: int | None = None
    """Number of classes; for regression None."""
    outputs: int | None = None
    """Width of a target of values: columns of y."""
    range: tuple[float, float] | None = None
    """Smallest and largest value an input can take before the transforms."""
    vocab: int | None = None
    """Number of different symbols, for text and other sequences of indices."""
    vocabulary: Mapping[str, Any] | None = None
    """How text becomes indices and back: what a tokenizer learned, as plain data (see `components.tokenizers`)."""
    series: bool = False
    """True when axis 0 of the fields is time: one long sequence, which `data.windows` cuts into samples."""

    @property
    def features(self) -> int | None:
        """Numbers in one input, over all its axes."""
        if self.shape is None:
            return None
        product = 1
        for size in self.shape:
            product *= size
        return product

    @property
    def length(self) -> int | None:
        """Steps in one sequence: its symbols, or its rows of features."""
        return self.shape[0] if self.shape and (self.vocab is not None or len(self.shape) == 2) else None

    @property
    def source(self) -> int | None:
        """Places of the text that is read, where a sample holds it and the one to write."""
        lengths: Mapping[str, int] = (self.vocabulary or {}).get("lengths", {})
        return lengths.get("source")

    @property
    def channels(self) -> int | None:
        return self.shape[0] if self.shape and len(self.shape) > 1 else None


@dataclass
class Examples:
    """A data set in memory.

    `fields` maps a batch field (`x`, `y`) to a tensor `[count, ...]` in the narrowest dtype that holds it (uint8
    pixels stay uint8); class labels are int64 `[count]`, values and ±1 labels float32 `[count, outputs]`.
    """

    fields: Mapping[str, Tensor]
    facts: Facts
    splits: Mapping[str, Tensor] = field(default_factory=dict)
    """The official split, when there is one: split name → int64 indices of its samples."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of their indices."""
    features: tuple[str, ...] = ()
    """Names of the inputs, where they have names (the columns of a table)."""
    files: tuple[Path, ...] = ()
    """What was read, for the run's record."""
    places: Callable[[int], Place] | None = None
    """Where the target of a sample stands, for a refusal that names it."""
    edges: Tensor | None = None
    """For a graph whose nodes are the samples: int64 [2, edges], each undirected edge once, without self-loops.

    Every split then sees all nodes; the targets of the others are `IGNORED`."""


class Dataset(Component):
    """A dataset is a source of samples that fit in memory: inputs `x` and targets `y`, or fields by other names.

    Symbols are int64 indices below the fact `vocab`; targets that do not count are `IGNORED`.

    Bad data is a `Problem` of exit code 3 that names the file and the row, never an exception of a reader.
    """

    official: ClassVar[tuple[str, ...]] = ()
    """Splits that the source brings along."""

    def facts(self) -> Facts | None:
        """What is known without reading a file; None when the file must be read first."""
        return None

    def load(self, base: Path) -> Examples:
        """Read or generate everything; relative paths are below `base`. Raises `Problem` (data)."""
        raise NotImplementedError
