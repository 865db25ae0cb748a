"""What the journal says, passed on to the viewers of other programs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gradtrain.components.loggers import Header, Log, Logger
from gradtrain.config.load import read
from gradtrain.problems import Place, Problem
from gradtrain.report.compare import flat

Line = dict[str, Any]
Numbers = dict[str, float]


class Logs:
    """All the logs of a run. One that fails is told of once and left behind: it is no reason to stop a run."""

    def __init__(self, loggers: Sequence[Logger], name: str, folder: Path, warn: Callable[[Problem], None]) -> None:
        self.loggers, self.header, self.warn = tuple(dict.fromkeys(loggers)), Header(name, folder, {}), warn
        self.open: dict[Logger, Log] = {}

    def begin(self, start: int) -> None:
        """Open them all; `start` is the number of steps that are finished."""
        if self.loggers:
            settings = dict(flat(read(self.header.folder / "config.yaml").resolved()))
            self.header = self.header._replace(settings=settings, start=start)
        for logger in self.loggers:
            self._guarded(logger, self._opened, logger)

    def write(self, line: Line) -> None:
        """Pass on a line of the journal."""
        if not self.open:
            return
        step, values, texts = said(line)
        for logger, log in list(self.open.items()):
            if values:
                self._guarded(logger, log.numbers, step, values)
            for title, text in texts.items():
                self._guarded(logger, log.text, step, title, text)

    def flush(self) -> None:
        """What was passed on so far must outlive this process: a checkpoint knows of it."""
        for logger, log in list(self.open.items()):
            self._guarded(logger, log.flush)

    def close(self, state: str) -> None:
        """The run is over, or this process's share of it."""
        for logger, log in list(self.open.items()):
            self._guarded(logger, log.close, state)

    def _opened(self, logger: Logger) -> None:
        self.open[logger] = logger.open(self.header)

    def _guarded(self, logger: Logger, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what other programs deprecate is no news to who trains
                call(*arguments)
        except Exception as error:
            self.open.pop(logger, None)
            name = logger.name()
            first = str(error).strip().partition("\n")[0][:200]
            self.warn(
                Problem(
                    "logger-failed", f"the logger `{name}` failed: {type(error).__name__}: {first}",
                    Place(str(self.header.folder)), "the run goes on without it; its journal holds the same numbers",
                    f"take `{name}` out of `logging.to`, or mend what it says", severity="warning",
                )
            )  # fmt: skip


def said(line: Line) -> tuple[int, Numbers, dict[str, str]]:
    """(step, name → number, name → text) of a line of the journal; names begin with what they belong to."""
    step = int(line.get("step", 0))
    match line.get("kind"):
        case "step":
            losses = {"loss" if name == "total" else name: value for name, value in line["loss"].items()}
            if len(losses) == 2 and not line["penalty"]:
                losses = {"loss": losses["loss"]}
            values = {"train": losses, "penalty": line["penalty"], "lr": line["lr"], "grad_norm": line["grad_norm"]}
            return step, dict(_numbers({**values, "gradient": line.get("grad_norms", {})})), {}
        case "evaluation":
            return step, dict(_numbers({line["split"]: line["metrics"]})), {}
        case "health":
            return step, dict(_numbers({"health": line["measures"]})), {}
        case "finding":
            where = line["layer"] or line["network"]
            told = f"{line['event']}: {line['evidence']}; {line['cause']}; {line['remedy']}"
            return step, {}, {f"finding/{line['name']}/{where}": told}
        case "spike" | "nonfinite":
            rest = {key: value for key, value in line.items() if key not in ("kind", "step")}
            return step, {}, {str(line["kind"]): ", ".join(f"{key} {value}" for key, value in rest.items())}
    return step, {}, {}


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{name}/{key}" if name else str(key))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)
