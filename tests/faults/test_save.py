"""A checkpoint's save, broken off at every call that it makes to the operating system."""

from __future__ import annotations

import errno
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gradtrain.problems import Problem
from gradtrain.storage import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

CALLS = ("open", "write", "fsync", "close", "rename", "mkdir", "unlink", "rmdir")
KEEP = 2

Before = Callable[[int, str, tuple[Any, ...]], None]
"""Called before a call: its number from 1, its name, its arguments."""


def watch(before: Before) -> Callable[[], None]:
    """Have `before` called ahead of every call to the operating system; the way back."""
    count, kept = 0, {name: getattr(os, name) for name in CALLS}

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            before(count, name, args)
            return kept[name](*args, **more)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name))

    def undo() -> None:
        for name, original in kept.items():
            setattr(os, name, original)

    return undo


def save(root: Path, step: int) -> Path:
    """A checkpoint whose contents follow from its step; steps that do not fit `KEEP` are retired, step 1 stays."""
    weights = torch.arange(50.0) * step
    return checkpoint.save(
        root, step, {"network.w": weights}, {"step": step}, keep=KEEP, protect={1}, finite=("network.",)
    )


def newest(root: Path) -> int:
    """The step of the newest checkpoint, after a look into it; none may have to be skipped."""
    skipped: list[Problem] = []
    found = checkpoint.newest(root, skipped.append)
    assert not skipped
    assert found.facts == {"step": found.step}
    assert torch.equal(found.tensors["network.w"], torch.arange(50.0) * found.step)
    return found.step


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Checkpoints 1, 2 and 3: the next save also retires one, so every kind of call occurs."""
    for step in (1, 2, 3):
        save(tmp_path, step)
    return tmp_path


def calls_of_a_save(root: Path, step: int) -> list[tuple[str, tuple[Any, ...]]]:
    recorded: list[tuple[str, tuple[Any, ...]]] = []
    undo = watch(lambda number, name, args: recorded.append((name, args)))
    try:
        save(root, step)
    finally:
        undo()
    return recorded


@pytest.mark.fault("F02", "F09")
def test_a_kill_at_every_call_leaves_a_whole_newest_checkpoint(root: Path) -> None:
    total, step, seen = len(calls_of_a_save(root, 4)), 4, set()
    assert total >= 20
    for half in (False, True):
        for k in range(1, total + 1):
            pid = os.fork()
            if pid == 0:

                def die(number: int, name: str, args: tuple[Any, ...]) -> None:
                    if number == k:  # noqa: B023
                        if half and name == "write":  # noqa: B023
                            os.pwrite(args[0], bytes(args[1])[: len(args[1]) // 2], 0)
                        os.kill(os.getpid(), signal.SIGKILL)

                try:
                    watch(die)
                    save(root, step + 1)
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(9)
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert ended == -signal.SIGKILL, f"call {k} of {total}: the child ended with {ended}"
            found = newest(root)
            assert found in (step, step + 1)
            assert len(checkpoint.steps(root)) >= KEEP
            assert checkpoint.load(root, 1).step == 1, "the protected one is never lost"
            seen.add(found - step)
            save(root, step + 2)
            assert newest(root) == step + 2
            assert len(checkpoint.steps(root)) == KEEP + 1
            assert not [path for path in root.iterdir() if path.name.startswith(".")], "left-overs are removed"
            step += 2
    assert seen == {0, 1}, "some kills came before the commit, some after it"


@pytest.mark.fault("F03")
def test_bytes_are_on_the_disk_before_the_rename_and_the_rename_before_the_return(root: Path) -> None:
    places: dict[int, Path] = {}
    order: list[tuple[str, str]] = []
    opened = os.open

    def open_(place: Any, *rest: Any, **more: Any) -> int:
        descriptor = opened(place, *rest, **more)
        if not more.get("dir_fd"):
            places[descriptor] = Path(place)
        return descriptor

    def before(number: int, name: str, args: tuple[Any, ...]) -> None:
        if name in ("write", "fsync"):
            order.append((name, places[args[0]].name))
        elif name == "rename":
            order.append((name, Path(args[1]).name))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_)
        undo = watch(before)
        try:
            save(root, 4)
        finally:
            undo()
    temporary = f".tmp-step-00000004-{os.getpid()}"
    members = ["state.safetensors", "trainer.json", "manifest.json"]
    committed = order.index(("rename", "step-00000004"))
    for name in members:
        assert (
            order.index(("write", name)) < order.index(("fsync", name)) < order.index(("fsync", temporary)) < committed
        )
    assert [name for call, name in order if call == "fsync"][:3] == members, "the manifest comes last"
    assert order[committed + 1] == ("fsync", root.name)
    retired = order.index(("rename", f".del-step-00000002-{os.getpid()}"))
    assert retired > committed + 1, "an old one goes only when the new one is committed"


@pytest.mark.fault("F25")
@pytest.mark.parametrize("name", ["open", "write", "fsync", "rename", "mkdir"])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "input-output"),
        (errno.EROFS, "permission-denied"), (errno.EACCES, "permission-denied"), (errno.EMFILE, "too-many-files"),
    ],
    ids=["ENOSPC", "EDQUOT", "EIO", "EROFS", "EACCES", "EMFILE"],
)  # fmt: skip
def test_an_error_at_every_call_is_named_and_the_older_ones_stay(root: Path, name: str, number: int, code: str) -> None:
    """The k-th call of the name fails, for every k up to the commit."""
    sequence = [call for call, _ in calls_of_a_save(root, 4)]
    up_to_commit = sequence[: sequence.index("rename") + 1]
    for k in range(1, up_to_commit.count(name) + 1):
        met, failing = 0, set()

        def fail(index: int, call: str, args: tuple[Any, ...], k: int = k) -> None:
            nonlocal met
            if call != name:
                return
            met += 1
            where = os.readlink(f"/proc/self/fd/{args[0]}") if call in ("write", "fsync") else str(args)
            if met == k:
                failing.add(where)  # noqa: B023
            if where in failing:  # also when a full disk is tried again  # noqa: B023
                raise OSError(number, os.strerror(number))

        undo = watch(fail)
        try:
            with pytest.raises(Problem) as caught:
                save(root, 5)
        finally:
            undo()
        assert (caught.value.code, caught.value.exit_code) == (code, 6)
        assert errno.errorcode[number] in caught.value.what
        assert newest(root) == 4
        assert sorted(path.name for path in root.iterdir()) == [f"step-{step:08d}" for step in (1, 3, 4)]
    assert name in up_to_commit


@pytest.mark.fault("F23")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["ENOSPC", "EDQUOT"])
def test_a_full_disk_is_tried_again_after_a_purge(tmp_path: Path, number: int) -> None:
    """Room for so many: older ones go down to two and the protected one, never the newest."""
    for step in range(1, 7):
        checkpoint.save(tmp_path, step, {"w": torch.zeros(9)}, {"step": step}, keep=5, protect={2})

    def full(index: int, name: str, args: tuple[Any, ...]) -> None:
        if name == "write" and len(checkpoint.steps(tmp_path)) > 3:
            raise OSError(number, os.strerror(number))

    undo = watch(full)
    try:
        checkpoint.save(tmp_path, 7, {"w": torch.zeros(9)}, {"step": 7}, keep=5, protect={2})
    finally:
        undo()
    assert checkpoint.steps(tmp_path) == [2, 5, 6, 7]
    assert checkpoint.newest(tmp_path).step == 7


def test_an_error_while_an_old_one_is_deleted_does_not_stop_a_run(root: Path) -> None:
    def fail(number: int, name: str, args: tuple[Any, ...]) -> None:
        if name in ("unlink", "rmdir") or (name == "rename" and ".del-" in str(args[1])):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    undo = watch(fail)
    try:
        save(root, 4)
    finally:
        undo()
    assert newest(root) == 4
    save(root, 5)
    assert checkpoint.steps(root) == [1, 4, 5]


@pytest.mark.fault("F31")
def test_a_folder_that_is_gone_is_not_made_again(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    gone = tmp_path_factory.mktemp("gone") / "checkpoints"
    with pytest.raises(Problem, match="ENOENT") as caught:
        save(gone, 1)
    assert caught.value.exit_code == 6
    assert not gone.exists()
