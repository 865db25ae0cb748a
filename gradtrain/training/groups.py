"""Batches that bring samples together: pairs, and several samples of every class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.training.batches import Batches, Fields, generator


@dataclass
class Paired(Batches):
    """Two samples at a time: fields a, b and y [count, 1], which is 1 where both have the same label.

    Every sample meets a partner that is drawn anew in every epoch; it is never its own partner unless its class has
    no other sample. Labels y are class indices [count].
    """

    positive: float = 0.5

    def laid(self, epoch: int) -> Fields:
        draw = generator(self.seed, "pairs", epoch)
        x, labels = self.fields["x"], self.fields["y"].cpu()
        same = torch.rand(self.count, generator=draw) < self.positive
        partner = torch.empty(self.count, dtype=torch.int64)
        for label in torch.unique(labels):
            here, there = (labels == label).nonzero().flatten(), (labels != label).nonzero().flatten()
            alike, unlike = here[same[here]], here[~same[here]]
            if len(here) > 1:  # a step of 1 … n-1 around the class never leads back to the start
                place = torch.searchsorted(here, alike)
                step = torch.randint(1, len(here), (len(alike),), generator=draw)
                partner[alike] = here[(place + step) % len(here)]
            else:
                partner[alike] = alike
            partner[unlike] = there[torch.randint(0, len(there), (len(unlike),), generator=draw)]
        match = (labels == labels[partner]).to(torch.float32).unsqueeze(1).to(x.device)
        return {"a": x, "b": x[partner.to(x.device)], "y": match}


@dataclass
class Balanced(Batches):
    """Batches of `classes` classes with `per_class` samples each, without repetition while a class has any left.

    A step of `accumulate` micro-batches takes as many of them, one after the other.
    """

    classes: int = 8
    per_class: int = 4
    accumulate: int = 1

    def __post_init__(self) -> None:
        labels = self.fields["y"].cpu()
        self.members = [(labels == label).nonzero().flatten() for label in torch.unique(labels)]
        if len(self.members) < self.classes or min(map(len, self.members)) < self.per_class:
            raise Problem(
                "balanced-classes",
                f"`balanced` asks for {self.classes} classes with {self.per_class} samples each",
                why=f"the split has {len(self.members)} classes, the smallest of {min(map(len, self.members))} samples",
                help="ask for fewer",
            )
        self.size = self.classes * self.per_class * self.accumulate
        self.shuffle = True  # the stored order has no such batches

    @property
    def per_epoch(self) -> int:
        return max(1, self.count // self.size)

    def order(self, epoch: int) -> Tensor:
        draw = generator(self.seed, "order", epoch)
        decks = [members[torch.randperm(len(members), generator=draw)] for members in self.members]
        taken = [0] * len(decks)
        chosen: list[Tensor] = []
        for _ in range(self.per_epoch * self.accumulate):
            for label in torch.randperm(len(decks), generator=draw)[: self.classes].tolist():
                if taken[label] + self.per_class > len(decks[label]):
                    decks[label] = decks[label][torch.randperm(len(decks[label]), generator=draw)]
                    taken[label] = 0
                chosen.append(decks[label][taken[label] : taken[label] + self.per_class])
                taken[label] += self.per_class
        return torch.cat(chosen)
