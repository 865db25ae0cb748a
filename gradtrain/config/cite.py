"""The papers of exactly what a config uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gradtrain.components.models import Model
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.registry import Component, Record, about, families, family_of


def papers(path: Path) -> list[tuple[str, str, str]]:
    """(family, name, paper) of every component in the config that names one, each once. Raises `Problem`s."""
    config = read(path)
    return papers_of(config.run(config.data().source.facts()))


def papers_of(run: Run) -> list[tuple[str, str, str]]:
    """(family, name, paper) of every component of a run that names one, each once."""
    used = {type(component): component for component in components(run)}
    shelves = {family: shelf for shelf, family in families().items()}
    found = [(shelves[family_of(cls)], cls.name(), about(cls).sections.get("paper", "")) for cls in used]
    return sorted((family, name, " ".join(paper.split())) for family, name, paper in found if paper)


def components(value: object) -> Iterator[Component]:
    """Every component in a record, however deep, those of a model's own layers among them."""
    if isinstance(value, Component):
        yield value
    if isinstance(value, Model):
        yield from components(value.expanded())
    if isinstance(value, Record):
        for name in type(value).model_fields:
            yield from components(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from components(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from components(item)
