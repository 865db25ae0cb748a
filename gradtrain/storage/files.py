"""Writing so that a crash at any moment leaves the old file or the new one, never half of either."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from gradtrain.problems import Place, Problem, quote

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
"""Endings of files that other tools write with pickle."""


def make_folders(path: Path) -> None:
    """A folder and the missing ones above it, with their names on the disk. Raises OSError."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        with contextlib.suppress(PermissionError):  # a folder that may be written may still not be read
            sync_folder(made.parent)


def make_folder(path: Path) -> None:
    """A folder in one that exists. Raises `Problem` for something else in its place, OSError."""
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise irregular(path, "folder") from None
    else:
        sync_folder(path.parent)


def open_regular(path: Path, flags: int) -> int:
    """The descriptor of a file, made where there is none. Raises `Problem`: links, devices, folders; resources."""
    refuse_irregular(path)
    try:
        return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise refused(error, path) from None


def refuse_irregular(path: Path) -> None:
    """Raises `Problem` where something else than a file stands."""
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise irregular(path, "file")


def irregular(path: Path, wanted: str) -> Problem:
    """The refusal to write where something else stands than the `wanted` kind."""
    if wanted == "file" and path.is_dir() and not path.is_symlink():
        what = f"{quote(str(path))} is a folder, not a file"
        return Problem("not-a-file", what, Place(str(path)), help="name a file in it, or remove it if it is empty")
    return Problem(
        "not-a-file",
        f"{quote(str(path))} is not a regular {wanted}",
        Place(str(path)),
        "gradtrain never writes through links or to devices",
        "remove it",
    )


def write_new(path: Path, data: bytes) -> None:
    """Create a file that did not exist, with its bytes on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file as one act: a temporary beside it, fsync, rename, fsync of the folder.

    Raises `Problem` (resources). One process at a time may write a path: the run folder's lock sees to that.
    """
    refuse_irregular(path)
    temporary = path.with_name(
        f".{path.name}.new"
    )  # one name: what a killed process left is taken away by the next write
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        write_new(temporary, data)
        os.rename(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise refused(error, path) from None


def sync_folder(path: Path) -> None:
    """Put a folder's names on the disk: after a rename, before it counts. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, at_most: int | None = None) -> bytes:
    """The bytes of a regular file; links and devices are not followed. Raises OSError.

    A file of more than `at_most` bytes is refused before it is read: a few bytes of a sparse one claim terabytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if at_most is not None and status.st_size > at_most:
            raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, at most {at_most:,} are expected")
        return file.read()


def unsafe(path: Path) -> Problem:
    """The refusal of a file that may be a pickle."""
    return Problem(
        "checkpoint-unsafe",
        f"{quote(path.name)} may hold a pickle, which is never opened",
        Place(str(path)),
        "unpickling runs code",
        "convert it to safetensors where you trust it",
    )


def refused(error: OSError, path: Path) -> Problem:
    """An errno of writing as a refusal that names it and the path."""
    name = errno.errorcode.get(error.errno or 0, "?")
    said = f"{os.strerror(error.errno or 0).lower()} ({name})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Problem(
            "disk-full",
            f"no room to write {quote(str(path))}: {said}",
            Place(str(path)),
            "what was saved before is untouched",
            "free some space, then `gradtrain resume` the run",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Problem(
            "permission-denied",
            f"cannot write {quote(str(path))}: {said}",
            Place(str(path)),
            help="check the owner and the rights of the folder",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Problem(
            "too-many-files",
            f"cannot write {quote(str(path))}: {said}",
            Place(str(path)),
            help="raise the limit: `ulimit -n 4096`",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return Problem(
            "input-output",
            f"cannot write {quote(str(path))}: {said}",
            Place(str(path)),
            help="name a file in a folder that there is",
        )
    return Problem(
        "input-output",
        f"cannot write {quote(str(path))}: {said}",
        Place(str(path)),
        "what was saved before is untouched",
        "check the disk, then `gradtrain resume` the run",
    )
