"""Values with a grammar of their own: durations, names of runs, devices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from gradtrain.problems import nearest


@dataclass(frozen=True)
class Duration:
    """A length of training, written `10 steps` or `1 epoch`."""

    number: int
    unit: Literal["steps", "epochs"]

    def steps(self, per_epoch: int) -> int:
        """The same length in optimizer steps."""
        return self.number * (per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.number} {self.unit if self.number > 1 else self.unit[:-1]}"


def _duration(text: Any) -> Any:
    if isinstance(text, Duration):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        raise ValueError(f"`{text}` has no unit: write `{text} steps` or `{text} epochs`")
    found = re.fullmatch(r"\s*([-+]?\d{1,12})(\s*)([A-Za-z]+)\s*", text) if isinstance(text, str) else None
    unit = nearest(found[3], ("step", "steps", "epoch", "epochs")) if found else None
    if not found or unit is None:
        raise ValueError("a duration is written `10 steps` or `1 epoch`")
    number, unit = int(found[1]), unit.rstrip("s")
    if number < 1:
        raise ValueError(f"a duration is at least `1 {unit}`")
    if not found[2] or found[3].rstrip("s") != unit:
        raise ValueError(f"a duration is written `10 steps` or `1 epoch`: did you mean `{number} {unit}s`?")
    return Duration(number, f"{unit}s")  # type: ignore[arg-type]


Every: TypeAlias = Annotated[Duration, BeforeValidator(_duration)]


@dataclass(frozen=True)
class Percentage:
    """A share, written `2 %`."""

    number: float

    @property
    def share(self) -> float:
        """As a fraction of one."""
        return self.number / 100

    def __str__(self) -> str:
        return f"{self.number:g} %"


def _percentage(text: Any) -> Any:
    if isinstance(text, Percentage):
        return text
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"`{text}` has no unit: write `{text} %`")
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", text) if isinstance(text, str) else None
    if not found or not 0 < float(found[1]) <= 100:
        raise ValueError("a share is written `2 %`: above 0, at most 100")
    return Percentage(float(found[1]))


Percent: TypeAlias = Annotated[Percentage, BeforeValidator(_percentage)]

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _name(text: str) -> str:
    if not RUN_NAME.fullmatch(text) or ".." in text:
        raise PydanticCustomError(
            "bad_name",
            "a name is up to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit: a folder gets it",
        )
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        close = nearest(text, ("auto", "cpu", "mps", "cuda")) if text.isalpha() else None
        meant = f". Did you mean `{close}`?" if close else ""
        raise ValueError(f"no device is called `{text}`: write `auto`, `cpu`, `cuda`, `cuda:0` or `mps`{meant}")
    return text


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
"""The name of a run."""

Device: TypeAlias = Annotated[str, AfterValidator(_device)]
"""Where a run computes."""
