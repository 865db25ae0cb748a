"""The family of loggers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field

from gradtrain.problems import Problem
from gradtrain.registry import Component

Setting = str | int | float | bool | None

Below = Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")]
"""A path that leads to nowhere but below the folder where the command is started: a config is data of strangers."""


class Header(NamedTuple):
    """What a viewer is told of a run when it begins."""

    name: str
    """The name in the config: viewers group runs by it."""
    folder: Path
    settings: Mapping[str, Setting]
    """Every setting by its path, as `optimizer.adam.lr`."""
    start: int = 0
    """Steps finished. What was passed on beyond them, by a process that did not live to save it, comes again: a viewer
    that can forget it should."""

    @property
    def run(self) -> str:
        """How the run is told from others of its name."""
        return self.folder.name


class Log:
    """An open way to a viewer. What its methods raise ends the log, never the run."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name, as `train/loss`; some may be NaN or infinite."""
        raise NotImplementedError

    def text(self, step: int, name: str, text: str) -> None:
        """A remark; left out where the viewer has no place for one."""

    def flush(self) -> None:
        """Called at every checkpoint: what was passed on so far is not passed on again."""

    def close(self, state: str) -> None:
        """The run is `finished`, `interrupted` or `failed`."""


class Logger(Component):
    """A logger passes what a run's journal says on to the viewer of another program, on this machine alone.

    Everything it writes lies below the run's folder or the folder that holds the runs, and nothing is sent anywhere.
    """

    needs: ClassVar[str] = ""
    """The module that it needs, which the extra of its own name installs."""

    def ready(self) -> None:
        """Whether it can be opened. Raises `Problem`: its extra is not installed."""
        if self.needs and importlib.util.find_spec(self.needs) is None:
            raise Problem(
                "extra-missing",
                f"the logger `{self.name()}` needs the package {self.needs}",
                why="it is an extra of gradtrain",
                help=f'pip install "gradtrain[{self.name()}]"',
            )

    def open(self, header: Header) -> Log:
        """Begin, or go on where the run goes on."""
        raise NotImplementedError
