"""The papers of exactly what a config uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gradtrain.components.models import Model
from gradtrain.config.load import read
from gradtrain.registry import Component, Record, about, families, family_of


def papers(path: Path) -> list[tuple[str, str, str]]:
    """(family, name, paper) of every component in the config that names one, each once. Raises `Problem`s."""
    config = read(path)
    run = config.run(config.data().source.facts())
    used = {type(component): component for component in _components(run)}
    shelves = {family: shelf for shelf, family in families().items()}
    found = [(shelves[family_of(cls)], cls.name(), about(cls).sections.get("paper", "")) for cls in used]
    return sorted((family, name, " ".join(paper.split())) for family, name, paper in found if paper)


def _components(value: object) -> Iterator[Component]:
    if isinstance(value, Component):
        yield value
    if isinstance(value, Model):
        yield from _components(value.expanded())
    if isinstance(value, Record):
        for name in type(value).model_fields:
            yield from _components(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _components(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _components(item)
