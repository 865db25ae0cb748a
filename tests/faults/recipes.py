"""What the corpus of bad inputs cannot hold as a file: large, deep and binary ones, links, pipes, damaged runs.

`lay_out` makes the folder that every case starts in; `BEFORE` and `ARGUMENTS` say what else belongs to a case.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gradtrain.cli import run

CORPUS = Path(__file__).with_name("corpus")
NOBODY = 65534

Recipe = Callable[[Path], Any]


def lay_out(place: Path) -> None:
    """Everything that the corpus names, in one folder."""
    shutil.copytree(CORPUS, place, dirs_exist_ok=True)
    with contextlib.chdir(place):
        for make in (large, binary, pictures, strange, runs):
            make()


def write(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def large() -> None:
    good = Path("good.yaml").read_text()
    write("C023.yaml", "data: " + "[" * 200_000)
    write("C024.yaml", good + "# " + "x" * (10 << 20) + "\n")
    write("C025.yaml", good + f"numbers: [{', '.join(['1'] * 100_000)}]\n")
    write("C027.yaml", good.replace("name: case", f"name: {'n' * 1_000_000}"))


def npz(name: str, **arrays: Any) -> None:
    np.savez(name, **arrays)


def members(name: str, **content: bytes) -> None:
    """An archive of members that numpy did not write."""
    with zipfile.ZipFile(name, "w") as archive:
        for member, data in content.items():
            archive.writestr(f"{member}.npy", data)


def idx(data: Any, kind: int = 0x08, claims: tuple[int, ...] | None = None) -> bytes:
    shape = claims or data.shape
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data.tobytes()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def binary() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(12, 3)).astype("f4"), np.arange(12) % 2
    grey, digits = draw.integers(0, 256, (12, 4, 4), dtype="u1"), (np.arange(12) % 2).astype("u1")
    npz("arrays.npz", x=x, y=y)
    write("images.idx", idx(grey))
    write("labels.idx", idx(digits))
    write("D24.idx", b"\0\0\x99\x03" + idx(grey)[4:])
    write("D25.idx", idx(grey)[:-50])
    write("D26.idx", idx(digits[:10]))
    write("D27.idx", idx(grey, claims=(10**9, 28, 28)))
    packed = gzip.compress(idx(grey), mtime=0)
    write("D28.idx.gz", packed[: len(packed) // 2])
    write("D29.idx.gz", packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:])
    members("D30.npz", x=b"", y=npy(y))
    npz("D31.npz", x=np.array([{"a": 1}] * 12, dtype=object), y=y)
    write("D33.npz", Path("arrays.npz").read_bytes()[:300])
    npz("D34.npz", inputs=x, targets=y)
    with zipfile.ZipFile("D35.npz", "w") as archive:
        archive.writestr("x.npy", npy(x))
        archive.writestr("y.npy", npy(y))
        archive.filelist[0].file_size = 1 << 40
    npz("D36.npz", x=grey, y=digits)
    npz("D37.npz", x=x.astype("f8"), y=y)
    npz("D38.npz", x=x.astype("c8"), y=y)
    npz("D39.npz", x=x, y=y[:11])
    npz("D40.npz", x=np.zeros((4, 5), "f4"))
    npz("D49.npz", x=np.full((2, 41), 99))
    npz("A19.npz", x=x, y=np.where(y == 1, 70, 0))
    npz("D50.npz", x=x, y=np.stack([x[:, 0], x[:, 1]], 1))


def pictures() -> None:
    draw = np.random.default_rng(0)

    def folder(name: str) -> Path:
        for kind in ("cat", "dog"):
            (Path(name) / kind).mkdir(parents=True)
            for number in range(4):
                Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype="u1")).save(f"{name}/{kind}/{number}.png")
        return Path(name)

    folder("pictures")
    whole = (folder("D41") / "cat" / "1.png").read_bytes()
    write("D41/cat/1.png", whole[: len(whole) // 2])
    claim = bytearray((folder("D42") / "dog" / "2.png").read_bytes())
    claim[16:24] = struct.pack(">II", 100_000, 100_000)
    claim[29:33] = struct.pack(">I", zlib.crc32(claim[12:29]))
    write("D42/dog/2.png", bytes(claim))
    mixed = folder("D43")
    Image.new("CMYK", (6, 6), (9, 8, 7, 6)).save(mixed / "cat" / "0.jpg")
    Image.new("L", (5, 7), 3).save(mixed / "dog" / "0.png")
    write(str(folder("D44") / "cat" / "3.png"), "<!DOCTYPE html><title>404</title>")


def strange() -> None:
    Path("folder").mkdir()
    os.mkfifo("C123.csv")
    outside = Path("outside")
    outside.mkdir()
    shutil.copy("table.csv", outside / "table.csv")
    os.symlink("outside/table.csv", "C124.csv")
    shutil.copy("table.csv", "D03.csv")
    os.chmod("D03.csv", 0)


def checkpoint_of(run: str) -> Path:
    return next(Path(run).glob("checkpoints/step-*"))


def manifest(run: str, seal: bool = True, **values: Any) -> None:
    """Other values in the manifest of a run's only checkpoint, sealed again."""
    path = checkpoint_of(run) / "manifest.json"
    said = json.loads(path.read_text()) | values
    if seal:
        said.pop("sha256")
        said["sha256"] = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(said))


