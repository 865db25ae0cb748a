"""F57: whatever a config or a file of a run holds, it is read or refused with a `Problem`, quickly, in plain text.

Half of the configs are drawn from our own JSON Schema, the other half are shipped ones with bytes, words or values
changed. The tables, arrays and texts of data have a test of their own (`tests/components/datasets/test_fuzz.py`).
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import random
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradtrain.cli.failure import as_problems
from gradtrain.components.datasets.image_folder import ImageFolder
from gradtrain.config.scalars import dump
from gradtrain.config.schema import json_schema
from gradtrain.config.tree import parse
from gradtrain.config.validate import validated
from gradtrain.memory import kept
from gradtrain.problems import Problem, flatten, render
from gradtrain.report.compare import compared, differences, table
from gradtrain.report.display import Lines
from gradtrain.report.runs import overview, row
from gradtrain.start import start
from gradtrain.storage import checkpoint
from gradtrain.storage.folder import RunFolder

QUICK, LONG = 100, 2_000
"""Examples of each test in the ordinary run and in the slow one; there are five tests, so 500 and 10,000."""
SECONDS = 2.0
"""Processor time that no example may take."""
SHIPPED = sorted(Path("configs").glob("*.yaml"))
TEXTS = [path.read_text() for path in SHIPPED]
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

amounts = pytest.mark.parametrize(
    "examples", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)], ids=["quick", "long"]
)


def fuzz(examples: int, check: Callable[[random.Random], None]) -> None:
    """Run a check with so many generators of random numbers; the quick ones are the same every time."""

    @settings(
        max_examples=examples, derandomize=examples == QUICK, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 2**64))
    def each(seed: int) -> None:
        check(random.Random(seed))

    each()


@contextlib.contextmanager
def survives(*allowed: int) -> Iterator[None]:
    """What comes out is a refusal with one of these exit codes, in plain text, and in time."""
    began, raised = time.process_time(), None
    try:
        yield
    except Exception as error:
        raised = error
    for problem in flatten(as_problems(raised)) if raised is not None else ():
        assert problem.code != "bug", repr(raised)
        assert problem.exit_code in allowed, render(problem)
        assert_plain(render(problem))
    assert time.process_time() - began < SECONDS


def assert_plain(text: str) -> None:
    assert not RAW.search(text), repr(text)


def assert_valid_or_refused(text: str | bytes, path: Path) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with survives(2, 3, 6):
        for problem in validated(path):
            assert problem.code != "bug"
            assert problem.exit_code in (2, 3, 6)
            assert_plain(render(problem))
            json.dumps(problem.as_json(), allow_nan=False).encode()


NASTY = [
    "null", "~", "true", "-1", "0", "1e400", "-0.0", ".nan", ".inf", "-.inf", "2147483648", "9223372036854775808",
    "1" * 40, "1" * 5000, "''", '"\\e[31m"', '"\\u202e"', '"\\ud800"', "[]", "{}", "[[]]", "{{}}", "&a", "*a", "!!str",
    "<<", "? ", "- ", ": ", "|", ">", "%", "@", "`", "#", "'", '"', "---", "...", "\t", "\0", "\x85", "\u2028",
    "\ufeff",
    "$data.classes", "$data.nothing", "$", "../x", "C:\\x", "a" * 70_000, "[" * 40, "{a: " * 40, "\u0663", "1_000",
    "0o17", "0x1F", "12:30", "2024-01-01", "relu", "linear", "l2", "adam", "10 steps", "1 epoch", "0 epochs",
    "99999999999 epochs", "blobs", "nothing", "norm", "residual", "repeat",
]  # fmt: skip


def spoiled(text: str, draw: random.Random) -> bytes:
    """A few bytes or words of a text changed, moved, doubled or left out."""
    data = text.encode()
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at, to = sorted(draw.randrange(len(data) + 1) for _ in range(2))
        to = min(to, at + draw.choice((1, 4, 16, 64)))
        words = [m.span() for m in re.finditer(rb"[\w.$-]+", data)] or [(0, 0)]
        begin, end = draw.choice(words)
        nasty = draw.choice(NASTY).encode("utf-8", "surrogatepass")
        data = draw.choice(
            [
                data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :],
                data[:at] + data[to:],
                data[:to] + data[at:to] * draw.choice((1, 2, 50)) + data[to:],
                data[:begin] + nasty + data[end:],
                data[:begin] + data[slice(*draw.choice(words))] + data[end:],
                data[:at] + nasty + data[at:],
            ]
        )
    return data


@amounts
def test_f57_configs_with_other_bytes_and_words(examples: int, tmp_path: Path) -> None:
    fuzz(examples, lambda draw: assert_valid_or_refused(spoiled(draw.choice(TEXTS), draw), tmp_path / "c.yaml"))


ODD: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63 - 1, 0.5, -1e-300, 1e300, float("inf"), float("nan"), "", "x", "relu",
    "1e-3", "$data.classes", "$data.shape", "$x", "norm", [], [[]], [1, 2], [None], {}, {"": 1}, {"relu": None},
    {"linear": -1},
    {"linear": 10**12}, {"layers": []}, {"params": "*"}, {"adam": {"lr": 0}}, "10 steps", "\N{RIGHT-TO-LEFT MARK}",
]  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a tree."""
    for key, item in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def grafted(text: str, draw: random.Random) -> str:
    """A config with some of its values replaced by odd ones or by other values of shipped configs."""
    tree = parse(text, "c").root.plain()
    other = [box[key] for box, key in places(parse(draw.choice(TEXTS), "c").root.plain())]
    for _ in range(draw.choice((1, 1, 2, 4))):
        box, key = draw.choice(list(places(tree)) or [(tree, "name")])
        what = draw.randrange(5)
        if what == 0:
            del box[key]
        elif what == 1 and isinstance(box, dict):
            box[draw.choice(("x", "lr", "layers", "params", "", key[1:], key.upper()))] = copy.deepcopy(box[key])
        elif what == 2:
            box[key] = copy.deepcopy(draw.choice(other))
        elif what == 3:
            box[key] = [box[key], copy.deepcopy(box[key])]
        else:
            box[key] = copy.deepcopy(draw.choice(ODD))
    return dump(tree)


