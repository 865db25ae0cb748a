"""The run folder: created atomically, locked for life, written atomically."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradtrain.problems import Place, Problem, quote

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file as one act: temp in the same folder, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @classmethod
    def next(cls, root: Path, name: str) -> RunFolder:
        parent = root / name
        parent.mkdir(parents=True, exist_ok=True)
        number = max((int(p.name) for p in parent.iterdir() if re.fullmatch(r"\d{3,6}", p.name)), default=0)
        while True:
            number += 1
            try:
                (parent / f"{number:03d}").mkdir()
            except FileExistsError:
                continue
            return cls._made(parent / f"{number:03d}")

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Problem("run-exists", f"{quote(str(path))} exists and is not empty", Place(str(path)), "a run never writes over another one", f"`gradtrain resume {path}` goes on with it, or name another folder")
        return cls._made(path)

    @classmethod
    def _made(cls, path: Path) -> RunFolder:
        (path / "checkpoints").mkdir()
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        if not (path / "status.json").is_file() or not (path / "config.yaml").is_file():
            raise Problem("not-a-run", f"{quote(str(path))} is not a run's folder", Place(str(path)), help="`gradtrain runs` lists the runs")
        return cls(path)

    def write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / name).read_bytes()))
        except (OSError, ValueError):
            return {}

    def status(self) -> dict[str, Any]:
        return self.read_json("status.json")

    def write_status(self, state: str, *, step: int = 0, reason: str = "", exit_code: int | None = None) -> None:
        status = {"state": state, "step": step, "reason": reason, "exit_code": exit_code, "resumable": state != "finished", "pid": os.getpid(), "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.write("status.json", json.dumps(status, indent=1) + "\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 200).decode("utf-8", "replace")
                raise Problem("run-locked", f"{quote(str(self.path))} is in use by {owner or 'another process'}", Place(str(self.path)), "one run folder has one writer", "wait for it to end, or stop it") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def runs_below(root: Path) -> list[Path]:
    return sorted(p.parent for p in root.glob("*/*/status.json")) if root.is_dir() else []
