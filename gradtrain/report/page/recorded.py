"""A run's folder as the page reads it: what it says of itself, its journal, and what it drew. Nothing in it is run."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrain.config.load import read as read_config
from gradtrain.problems import Problem
from gradtrain.report.compare import flat
from gradtrain.report.page.history import History
from gradtrain.storage import checkpoint
from gradtrain.storage.files import read_regular
from gradtrain.storage.folder import RunFolder

if TYPE_CHECKING:
    from gradtrain.flow import Flow

LONGEST_TEXT = 100_000
"""Characters of a config that are shown."""
LONGEST_SAMPLE = 4_000
"""Characters of a sampled text that are shown."""
LARGEST_PICTURE = 2 << 20
PICTURES = 6 << 20
"""Bytes of all pictures of a run together."""
SAMPLES = 12
"""Samples of a run that are shown: the last one, and others at even distances before it."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sample:
    """A text or a picture that the networks made."""

    name: str
    text: str = ""
    picture: str = ""
    """A PNG as a data URL."""


@dataclass(frozen=True)
class Proof:
    """What is known of a component that the run uses."""

    family: str
    name: str
    checks: int = 0
    digits: float | None = None
    verdict: str = ""
    """Empty where it was not proven."""


@dataclass
class Recorded:
    """One run: what its folder holds, and what follows from its config."""

    path: str
    label: str
    """As short as tells it from the other runs."""
    status: dict[str, Any]
    environment: dict[str, Any]
    config: str
    settings: dict[str, Any]
    """Every setting by its path, `optimizer.adam.lr`; empty where the config cannot be read."""
    history: History
    samples: tuple[Sample, ...]
    labels: tuple[str, ...]
    memory: dict[str, Any]
    """What the newest checkpoint remembers: the best value and its step."""
    facts: dict[str, Any] | None
    """Of the run's data, as the newest checkpoint has them."""
    missing: list[str] = field(default_factory=list)
    """What the page cannot show, a sentence each."""
    flow: Flow | None = None
    papers: list[tuple[str, str, str]] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.settings.get("name") or Path(self.path).name)


def recorded(paths: list[Path]) -> list[Recorded]:
    """The runs in these folders. Raises `Problem` for something that is no run's folder."""
    folders = [RunFolder.open(path) for path in paths]
    return [_recorded(folder, label) for folder, label in zip(folders, _labels(paths), strict=True)]


def _recorded(folder: RunFolder, label: str) -> Recorded:
    missing: list[str] = []
    try:
        settings = dict(flat(read_config(folder.path / "config.yaml").resolved()))
    except (Problem, ExceptionGroup) as error:
        settings = {}
        missing.append(f"The config cannot be read ({_said(error)}): settings, flow and papers are left out.")
    if folder.journal.is_symlink() or not folder.journal.is_file():
        history = History()
        missing.append("There is no journal: no curves, no results, no findings.")
    else:
        history = History.of(folder.journal)
    if history.damage:
        missing.append(f"The journal is damaged: {history.damage}.")
    if history.strange:
        missing.append(f"{history.strange:,} entries of the journal say nothing that this page understands.")
    if history.left_out:
        missing.append(f"{history.left_out:,} values of the journal are left out: too many names.")
    kept = _newest(folder)
    labels = kept.get("labels")
    facts, memory = kept.get("facts"), kept.get("memory")
    return Recorded(
        path=str(folder.path),
        label=label,
        status=folder.status(),
        environment=folder.read_json("environment.json"),
        config=_text(folder.path / "config.yaml", LONGEST_TEXT),
        settings=settings,
        history=history,
        samples=tuple(_samples(folder, missing)),
        labels=tuple(map(str, labels)) if isinstance(labels, list) else (),
        memory=memory if isinstance(memory, dict) else {},
        facts=facts if isinstance(facts, dict) else None,
        missing=missing,
    )


def _newest(folder: RunFolder) -> dict[str, Any]:
    """What the newest checkpoint says beside its tensors, unverified: nothing is computed from it."""
    known = [f"step-{step:08d}" for step in checkpoint.steps(folder.checkpoints)]
    known = [name for name in known if not (folder.checkpoints / name).is_symlink()]
    return folder.read_json(f"checkpoints/{known[-1]}/trainer.json") if known else {}


def _samples(folder: RunFolder, missing: list[str]) -> Iterator[Sample]:
    place = folder.path / "samples"
    if place.is_symlink() or not place.is_dir():
        return
    found = sorted(p for p in place.iterdir() if p.suffix in (".txt", ".png") and not p.is_symlink() and p.is_file())
    chosen = _spread(found, SAMPLES)
    if len(chosen) < len(found):
        missing.append(f"Of {len(found):,} samples {len(chosen)} are shown; the others are in {place}.")
    room, dropped = PICTURES, 0
    for path in reversed(chosen):
        if path.suffix == ".txt":
            yield Sample(path.stem, text=_text(path, LONGEST_SAMPLE))
            continue
        try:
            data = read_regular(path, LARGEST_PICTURE)
        except OSError:
            data = b""
        if data.startswith(PNG) and len(data) <= room:
            room -= len(data)
            yield Sample(path.stem, picture=f"data:image/png;base64,{base64.b64encode(data).decode()}")
        else:
            dropped += 1
    if dropped:
        missing.append(f"{dropped} pictures are left out: too large, or none that gradtrain wrote.")


def _spread(items: list[Path], count: int) -> list[Path]:
    """At most `count` of them at even distances, the last one among them."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _text(path: Path, longest: int) -> str:
    try:
        text = read_regular(path).decode("utf-8", "replace")
    except OSError:
        return ""
    return text if len(text) <= longest else f"{text[:longest]}\n… ({len(text):,} characters)"


def _said(error: Problem | ExceptionGroup[Exception]) -> str:
    return error.what if isinstance(error, Problem) else str(error.message)


def _labels(paths: list[Path]) -> list[str]:
    """The shortest endings of the paths that differ from one another; the same folder twice gets a number."""
    parts = [path.resolve().parts for path in paths]
    for count in range(1, max(map(len, parts), default=1) + 1):
        labels = ["/".join(part[-count:]) for part in parts]
        if len(set(labels)) == len(set(parts)) and not all(label.isdigit() for label in labels):
            break
    seen: dict[str, int] = {}
    for number, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] > 1:
            labels[number] = f"{label} ({seen[label]})"
    return labels