@amounts
def test_f57_configs_with_other_values(examples: int, tmp_path: Path) -> None:
    fuzz(examples, lambda draw: assert_valid_or_refused(grafted(draw.choice(TEXTS), draw), tmp_path / "c.yaml"))


SCHEMA = json_schema()


def drawn(schema: dict[str, Any], draw: random.Random, depth: int = 0) -> Any:
    """A value that a schema permits, or nearly."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return drawn(draw.choice(schema[word]), draw, depth)
    if "enum" in schema:
        return draw.choice(schema["enum"])
    if draw.random() < 0.01:
        return copy.deepcopy(draw.choice(ODD))
    kind = schema.get("type", "string")
    match draw.choice(kind) if isinstance(kind, list) else kind:
        case "object":
            known, needed = schema.get("properties", {}), schema.get("required", [])
            if not known and isinstance(schema.get("additionalProperties"), dict):
                known, needed = {"one": schema["additionalProperties"]}, ["one"]
            chance = 0.4 if depth < 4 else 0.0
            most = schema.get("maxProperties", 100)
            chosen = [key for key in known if key in needed or draw.random() < chance] or draw.sample(
                [*known], len(known) > 0
            )
            return {key: drawn(known[key], draw, depth + 1) for key in draw.sample(chosen, min(most, len(chosen)))}
        case "array":
            fixed = schema.get("prefixItems", [])
            count = len(fixed) or draw.randint(
                schema.get("minItems", 0), max(schema.get("minItems", 0), 3 - depth // 3)
            )
            return [drawn(fixed[i] if fixed else schema.get("items", {}), draw, depth + 1) for i in range(count)]
        case "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -3))
            return int(draw.choice((low, low + 1, low + 2, low + draw.randrange(10 ** draw.randrange(1, 9)))))
        case "number":
            low, high = schema.get("minimum", 0.0), schema.get("maximum", schema.get("exclusiveMaximum", 10.0))
            return draw.choice((low, high, draw.uniform(low, high)))
        case "boolean":
            return draw.random() < 0.5
        case "null":
            return None
    return draw.choice(("$data.classes", "x", "val.loss", "1 epoch", "cpu", "weights", "*", "u_t", "t.csv", "", "é\n"))


def from_schema(draw: random.Random) -> str:
    """A config with all sections that a run needs."""
    sections = SCHEMA["properties"]
    keys = {"name", "data", "model", "optimizer", "training", *draw.sample([*sections], 4)} - {"extends", "profiles"}
    return dump({key: drawn(sections[key], draw) for key in sections if key in keys})


@amounts
def test_f57_configs_drawn_from_the_schema(examples: int, tmp_path: Path) -> None:
    fuzz(examples, lambda draw: assert_valid_or_refused(from_schema(draw), tmp_path / "c.yaml"))


CONFIG = """\
name: small
device: cpu
data: {source: {blobs: {count: 40}}, split: {val: 0.5}, batch_size: 10, transforms: [standardize]}
model: {layers: [{linear: 3}, relu, {linear: 3}]}
loss: cross_entropy
optimizer: {adam: 0.01}
training: {steps: 2}
evaluation: {metrics: [accuracy]}
logging: {every: 1 step}
"""


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("honest")
    (place / "c.yaml").write_text(CONFIG)
    start(place / "c.yaml", folder=place / "a" / "001", shown=Lines(io.StringIO()))
    return place / "a" / "001"


def reseal(folder: Path, **data: bytes) -> None:
    """Put other bytes into the members of a checkpoint, with a manifest that agrees."""
    told = json.loads((folder / "manifest.json").read_text())
    del told["sha256"]
    for stem, content in data.items():
        name = {"state": "state.safetensors", "trainer": "trainer.json"}[stem]
        (folder / name).write_bytes(content)
        told["files"][name] = [len(content), hashlib.sha256(content).hexdigest()]
    (folder / "manifest.json").write_text(json.dumps({**told, "sha256": checkpoint._seal(told)}))


def odd_json(data: bytes, draw: random.Random) -> bytes:
    """A JSON object with some of its values replaced, or with other bytes."""
    if draw.random() < 0.3:
        return spoiled(data.decode(), draw)
    tree = json.loads(data)
    for _ in range(draw.choice((1, 2, 4))):
        box, key = draw.choice(list(places(tree)) or [(tree, "x")])
        if draw.random() < 0.2:
            del box[key]
        else:
            box[key] = copy.deepcopy(draw.choice([*ODD, 10**400, "\x1b[2J", [ODD], {"a": {"b": []}}]))
    return json.dumps(tree).encode()


def odd_header(data: bytes, draw: random.Random) -> bytes:
    """A safetensors file with another header, or other bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    header = odd_json(data[8 : 8 + length], draw)
    claim = draw.choice((len(header), len(header), len(header), length, 0, 2**40, 2**64 - 1))
    return struct.pack("<Q", claim) + header + data[8 + length : len(data) - draw.choice((0, 0, 1, 100))]


