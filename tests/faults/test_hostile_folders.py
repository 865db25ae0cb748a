"""Run folders and data files that were made to do harm, under every command that opens one."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.cells import cell_len

from gradtrain import cli
from gradtrain.report.charts import drawn

from .watched import (
    CONFIG,
    RAW,
    TABLE,
    TOUCH,
    House,
    Seen,
    assert_harmless,
    facts,
    learned,
    manifest,
    pickled,
    raw,
    resealed,
    seen,
    tensors,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

PLAIN = CONFIG.replace("training:", "schedule: {plateau: {patience: 1}, by: epoch}\ntraining:")
WRITING = """\
name: writing
device: cpu
data: {source: {text: {path: t.txt}}, split: {val: 0.2}, windows: {length: 8}, batch_size: 16}
model: {gpt: {layers: 1, heads: 2, width: 8, vocab: $data.vocab}}
objective: language_model
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}
training: {steps: 4}
sampling: {every: 2 steps, length: 8}
checkpoint: {every: 2 steps}
"""
DRAWING = """\
name: drawing
device: cpu
data: {source: digits, split: {train: 64, val: 8}, transforms: [{to_float: 16}, flatten], batch_size: 16}
models:
  encoder: {layers: [{linear: 8}, relu, {gaussian: 2}]}
  decoder: {input: 2, layers: [{linear: $data.features}]}
objective: vae
optimizer: {adam: {lr: 0.01}}
training: {steps: 4}
checkpoint: {every: 2 steps}
"""
CRASHING = """\
name: crashing
device: cpu
data: {source: {npz: {path: t.npz}}, batch_size: 8}
model: {layers: [{linear: 8}, relu, {linear: 2}]}
loss: cross_entropy
optimizer: {sgd: {lr: 1e18}}
schedule: {plateau: {watch: train.loss, patience: 1}, by: epoch}
training: {steps: 40}
evaluation: {every: 1 steps, splits: [train]}
checkpoint: {every: 1 steps}
"""
RUNS = {"run": PLAIN, "writing": WRITING, "drawing": DRAWING, "crashed": CRASHING}
ESCAPES = "\x1b[31m\x1b]0;evil\x07\u202e\x9b2J\r\ud800"

LOOKS: list[tuple[str, ...]] = [
    ("runs", "."), ("runs", ".", "--json"), ("compare", "0/run", "0/crashed"), ("compare", "0/run", "0/run", "--json"),
    ("report", "0/run", "0/writing", "0/drawing", "0/crashed", "--out", "page.html"), ("replay", "0/crashed"),
    ("replay", "0/crashed", "--json"), ("evaluate", "0/run"), ("predict", "0/run", "t.csv"), ("sample", "0/writing"),
    ("sample", "0/drawing", "--count", "1"), ("sample", "0/drawing", "--count", "1", "--source", "reconstruction"),
    ("resume", "0/run"), ("resume", "0/writing"), ("explain", "0/run/config.yaml"),
]  # fmt: skip
READS: list[tuple[str, ...]] = [
    ("validate", "--data", "c.yaml"), ("explain", "c.yaml", "--batch"), ("diagnose", "c.yaml", "--seconds", "1"),
    ("train", "c.yaml", "--run", "new"), ("evaluate", "0/run"), ("predict", "0/run", "t.csv"), ("resume", "0/run"),
]  # fmt: skip
"""What opens runs, and what opens data."""
STATUSES = {0, 1, 2, 3, 4, 5, 6, 7}


def arrays(place: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez(place / "t.npz", x=draw.normal(size=(40, 2)).astype("f4"), y=np.arange(40) % 2)


def warm(place: Path) -> None:
    """Runs in the parent, so that a child loads next to nothing."""
    arrays(place)
    (place / "t.csv").write_text(TABLE)
    (place / "t.txt").write_text("abcdefgh\n" * 60)
    (place / "c.yaml").write_text(PLAIN)
    for name, text in RUNS.items():
        (place / f"{name}.yaml").write_text(text)
        assert cli.run(["train", f"{name}.yaml", "--run", f"0/{name}"]) == (4 if name == "crashed" else 0)
    cell_len("\u4e00")
    Image.init()
    drawn("a chart", [1.0, 2.0], [1.0, 2.0], 40)
    (place / "p" / "a").mkdir(parents=True)
    (place / "p" / "a" / "1.png").write_bytes(b"no picture")
    for text in OTHERS:
        (place / "other.yaml").write_text(text)
        for args in (("validate", "--data"), ("diagnose", "--seconds", "1"), ("explain",)):
            cli.run([args[0], *args[1:], "other.yaml"])
    cli.run(["diagnose", "c.yaml", "--seconds", "9"])  # on a busy machine a second does not lead to its end
    for args in [*LOOKS, *READS]:
        cli.run(list(args))
    shutil.rmtree(place / "new")
    shutil.rmtree(place / "p")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Honest runs of every kind, and what the commands load for them."""
    place = tmp_path_factory.mktemp("honest") / "place"
    place.mkdir()
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.chdir(place)
        warm(place)
        before = place.parent / "kept"
        shutil.copytree(place, before, symlinks=True)
        loaded = learned(place, [args for args in [*LOOKS, *READS] if args[0] != "replay"])
        loaded |= seen(place, "replay", "0/crashed").loaded | seen(place, "replay", "0/crashed", "--json").loaded
        shutil.rmtree(place)
        before.rename(place)
        yield House(place, loaded)


