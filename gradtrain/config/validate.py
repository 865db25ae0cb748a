"""All problems of a config file at once: syntax, schema, profiles, cross-checks; no data is read unless asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradtrain.config.checks import check
from gradtrain.config.load import Config, read
from gradtrain.problems import Problem, flatten


def validated(path: Path, overrides: Sequence[str] = (), *, read_data: bool = False) -> list[Problem]:
    """The file's problems, sorted by line; empty when there are none. Warnings are among them."""
    try:
        config = read(path, None, overrides)
    except (Problem, ExceptionGroup) as error:
        return list(flatten(error))
    found = _composed(config, read_data)
    for name in config.profiles:
        try:
            found += [
                p for p in _composed(read(path, name, overrides), read_data) if not any(_same(p, q) for q in found)
            ]
        except (Problem, ExceptionGroup) as error:
            found += flatten(error)
    return sorted(found, key=lambda p: (p.at.line, p.at.column) if p.at else (0, 0))


def _composed(config: Config, read_data: bool) -> list[Problem]:
    try:
        source = config.data().source
        config.run(source.load(Path()).facts if read_data else source.facts(), check)
    except (Problem, ExceptionGroup) as error:
        return [*flatten(error), *config.warnings]
    return list(config.warnings)


def _same(one: Problem, other: Problem) -> bool:
    return (one.code, one.what, one.at) == (other.code, other.what, other.at)
