"""Whether the disk has room for what a run will save, asked before its first step."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from gradtrain.problems import Place, Problem, amount
from gradtrain.storage.files import refused


def look(root: Path, size: int, count: int) -> list[Problem]:
    """A warning when `count` further checkpoints of `size` bytes may not fit; nothing when they do.

    Raises `Problem` (resources) when not even one fits, or the folder cannot be asked.
    """
    try:
        system = os.statvfs(root)
    except OSError as error:
        raise refused(error, root) from None
    free = system.f_bavail * system.f_frsize
    longest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    needs = f"a checkpoint takes about {amount(size)}"
    if longest != resource.RLIM_INFINITY and size > longest:
        raise Problem(
            "disk-full",
            f"{needs}, a file of this process may have {amount(longest)}",
            Place(str(root)),
            "the limit of the shell (`ulimit -f`) is lower",
            "raise the limit, or train a smaller model",
        )
    if not system.f_blocks or size * count <= free:  # some network file systems do not know their size
        return []
    said = f"{needs}, {amount(free)} are free"
    if size > free:
        raise Problem("disk-full", said, Place(str(root)), "not even one fits", "free some space, or write elsewhere")
    why = f"up to {count} of them are kept"
    return [Problem("disk-tight", said, Place(str(root)), why, "free some space, or lower `checkpoint.keep`",
                    severity="warning")]  # fmt: skip
