"""What every cross-check needs: the run, where it was written, what is known of the data, and a list for problems."""

from __future__ import annotations

from collections.abc import Iterable

from gradtrain.components.datasets import Facts
from gradtrain.config.compose import Composer
from gradtrain.config.sections import Run
from gradtrain.problems import Place, Problem


class Findings:
    """One run under examination; `facts` None leaves out what depends on the data."""

    def __init__(self, run: Run, composer: Composer, facts: Facts | None) -> None:
        self.run, self.composer, self.facts = run, composer, facts

    def add(self, code: str, what: str, at: Place | None, why: str = "", help: str = "", *, warn: bool = False) -> None:
        self.composer.problems.append(Problem(code, what, at, why, help, severity="warning" if warn else "error"))

    def at(self, *path: str) -> Place:
        """Where a key was written; the nearest section above it when it was not."""
        node = self.composer.places[id(self.run)]
        for key in path:
            below = (node.mapping or {}).get(key)
            if below is None:
                break
            node = below
        return node.at if node.mapping is not None or node.sequence is not None else node.place

    def of(self, record: object) -> Place | None:
        node = self.composer.places.get(id(record))
        return node.at if node else None

    def kind(self) -> str | None:
        """The kind of target: as written, or as the source's facts say; None when neither does."""
        facts = self.facts
        if self.run.data.target.kind is not None or facts is None:
            return self.run.data.target.kind
        return "class" if facts.classes is not None else "value" if facts.outputs is not None else None

    def per_epoch(self) -> int:
        """Steps of an epoch, by the sizes of the split."""
        size = self.train_size()
        if size is None:
            return 1
        data = self.run.data
        batch = size if data.batch_size == "full" else data.batch_size * self.run.training.accumulate
        return max(1, size // batch if data.drop_last else -(-size // batch))

    def train_size(self) -> int | None:
        """Samples that train, when the data's count is known (an official test split is not)."""
        facts, split = self.facts, self.run.data.split
        data = self.run.data
        if facts is None or facts.count is None or data.source.official or data.windows is not None:
            return None
        count = facts.count
        rest = count - sum(round(s * count) if isinstance(s, float) else s for s in (split.val, split.test))
        if split.train is None:
            return rest
        return min(rest, round(split.train * count)) if isinstance(split.train, float) else split.train


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: `a`, `b`, `c`, each in backticks."""
    return ", ".join(f"`{name}`" for name in names)
