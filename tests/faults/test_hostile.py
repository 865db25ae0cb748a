"""Configs, checkpoints and data that were made to do harm: opening them runs, starts, reaches and writes nothing.

Every command runs in a forked child under an audit hook (`watched.py`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradtrain import cli
from gradtrain.config.validate import validated
from gradtrain.problems import Problem, render
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder

from .watched import (
    CANARY,
    CONFIG,
    RAW,
    TABLE,
    TOUCH,
    House,
    assert_harmless,
    edited,
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

COMMANDS: list[tuple[str, ...]] = [
    ("validate", "--data", "c.yaml"),
    ("explain", "c.yaml"),
    ("train", "c.yaml", "--run", "run"),
]
USES: list[tuple[str, ...]] = [
    ("resume", "run"), ("evaluate", "run"), ("predict", "run", "t.csv", "--checkpoint", "last"), ("runs", ".."),
    ("runs", "..", "--json"), ("compare", "run", "run", "--assert-equal"),
]  # fmt: skip


LAYERS = "model: {layers: [{linear: 6}, relu, {linear: $data.classes}]}"
SOURCE = "{csv: {path: t.csv, target: kind}}"


def formula(text: str) -> str:
    return f"""\
name: formula
data: {{source: nothing}}
model: {{layers: [{{variables: 1}}]}}
objective: {{minimize: {{formula: "{text}", names: [x]}}}}
optimizer: {{sgd: 0.1}}
training: {{steps: 2}}
"""


def warm_data(place: Path) -> Iterator[str]:
    """Configs of honest files of other kinds: an archive, pictures, and pictures that are broken."""
    np.savez_compressed(place / "t.npz", x=np.zeros((4, 2), "f4"), y=np.arange(4) % 2)
    yield CONFIG.replace(SOURCE, "{npz: {path: t.npz}}")
    for label in ("a", "b"):
        (place / "p" / label).mkdir(parents=True)
        (place / "p" / label / "1.png").write_bytes(b"no picture")
    yield CONFIG.replace(SOURCE, "{image_folder: {path: p, size: 8}}")
    yield formula("x^2")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """What honest inputs make the commands load; the parent is warm, so that a child loads next to nothing."""
    place = tmp_path_factory.mktemp("honest") / "place"
    place.mkdir()
    (place / "c.yaml").write_text(CONFIG)
    (place / "t.csv").write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.chdir(place)
        for args in [*COMMANDS, *USES]:
            assert cli.run(args) == 0, args
        cli.run(("explain", "c.yaml", "optimizer.nothing=1"))
        for number, text in enumerate(warm_data(place)):
            (place / f"{number}.yaml").write_text(text)
            cli.run(("validate", "--data", f"{number}.yaml"))
        shutil.rmtree(place / "p")
        shutil.rmtree(place / "run")
        yield House(place, learned(place, [*COMMANDS, *USES]))


CONFIGS = {
    "_target_": edited(("{adam: 0.01}", f"{{_target_: os.system, command: touch {CANARY}}}")),
    "_target_ at the top": f"_target_: os.system\n_args_: ['touch {CANARY}']\n{CONFIG}",
    "class_path": edited(("{adam: 0.01}", f"{{class_path: subprocess.Popen, init_args: {{args: touch {CANARY}}}}}")),
    "_component_": edited(("cross_entropy", "{_component_: torch.hub.load, repo: evil/evil}")),
    "python/object/apply": edited(("0.01", f"!!python/object/apply:os.system ['touch {CANARY}']")),
    "python/object/new": edited(("0.01", f"!!python/object/new:subprocess.Popen [['touch', '{CANARY}']]")),
    "python/name": edited(("cross_entropy", "!!python/name:os.system")),
    "python/module": edited(("cross_entropy", "!!python/module:evil")),
    "a tag of our own": edited(("cross_entropy", f"!eval \"{TOUCH}\"")),
    "a dotted name": edited(("{adam: 0.01}", "logging.os.system")),
    "a dotted name of torch": edited(("{adam: 0.01}", "torch.optim.Adam")),
    "a path as a name": edited(("{adam: 0.01}", "{../../evil: 0.01}")),
    "a module as a name": edited(("relu", "evil")),
    "a private module as a name": edited(("relu", "_chain")),
    "a dunder as a name": edited(("relu", "__init__")),
    "a call as a loss": edited(("cross_entropy", f"__import__('os').system('touch {CANARY}')")),
    "an expression": edited(("linear: $data.classes", "linear: $data.__class__.__mro__")),
    "an expression with a call": edited(("linear: $data.classes", f"linear: \"${{{TOUCH}}}\"")),
    "an expression of the shell": edited(("steps: 4", f"steps: $(touch {CANARY})")),
    "a template": edited(("name: honest", f"name: \"{{{{ x.__init__.__globals__.os.popen('touch {CANARY}') }}}}\"")),
    "an environment variable": edited(("name: honest", "name: ${env:AWS_SECRET_ACCESS_KEY}")),
    "a formula": formula(TOUCH),
    "a formula with attributes": formula("x.__class__.__base__.__subclasses__()"),
    "a formula with a call": formula("eval(x)"),
    "a formula of a million parts": formula("+".join(["x"] * 20_000)),
    "a deep formula": formula("(" * 20_000 + "x" + ")" * 20_000),
    "plugins": f"plugins: [evil.py]\n{CONFIG}",
    "allow_code": f"allow_code: true\ntrust: true\n{CONFIG}",
    "extends a Python file": f"extends: evil.py\n{CONFIG}",
    "extends a pipe": f"extends: \"|touch {CANARY}\"\n{CONFIG}",
    "extends a secret": f"extends: /etc/passwd\n{CONFIG}",
    "data from an address": edited(("t.csv", "http://127.0.0.1:9/t.csv")),
    "data from a file address": edited(("t.csv", "file:///etc/passwd")),
    "data from a command": edited(("t.csv", f"\"|touch {CANARY}\"")),
    "data from a pickle": edited((SOURCE, "{npz: {path: evil.npz}}"), ("accuracy", "accuracy")),
    "data from an array of objects": edited((SOURCE, "{npz: {path: objects.npz}}")),
    "data from a device": edited(("t.csv", "/dev/zero")),
    "pictures that are programs": edited((SOURCE, "{image_folder: {path: pictures, size: 8}}")),
    "a network from a pickle": edited((LAYERS, "model: {trained: other}")),
    "a network from a pickle alone": edited((LAYERS, "model: {trained: model.pt}")),
    "a name that leads elsewhere": edited(("name: honest", "name: ../../evil")),
    "a Python file": f"import os\nos.system('touch {CANARY}')\n",
}  # fmt: skip
"""Configs that would run code, or give secrets away, elsewhere."""
UNOPENED = ("a network from a pickle", "a network from a pickle alone")
"""Right by themselves: to validate opens no other run."""


@pytest.fixture
def house(honest: House, tmp_path: Path) -> Path:
    """The honest folder, with what the configs lead to beside it."""
    place = tmp_path / "place"
    shutil.copytree(honest.place, place)
    shutil.move(place / "run", place / "finished")
    for name in ("evil", "torch", "numpy", "yaml", "gradtrain", "sitecustomize"):
        (place / f"{name}.py").write_text(TOUCH + "\n")
    (place / "evil.npz").write_bytes(pickled())
    with zipfile.ZipFile(place / "objects.npz", "w") as archive:
        for name in ("x", "y"):
            file = io.BytesIO()
            np.lib.format.write_array(file, np.array([object], dtype=object), allow_pickle=True)
            archive.writestr(f"{name}.npy", file.getvalue())
    (place / "model.pt").write_bytes(pickled())
    (place / "other" / "checkpoints").mkdir(parents=True)
    (place / "other" / "config.yaml").write_text(CONFIG)
    (place / "other" / "checkpoints" / "model.pt").write_bytes(pickled())
    for label in ("a", "b"):
        (place / "pictures" / label).mkdir(parents=True)
        (place / "pictures" / label / "1.png").write_bytes(b"%!PS-Adobe\n(touch canary) (w) file\n" + pickled())
    return place


@pytest.mark.parametrize("name", CONFIGS)
def test_f62_a_hostile_config_does_nothing(name: str, honest: House, house: Path) -> None:
    (house / "c.yaml").write_text(CONFIGS[name])
    for args in COMMANDS:
        found = seen(house, *args)
        assert_harmless(found, honest, house)
        checked = args[0] == "validate" and name in UNOPENED
        assert found.status in ((0,) if checked else (2, 3, 5)), (args, found)
        assert "root:x:0" not in found.out + found.err
    assert not (house / "run").exists()


def archive(name: str, data: bytes) -> bytes:
    """A file as torch.save writes it: a zip archive with a pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(name, data)
    return file.getvalue()


