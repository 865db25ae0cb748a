"""A file system that loses power: what was done to it, and what may be on the disk afterwards.

The rules are the weakest that a disk may keep to. Bytes are on it once their file was synced, names once their folder
was; whatever came later may be there, not be there, or be there in part, in any order. A rename within a folder is one
act.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SECTOR = 512
Entries = dict[str, int]


class Act(NamedTuple):
    """One thing that was done to a folder or a file."""

    kind: str
    """link | unlink | rename | bytes | sync."""
    node: int
    """The folder whose names change, or the file."""
    name: str = ""
    target: str = ""
    """The new name of a rename."""
    child: int = 0
    """What a name stands for."""
    data: bytes = b""


@dataclass
class Disk:
    """A folder whose changes are recorded. Nodes are files and folders; the folder itself is node 0."""

    root: Path
    acts: list[Act] = field(default_factory=list)
    folders: dict[int, Entries] = field(default_factory=lambda: {0: {}})
    """Folder → its names as every process sees them."""
    opened: dict[int, int] = field(default_factory=dict)
    """Descriptor → node."""
    nodes: int = 0

    def find(self, path: Path) -> tuple[int, str, int | None] | None:
        """(folder, name, node) of a path; None outside of the root, or where the folder is not known."""
        if path == self.root:
            return 0, "", 0
        if not path.is_relative_to(self.root):
            return None
        *above, name = path.relative_to(self.root).parts
        folder = 0
        for part in above:
            folder = self.folders[folder][part]
        return folder, name, self.folders[folder].get(name)

    def add(self, act: Act) -> None:
        self.acts.append(act)
        if act.node in self.folders:
            apply(self.folders[act.node], act)

    def new(self, folder: int, name: str, is_folder: bool) -> int:
        self.nodes += 1
        if is_folder:
            self.folders[self.nodes] = {}
        self.add(Act("link", folder, name, child=self.nodes))
        return self.nodes

    @contextmanager
    def watched(self) -> Iterator[None]:
        """In here everything that this process does below the root is recorded."""
        kept = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "close", "rename", "mkdir", "unlink", "rmdir")
        }

        def place(path: Any, dir_fd: int | None = None) -> Path:
            above = Path(os.readlink(f"/proc/self/fd/{dir_fd}")) if dir_fd is not None else Path.cwd()
            return above / os.fsdecode(path)

        def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            descriptor: int = kept["open"](path, flags, mode, dir_fd=dir_fd)
            if (found := self.find(place(path, dir_fd))) is not None:
                folder, name, node = found
                self.opened[descriptor] = self.new(folder, name, False) if node is None else node
            return descriptor

        def write(descriptor: int, data: Any) -> int:
            count: int = kept["write"](descriptor, data)
            if descriptor in self.opened:
                self.add(Act("bytes", self.opened[descriptor], data=bytes(data[:count])))
            return count

        def fsync(descriptor: int) -> None:
            kept["fsync"](descriptor)
            if descriptor in self.opened:
                self.add(Act("sync", self.opened[descriptor]))

        def close(descriptor: int) -> None:
            self.opened.pop(descriptor, None)
            kept["close"](descriptor)

        def rename(source: Any, target: Any) -> None:
            kept["rename"](source, target)
            if (found := self.find(place(source))) is not None:
                folder, name, node = found
                there = self.find(place(target))
                assert there is not None
                assert node is not None
                assert there[0] == folder, "a rename within a folder"
                self.add(Act("rename", folder, name, there[1], node))

        def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            kept["mkdir"](path, mode, dir_fd=dir_fd)
            if (found := self.find(place(path, dir_fd))) is not None and found[1]:
                self.new(found[0], found[1], True)

        def removed(name: str) -> Callable[..., None]:
            def remove(path: Any, *, dir_fd: int | None = None) -> None:
                kept[name](path, dir_fd=dir_fd)
                if (found := self.find(place(path, dir_fd))) is not None:
                    self.add(Act("unlink", found[0], found[1]))

            return remove

        patched = {"open": open_, "write": write, "fsync": fsync, "close": close, "rename": rename, "mkdir": mkdir}
        for name, call in {**patched, "unlink": removed("unlink"), "rmdir": removed("rmdir")}.items():
            setattr(os, name, call)
        try:
            yield
        finally:
            for name, call in kept.items():
                setattr(os, name, call)

    def lost(self, at: int, draw: random.Random, place: Path, *, syncs: bool = True) -> None:
        """What may be left when the power fails behind the first `at` acts, laid out in `place`.

        Without `syncs` a disk that forgets what it was told to keep.
        """
        acts = self.acts[:at]
        synced = {act.node: number for number, act in enumerate(acts) if act.kind == "sync"} if syncs else {}
        names: dict[int, Entries] = {0: {}}
        contents: dict[int, bytes] = {}
        for node in dict.fromkeys(act.node for act in acts):
            safe = synced.get(node, -1)
            own = [(number <= safe, act) for number, act in enumerate(acts) if act.node == node]
            if node in self.folders:
                names[node] = _names(own, draw)
            else:
                contents[node] = _bytes(own, draw)
        self._lay(0, names, contents, place)

    def _lay(self, folder: int, names: dict[int, Entries], contents: dict[int, bytes], place: Path) -> None:
        place.mkdir(exist_ok=True)
        for name, node in names.get(folder, {}).items():
            if node in self.folders:
                self._lay(node, names, contents, place / name)
            else:
                (place / name).write_bytes(contents.get(node, b""))


def apply(entries: Entries, act: Act) -> None:
    """Change a folder's names."""
    if act.kind == "link":
        entries[act.name] = act.child
    elif act.kind == "unlink":
        entries.pop(act.name, None)
    elif act.kind == "rename":
        entries.pop(act.name, None)
        entries[act.target] = act.child


def _names(own: list[tuple[bool, Act]], draw: random.Random) -> Entries:
    """Names that were synced, and of the later changes all, none, the first few, or some."""
    late = sum(not safe for safe, _ in own)
    first = draw.choice((late, 0, draw.randint(0, late)))
    some = draw.random() < 0.5
    entries: Entries = {}
    for safe, act in own:
        if not safe:
            first -= 1
        if safe or (draw.random() < 0.5 if some else first >= 0):
            apply(entries, act)
    return entries


def _bytes(own: list[tuple[bool, Act]], draw: random.Random) -> bytes:
    """Bytes that were synced; the later ones whole, cut, as zeros, or with sectors that were never written."""
    firm, late = (b"".join(act.data for safe, act in own if safe is kind) for kind in (True, False))
    match draw.randrange(5):
        case 0:
            late = b""
        case 1:
            late = late[: draw.randint(0, len(late))]
        case 2:
            late = bytes(len(late))
        case 3:
            parts = [late[i : i + SECTOR] for i in range(0, len(late), SECTOR)]
            late = b"".join(part if draw.random() < 0.5 else bytes(len(part)) for part in parts)
    return firm + late
