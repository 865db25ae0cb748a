"""Drawing from a trained run, after its training."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch

from gradtrain.assemble import Warn, readable, unheard
from gradtrain.components.objectives import Drawn, Objective
from gradtrain.config.load import read
from gradtrain.config.sections import Run, Sampling
from gradtrain.drawing import drawn, files
from gradtrain.feed import facts_after
from gradtrain.problems import Problem
from gradtrain.provenance import begun_in
from gradtrain.start import Trained, chosen, fit, prepare, reopen
from gradtrain.storage.files import irregular, make_folders, refused, write_atomically
from gradtrain.storage.folder import RunFolder
from gradtrain.training.batches import Batches

BETWEEN = "\n---\n"
"""What stands between two texts."""

CONCERN: Mapping[str, frozenset[str]] = {
    "text": frozenset({"count", "prompt", "length", "temperature", "top_k", "seed"}),
    "images": frozenset({"count", "source", "seed"}),
    "table": frozenset({"count", "source", "length", "seed"}),
}
"""What is drawn → the wishes that it depends on."""


def sampled(
    path: Path, wishes: Mapping[str, Any], which: str = "best", out: Path | None = None, warn: Warn = unheard
) -> str | list[Path]:
    """The text that a run writes; or, for pictures and tables and where `out` is given, the files that it drew.

    What `wishes` leaves out is as in the run's own `sampling:`. A run that makes things up needs no data; one that goes
    on from samples reads its val (or train) split. Raises `Problem`s.
    """
    folder = RunFolder.open(path)
    trained = reopen(path, which, warn)
    objective = trained.run.objective
    if objective.draws is None:
        raise Problem(
            "no-samples",
            f"a run of `{objective.name()}` has nothing to draw",
            why="it makes up neither texts nor pictures",
            help="`gradtrain predict RUN DATA` says what the model thinks of samples",
        )
    section = _section(trained.run, wishes)
    made = (
        _of_data(folder, section, which)
        if section.source == "reconstruction"
        else _made_up(trained, section, int(wishes.get("count") or 1))
    )
    if made.text is not None and out is None:
        return made.text
    place = folder.path / "samples" if out is None else out
    if out is None and place.is_symlink():  # where a run's own folder leads is not its user's word
        raise irregular(place, "folder")
    return _kept(made, place, trained.step)


def _section(run: Run, wishes: Mapping[str, Any]) -> Sampling:
    """The run's own section of this source, as the wishes change it. Raises `Problem` for one without effect."""
    objective = run.objective
    given = {key: value for key, value in wishes.items() if value is not None}
    source = given.get("source") or next((s.source for s in run.sampling if s.source in objective.sources), None)
    given["source"] = source or objective.sources[0]
    _refuse_idle(objective, given)
    own = next((s for s in run.sampling if s.source == given["source"]), run.sampling[0] if run.sampling else None)
    return Sampling.model_validate({**(dict(own) if own is not None else {}), **given})


def _refuse_idle(objective: Objective, given: Mapping[str, Any]) -> None:
    """Raises `Problem` for a wish that would change nothing."""
    concern = CONCERN[objective.draws or "text"]
    if objective.sources == ("reconstruction",):  # it goes on from samples; no chance is involved
        concern -= {"prompt", "temperature", "top_k", "seed"} | ({"length"} if objective.draws == "text" else set())
    for key in given:
        if key not in concern and key != "source":
            option = f"--{key.replace('_', '-')}"
            what = f"`{option}` changes nothing in what `{objective.name()}` draws"
            raise Problem("option-value", what, help=f"leave out `{option}`")
    if given["source"] not in objective.sources:
        what = f"`{objective.name()}` draws no {given['source']}"
        raise Problem("option-value", what, why=f"it draws {objective.sources[0]}s only", help="leave out `--source`")


def _made_up(trained: Trained, section: Sampling, texts: int) -> Drawn:
    """What the networks make up; a number of texts is written one after the other, each from a seed of its own."""
    readable(section, trained.facts, None)
    seen = facts_after(trained.facts, trained.run.data)
    device = next(p.device for network in trained.networks.values() for p in network.parameters())
    low = 0.0 if seen.range is None else seen.range[0]  # the shape and the range of samples are all that is read
    like = torch.full((section.count, *(seen.shape or ())), low, dtype=trained.pipeline.dtype, device=device)
    batches = Batches({"x": like}, section.count, 0, shuffle=False)
    if trained.run.objective.draws != "text":
        return drawn(trained.task, trained.networks, batches, section)
    written = []
    for seed in range(section.seed, section.seed + texts):
        made = drawn(trained.task, trained.networks, batches, section.model_copy(update={"seed": seed}))
        written.append(made.text or "")
    return Drawn(text=BETWEEN.join(written))


def _of_data(folder: RunFolder, section: Sampling, which: str) -> Drawn:
    """What the networks make of the run's own samples."""
    run, parts, _ = prepare(read(folder.path / "config.yaml"), begun_in(folder))
    fit(chosen(folder, which), parts.networks, run)
    return drawn(parts.task, parts.networks, parts.splits.get("val", parts.splits["train"]), section)


def _kept(made: Drawn, place: Path, step: int) -> list[Path]:
    """The files of a drawing, under a name that none of them has yet. Raises `Problem` (resources)."""
    number = next(n for n in count(1) if not any(place.glob(f"drawn-{step:08d}-{n:03d}.*")))
    try:
        make_folders(place)
    except OSError as error:
        raise refused(error, place) from None
    for name, data in (written := files(made, f"drawn-{step:08d}-{number:03d}")).items():
        write_atomically(place / name, data)
    return [place / name for name in written]
