"""Where the time of a step goes: the loop's own verbs, with a clock around them."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from gradtrain.training.batches import Batch, Batches

PARTS = ("data", "forward", "loss", "regularization", "backward", "update")
"""What a step consists of, in the order in which it happens."""


class Clock:
    """Seconds spent in each part; within a part that calls another, the time belongs to the other."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.running: list[str] = []
        self.since = 0.0

    def now(self) -> float:
        """The time at which the device has done what it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def begin(self, part: str) -> None:
        now = self.now()
        if self.running:
            self.seconds[self.running[-1]] += now - self.since
        self.running.append(part)
        self.since = now

    def end(self) -> None:
        now = self.now()
        self.seconds[self.running.pop()] += now - self.since
        self.since = now

    def call(self, part: str, function: Any, *args: Any, **named: Any) -> Any:
        self.begin(part)
        try:
            return function(*args, **named)
        finally:
            self.end()


class Timed:
    """Something that the loop speaks to; the methods that `parts` names count as the part it gives them."""

    def __init__(self, inner: Any, clock: Clock, parts: Mapping[str, str]) -> None:
        self._inner, self._clock, self._parts = inner, clock, parts

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name not in self._parts:
            return value
        return lambda *args, **named: self._clock.call(self._parts[name], value, *args, **named)


class TimedBatches:
    """Batches whose making counts as data."""

    def __init__(self, batches: Batches, clock: Clock) -> None:
        self.batches, self.clock = batches, clock

    def starting_at(self, step: int) -> Iterator[Batch]:
        made = self.clock.call("data", self.batches.starting_at, step)
        while True:
            yield self.clock.call("data", next, made)


def timed(clock: Clock, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `train` by their names, with the clock around all but networks, rate and lengths."""
    update = dict.fromkeys(("zero_grad", "clip", "step"), "update")
    return {
        **parts,
        "task": Timed(parts["task"], clock, {"begin": "loss", "losses": "loss"}),
        "penalties": Timed(parts["penalties"], clock, {"added": "regularization"}),
        "updates": [Timed(one, clock, update) for one in parts["updates"]],
        "batches": TimedBatches(parts["batches"], clock),
        "precision": Timed(parts["precision"], clock, {"backward": "backward"}),
    }


@contextlib.contextmanager
def forward_timed(clock: Clock, networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """While it lasts, what the networks themselves do counts as forward."""
    handles = []
    for network in networks.values():
        handles.append(network.register_forward_pre_hook(lambda *_: clock.begin("forward")))
        handles.append(network.register_forward_hook(lambda *_: clock.end()))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
