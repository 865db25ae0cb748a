"""Batches: a split in memory, gathered by index; the order is a pure function of (seed, epoch, position)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.components.augmentations import Augmentation

Fields = Mapping[str, Tensor]

IN_ONE_PIECE = 64 << 20
"""Up to this many bytes a shuffled epoch is laid out once and cut into views: cheaper per step than gathering.

Samples that are still to be transformed are gathered batch by batch: then the transforms find them in the cache.
"""


def generator(*words: object) -> torch.Generator:
    """A generator that is a pure function of the words (a seed and what it is for)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


class Batch(dict[str, Tensor]):
    """The fields of one step's samples, `[count, ...]` each."""

    first = False
    """Whether it is the first one of its epoch or pass."""

    def shares(
        self, parts: int, count: Callable[[Fields], Tensor | float]
    ) -> Sequence[tuple[Fields, Tensor | float, bool]]:
        """(micro-batch, its share of the whole, whether it is the last): shares follow the number of real targets.

        A micro-batch without any is left out: its mean is 0/0, which no share makes harmless.
        """
        if parts == 1:
            return ((self, 1.0, True),)
        size = len(next(iter(self.values())))
        parts = min(parts, size)
        cut = {name: tensor.tensor_split(parts) for name, tensor in self.items()}
        micros: list[Fields] = [{name: pieces[i] for name, pieces in cut.items()} for i in range(parts)]
        real = [(micro, number) for micro in micros if (number := count(micro))]
        if not real:
            return ((self, 1.0, True),)
        whole = sum(number for _, number in real)
        return [(micro, number / whole, micro is real[-1][0]) for micro, number in real]


@dataclass
class Batches:
    """The batches of one split.

    `fields` hold the samples as they are stored; `prepare` turns a gathered batch into what the network reads (None
    when the fields are already that). `size` samples make one step.
    """

    fields: Fields
    size: int
    seed: int
    shuffle: bool = True
    drop_last: bool = False
    prepare: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    augment: Sequence[Augmentation] = ()
    stream: bool = False
    """The samples follow one another in time: each place of a batch goes on where it was in the batch before."""
    measured: Fields | None = None
    """What `once` passes over, when it is not `fields` (windows that overlap are measured without overlap)."""

    @property
    def count(self) -> int:
        return max(len(tensor) for tensor in self.fields.values())

    def laid(self, epoch: int) -> Fields:
        """The fields of an epoch, before they are put in order."""
        return self.fields

    @property
    def per_epoch(self) -> int:
        """Steps in one epoch; at least one."""
        whole = self.drop_last or self.stream
        return max(1, self.count // self.size if whole else -(-self.count // self.size))

    def order(self, epoch: int) -> Tensor:
        """The samples of an epoch in their order: indices into the split."""
        if self.stream:
            steps = max(1, self.count // self.size)
            return torch.arange(self.count)[: steps * self.size].reshape(-1, steps).T.flatten()
        if not self.shuffle:
            return torch.arange(self.count)
        return torch.randperm(self.count, generator=generator(self.seed, "order", epoch))

    def indices(self, step: int) -> Tensor:
        """The samples of the step that follows `step` finished ones."""
        epoch, position = divmod(step, self.per_epoch)
        return self.order(epoch)[position * self.size : (position + 1) * self.size]

    def starting_at(self, step: int) -> Iterator[Batch]:
        """Endless batches, from the one that follows `step` finished steps."""
        epoch, first = divmod(step, self.per_epoch)
        moved = self.shuffle or self.stream
        while True:
            fields = self.laid(epoch)
            whole = self.prepare is None and sum(tensor.nbytes for tensor in fields.values()) <= IN_ONE_PIECE
            order = self.order(epoch)
            device = next(iter(fields.values())).device
            if whole:
                pieces = {
                    name: torch.split(tensor[order.to(device)] if moved else tensor, self.size)
                    for name, tensor in fields.items()
                }
            else:  # sliced step by step: an epoch of windows has a hundred thousand batches
                order = order.to(device)
            for position in range(first, self.per_epoch):
                if whole:
                    batch = {name: piece[position] for name, piece in pieces.items()}
                else:
                    chosen = order[position * self.size : (position + 1) * self.size]
                    batch = {name: tensor.index_select(0, chosen) for name, tensor in fields.items()}
                if self.prepare is not None:
                    batch = self.prepare(batch)
                if self.augment:
                    draw = generator(self.seed, "augment", epoch, position)
                    for augmentation in self.augment:
                        batch["x"] = augmentation.forward(batch["x"], draw)
                made = Batch(batch)
                made.first = position == 0
                yield made
            epoch, first = epoch + 1, 0

    def once(self, limit: int | None = None) -> Iterator[Batch]:
        """One pass in the stored order, without augmentation: for evaluation."""
        fields = self.laid(0) if self.measured is None else self.measured
        order = self.order(0) if self.stream else None
        count = max(len(tensor) for tensor in fields.values()) if order is None else len(order)
        for number, start in enumerate(range(0, count, self.size)):
            if limit is not None and number >= limit:
                return
            place = slice(start, start + self.size) if order is None else order[start : start + self.size]
            batch = {name: tensor[place] for name, tensor in fields.items()}
            made = Batch(self.prepare(batch) if self.prepare is not None else batch)
            made.first = number == 0
            yield made
