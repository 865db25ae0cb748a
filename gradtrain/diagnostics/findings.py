"""Findings: signs that last, one for each root, told when they begin and when they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gradtrain.components.measures import Sign
from gradtrain.diagnostics.causes import EXPLAINS, ORDER

Line = dict[str, Any]

OVER = 0.7
"""Share of a threshold below which a sign is over: what hovers around the threshold does not begin and end."""


CLEAR = 3.0
"""Multiple of a threshold from which a sign needs no second look."""


class Findings:
    """What is wrong with the networks, from sign to sign.

    A sign becomes a finding when it lasts for as many looks as its measure asks for, unless a more fundamental one
    explains it; a finding ends after as many looks without it. `memory` is what a checkpoint keeps: for every name
    and network the looks with and without the sign in a row, and what was told.
    """

    def __init__(self, memory: dict[str, Any]) -> None:
        self.open: dict[str, dict[str, Any]] = memory.setdefault("open", {})
        self.told: list[Line] = memory.setdefault("told", [])

    def take(self, step: int, network: str, signs: Iterable[tuple[Sign, int]], looked: Sequence[str]) -> list[Line]:
        """The lines that begin and end at this step; `looked` names the findings that this look could have seen.

        Each sign comes with the number of looks that it must last.
        """
        weak = sorted(signs, key=lambda one: one[0].excess)  # of two with one name the stronger one speaks
        seen = {sign.name: (sign, lasts) for sign, lasts in weak if sign.excess >= OVER}
        looked = list(dict.fromkeys(looked))
        lines: list[Line] = []
        for name in looked:
            state = self.open.get(f"{network}/{name}")
            if name in seen:
                self._seen(step, network, *seen[name])
            elif state is not None:
                state["without"] += 1
                if state["without"] >= state["lasts"]:
                    del self.open[f"{network}/{name}"]
                    if state["began"]:
                        lines.append({"kind": "finding", "step": step, "event": "ended", **state["line"]})
        for name in sorted((name for name in seen if f"{network}/{name}" in self.open), key=ORDER.index):
            state = self.open[f"{network}/{name}"]
            lasted = state["with"] >= state["lasts"] or seen[name][0].excess >= CLEAR
            if not state["began"] and lasted and not self._explained(network, name):
                state["began"] = True
                lines.append({"kind": "finding", "step": step, "event": "began", **state["line"]})
        self.told += lines
        return lines

    def _seen(self, step: int, network: str, sign: Sign, lasts: int) -> None:
        state = self.open.get(f"{network}/{sign.name}")
        if state is None and sign.excess < 1:
            return
        if state is None:
            state = {"with": 0, "without": 0, "since": step, "lasts": lasts, "began": False}
            self.open[f"{network}/{sign.name}"] = state
        state["with"] += sign.excess >= 1
        state["without"] = 0
        if not state["began"]:
            state["line"] = {
                "name": sign.name,
                "network": network,
                "layer": sign.layer,
                "since": state["since"],
                "evidence": sign.evidence,
                "cause": sign.cause,
                "remedy": sign.remedy,
            }

    def _explained(self, network: str, name: str) -> bool:
        """Whether a sign that may bring this one about is there, begun or about to: an earlier or a deeper one."""
        own = self.open[f"{network}/{name}"]["since"]
        for key, state in self.open.items():
            where, _, cause = key.partition("/")
            if where == network and name in EXPLAINS[cause]:
                both = cause in EXPLAINS[name]
                deeper = ORDER.index(cause) < ORDER.index(name)
                if state["since"] < own or not both or (state["since"] == own and deeper):
                    return True
        return False
