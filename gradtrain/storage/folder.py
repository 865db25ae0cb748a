"""The run folder: created atomically, locked for life, every file in it replaced as one act."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shlex
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradtrain.problems import Place, Problem, quote
from gradtrain.storage.files import (
    PICKLES,
    make_folder,
    make_folders,
    open_regular,
    read_regular,
    refused,
    sync_folder,
    unsafe,
    write_atomically,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NUMBER = re.compile(r"[0-9]{3,9}")
LONGEST = 16 << 20
"""Bytes of a JSON file of the folder beyond which it is none of ours."""


MEMBERS = ("config.yaml", "checkpoints")
"""What makes a folder a run's."""
BEFORE = {".lock", ".environment.json.new", "environment.json", ".config.yaml.new", "checkpoints"}
"""What stands in a folder whose run has not begun: a process that was killed there has left nothing of worth."""
TRIES, PAUSE = 10, 0.02
"""For the lock, in seconds: who only looks whether it is held (`held`) holds it for some microseconds."""


@dataclass(frozen=True)
class RunFolder:
    """One run's place on the disk. All paths in it are relative: it may be moved between two lives."""

    path: Path

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def crash(self) -> Path:
        """Where a step is kept whose numbers were not finite."""
        return self.path / "crash"

    @classmethod
    def next(cls, root: Path, name: str) -> RunFolder:
        """A new `root/name/NNN` with the next number; two processes never get the same one. Raises `Problem`."""
        if not NAME.fullmatch(name) or ".." in name:
            raise Problem(
                "bad-name",
                f"{quote(name)} cannot name a folder",
                why="a run's name is up to 64 letters, digits, `.`, `_` and `-`",
            )
        parent = root / name
        try:
            make_folders(parent)
            if parent.resolve().parent != root.resolve():
                raise Problem(
                    "not-a-file",
                    f"{quote(str(parent))} leads out of {quote(str(root))}",
                    Place(str(parent)),
                    "links are not followed",
                    "remove the link",
                )
            number = max((int(p.name) for p in parent.iterdir() if NUMBER.fullmatch(p.name)), default=0)
            while True:
                number += 1
                with contextlib.suppress(FileExistsError):
                    (parent / f"{number:03d}").mkdir()
                    sync_folder(parent)
                    return cls._made(parent / f"{number:03d}")
        except OSError as error:
            raise refused(error, parent) from None

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A run folder at a given place, which must be new or empty. Raises `Problem` (run folder)."""
        try:
            make_folders(path)
            if {place.name for place in path.iterdir()} - BEFORE or any(path.glob("checkpoints/*")):
                raise _exists(path)
            return cls._made(path)
        except FileExistsError:
            raise Problem(
                "run-exists", f"{quote(str(path))} is a file", Place(str(path)), help="name another folder"
            ) from None
        except OSError as error:
            raise refused(error, path) from None

    @classmethod
    def _made(cls, path: Path) -> RunFolder:
        make_folders(path / "checkpoints")
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder. Raises `Problem` for something else, a pickle, or links in place of its members."""
        if path.suffix in PICKLES and path.is_file():
            raise unsafe(path)
        for member in (path / name for name in MEMBERS):
            if member.is_symlink():  # a checkpoint is retired by deleting it: never in another run's folder
                raise Problem(
                    "not-a-file",
                    f"{quote(str(member))} is a link",
                    Place(str(member)),
                    "links inside a run's folder are not followed",
                    "put what it leads to in its place",
                )
        if not _is_run(path):
            raise Problem(
                "not-a-run",
                f"{quote(str(path))} is not a run's folder",
                Place(str(path)),
                _lacks(path),
                "`gradtrain runs` lists the runs",
            )
        return cls(path)

    def begin(self, environment: str, config: str) -> None:
        """Write what makes the folder a run's, under the caller's lock. Raises `Problem` (run folder, resources).

        The config comes last: a folder that holds it can be resumed.
        """
        if (self.path / "config.yaml").exists():  # another process has been faster
            raise _exists(self.path)
        self.write("environment.json", environment)
        self.write("config.yaml", config)

    def write(self, name: str, content: str | bytes) -> None:
        """Replace one of the folder's files, or one in a folder of it. Raises `Problem` (resources)."""
        path = self.path / name
        if path.parent != self.path:
            try:
                make_folder(path.parent)  # a run folder that was deleted is not made again
            except OSError as error:
                raise refused(error, path.parent) from None
        write_atomically(path, content.encode() if isinstance(content, str) else content)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty when it is missing or damaged."""
        try:
            value = json.loads(read_regular(self.path / name, LONGEST))
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def status(self) -> dict[str, Any]:
        """What `write_status` wrote; empty when it is missing or something else."""
        found = self.read_json("status.json")
        return found if isinstance(found.get("state"), str) and type(found.get("step")) is int else {}

    def state(self) -> str:
        """What its status says; `killed` when that is "running", and nobody is."""
        if self.held():
            return str(self.status().get("state", "running"))
        begun = (self.path / "status.json").exists()
        said = str(self.status().get("state", "unknown")) if begun else "running"
        return "killed" if said == "running" and not self.held() else said  # unless one has begun just now

    def held(self) -> bool:
        """Whether a process holds the lock."""
        try:
            descriptor = os.open(self.path / ".lock", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            return error.errno != errno.ENOENT  # what may not be looked at is believed
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def write_status(self, state: str, *, step: int = 0, reason: str = "", exit_code: int | None = None) -> None:
        """status.json: running | finished | interrupted | failed, step, reason, exit code, if it can be resumed.

        `started` is when this process said "running".
        """
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status = {
            "state": state,
            "step": step,
            "reason": reason,
            "exit_code": exit_code,
            "resumable": state != "finished",
            "pid": os.getpid(),
            "started": now if state == "running" else self.status().get("started", now),
            "written": now,
        }
        self.write("status.json", json.dumps(status, indent=1) + "\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone; the kernel frees it when the process ends, however. Raises `Problem` (run folder)."""
        descriptor = open_regular(self.path / ".lock", os.O_RDWR)
        try:
            try:
                if not _taken(descriptor):
                    owner = os.pread(descriptor, 200, 0).decode("utf-8", "replace")
                    raise Problem(
                        "run-locked",
                        f"{quote(str(self.path))} is in use by {owner or 'another process'}",
                        Place(str(self.path)),
                        "a run folder has one writer",
                        "wait for it to end, or stop it",
                    )
            except OSError as error:
                raise refused(error, self.path / ".lock") from None
            with contextlib.suppress(OSError):  # who holds it is said for people; a full disk may leave it unsaid
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _taken(descriptor: int) -> bool:
    """Whether the lock could be had."""
    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(PAUSE)
    return False