@pytest.fixture
def place(honest: House, tmp_path: Path) -> Path:
    copied = tmp_path / "place"
    shutil.copytree(honest.place, copied, symlinks=True)
    (copied / "0" / "run" / "status.json").unlink()
    for name in ("step-00000004",):
        shutil.rmtree(copied / "0" / "run" / "checkpoints" / name)
    return copied


def says_an_error(found: Seen) -> bool:
    return "error[" in found.err or '"severity": "error"' in found.err


def assert_refused_or_ignored(found: Seen, honest: House, place: Path, args: tuple[str, ...]) -> None:
    assert_harmless(found, honest, place)
    assert found.status in STATUSES, (args, found)
    if found.status > 1 and (args[0], found.status) != ("replay", 4):
        assert says_an_error(found), (args, found)
    if found.status == 1:
        assert args[0] == "compare", (args, found)
    page = place / "page.html"
    if page.is_file():
        text = page.read_text("utf-8")
        strange = RAW.findall(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))  # those are plotly's and ours
        assert (strange, "<script>alert" in text) == ([], False)


def some(names: Iterable[str], every: int) -> list[Any]:
    """All of them; those that are not the `every`-th in the slow run only."""
    marks = {False: [], True: [pytest.mark.slow]}  # type: dict[bool, list[Any]]
    return [pytest.param(name, marks=marks[number % every > 0]) for number, name in enumerate(names)]


def deep(count: int) -> str:
    return "[" * count + "]" * count