def sharded(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / ".metadata").write_bytes(pickled())
    (folder / "__0_0.distcp").write_bytes(archive("archive/data.pkl", pickled()))


def only(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        shutil.rmtree(folder)
        (folder.parent / name).write_bytes(archive("archive/data.pkl", pickled()))

    return apply


def sparse(folder: Path) -> None:
    with (folder / "state.safetensors").open("r+b") as file:
        file.truncate(1 << 40)
    path = folder / "manifest.json"
    told = json.loads(path.read_text())
    del told["sha256"]
    told["files"]["state.safetensors"][0] = 1 << 40
    path.write_text(json.dumps({**told, "sha256": checkpoint._seal(told)}))


def linked(folder: Path) -> None:
    (folder / "state.safetensors").unlink()
    (folder / "state.safetensors").symlink_to("/etc/passwd")
    manifest(folder, lambda m: None)


ESCAPES = "\x1b[31m\x1b]0;evil\x07\u202e\x9b2J\r\ud800"
CHECKPOINTS: dict[str, Callable[[Path], Any]] = {
    "a pickle": lambda folder: resealed(folder, state=pickled()),
    "an archive of torch.save": lambda folder: resealed(folder, state=archive("archive/data.pkl", pickled())),
    "an archive of objects": lambda folder: resealed(folder, state=archive("x.npy", pickled())),
    "facts that are a pickle": lambda folder: resealed(folder, trainer=pickled()),
    "shards with a pickle": sharded,
    "a .pt alone": only("model.pt"),
    "a .ckpt alone": only("last.ckpt"),
    "a huge header": lambda folder: resealed(folder, state=struct.pack("<Q", 1 << 40) + b"{}"),
    "a deep header": lambda folder: resealed(folder, state=struct.pack("<Q", 200_000) + b"[" * 200_000),
    "100,000 tensors": lambda folder: resealed(
        folder, state=raw({f"{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(19_000)})
    ),
    "a huge shape": lambda folder: resealed(
        folder, state=raw({"x": {"dtype": "F32", "shape": [1 << 40, 1 << 40, 0], "data_offsets": [0, 0]}})
    ),
    "overlap": lambda folder: resealed(
        folder, state=raw({n: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for n in "ab"}, bytes(4))
    ),
    "a sparse terabyte": sparse,
    "a linked member": linked,
    "a member elsewhere": lambda folder: manifest(folder, lambda m: m["files"].update({"../../evil": [1, "0"]})),
    "another type": tensors(
        lambda t: t.update({"network.model.0.weight": t["network.model.0.weight"].to(torch.int32)})
    ),
    "another shape": tensors(lambda t: t.update({"network.model.0.weight": torch.zeros(2, 2)})),
    "nothing": tensors(lambda t: t.clear()),
    "names with escapes": tensors(lambda t: t.update({f"network.{ESCAPES[:-1]}../../evil": torch.zeros(1)})),
    "a random state of one byte": tensors(lambda t: t.update({"rng.cpu": torch.zeros(1, dtype=torch.uint8)})),
    "a random state of floats": tensors(lambda t: t.update({"rng.cpu": torch.zeros(5056)})),
    "moments of another shape": tensors(lambda t: t.update({n: torch.zeros(3) for n in t if n.startswith("update.")})),
    "weights that are not finite": tensors(lambda t: t["network.model.0.weight"].fill_(float("nan"))),
    "facts of nothing": facts(lambda f: f.clear()),
    "facts too deep": lambda folder: resealed(folder, trainer=b'{"facts": ' + b"[" * 100_000),
    "a best step that is a path": facts(lambda f: f["memory"].update(best_step="../../evil")),
    "a best step that is a list": facts(lambda f: f["memory"].update(best_step=[1])),
    "a best step that is not there": facts(lambda f: f["memory"].update(best_step=10**12)),
    "a memory with dunders": facts(lambda f: f["memory"].update(__class__="os", __reduce__=["os.system"])),
    "a memory of another kind": facts(lambda f: f.update(memory="os.system")),
    "a journal of negative length": facts(lambda f: f["memory"].update(journal=-1)),
    "a journal of huge length": facts(lambda f: f["memory"].update(journal=10**30)),
    "a journal of half a byte": facts(lambda f: f["memory"].update(journal=0.5)),
    "seconds that are text": facts(lambda f: f["memory"].update(seconds="soon")),
    "patience that is text": facts(lambda f: f["memory"].update(since="soon")),
    "numbers of another kind": facts(lambda f: f.update(numbers=[1, 2])),
    "numbers with names of code": facts(lambda f: f.update(numbers={"updates": {"all": "os.system"}, "rate": 7})),
    "measured of another kind": facts(lambda f: f.update(measured=[["val", 1]])),
    "measured with escapes": facts(lambda f: f.update(measured={ESCAPES: {ESCAPES: 1.0}})),
    "a kind that is code": facts(lambda f: f.update(kind="__import__('os').system('touch canary')")),
    "labels of another kind": facts(lambda f: f.update(labels={"a": 1})),
    "labels with escapes": facts(lambda f: f.update(labels=[ESCAPES, "=cmd|' /C calc'!A0"])),
    "features with escapes": facts(lambda f: f.update(features=[ESCAPES, "b"])),
    "features of another kind": facts(lambda f: f.update(features=7)),
    "facts with code": facts(lambda f: f["facts"].update(__class__="os.system", classes="os.system")),
    "a shape that is text": facts(lambda f: f["facts"].update(shape="ab")),
    "a shape of a billion": facts(lambda f: f["facts"].update(shape=[10**9])),
    "a negative shape": facts(lambda f: f["facts"].update(shape=[-2])),
    "a million classes": facts(lambda f: f["facts"].update(classes=10**12)),
    "a vocabulary that is code": facts(lambda f: f["facts"].update(vocabulary={"tokenizer": "os.system"}, vocab=2)),
    "a vocabulary of another kind": facts(lambda f: f["facts"].update(vocabulary="x", vocab=2)),
}
"""What is done to the only checkpoint of a run."""


@pytest.fixture
def stopped(honest: House, tmp_path: Path) -> Path:
    """The honest folder; its run was stopped at step 2, of which it has its only checkpoint."""
    place = tmp_path / "place"
    shutil.copytree(honest.place, place)
    (place / "run" / "status.json").unlink()
    for path in (place / "run" / "checkpoints").iterdir():
        if path.name != "step-00000002":
            shutil.rmtree(path)
    return place


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_f61_a_hostile_checkpoint_does_nothing(name: str, honest: House, stopped: Path) -> None:
    """Every command refuses it in its own words, or has no use for what was changed; one at least refuses it."""
    CHECKPOINTS[name](stopped / "run" / "checkpoints" / "step-00000002")
    statuses = []
    for args in [*USES[1:], USES[0]]:
        found = seen(stopped, *args)
        assert_harmless(found, honest, stopped)
        assert found.status in (0, 2, 3, 4, 5, 6), (args, found)
        statuses.append(found.status)
    assert any(statuses) or name == "a memory with dunders", statuses  # keys that nobody knows are left out


SEQUENCES = (
    "\x1b[31m",
    "\x1b]0;t\x07",
    "\x9b2J",
    "\x07",
    "\u202e",
    "\u2066",
    "\x7f",
    "\r",
    "[red]x[/red]",
    "[link=file:///]x[/]",
)
"""Colours, titles, bells, directions, deletion, overwriting; and the markup of rich, which must stay as it is."""


def journal_with(place: Path, line: dict[str, Any]) -> None:
    with (place / "run" / "journal.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def in_value(place: Path, evil: str) -> tuple[str, ...]:
    (place / "c.yaml").write_text(edited(("honest", json.dumps(evil))))
    return "validate", "c.yaml"


def in_key(place: Path, evil: str) -> tuple[str, ...]:
    (place / "c.yaml").write_text(f"{json.dumps(evil)}: 1\n{CONFIG}")
    return "validate", "c.yaml"


def in_file_name(place: Path, evil: str) -> tuple[str, ...]:
    name = evil.replace("/", "") + ".yaml"
    (place / name).write_text("name: x\n")
    return "validate", name


def in_override(place: Path, evil: str) -> tuple[str, ...]:
    return "explain", "c.yaml", f"optimizer.{evil}={evil}"


def in_header(place: Path, evil: str) -> tuple[str, ...]:
    (place / "t.csv").write_text(TABLE.replace("kind", evil, 1), newline="")
    return "validate", "--data", "c.yaml"


def in_cell(place: Path, evil: str) -> tuple[str, ...]:
    (place / "t.csv").write_text(TABLE + f"{evil},1,ape\n", newline="")
    return "validate", "--data", "c.yaml"


def in_label(place: Path, evil: str) -> tuple[str, ...]:
    facts(lambda told: told.update(labels=[evil, evil + "2"]))(place / "run" / "checkpoints" / "step-00000002")
    return "predict", "run", "t.csv", "--checkpoint", "last"


def in_tensor(place: Path, evil: str) -> tuple[str, ...]:
    tensors(lambda told: told.update({f"network.{evil}": torch.zeros(1)}))(
        place / "run" / "checkpoints" / "step-00000002"
    )
    return "evaluate", "run"


def in_metric(place: Path, evil: str) -> tuple[str, ...]:
    journal_with(place, {"kind": "evaluation", "step": 4, "split": evil, "metrics": {evil: 1.0}})
    return "runs", ".."


def in_comparison(place: Path, evil: str) -> tuple[str, ...]:
    shutil.copytree(place / "run", place / "other")
    journal_with(place, {"kind": evil, "step": evil, "split": evil, "metrics": {evil: 1.0}, evil: evil})
    return "compare", "other", "run", "--assert-equal"


def in_state(place: Path, evil: str) -> tuple[str, ...]:
    (place / "run" / "status.json").write_text(json.dumps({"state": evil, "step": 1, "reason": evil}))
    return "runs", ".."


def in_run_name(place: Path, evil: str) -> tuple[str, ...]:
    name = evil.replace("/", "")
    shutil.copytree(place / "run", place / "runs" / name / "001")
    return "runs", "runs"


def in_manifest(place: Path, evil: str) -> tuple[str, ...]:
    manifest(place / "run" / "checkpoints" / "step-00000002", lambda told: told.update(format=99, gradtrain=evil))
    return "resume", "run"


PLACES = (
    in_value, in_key, in_file_name, in_override, in_header, in_cell, in_label, in_tensor, in_metric, in_comparison,
    in_state, in_run_name, in_manifest,
)  # fmt: skip


@pytest.mark.parametrize("put", PLACES, ids=lambda put: put.__name__)
def test_f64_no_string_from_outside_reaches_a_terminal_as_it_is(
    put: Callable[[Path, str], tuple[str, ...]], honest: House, stopped: Path, tmp_path: Path
) -> None:
    for number, evil in enumerate(SEQUENCES):
        place = tmp_path / f"{number}" / "place"
        shutil.copytree(stopped, place)
        found = seen(place, *put(place, evil))
        assert_harmless(found, honest, place)
        if evil.startswith("[") and put not in (in_override, in_file_name, in_run_name):
            assert evil[:5] in found.out + found.err, found


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws", "GITHUB_TOKEN": "planted-github", "HF_TOKEN": "planted-hub",
    "DATABASE_URL": "postgres://u:planted-password@h/d",
}  # fmt: skip


def test_f66_secrets_of_the_environment_are_in_no_output_and_no_file(
    honest: House, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    texts = []
    (house / "bad.yaml").write_text(edited(("honest", "${env:AWS_SECRET_ACCESS_KEY}"), ("0.01", "$GITHUB_TOKEN")))
    for args in [*COMMANDS, *USES, ("validate", "bad.yaml"), ("--debug", "train", "bad.yaml")]:
        found = seen(house, *args)
        texts += [found.out, found.err]
    written = [path.read_bytes() for path in house.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not any("planted" in text for text in texts)
    assert not any(b"planted" in data for data in written)


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o077, 0o600, 0o700), (0o022, 0o644, 0o755)])
def test_what_is_written_has_the_rights_that_the_user_asked_for(
    mask: int, file: int, folder: int, honest: House, house: Path
) -> None:
    before = os.umask(mask)
    try:
        assert seen(house, *COMMANDS[-1]).status == 0
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (house / "run").rglob("*") if path.is_file()}
    assert modes == {file}
    assert {path.stat().st_mode & 0o777 for path in (house / "run").rglob("*") if path.is_dir()} == {folder}


PAIRS = list(zip("abcdefgh", "bcdefghi", strict=True))
BOMBS = {
    "laughs": "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in PAIRS),
    "merges": "a: &a {x: 1}\n" + "".join(f"{b}: &{b} {{<<: [*{a}, *{a}]}}\n" for a, b in PAIRS),
    "itself": "a: &a [*a]\n",
    "nesting": "a: " + "[" * 500,
    "deep nesting": "a: " + "[" * 200_000,
    "deep mapping": "".join(" " * i + "a:\n" for i in range(1_300)),
    "ten megabytes": "# " + "x" * (10 << 20),
    "a long list": "a: [" + "1, " * 100_000 + "]",
    "a long integer": "a: " + "1" * 5_000,
    "a long text": "a: " + "x" * (1 << 20),
    "many keys": "".join(f"k{i}: {i}\n" for i in range(60_000)),
    "a long key": "? " + "x" * 900_000 + "\n: 1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_f56_a_bomb_costs_little_time_and_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(BOMBS[name])
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        used, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
        with contextlib.redirect_stderr(io.StringIO()):
            status = cli.run(["validate", str(tmp_path / "c.yaml")])
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used.ru_maxrss
        os.write(write, json.dumps([status, time.process_time() - began, more]).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as pipe:
        status, seconds, kibibytes = json.loads(pipe.read())
    assert status == 2
    assert seconds < 2.0
    assert kibibytes < 50 << 10


NAMES = [
    "../x", "..", ".", "a/../../x", "/x", "//x", "..\\x", "a\\..\\x", "%2e%2e/x", "%2e%2e%2fx", "-rf", "--help", "a\0b",
    "",
    " ", "a b", "x" * 65, "x" * 300, "\uff0e\uff0e\uff0fx", "\u2025/x", "a\nb", "\x1b[31m", "~", "~root", "$HOME",
    "`id`",
    ".hidden", "a:b", "a|b", "*", "a/b", "a/", "x..y", "\u202ex", "\ud800", "\u0430",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_f63_a_name_never_leads_elsewhere(name: str, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    with pytest.raises(Problem) as caught:
        RunFolder.next(root, name)
    assert (caught.value.code, caught.value.exit_code) == ("bad-name", 2)
    assert not RAW.search(render(caught.value))
    assert [path.name for path in tmp_path.rglob("*")] == ["runs"]
    (tmp_path / "c.yaml").write_text(edited(("honest", json.dumps(name))))
    assert any(problem.exit_code == 2 for problem in validated(tmp_path / "c.yaml"))


@pytest.mark.parametrize("name", ["CON", "nul", "a", "a.b", "A-1_b", "0", "x" * 64])
def test_f63_a_good_name_stays_below_the_root(name: str, tmp_path: Path) -> None:
    made = RunFolder.next(tmp_path, name).path
    assert made.resolve() == (tmp_path / name / "001").resolve()


def test_f63_a_link_below_the_root_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Problem) as caught:
        RunFolder.next(tmp_path / "runs", "a")
    assert caught.value.code == "not-a-file"
    assert not list((tmp_path / "elsewhere").iterdir())
