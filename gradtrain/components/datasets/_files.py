"""Opening a user's data file: regular files only, with a sentence for everything that can be wrong."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gradtrain.problems import Place, Problem, did_you_mean, quote

LIMIT = 8 << 30
"""No array above this many bytes is read: data sets here live in memory."""


def resolve(base: Path, path: str) -> Path:
    """A path of a config below `base`. Raises `Problem` for what is no path on this machine."""
    if "://" in path:
        raise Problem("data-path", f"{quote(path)} is an address, not a file", why="gradtrain never opens the network", help="download it and name the file")
    if "\0" in path or not path:
        raise Problem("data-path", f"{quote(path)} is not a path")
    return base / Path(path).expanduser()


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises `Problem` (data; resources for rights)."""
    place = Place(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        folder = path.parent
        near = [str(folder / name) for name in os.listdir(folder)[:1000]] if folder.is_dir() else []
        raise Problem("data-missing", f"no file at {quote(str(path))}", place, "paths are relative to where the command was started", did_you_mean(str(path), near)) from None
    except NotADirectoryError:
        raise Problem("data-missing", f"no file at {quote(str(path))}", place, "a part of the path is a file") from None
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise Problem("data-kind", f"{quote(str(path))} is a directory", place, help="name a file")
        if not stat.S_ISREG(status.st_mode):
            raise Problem("data-kind", f"{quote(str(path))} is not a regular file", place, "devices, pipes and sockets are never read")
        if status.st_size > LIMIT:
            raise Problem("data-limit", f"{quote(str(path))} has {status.st_size:,} bytes", place, "data sets are held in memory")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read()
    except OSError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(descriptor)
    if not data:
        raise Problem("data-empty", f"{quote(str(path))} is empty", place)
    return data


def unreadable(path: Path, error: OSError) -> Problem:
    """An errno as a refusal: rights and resources exit with 6, the rest is a matter of data."""
    code = "no-permission" if error.errno in (errno.EACCES, errno.EPERM) else "data-unreadable"
    return Problem(code, f"cannot read {quote(str(path))}: {os.strerror(error.errno or 0)}", Place(str(path)), help="check its rights" if code == "no-permission" else "")
