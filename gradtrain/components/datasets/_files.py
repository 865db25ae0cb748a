"""Opening a user's data file: regular files only, with a sentence for everything that can be wrong."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from gradtrain.problems import Place, Problem, nearest, quote

LIMIT = 8 << 30
"""No file or array above this many bytes is read, nor above half of the machine's memory: data sets live in memory."""


def _file_name(text: str) -> str:
    if "://" in text:
        raise ValueError("it is an address, and gradtrain never opens the network: download it and name the file")
    if not text or "\0" in text:
        raise ValueError("a file has a name")
    return text


FileName: TypeAlias = Annotated[str, AfterValidator(_file_name)]
"""A path as a config writes it; whether there is such a file is seen when it is read."""


def named(path: Path) -> str:
    """A path as it is shown inside a sentence: whole, for its end says the most."""
    return quote(str(path), 4096)


def most() -> int:
    """The most bytes that one file or array may take on this machine."""
    return min(LIMIT, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def too_large(path: Path, what: str, size: int) -> Problem:
    """The refusal of `size` bytes, before anything of that size is read."""
    why = f"data sets are held in memory, up to {most():,} bytes a file on this machine"
    return Problem("data-limit", f"{what}: {size:,} bytes", Place(str(path)), why, "take a part of the data")


def resolve(base: Path, path: str) -> Path:
    """A path of a config below `base`. Raises `Problem` for what is no path on this machine."""
    try:
        os.fsencode(path)
        return base / Path(path).expanduser()
    except (
        ValueError,
        RuntimeError,
    ):  # UnicodeEncodeError is a ValueError; RuntimeError: no such user's home
        raise Problem("data-path", f"{quote(path)} is not a path", help="name a file") from None


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises `Problem` (data; resources for rights)."""
    try:
        _regular(path, os.stat(path))  # before opening: to open a device or a pipe can have effects of its own
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _regular(path, status)  # again, of what was opened: the path may mean another file now
            data = file.read(status.st_size)
    except OSError as error:
        raise unreadable(path, error) from None
    if not data:
        raise Problem("data-empty", f"{named(path)} is empty", Place(str(path)), "it has no bytes at all")
    return data


def _regular(path: Path, status: os.stat_result) -> None:
    place = Place(str(path))
    if stat.S_ISDIR(status.st_mode):
        raise Problem("data-kind", f"{named(path)} is a directory", place, help="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        why = "devices, pipes and sockets are never read: they have no end, or change as they are read"
        raise Problem("data-kind", f"{named(path)} is not a regular file", place, why)
    if status.st_size > most():
        raise too_large(path, f"{named(path)} is too large", status.st_size)


def unreadable(path: Path, error: OSError) -> Problem:
    """An errno as a refusal: a missing file is a matter of data, rights and broken disks are resources."""
    place, said = Place(str(path)), os.strerror(error.errno or 0)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Problem("data-missing", f"no file at {named(path)}", place, *_nearby(path))
        case errno.EACCES | errno.EPERM:
            what = f"the file {named(path)} may not be read"
            return Problem("permission-denied", what, place, said, f"`ls -l {path}` shows its rights")
        case errno.ELOOP | errno.ENAMETOOLONG | errno.EINVAL:
            return Problem("data-path", f"{named(path)} is not a path", place, said, "name a file")
    return Problem("input-output", f"{named(path)} cannot be read", place, said, "check the disk")


def _nearby(path: Path) -> tuple[str, str]:
    """(why, help) for a file that does not exist: the first part of its path that is missing, and what is there."""
    missing = path
    while not missing.parent.exists() and missing.parent != missing:
        missing = missing.parent
    folder = missing.parent
    if not folder.is_dir():
        return f"{named(folder)} is a file, not a folder", ""
    why = f"the folder {named(folder)} has no {quote(missing.name)}"
    if re.search(r"\$\{|\$[A-Z]|%[A-Z]+%", missing.name):
        return why, "a config reads no environment: write the path, or set it on the command line, in double quotes"
    try:
        close = nearest(missing.name, sorted(os.listdir(folder))[:10_000])
    except OSError:
        return why, ""
    help = "relative paths begin where the command was started"
    return why, f"did you mean {quote(close)}?" if close else help
