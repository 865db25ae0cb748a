"""The prover: a component's two faces are one function, and autograd's derivative is the published one."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from gradtrain import registry
from gradtrain.gradcheck.contract import check
from gradtrain.gradcheck.finding import Finding
from gradtrain.gradcheck.report import Report, Row, as_json, show
from gradtrain.problems import Problem, did_you_mean, quote

__all__ = [
    "Asked",
    "Finding",
    "Report",
    "Row",
    "as_json",
    "check",
    "check_all",
    "check_everything",
    "gradcheck",
    "show",
]


def gradcheck(
    what: Callable[..., Any] | type[registry.Component] | str | Sequence[str] = (),
    *inputs: Any,
    textbook: Callable[..., Any] | None = None,
    gradient: Callable[..., Any] | None = None,
    surrogate: Callable[..., Any] | None = None,
    seed: int = 0,
    directions: int = 2,
    order: int = 2,
) -> Report:
    """Prove that a function, a module or the named components differentiate correctly.

    `what` is a function or an `nn.Module` with its `inputs`: tensors of any shape, numbers, whatever it takes.
    It is proven by every input that requires a gradient, by every floating-point one where none does, by every
    parameter, and by the trainable tensors that a function closes over; in float64, on copies: the caller's tensors,
    modules and generators are as they were. Names of components or families ("huber", "losses") and component
    classes of your own are proven against their textbooks; nothing means all components.

    textbook   (*inputs) → what the function should compute
    gradient   (g, *inputs) → its closed-form derivative by every differentiable input: a tensor, a tuple, or
               name → tensor; g is the incoming gradient in the shape of the output
    surrogate  (*inputs) → the function whose derivative the backward pass is meant to have (straight-through,
               gradient reversal, stop-gradient)
    directions random directions for every tensor; `order` the highest derivative proven

    Raises `Problem` for an unknown name, and for something that is no function.
    """
    names = [what, *inputs] if isinstance(what, str) else what
    if isinstance(names, (tuple, list)) and all(isinstance(name, str) for name in names):
        return check_everything(names, seed)
    if isinstance(what, type) and issubclass(what, registry.Component):
        return check_class(what, seed)
    from gradtrain.gradcheck.faces import Faces
    from gradtrain.gradcheck.prover import prove_function
    from gradtrain.gradcheck.trial import Effort

    faces = Faces(textbook, gradient, surrogate)
    return prove_function(cast(Callable[..., Any], what), inputs, faces, Effort(seed, directions, order))


def check_class(cls: type[registry.Component], seed: int = 0) -> Report:
    """Every check of one component class, registered or not."""
    started = time.perf_counter()
    family = registry.family_of(cls)
    shelf = next(name for name, known in registry.families().items() if known is family)
    return Report(tuple(check(shelf, cls.name(), cls, seed)), seed, time.perf_counter() - started)


def check_everything(
    select: Sequence[str] = (),
    seed: int = 0,
    each: Callable[[Row], None] | None = None,
    until: float = math.inf,
) -> Report:
    """Check every component, or those that `select` names: `huber`, `losses` (a family), `layers.linear`.

    `each` is called with a component's row as soon as its checks are done; `until` is the moment of
    `time.perf_counter` after which no further one is begun. Findings come in the registry's order, whatever the order
    of `select`. Raises `Problem` for a name that nothing has.
    """
    started = time.perf_counter()
    findings: list[Finding] = []
    for family, name in chosen(select):
        if findings and time.perf_counter() > until:
            findings.append(Finding(family, name, {}, "time", "unresolved", note="not looked at: the time is spent"))
            continue
        found = check(family, name, registry.find(registry.families()[family], name), seed)
        findings += found
        if each is not None:
            each(Row.of(found))
    return Report(tuple(findings), seed, time.perf_counter() - started)


@dataclass(frozen=True)
class Asked:
    """What a command line asks to be proven."""

    names: tuple[str, ...] = ()
    configs: tuple[Path, ...] = ()
    plugins: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    seed: int = 0
    until: float = math.inf
    profile: str | None = None
    allow_code: bool = False
    directions: int = 2
    order: int = 2
    files: dict[str, Path] = field(default_factory=dict)
    """Component → the file of the user's that it stands in; filled as they are proven."""

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        seed: int,
        budget: float | None,
        profile: str | None,
        allow_code: bool,
        directions: int,
        order: int,
    ) -> Asked:
        """Sort words by what they look like. Raises `Problem` for values and options without a config."""
        kinds: dict[str, list[str]] = {"names": [], "configs": [], "plugins": [], "overrides": []}
        for word in words:
            path = word.lower()
            kind = (
                "overrides" if "=" in word
                else "configs" if path.endswith((".yaml", ".yml"))
                else "plugins" if path.endswith(".py") else "names"
            )  # fmt: skip
            kinds[kind].append(word)
        if not kinds["configs"] and (kinds["overrides"] or profile is not None):
            lone = kinds["overrides"][0] if kinds["overrides"] else f"--profile {profile}"
            raise Problem(
                "no-config", f"{quote(lone)} belongs to a config, and none is named", help="name its .yaml file"
            )
        until = math.inf if budget is None else time.perf_counter() + budget
        return cls(
            tuple(kinds["names"]), tuple(map(Path, kinds["configs"])), tuple(map(Path, kinds["plugins"])),
            tuple(kinds["overrides"]), seed, until, profile, allow_code, directions, order,
        )  # fmt: skip


def check_all(asked: Asked, each: Callable[[Row], None]) -> Report:
    """The named components and plugins; every component where nothing is named at all. Raises `Problem`s."""
    started = time.perf_counter()
    findings: list[Finding] = []
    for path in asked.plugins:
        from gradtrain.gradcheck.plugin import components

        for shelf, name, cls in components(path, asked.allow_code):
            asked.files[name] = path
            found = check(shelf, name, cls, asked.seed)
            findings += found
            each(Row.of(found))
    if asked.names or not (asked.plugins or asked.configs):
        findings += check_everything(asked.names, asked.seed, each, asked.until).findings
    return Report(tuple(findings), asked.seed, time.perf_counter() - started)


def chosen(select: Sequence[str]) -> list[tuple[str, str]]:
    """(family, name) of every component that the words mean. Raises `Problem`."""
    everything = [(shelf, name) for shelf, family in registry.families().items() for name in registry.names(family)]
    if not select:
        return everything
    meant: set[tuple[str, str]] = set()
    for word in select:
        found = {pair for pair in everything if word in (pair[0], pair[1], ".".join(pair))}
        if not found and word not in registry.families():
            known = [".".join(pair) for pair in everything] if "." in word else [
                *registry.families(), *(name for _, name in everything)
            ]  # fmt: skip
            raise Problem(
                "unknown-component", f"no component or family is named {quote(word)}",
                help=did_you_mean(word, known, "`gradtrain list` shows them all"),
            )  # fmt: skip
        meant |= found
    return [pair for pair in everything if pair in meant]


class _Room(ModuleType):
    """The package and the function of its name are one: `gradtrain.gradcheck(f, x)` works however it was imported."""

    __call__ = staticmethod(gradcheck)


sys.modules[__name__].__class__ = _Room