@amounts
def test_f57_files_of_a_run(examples: int, honest: Path, tmp_path: Path) -> None:
    """manifest.json, trainer.json, state.safetensors, journal.jsonl, status.json and config.yaml."""
    folder = tmp_path / "a" / "001"

    def check(draw: random.Random) -> None:
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        shutil.copytree(honest, folder)
        made = folder / "checkpoints" / "step-00000002"
        state, trainer = ((made / name).read_bytes() for name in checkpoint.FILES)
        match draw.randrange(6):
            case 0:
                path = made / "manifest.json"
                path.write_bytes(odd_json(path.read_bytes(), draw))
            case 1:
                reseal(made, trainer=odd_json(trainer, draw))
            case 2:
                reseal(made, state=odd_header(state, draw))
            case 3:
                lines = (folder / "journal.jsonl").read_bytes().splitlines()
                at = draw.randrange(len(lines))
                lines[at] = odd_json(lines[at], draw)
                (folder / "journal.jsonl").write_bytes(b"\n".join(lines) + b"\n" * draw.randrange(2))
            case 4:
                (folder / "status.json").write_bytes(odd_json((folder / "status.json").read_bytes(), draw))
            case 5:
                (folder / "config.yaml").write_bytes(spoiled((folder / "config.yaml").read_text(), draw))
        with survives(2, 5, 6):
            kept(checkpoint.newest(folder / "checkpoints", warn=lambda problem: assert_plain(render(problem))))
        with survives(2, 5):
            records = compared([folder, honest])
            assert_plain("\n".join(map(str, (json.dumps(records, allow_nan=False), table(records)))))
            differences([folder, honest], 0.0)
        with survives(2, 5):
            found = overview(tmp_path)
            json.dumps(found, allow_nan=False)
            assert all(isinstance(cell, str) for entry in found for cell in row(entry))
            assert RunFolder(folder).status().get("step", 0) >= -(2**64)

    fuzz(examples, check)


def pictures() -> list[bytes]:
    """A small picture in every format that is read."""
    library = pytest.importorskip("PIL.Image")
    made = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP"):
        file = io.BytesIO()
        library.linear_gradient("L").resize((9, 7)).convert("RGB").save(file, kind)
        made.append(file.getvalue())
    return made


@amounts
def test_f57_pictures(examples: int, tmp_path: Path) -> None:
    whole = pictures()
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.png").write_bytes(whole[0])

    def check(draw: random.Random) -> None:
        data = bytearray(draw.choice(whole))
        for _ in range(draw.choice((1, 2, 8))):
            data[draw.randrange(min(len(data), draw.choice((32, 10**6))))] = draw.randrange(256)
        end = draw.choice((len(data), len(data), draw.randrange(len(data))))
        (tmp_path / "a" / "1.png").write_bytes(data[:end])
        with survives(3):
            made = ImageFolder(path=".", size=8).load(tmp_path)
            assert made.fields["x"].shape == (2, 3, 8, 8)

    fuzz(examples, check)


def test_f57_a_bug_would_be_seen() -> None:
    with pytest.raises(AssertionError, match="KeyError"), survives(2):
        raise KeyError("x")
    with pytest.raises(AssertionError), survives(2):
        raise Problem("data-empty", "exit code 3")
    with pytest.raises(AssertionError, match="x1b"):
        assert_plain("\x1b[31m")