def tensors(run: str, content: bytes) -> None:
    """Other tensors in a run's only checkpoint, with a manifest that names them."""
    folder = checkpoint_of(run)
    (folder / "state.safetensors").write_bytes(content)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    manifest(run, files=files | {"state.safetensors": [len(content), hashlib.sha256(content).hexdigest()]})


def header(entries: dict[str, Any], data: bytes, filling: int = 0) -> bytes:
    """A file of tensors with any header, however wrong."""
    text = json.dumps(entries).encode() + b" " * filling
    return struct.pack("<Q", len(text)) + text + data


def runs() -> None:
    """A trained run in `run`, one on texts in `texts`, and copies of the first that were damaged or tampered with."""
    assert run(["train", "table.yaml", "--run", "run"]) == 0
    assert run(["train", "lines.yaml", "--run", "texts"]) == 0
    shutil.copy("table.csv", "D51.csv")
    assert run(["train", "table.yaml", "data.source.path=D51.csv", "--run", "D51"]) == 0
    for case in [f"K{number:02d}" for number in range(1, 17) if number != 12] + ["U14"]:
        shutil.copytree("run", case)
    shutil.rmtree(checkpoint_of("K01"))
    write("K01/checkpoints/step-00000003", "")
    (checkpoint_of("K02") / "manifest.json").unlink()
    (checkpoint_of("K03") / "manifest.json").write_text('{"format": 1,')
    path = checkpoint_of("K04") / "state.safetensors"
    path.write_bytes(bytes([*path.read_bytes()[:-1], path.read_bytes()[-1] ^ 1]))
    path = checkpoint_of("K05") / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    whole = (checkpoint_of("run") / "state.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    entries, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    tensors("K06", header(entries, data, filling=1 << 20))
    name = "model.model.0.weight"
    config = Path("K07/config.yaml")
    config.write_text(config.read_text().replace("linear: 4", "linear: 5"))
    one, other = [key for key, entry in entries.items() if entry.get("shape") == [4]][:2]
    tensors("K08", header(entries | {one: entries[other]}, data))
    place = next(entry["data_offsets"][0] for key, entry in entries.items() if key.endswith(name.partition(".")[2]))
    tensors("K09", header(entries, data[:place] + struct.pack("<f", float("nan")) + data[place + 4 :]))
    checkpoint_of("K10").rename("K10/checkpoints/step-00000009")
    manifest("K11", format=2, gradtrain="9.0")
    write("K12.pt", b"\x80\x02cos\nsystem\n")
    files = json.loads((checkpoint_of("K13") / "manifest.json").read_text())["files"]
    manifest("K13", files={f"../../{key}": value for key, value in files.items()})
    path = checkpoint_of("K14") / "state.safetensors"
    path.rename("K14/elsewhere")
    path.symlink_to("../../elsewhere")
    manifest("K15", step=10**19)
    for case in ("K16", "D51", "U14"):
        status = Path(case, "status.json")
        status.write_text(status.read_text().replace('"finished"', '"interrupted"'))
    config = Path("K16/config.yaml")
    config.write_text(config.read_text().replace("adam: 0.01", "adam: 0.02"))
    with open("D51.csv", "a") as table:
        table.write("1.3,0.2,0,a\n")


def as_nobody() -> None:
    """Rights mean nothing to root."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


def without_reader() -> None:
    """A pipe that nobody reads in place of stdout."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def without_stdin() -> None:
    os.close(0)


def narrow() -> None:
    os.environ["COLUMNS"] = "20"


def locked() -> None:
    """The run is held by somebody: a lock belongs to the opened file, not to the process."""
    fcntl.flock(os.open("U14/.lock", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)


BEFORE: dict[str, Callable[[], None]] = {
    "D03": as_nobody,
    "U14": locked,
    "U16": without_reader,
    "U19": without_stdin,
    "U20": narrow,
}
"""What happens in the process of a case before its command line is run."""

ARGUMENTS = {"U17": ["show", "\udcff\udcfe\x1b[31m"], "U18": ["validate", "n" * 100_000]}
"""Command lines that no file of text can hold."""