def _exists(path: Path) -> Problem:
    resume = f"`gradtrain resume {shlex.quote(str(path))}` goes on with it, or " if _is_run(path) else ""
    return Problem(
        "run-exists",
        f"{quote(str(path))} exists and is not empty",
        Place(str(path)),
        "a run never writes over another one",
        f"{resume}name another folder",
    )


def runs_below(root: Path) -> list[Path]:
    """Every run folder `root/name/NNN`, sorted by name and number."""
    found = [path.parent for path in root.glob("*/*/config.yaml")] if root.is_dir() else []
    return sorted(filter(_is_run, found), key=lambda path: (path.parent, len(path.name), path.name))  # 1000 after 999


def _lacks(path: Path) -> str:
    """Why a path is no run's folder."""
    if not path.is_dir():
        return "it is a file" if path.exists() else "there is no such folder"
    gone = [f"`{name}`" for name in MEMBERS if not (path / name).exists()]
    return f"it holds no {' and no '.join(gone)}" if gone else "what should be a file or a folder is something else"


def _is_run(path: Path) -> bool:
    """Whether a folder holds what a run's folder holds, and no link in the place of it."""
    config, checkpoints = (path / name for name in MEMBERS)
    return config.is_file() and checkpoints.is_dir() and not config.is_symlink() and not checkpoints.is_symlink()
