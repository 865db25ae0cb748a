"""From a path to a `Run`: files that extend one another, profiles, overrides, facts, records, cross-checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradtrain.components.datasets import Facts
from gradtrain.components.normalizations import Normalization
from gradtrain.config.blocks import Blocks
from gradtrain.config.compose import FACT_NAMES, FAILED, Composer
from gradtrain.config.overrides import apply_override, apply_profile, names_component
from gradtrain.config.sections import Data, Run
from gradtrain.config.tree import Node, read_file
from gradtrain.problems import Place, Problem, did_you_mean, quote, several

PREPARED = ("extends", "profiles", "blocks")
"""Sections that are used up before the records are made."""


@dataclass
class Config:
    """A config file, merged and ready to be composed."""

    path: str
    root: Node
    warnings: list[Problem] = field(default_factory=list)
    profiles: Mapping[str, Node] = field(default_factory=dict)

    def resolved(self) -> dict[str, Any]:
        """Plain data that, dumped as YAML, trains the same run again."""
        return {
            key: node.plain() for key, node in (self.root.mapping or {}).items() if key not in ("extends", "profiles")
        }

    def data(self) -> Data:
        """The section `data:` alone: enough to open the data and learn its facts. Raises as `run` does."""
        composer = Composer()
        node = (self.root.mapping or {}).get("data")
        data = composer.value(Data, node, "data") if node is not None else FAILED
        if data is FAILED:
            self.run(None)
            raise several(composer.problems, self.path)
        return data  # type: ignore[no-any-return]

    def run(self, facts: Facts | None, checks: Callable[[Run, Composer, Facts | None], None] | None = None) -> Run:
        """The whole run; `facts` None leaves what depends on the data unchecked. Raises `Problem`s (exit code 2)."""
        sections = self.root.mapping or {}
        composer = Composer(facts=None if facts is None else {name: getattr(facts, name, None) for name in FACT_NAMES})
        composer.blocks = Blocks.read(sections.get("blocks"), composer.problems)
        if (node := sections.get("normalization")) is not None and node.value is not None:
            made = composer.value(Normalization, node, "normalization")
            composer.normalization = made if isinstance(made, Normalization) else None
            composer.problems.clear()
            composer.blocks = Blocks.read(sections.get("blocks"), composer.problems)
        nodes = {key: item for key, item in sections.items() if key not in PREPARED}
        if "objective" not in nodes:
            nodes["objective"] = Node("supervised", Place(self.path), raw="supervised")
        run = composer.fields(Run, nodes, self.root)
        if isinstance(run, Run) and not composer.problems and checks is not None:
            checks(run, composer, facts)
        errors = [p for p in composer.problems if p.severity == "error"]
        self.warnings += [p for p in composer.problems if p.severity == "warning" and p not in self.warnings]
        if errors:
            raise several(errors, self.path)
        return run  # type: ignore[no-any-return]


def read(path: Path, profile: str | None = None, overrides: Sequence[str] = ()) -> Config:
    """The config at `path`, its bases, a profile and overrides merged in. Raises `Problem`s (exit code 2)."""
    parsed = read_file(path)
    warnings = list(parsed.warnings)
    config = Config(str(path), _extended(parsed.root, path, (path.resolve(),), warnings), warnings)
    sections = config.root.mapping or {}
    problems: list[Problem] = []
    if "profiles" in sections:
        profiles = sections["profiles"]
        if profiles.mapping is None or any(p.mapping is None for p in profiles.mapping.values()):
            problems.append(Problem("wrong-type", "`profiles` takes a mapping from names to overrides", profiles.at))
        else:
            config.profiles = profiles.mapping
    if profile is not None:
        if profile not in config.profiles:
            raise Problem(
                "unknown-profile",
                f"no profile is named {quote(profile)}",
                Place(str(path)),
                f"this config has {_listed(config.profiles)}",
                did_you_mean(profile, config.profiles),
            )
        apply_profile(config.root, config.profiles[profile], problems)
    seen: dict[str, str] = {}
    for text in overrides:
        key = text.partition("=")[0]
        if key in seen and seen[key] != text:
            place = Place("command line", 1, 1, len(text), text)
            problems.append(
                Problem(
                    "override-twice",
                    f"{quote(key)} is set twice, to different values",
                    place,
                    help="keep one of the two",
                )
            )
        seen[key] = text
        apply_override(config.root, text, problems)
    if problems:
        raise several(problems, str(path))
    return config


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(quote(name) for name in names) if names else "no profiles"


def _extended(root: Node, path: Path, chain: tuple[Path, ...], warnings: list[Problem]) -> Node:
    """The tree laid over its base, if it names one; warnings of the bases join the others."""
    node = (root.mapping or {}).get("extends")
    if node is None:
        return root
    if not isinstance(node.value, str):
        raise Problem("wrong-type", f"`extends` takes a path, found {node.kind()}", node.place)
    base = path.parent / node.value
    if not {base.suffix, base.resolve().suffix} <= {".yaml", ".yml"}:
        raise Problem(
            "bad-value",
            f"{quote(node.value)} is no YAML file by its name",
            node.place,
            "a refusal quotes the line that it is about: no config may have lines of other files quoted",
            "name a .yaml or .yml file",
        )
    if base.resolve() in chain:
        raise Problem(
            "extends-cycle",
            f"{quote(node.value)} extends this file in turn",
            node.place,
            "a chain of bases must end",
        )
    try:
        parsed = read_file(base)
    except Problem as problem:
        raise Problem(
            problem.code, problem.what, node.place, "`extends` is a path relative to this file", problem.help
        ) from None
    warnings += parsed.warnings
    below = _extended(parsed.root, base, (*chain, base.resolve()), warnings)
    return _merged(below, root)


def _merged(below: Node, above: Node) -> Node:
    """Mappings merge key by key; lists, scalars and components replace."""
    if below.mapping is None or above.mapping is None or names_component(below) or names_component(above):
        return above
    merged = {
        key: _merged(below.mapping[key], node) if key in below.mapping else node for key, node in above.mapping.items()
    }
    return Node({**below.mapping, **merged}, above.place, above.key)
