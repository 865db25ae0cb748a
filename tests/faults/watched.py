"""Command lines in forked children under an audit hook: what they load, start, reach and write; and how to do harm.

What a command may import, compile and execute is what the same one did with an honest folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load, save

from gradtrain import cli
from gradtrain.storage import checkpoint

CONFIG = """\
name: honest
seed: 1
device: cpu
data:
  source: {csv: {path: t.csv, target: kind}}
  split: {val: 0.25, test: 0.25}
  transforms: [standardize]
  batch_size: 16
model: {layers: [{linear: 6}, relu, {linear: $data.classes}]}
loss: cross_entropy
optimizer: {adam: 0.01}
training: {steps: 4}
evaluation: {metrics: [accuracy]}
checkpoint: {every: 2 steps, best: val.loss}
logging: {every: 1 step}
"""
TABLE = "a,b,kind\n" + "".join(f"{i / 7:.4f},{(i * i) % 11},{('ape', 'bee')[i % 2]}\n" for i in range(80))
STARTS = ("subprocess.", "os.exec", "os.system", "os.posix_spawn", "os.spawn", "os.fork", "pty.", "ctypes.dlopen")
REACHES = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostby",
    "socket.sendto",
    "urllib.",
    "ftplib.",
)
UNPICKLES = ("pickle.find_class",)
WRITES = (
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.chmod",
    "os.chown",
    "os.truncate",
)
OPENED_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OWN = (str(Path(cli.__file__).parents[1]),)
"""Components are files of this folder: which of them a config names is its own affair."""


MEMORY = 6 << 30
"""Address space of a child: what asks for more is refused by the system, not by the machine's other users."""


RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no terminal may be sent from outside: control characters, changes of direction, halves of pairs."""


class Seen(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str
    loaded: set[str]
    """Modules that it imported, files and texts that it compiled or executed."""
    harm: list[str]
    """Processes, connections, unpickled classes, and writing outside of its folder."""


def _watch(place: Path, loaded: list[str], harm: list[str]) -> None:
    def inside(path: object) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        return real == os.devnull or real == str(place) or real.startswith(f"{place}{os.sep}")

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "import" and not str(args[0]).startswith("gradtrain.components."):
            loaded.append(f"import {args[0]}")
        elif event == "exec" and not args[0].co_filename.startswith(OWN):
            loaded.append(f"exec {args[0].co_filename} {args[0].co_names} {args[0].co_consts!r:.500}")
        elif event == "compile" and not str(args[1]).startswith((*OWN, "<unknown>")):  # ast.parse runs nothing
            loaded.append(f"compile {args[1]} {args[0]!r:.500}")
        elif event.startswith((*STARTS, *REACHES, *UNPICKLES)):
            harm.append(f"{event} {args!r:.100}")
        elif event in WRITES and not all(inside(path) for path in args if isinstance(path, str | bytes | os.PathLike)):
            harm.append(f"{event} {args!r:.200}")
        elif event == "open" and isinstance(args[2], int) and args[2] & OPENED_FOR_WRITING and not inside(args[0]):
            harm.append(f"open {args!r:.200}")

    sys.addaudithook(hook)


def seen(place: Path, *args: str) -> Seen:
    """Run one command line in a child whose working directory is `place`."""
    results = place.parent / f"{place.name}.seen"
    results.mkdir(exist_ok=True)
    pid = os.fork()
    if pid == 0:
        status, loaded, harm = 99, [], []  # type: tuple[int, list[str], list[str]]
        try:
            signal.alarm(60)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            os.chdir(place)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(results / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(n, "w", closefd=False), "utf-8") for n in (1, 2))
            sys.dont_write_bytecode = True
            record = os.open(results / "json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            _watch(place, loaded, harm)
            status = cli.run(list(args))
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(record, json.dumps([sorted(set(loaded)), harm]).encode())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out, err = ((results / name).read_bytes().decode("utf-8", "surrogateescape") for name in ("out", "err"))
    assert status != 99, err
    loaded, harm = json.loads((results / "json").read_bytes())
    return Seen(status, out, err, set(loaded), harm)


class House(NamedTuple):
    place: Path
    """A folder with an honest config, its data, and the run that came of it."""
    loaded: set[str]


def learned(place: Path, lines: Iterable[tuple[str, ...]]) -> set[str]:
    """What the command lines load in children, all of which must go well and do nothing else."""
    loaded: set[str] = set()
    for args in lines:
        found = seen(place, *args)
        assert (found.status, found.harm) == (0, []), (args, found)
        loaded |= found.loaded
    return loaded


CANARY = "canary"
TOUCH = f"import os; os.system('touch {CANARY}')"


def pickled() -> bytes:
    """What runs a command when it is unpickled."""

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {CANARY}",)

    return pickle.dumps(Evil())


def edited(*pairs: tuple[str, str]) -> str:
    text = CONFIG
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def assert_harmless(found: Seen, honest: House, place: Path) -> None:
    """Nothing was started, reached, unpickled, loaded or written elsewhere; what was said is plain text."""
    assert found.harm == []
    assert found.loaded <= honest.loaded, found.loaded - honest.loaded
    assert not list(place.parent.rglob(CANARY))
    assert "Traceback" not in found.err, found.err
    assert "a bug in gradtrain" not in found.err, found.err
    for text in (found.out, found.err):
        assert not RAW.search(text), repr(text)


def resealed(folder: Path, **members: bytes) -> None:
    """Put other bytes into a checkpoint's members, with a manifest that agrees."""
    for name, data in members.items():
        path = folder / {"state": "state.safetensors", "trainer": "trainer.json"}[name]
        path.unlink()
        path.write_bytes(data)
    manifest(folder, lambda m: None)


def manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    told = json.loads(path.read_text())
    del told["sha256"]
    for name in told["files"]:
        data = (folder / name).read_bytes() if (folder / name).is_file() else b""
        told["files"][name] = [len(data), hashlib.sha256(data).hexdigest()]
    change(told)
    path.write_text(json.dumps({**told, "sha256": checkpoint._seal(told)}))


def facts(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Change trainer.json of a checkpoint, with a manifest that agrees."""

    def apply(folder: Path) -> None:
        told = json.loads((folder / "trainer.json").read_text())
        change(told)
        resealed(folder, trainer=json.dumps(told).encode())

    return apply


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        told = load((folder / "state.safetensors").read_bytes())
        change(told)
        resealed(folder, state=save(told))

    return apply


def raw(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body
