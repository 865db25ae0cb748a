"""The prover: a component's two faces are one function, and autograd's derivative is the published one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gradtrain import registry
from gradtrain.gradcheck.contract import check
from gradtrain.gradcheck.finding import Finding
from gradtrain.gradcheck.report import Report, Row, as_json, show
from gradtrain.problems import Problem, did_you_mean, quote

__all__ = ["Finding", "Report", "Row", "as_json", "check", "check_everything", "show"]


def check_everything(select: Sequence[str] = (), seed: int = 0, each: Callable[[Row], None] | None = None) -> Report:
    """Check every component, or those that `select` names: `huber`, `losses` (a family), `layers.linear`.

    `each` is called with a component's row as soon as its checks are done. Findings come in the registry's
    order, whatever the order of `select`. Raises `Problem` for a name that nothing has.
    """
    started = time.perf_counter()
    findings: list[Finding] = []
    for family, name in chosen(select):
        found = check(family, name, registry.find(registry.families()[family], name), seed)
        findings += found
        if each is not None:
            each(Row.of(found))
    return Report(tuple(findings), seed, time.perf_counter() - started)


def chosen(select: Sequence[str]) -> list[tuple[str, str]]:
    """(family, name) of every component that the words mean. Raises `Problem`."""
    everything = [(shelf, name) for shelf, family in registry.families().items() for name in registry.names(family)]
    if not select:
        return everything
    meant: set[tuple[str, str]] = set()
    for word in select:
        found = {pair for pair in everything if word in (pair[0], pair[1], ".".join(pair))}
        if not found and word not in registry.families():
            known = [*registry.families(), *(name for _, name in everything)]
            raise Problem(
                "unknown-component", f"no component or family is named {quote(word)}",
                help=did_you_mean(word, known, "`gradtrain list` shows them all"),
            )  # fmt: skip
        meant |= found
    return [pair for pair in everything if pair in meant]