def change(member: str, edit: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Change what a JSON file of the folder says."""

    def apply(run: Path) -> None:
        path = run / member
        told = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps(edit(told) or told))

    return apply


def written(member: str, content: str | bytes) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        path = run / member
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)

    return apply


def lines(*said: Any) -> Callable[[Path], None]:
    """Lines at the end of the journal."""

    def apply(run: Path) -> None:
        with (run / "journal.jsonl").open("a") as file:
            file.writelines((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in said)

    return apply


def instead(member: str, make: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Something else in the place of a member."""

    def apply(run: Path) -> None:
        path = run / member
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        make(path)

    return apply


def said(**fields: Any) -> Callable[[Any], Any]:
    return lambda told: {**told, **fields}


HUGE = {"kind": "step", "step": 10**30, "loss": {"total": 1e999}, "lr": "os.system", "grad_norm": [1]}
FOLDERS: dict[str, Callable[[Path], Any]] = {
    "an environment that is a pickle": written("environment.json", pickled()),
    "an environment of another kind": written("environment.json", "[1, 2]"),
    "a deep environment": written("environment.json", f'{{"labels": {deep(900)}, "data": {deep(900)}}}'),
    "a deep config in the environment": written("environment.json", f'{{"config": {deep(900)}}}'),
    "a very deep environment": written("environment.json", deep(200_000)),
    "labels that are a number": change("environment.json", said(labels=7)),
    "labels that are a mapping": change("environment.json", said(labels={"ape": ESCAPES})),
    "labels with escapes": change("environment.json", said(labels=[ESCAPES, "<script>alert(1)</script>"])),
    "a directory elsewhere": change("environment.json", said(directory="/etc")),
    "a directory that is none": change("environment.json", said(directory="a\0b" + "c" * 5000)),
    "a directory of another kind": change("environment.json", said(directory=["/etc"])),
    "data of another kind": change("environment.json", said(data={"t.csv": ["1", None, "0"], ESCAPES: [1, 2, "x"]})),
    "data that is text": change("environment.json", said(data="t.csv")),
    "a config that is code": change("environment.json", said(config={"optimizer": {"_target_": "os.system"}})),
    "a config of another kind": change("environment.json", said(config=7)),
    "an earlier of another kind": change("environment.json", lambda t: {**t, "earlier": 7, "config": {"a": 1}}),
    "a version of another kind": change("environment.json", said(torch=[ESCAPES], threads={"a": 1}, processor=None)),
    "a command with escapes": change("environment.json", said(command=[ESCAPES] * 9, python=ESCAPES, gradtrain=1)),
    "a status of another kind": written("status.json", '["finished"]'),
    "a status with escapes": written("status.json", json.dumps({"state": ESCAPES, "step": 3, "reason": ESCAPES})),
    "a status without end": written("status.json", '{"state": "running", "step": 1' + " " * (17 << 20)),
    "a step beyond all steps": written("status.json", json.dumps({"state": "finished", "step": 10**400})),
    "a state that is not known": written("status.json", json.dumps({"state": "hacked", "step": -5, "exit_code": "x"})),
    "a journal that is a pickle": written("journal.jsonl", pickled()),
    "lines with escapes": lines({"kind": ESCAPES, "step": 1, ESCAPES: ESCAPES},
                                {"kind": "evaluation", "step": 4, "split": ESCAPES, "metrics": {ESCAPES: 1.0}}),
    "lines with scripts": lines({"kind": "evaluation", "step": 4, "split": "</script><script>alert(1)</script>",
                                 "metrics": {"<script>alert(1)</script>": 1.0, "<img src=x onerror=alert(1)>": 2.0}}),
    "lines of other kinds": lines(HUGE, {"kind": ["step"], "step": {}},
                                  {"kind": "evaluation", "metrics": 3, "split": 4},
                                  {"kind": "health", "step": 1, "measures": {"a": {"b": {"c": 1}}}},
                                  {"kind": "finding", "step": 1, "event": 3, "name": {}, "since": []},
                                  {"kind": "step", "step": 3, "loss": {"total": {"a": 1}}, "seconds": "x"}),
    "a deep line": lines(f'{{"kind": "step", "step": 1, "loss": {deep(900)}}}'),
    "a very deep line": lines(deep(100_000)),
    "a long line": lines({"kind": "step", "step": 1, "loss": {str(n): n for n in range(20_000)}}),
    "a long number": lines('{"kind": "step", "step": 1, "loss": {"total": ' + "9" * 5000 + "}}"),
    "a linked journal": instead("journal.jsonl", lambda path: path.symlink_to("/etc/passwd")),
    "a journal that is a pipe": instead("journal.jsonl", os.mkfifo),
    "a journal that is a folder": instead("journal.jsonl", Path.mkdir),
    "a status that is a pipe": instead("status.json", os.mkfifo),
    "an environment that is a pipe": instead("environment.json", os.mkfifo),
    "a lock that is a pipe": instead(".lock", os.mkfifo),
    "a lock that is a link": instead(".lock", lambda path: path.symlink_to("../../../outside")),
    "linked checkpoints": instead("checkpoints", lambda path: path.symlink_to("../../../elsewhere")),
    "a linked config": instead("config.yaml", lambda path: path.symlink_to("/etc/passwd")),
    "a config that is a pipe": instead("config.yaml", os.mkfifo),
    "a config that is a pickle": written("config.yaml", pickled()),
    "a config that runs": written("config.yaml", PLAIN.replace("0.01", "!!python/object/apply:os.system ['x']")),
    "a config with plugins": written("config.yaml", f"plugins: [evil.py]\n{PLAIN}"),
    "a config that extends": written("config.yaml", f"extends: /etc/passwd\n{PLAIN}"),
    "samples with scripts": written("samples/step-00000002.txt", f"<script>alert(1)</script>{ESCAPES}"),
    "samples that are links": lambda run: [(run / "samples").mkdir(exist_ok=True),
                                           (run / "samples" / "a.txt").symlink_to("/etc/passwd")],
    "samples that are pipes": lambda run: [(run / "samples").mkdir(exist_ok=True),
                                           os.mkfifo(run / "samples" / "a.png")],
    "linked samples": instead("samples", lambda path: path.symlink_to("../../../elsewhere")),
    "a picture that is none": written("samples/step-00000002.png", b"\x89PNG\r\n\x1a\n" + pickled()),
    "modules beside it": lambda run: [written(f"{name}.py", TOUCH)(run) for name in ("torch", "yaml", "gradtrain")],
}  # fmt: skip
"""What is done to every run of the folder."""


@pytest.mark.parametrize("name", some(FOLDERS, 4))
def test_f61_a_hostile_run_folder_does_nothing(name: str, honest: House, place: Path) -> None:
    (place.parent / "outside").write_text("kept")
    (place.parent / "elsewhere").mkdir()
    for run in RUNS:
        FOLDERS[name](place / "0" / run)
    for args in LOOKS:
        found = seen(place, *args)
        assert_refused_or_ignored(found, honest, place, args)
        assert args[0] == "explain" or "root:x:0" not in found.out + found.err  # that one's user has named the file
    assert (place.parent / "outside").read_text() == "kept"
    assert list((place.parent / "elsewhere").iterdir()) == []
    assert "root:x:0" not in ((place / "page.html").read_text("utf-8") if (place / "page.html").exists() else "")


def told(**fields: Any) -> Callable[[Path], None]:
    return facts(lambda kept: kept.update(fields))


def without(*names: str) -> Callable[[Path], None]:
    return facts(lambda kept: [kept.pop(name) for name in names])


def integers(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.int64)


def batch(edit: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    return tensors(edit)


CRASHES: dict[str, Callable[[Path], Any]] = {
    "a pickle": lambda folder: resealed(folder, state=pickled()),
    "facts that are a pickle": lambda folder: resealed(folder, trainer=pickled()),
    "facts of nothing": facts(lambda kept: kept.clear()),
    "facts of another kind": lambda folder: resealed(folder, trainer=b"[1]"),
    "too deep facts": lambda folder: resealed(folder, trainer=f'{{"a": {deep(900)}, "step": 1}}'.encode()),
    "a step of another number": told(step=10**9),
    "a step that is text": told(step="1"),
    "a step that is true": told(step=True),
    "a manifest of a step beyond the end": lambda folder: [told(step=10**9 + 1)(folder),
                                                           manifest(folder, lambda m: m.update(step=10**9))],
    "a manifest of a step in between": lambda folder: [told(step=2)(folder),
                                                       manifest(folder, lambda m: m.update(step=1))],
    "what with escapes": told(what=ESCAPES[:-1], value=ESCAPES[:-1]),
    "what with a script": told(what="<script>alert(1)</script>"),
    "what that is a list": told(what=["the loss"]),
    "a value that is a number": told(value=1e999),
    "whole that is text": told(whole="yes"),
    "not whole": told(whole=False),
    "no numbers": without("numbers"),
    "numbers of another kind": told(numbers=[1]),
    "numbers of nothing": told(numbers={}),
    "numbers with code": told(numbers={"rate": "os.system", "updates": {"all": {"__class__": 1}}, "precision": 7}),
    "a schedule of another kind": facts(
        lambda kept: kept["numbers"].update(rate={"best": "x", "bad": [], "reductions": {}})),
    "a schedule that remembers nothing": facts(lambda kept: kept["numbers"].update(rate={})),
    "samples of another kind": told(samples={"a": 1}, norms="x", lr="os.system", loss=[], epoch=-1),
    "no tensors": tensors(lambda t: t.clear()),
    "weights of another shape": tensors(lambda t: t.update({"network.model.0.weight": torch.zeros(1, 1)})),
    "weights that are not finite": tensors(lambda t: t["network.model.0.weight"].fill_(float("nan"))),
    "a random state of one byte": tensors(lambda t: t.update({"rng.cpu": torch.zeros(1, dtype=torch.uint8)})),
    "no batch": batch(lambda t: [t.pop(name) for name in list(t) if name.startswith("batch.")]),
    "half a batch": batch(lambda t: t.pop("batch.y")),
    "a batch with another field": batch(lambda t: t.update({f"batch.{ESCAPES[:-1]}": torch.zeros(8)})),
    "a batch of another width": batch(lambda t: t.update({"batch.x": torch.zeros(8, 9)})),
    "a batch of no axis": batch(lambda t: t.update({"batch.x": torch.zeros(())})),
    "a batch of nothing": batch(lambda t: t.update({"batch.x": torch.zeros(0, 2), "batch.y": integers(0)})),
    "a batch of two lengths": batch(lambda t: t.update({"batch.x": torch.zeros(3, 2)})),
    "a batch of another type": batch(lambda t: t.update({"batch.x": torch.zeros(8, 2, dtype=torch.int8)})),
    "labels that no class has": batch(lambda t: t["batch.y"].fill_(10**12)),
    "negative labels": batch(lambda t: t["batch.y"].fill_(-(10**12))),
    "a batch of infinity": batch(lambda t: t["batch.x"].fill_(float("inf"))),
    "a large batch": batch(
        lambda t: t.update({"batch.x": torch.zeros(200_000, 2), "batch.y": integers(200_000)})),
    "a manifest of a member elsewhere": lambda folder: manifest(
        folder, lambda m: m["files"].update({"../evil": [1, "0"]})),
    "a huge header": lambda folder: resealed(folder, state=struct.pack("<Q", 1 << 40) + b"{}"),
    "a huge shape": lambda folder: resealed(
        folder, state=raw({"batch.x": {"dtype": "F32", "shape": [1 << 40, 1 << 40, 0], "data_offsets": [0, 0]}})),
    "a linked member": lambda folder: [(folder / "trainer.json").unlink(),
                                       (folder / "trainer.json").symlink_to("/etc/passwd"),
                                       manifest(folder, lambda m: None)],
    "a linked folder": lambda folder: [shutil.rmtree(folder.parent), folder.parent.symlink_to("../run/checkpoints")],
    "a file in its place": lambda folder: [shutil.rmtree(folder.parent), folder.parent.write_bytes(pickled())],
    "a pipe in its place": lambda folder: [shutil.rmtree(folder.parent), os.mkfifo(folder.parent)],
    "a checkpoint of another run": lambda folder: [
        shutil.rmtree(folder), shutil.copytree(folder.parents[2] / "run" / "checkpoints" / "step-00000002", folder)],
}  # fmt: skip
"""What is done to a step that was kept."""
HARMLESS = (
    "not whole",
    "no batch",
    "what with a script",
    "what with escapes",
    "samples of another kind",
    "a large batch",
)
"""Nothing that a replay needs is wrong with these: it tries the step, and shows what it is told as plain text."""


@pytest.mark.parametrize("name", some(CRASHES, 2))
def test_f61_a_crash_that_lies_is_refused_in_words(name: str, honest: House, place: Path) -> None:
    crashed = place / "0" / "crashed"
    (kept,) = (crashed / "crash").iterdir()
    CRASHES[name](kept)
    checkpoints = sorted((place / "0" / "run" / "checkpoints").iterdir())
    for args in (("replay", "0/crashed"), ("replay", "0/crashed", "--json")):
        found = seen(place, *args)
        assert_harmless(found, honest, place)
        assert found.status in ((0, 4) if name in HARMLESS else (0, 2, 4, 5, 6)), (args, found)
        assert says_an_error(found) is (found.out == ""), (args, found)
    for args in (("report", "0/crashed", "--out", "page.html"), ("resume", "0/crashed"), ("runs", ".")):
        assert_refused_or_ignored(seen(place, *args), honest, place, args)
    assert sorted((place / "0" / "run" / "checkpoints").iterdir()) == checkpoints, "another run's are not touched"


def data(text: str) -> str:
    return PLAIN.replace("{csv: {path: t.csv, target: kind}}", text)


NPZ, IDX = (
    data("{npz: {path: d.npz}}"),
    data("{idx: {images: i.idx, labels: l.idx}}").replace("[standardize]", "[to_float, flatten]"),
)
LINES, SERIES = (
    WRITING.replace("{text: {path: t.txt}}", "{lines: {path: d.txt}}"),
    data("{csv_series: {path: d.csv, value: a}}"),
)
GRAPH = data("{graph: {path: d.npz}}")
PICTURES = data("{image_folder: {path: p, size: 8}}").replace("[standardize]", "[to_float, flatten]")
OTHERS = (NPZ, IDX, LINES, SERIES, GRAPH, PICTURES)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: str, body: bytes = b"") -> bytes:
    """A .npy file of version 1 with any header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin-1") + body


def shaped(shape: str, descr: str = "'<f4'") -> bytes:
    """An archive whose x says that it has such a shape and type."""
    return packed(x=header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"), y=Y)


def packed(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


X, Y = npy(np.zeros((8, 2), "f4")), npy(np.arange(8) % 2)
EVAL = "__import__('os').system('touch canary')"
DATA: dict[str, tuple[str, dict[str, bytes]]] = {
    "an archive that is a pickle": (NPZ, {"d.npz": pickled()}),
    "an array of objects": (NPZ, {"d.npz": packed(x=npy(np.array([object], dtype=object)), y=Y)}),
    "an array that is a pickle": (NPZ, {"d.npz": packed(x=pickled(), y=Y)}),
    "a header with code": (NPZ, {"d.npz": shaped("(1,)", EVAL)}),
    "a header that is code": (NPZ, {"d.npz": packed(x=header(EVAL), y=Y)}),
    "a deep header": (NPZ, {"d.npz": packed(x=header("(" * 30_000), y=Y)}),
    "a negative shape": (NPZ, {"d.npz": shaped("(-1, 2)")}),
    "a huge shape": (NPZ, {"d.npz": shaped("(1152921504606846976, 4)")}),
    "a shape of text": (NPZ, {"d.npz": shaped("'ab'")}),
    "a type with fields": (NPZ, {"d.npz": shaped("(1,)", "[('a', '|O')]")}),
    "a member that leads elsewhere": (NPZ, {"d.npz": packed(**{"../../evil": X, "x": X, "y": Y})}),
    "a member with escapes": (NPZ, {"d.npz": packed(**{"\x1b[31mevil": X})}),
    "no archive at all": (NPZ, {"d.npz": b"PK\x05\x06" + bytes(18)}),
    "values of infinity": (NPZ, {"d.npz": packed(x=npy(np.full((8, 2), np.inf, "f4")), y=Y)}),
    "labels of a billion": (NPZ, {"d.npz": packed(x=X, y=npy(np.full(8, 10**9)))}),
    "edges to nowhere": (GRAPH, {"d.npz": packed(x=X, y=Y, edges=npy(np.full((4, 2), 10**12)))}),
    "edges from below": (GRAPH, {"d.npz": packed(x=X, y=Y, edges=npy(np.full((4, 2), -1)))}),
    "images that are a pickle": (IDX, {"i.idx": pickled(), "l.idx": pickled()}),
    "images of all axes": (IDX, {"i.idx": b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0",
                                 "l.idx": b"\0\0\x08\x01\0\0\0\1\0"}),
    "images without end": (IDX, {"i.idx": gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12 + bytes(9)),
                                 "l.idx": b"\0\0\x08\x01\xff\xff\xff\xff"}),
    "cells with formulas": ("", {"t.csv": TABLE.replace("ape", "=cmd|' /C calc'!A0").encode()}),
    "cells with escapes": ("", {"t.csv": TABLE.replace("ape", ESCAPES[:-2].replace("\r", "")).encode()}),
    "columns with code": ("", {"t.csv": TABLE.replace("a,b,kind", f'"{EVAL}",b,kind').encode()}),
    "a cell without end": ("", {"t.csv": b"a,b,kind\n1,2,\"" + b"x" * 300_000}),
    "ten thousand columns": ("", {"t.csv": (",".join(f"c{n}" for n in range(10_000)) + "\n").encode()}),
    "bytes of nothing": ("", {"t.csv": bytes(5000)}),
    "numbers of five thousand digits": ("", {"t.csv": TABLE.encode() + b"1" * 5000 + b",1,ape\n"}),
    "a table that is a pickle": ("", {"t.csv": pickled()}),
    "a series that is a pickle": (SERIES, {"d.csv": pickled()}),
    "a series with code": (SERIES, {"d.csv": f"a\n{EVAL}\n".encode()}),
    "lines with escapes": (LINES, {"d.txt": (ESCAPES[:-2] + "\n").encode() * 50}),
    "lines that are a pickle": (LINES, {"d.txt": pickled()}),
    "pictures that are a pickle": (PICTURES, {"p/a/1.png": pickled(), "p/b/1.png": pickled()}),
    "a picture that is a program": (PICTURES, {"p/a/1.png": b"%!PS\n(x) run",
                                              "p/b/1.svg": b"<svg onload='alert(1)'/>"}),
}  # fmt: skip
"""(config, file → bytes)."""


@pytest.mark.parametrize("name", some(DATA, 3))
def test_f61_a_hostile_data_file_does_nothing(name: str, honest: House, place: Path) -> None:
    config, members = DATA[name]
    (place / "c.yaml").write_text(config or PLAIN)
    for member, content in members.items():
        (place / member).parent.mkdir(parents=True, exist_ok=True)
        (place / member).write_bytes(content)
    for args in READS if not config else READS[:4]:
        found = seen(place, *args)
        assert_refused_or_ignored(found, honest, place, args)


@pytest.mark.parametrize("content", [pickled(), packed(x=npy(np.array([object], dtype=object))), packed(x=pickled())])
def test_f61_inputs_to_predict_are_data_alone(content: bytes, honest: House, place: Path) -> None:
    (place / "d.npz").write_bytes(content)
    for args in (("predict", "0/crashed", "d.npz", "--checkpoint", "last"), ("predict", "0/run", "d.npz")):
        found = seen(place, *args)
        assert_harmless(found, honest, place)
        assert found.status == 3, found
