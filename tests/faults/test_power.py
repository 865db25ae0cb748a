"""Power that fails at any moment: what was committed is there, and the run goes on bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from gradtrain.problems import Problem
from gradtrain.start import start
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder

from .power import Disk
from .rig import Kind, Silent, assert_same_end, ended, journal_of, living

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.xdist_group("power"),
]


class Saved(NamedTuple):
    """A checkpoint in a record."""

    step: int
    begun: int
    """The act that gives it its name."""
    done: int
    """The act behind which it is on the disk."""
    bytes: dict[str, bytes]


def saved(disk: Disk) -> list[Saved]:
    """The checkpoints that were committed, in their order."""
    found = []
    content: dict[int, bytes] = {}
    for number, act in enumerate(disk.acts):
        if act.kind == "bytes":
            content[act.node] = content.get(act.node, b"") + act.data
        elif act.kind == "rename" and act.target.startswith("step-"):
            synced = next(n for n, a in enumerate(disk.acts) if n > number and (a.kind, a.node) == ("sync", act.node))
            links = (a for a in disk.acts if a.kind == "link" and a.node == act.child)
            members = {a.name: content[a.child] for a in links}
            found.append(Saved(int(act.target[5:]), number, synced, members))
    return found


def newest(root: Path, made: list[Saved]) -> int:
    """The step of the newest whole checkpoint below, which must be one that was made, byte for byte; 0 for none."""
    try:
        found = checkpoint.newest(root)
    except Problem as problem:
        if problem.code not in ("no-checkpoint", "no-valid-checkpoint"):
            raise
        return 0
    (origin,) = [one for one in made if one.step == found.step]
    assert {path.name: path.read_bytes() for path in found.path.iterdir()} == origin.bytes
    return found.step


def expected(made: list[Saved], at: int) -> tuple[int, int]:
    """(the last step that was on the disk when the power failed, the last one that had its name by then)."""
    return (
        max((one.step for one in made if one.done < at), default=0),
        max((one.step for one in made if one.begun < at), default=0),
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Disk:
    """Seven saves, two of them of a step that was saved before; older ones are retired."""
    disk = Disk(tmp_path / "checkpoints")
    disk.root.mkdir()
    with disk.watched():
        for step in (1, 2, 3, 4, 4, 5, 5):
            weights = torch.arange(300.0) * step
            checkpoint.save(disk.root, step, {"network.w": weights}, {"step": step}, keep=2, protect={1})
    return disk


@pytest.mark.fault("F03")
@pytest.mark.parametrize("each", [pytest.param(1, id="quick"), pytest.param(12, id="long", marks=pytest.mark.slow)])
def test_behind_every_act_of_a_save_a_loss_of_power_leaves_the_newest_or_the_one_before(
    each: int, recorded: Disk, tmp_path: Path
) -> None:
    made, draw, kinds = saved(recorded), random.Random(3), set()
    assert [one.step for one in made] == [1, 2, 3, 4, 4, 5, 5]
    for at in range(len(recorded.acts) + 1):
        safe, named = expected(made, at)
        for number in range(each):
            place = tmp_path / f"{at}-{number}"
            recorded.lost(at, draw, place)
            found = newest_of_twins(place, made)
            assert safe <= found <= named, (at, safe, found)
            assert safe < 1 or checkpoint.load(place, 1).step == 1, "the protected one is never lost"
            kinds.add((found == safe, found == named))
            checkpoint.clean(place)
            assert newest_of_twins(place, made) == found
    assert kinds == {(True, True), (True, False), (False, True)}


def newest_of_twins(place: Path, made: list[Saved]) -> int:
    """As `newest`, where a step was saved twice with the same contents."""
    return newest(place, list({one.step: one for one in made}.values()))


@pytest.mark.fault("F03")
def test_a_disk_that_syncs_nothing_loses_what_was_saved(recorded: Disk, tmp_path: Path) -> None:
    """So the syncs are what the other tests find."""
    made, draw = saved(recorded), random.Random(4)
    losses = 0
    for at in range(0, len(recorded.acts) + 1, 5):
        recorded.lost(at, draw, tmp_path / f"{at}", syncs=False)
        losses += newest_of_twins(tmp_path / f"{at}", made) < expected(made, at)[0]
    assert losses > 5


@pytest.fixture
def run(kind: Callable[[str], Kind], tmp_path: Path) -> Disk:
    """A whole run: everything in its folder, from its first act to its last."""
    disk = Disk(tmp_path / "run")
    disk.root.mkdir()
    with disk.watched():
        config = kind("conv-crop-flip-batch-norm").config
        assert start(config, folder=disk.root, shown=Silent()).state == "finished"
    return disk


@pytest.mark.fault("F03")
def test_a_run_that_is_over_has_its_whole_journal(run: Disk, kind: Callable[[str], Kind], tmp_path: Path) -> None:
    """Nobody goes on with it, so nothing of it would be written again."""
    draw, over = random.Random(5), 0
    for number in range(60):
        place = tmp_path / f"{number}"
        run.lost(len(run.acts) - draw.randint(0, 9), draw, place)
        if RunFolder(place).status().get("state") == "finished":
            over += 1
            assert journal_of(place) == journal_of(kind("conv-crop-flip-batch-norm").reference)
    assert over > 5


@pytest.mark.fault("F03")
@pytest.mark.parametrize("states", [pytest.param(40, id="40"), pytest.param(500, id="500", marks=pytest.mark.slow)])
def test_a_run_that_lost_its_power_goes_on_bit_for_bit(
    states: int, run: Disk, kind: Callable[[str], Kind], tmp_path: Path
) -> None:
    """Checkpoints, journal, status, config: each is as it was or as it should be, and none is believed too early."""
    one, draw = kind("conv-crop-flip-batch-norm"), random.Random(states)
    made, begun = saved(run), 0
    assert len(made) > 20
    for number in range(states):
        place, at = tmp_path / f"{number}", draw.randint(0, len(run.acts))
        run.lost(at, draw, place)
        safe, named = expected(made, at)
        begun += (place / "config.yaml").exists()
        assert safe <= newest(place / "checkpoints", made) <= named
        assert safe == 0 or (place / "config.yaml").exists()
        was_over = RunFolder(place).status().get("state") == "finished"
        assert ended(living(one.config, place)) == 0, (at, number)
        if was_over:  # then nothing is written any more, and an old checkpoint may stay whose removal was forgotten
            assert newest(place / "checkpoints", made) == made[-1].step
            assert journal_of(place) == journal_of(one.reference)
        else:
            assert_same_end(place, one.reference)
    assert begun > states / 2
