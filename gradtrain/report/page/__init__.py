"""The page about runs: one HTML file that holds everything it shows, and opens without a network.

Text goes through Jinja2's escaping, numbers and names for the charts through one JSON block; the page's own two
scripts are allowed by their hashes, and nothing else may run or be loaded.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrain.problems import Problem, safe
from gradtrain.report.page import classes, groups, summary
from gradtrain.report.page.charts import charts, distributions, maps
from gradtrain.report.page.recorded import Proof, Recorded, recorded
from gradtrain.report.rows import Row, below, rows
from gradtrain.report.tables import shown

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Proof", "Recorded", "page", "ready", "recorded"]

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 10_000_000
"""Characters of a text that `safe` lets pass; what is long is cut where it is read."""


def ready() -> None:
    """Raises `Problem` (configuration) where the libraries of the page are not installed."""
    for library in ("jinja2", "plotly"):
        if importlib.util.find_spec(library) is None:
            raise Problem(
                "extra-missing",
                f"the page is made with {library}, which is not installed",
                why="it is an extra of gradtrain",
                help='pip install "gradtrain[report]"',
            )


def page(runs: Sequence[Recorded], written: str) -> str:
    """The page about these runs as HTML; `written` says when. Raises `Problem` (configuration): `ready`."""
    ready()
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    alike = groups.groups(runs)
    scripts = [get_plotlyjs(), (TEMPLATES / "page.js").read_text("utf-8")]
    names = list(dict.fromkeys(run.name for run in runs))
    return _templates().get_template("page.html").render(
        title=f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}",
        written=written,
        runs=runs,
        groups=alike,
        differences=groups.differences(runs),
        results=groups.results(runs),
        data=Markup(as_json(_data(runs, alike))),
        style=Markup((TEMPLATES / "page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        hashes=" ".join(f"'sha256-{_hash(script)}'" for script in scripts),
    )  # fmt: skip


def _data(runs: Sequence[Recorded], alike: Sequence[groups.Group]) -> dict[str, Any]:
    return {
        "runs": [safe(run.label, 200) for run in runs],
        "groups": [{"label": safe(group.label, 200), "runs": group.runs} for group in alike],
        "charts": charts(runs, alike),
        "maps": [one for number, run in enumerate(runs) for one in maps(number, run.history)],
        "distributions": [one for number, run in enumerate(runs) for one in distributions(number, run.history)],
    }


def as_json(value: Any) -> str:
    """JSON that may stand in a script element: it holds no `<`, so nothing in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def _templates() -> Environment:
    """The templates: every value is escaped, and control characters are spelled out before that."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        return safe(value, SHOWN) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        autoescape=True,
        finalize=finalize,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals |= {
        "by_class": classes.by_class,
        "environment_of": summary.environment,
        "facts_of": summary.facts,
        "flow_rows": flow_rows,
        "over_seeds": groups.over_seeds,
        "said": groups.said,
        "shape": shown,
        "state_of": summary.state,
    }
    made.tests["matrix"] = lambda one: isinstance(one, classes.Matrix)
    return made


def flow_rows(stages: Sequence[Any]) -> list[tuple[Row, str, list[str]]]:
    """(row, what is folded into it, its tensors with their shapes) of a network, in the order of the forward pass."""
    found = []
    for row in rows(stages, back=False):
        folded = f"× {len(row.opens)}, shown once: {row.ends[0]} … {row.ends[1]}" if row.opens else ""
        tensors = [
            f"{below(p.name, row.stage.name)} {shown(p.shape)}"
            + (" (shared)" if p.shared else "" if p.learns else " (frozen)")
            for p in row.stage.parameters
        ]
        found.append((row, folded, tensors))
    return found
