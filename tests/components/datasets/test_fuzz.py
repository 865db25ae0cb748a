"""Whatever bytes a file holds: it is read, or refused with a `Problem` of data; no reader's own exception comes out."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradtrain.components.datasets import Dataset
from gradtrain.components.datasets._targets import targets
from gradtrain.components.datasets.csv import Csv
from gradtrain.components.datasets.csv_series import CsvSeries
from gradtrain.components.datasets.idx import Idx
from gradtrain.components.datasets.lines import Lines
from gradtrain.components.datasets.npz import Npz
from gradtrain.components.datasets.pairs import Pairs
from gradtrain.components.datasets.text import Text
from gradtrain.components.tokenizers import vocabulary
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.problems import Problem, render

KINDS = ["class", "binary", "pm1", "value", "multilabel"]
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

CELLS = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "1e39",
        "1e400",
        "-1e300",
        "9" * 40,
        "nan",
        "inf",
        "",
        " ",
        "a",
        "ü",
        '"',
        '"1"',
        "1_0",
        "\0",
        "\x1b[2J",
        "٣",
    ]
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=6)


def refusal(call: Callable[[], object]) -> Problem | None:
    """What it refuses with, if it does."""
    try:
        call()
    except Problem as problem:
        return problem
    return None


def survives(source: Dataset, folder: Path) -> bool:
    """Load and prepare the targets of every kind; whether it loaded."""
    if problem := refusal(lambda: source.load(folder)):
        assert problem.exit_code == 3
        assert "\x1b" not in render(problem)
        return False
    made = source.load(folder)
    x, y = made.fields["x"], made.fields["y"]
    assert len(x) == len(y) == made.facts.count
    assert x.dtype in (torch.uint8, torch.float32)
    assert tuple(x.shape[1:]) == made.facts.shape
    assert bool(x.isfinite().all())
    for kind in KINDS:
        if problem := refusal(lambda kind=kind: targets(y, kind, made.facts, made.labels)):
            assert problem.exit_code == 3
            continue
        ready = targets(y, kind, made.facts, made.labels)
        assert len(ready) == len(x)
        assert bool(ready.isfinite().all())
        assert ready.ndim == (1 if kind == "class" else 2)
    return True


def idx(shape: tuple[int, ...], body: bytes, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + body


@FUZZ
@given(
    st.one_of(
        st.binary(max_size=200),
        TABLES.map("\n".join).map(str.encode),
        TABLES.map(lambda rows: "\n".join(["t,a,b", *rows]).encode()),
    )
)
@example(b"t,a\n1,2\n" + b"1," * 70_000)
@example(b't,a\n1,"' + b"2" * 200_000)
@example(b"t\n1\n")
@example(b"\xff\xfet\0,\0a\0")
def test_tables(tmp_path, content) -> None:
    (tmp_path / "f").write_bytes(content)
    survives(Csv(path="f", target="t"), tmp_path)
    survives(Csv(path="f", target="t", features=("a",), delimiter=";"), tmp_path)


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 255, 2**31, 2**32 - 1]), max_size=4).map(tuple)
IDX_FILES = st.builds(idx, SHAPES, st.binary(max_size=40), st.sampled_from([0, 8, 9, 11, 12, 13, 14]))


@FUZZ
@given(st.one_of(st.binary(max_size=60), IDX_FILES), st.one_of(IDX_FILES, st.just(idx((2,), b"\0\1"))), st.booleans())
@example(idx((0, 2, 2), b"", 13), idx((0,), b""), False)
@example(idx((2, 0), b"", 13), idx((2,), b"\0\1"), False)
@example(idx((2**32 - 1, 0), b""), idx((2**32 - 1, 0), b""), False)
@example(idx((2,), b"\0\1"), idx((2,), np.array([0, 0.5], ">f4").tobytes(), 13), False)
def test_idx_files(tmp_path, images, labels, packed) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(images) if packed else images)
    (tmp_path / "y").write_bytes(labels)
    survives(Idx(images="x", labels="y"), tmp_path)


def npy(header: bytes, body: bytes, version: bytes = b"\1\0") -> bytes:
    size = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + size + header + body


def header(shape: str, descr: str = "'<f4'") -> bytes:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()


SHAPES_WRITTEN = [
    "()", "(2,)", "(0, 3)", "(2, 0)", "(-1,)", "(True, 2)", "(10**9,)", "(99999999999999999999, 0)", "None",
    "(" * 300, "(1,) * 90", f"({'1,' * 70})",
]  # fmt: skip
TYPES_WRITTEN = [
    "'<f4'", "'>i8'", "'O'", "'<U3'", "'(2,)f4'", "'c16'", "[('a', 'f4')]", "'f16'", "'nonsense'", "7",
]  # fmt: skip
VERSIONS = st.sampled_from([b"\1\0", b"\2\0", b"\3\0", b"\x09\0"])
HEADERS = st.builds(header, st.sampled_from(SHAPES_WRITTEN), st.sampled_from(TYPES_WRITTEN))
ANY = st.binary(max_size=40)
MEMBERS = st.one_of(ANY, st.builds(npy, st.one_of(HEADERS, ANY), st.binary(max_size=16), VERSIONS))


@FUZZ
@given(
    MEMBERS,
    MEMBERS,
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    st.data(),
)
def test_archives(tmp_path, x, y, method, data) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y)
    content = bytearray(file.getvalue())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / "f").write_bytes(
        content[: data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2]))]
    )
    survives(Npz(path="f"), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_as_numpy_never_packs_them(tmp_path, refused, method) -> None:
    with zipfile.ZipFile(tmp_path / "f.npz", "w", method) as archive:
        archive.writestr("x.npy", npy(header("(2,)"), bytes(8)))
    refused("data-format", Npz(path="f.npz").load, tmp_path, says=("`x`", "savez_compressed"))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0), (0, 2, 2), (2, 0, 2)])
@pytest.mark.parametrize("dtype", ["f4", "u1", "i8"])
def test_arrays_without_samples_on_either_side(tmp_path, shape, dtype) -> None:
    nothing, good = np.zeros(shape, dtype), np.arange(2.0)
    for x, y in ((nothing, good), (good, nothing), (nothing, nothing)):
        np.savez(tmp_path / "f.npz", x=x, y=y)
        assert not survives(Npz(path="f.npz"), tmp_path)


LINES = st.lists(st.text(alphabet="ab \tü\r\u2028\x85\x1b🎈", max_size=8), max_size=5).map("\n".join).map(str.encode)


@FUZZ
@given(st.one_of(st.binary(max_size=60), LINES))
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf\ta\n")
@example(b"a\tb\r\r\n")
def test_texts(tmp_path, content) -> None:
    (tmp_path / "f").write_bytes(content)
    for source in (Text(path="f"), Lines(path="f"), Pairs(path="f"), Pairs(path="f", tokenizer=Bytes(), longest=3)):
        if problem := refusal(lambda source=source: source.load(tmp_path)):
            assert problem.exit_code == 3
            assert "\x1b" not in render(problem)
            continue
        made = source.load(tmp_path)
        assert made.facts.vocab == vocabulary(made.facts.vocabulary).size
        assert all(len(field) == made.facts.count for field in made.fields.values())
        assert 0 <= int(made.fields["x"].min()) <= int(made.fields["x"].max()) < made.facts.vocab


@FUZZ
@given(TABLES.map("\n".join).map(str.encode))
def test_series(tmp_path, content) -> None:
    (tmp_path / "f").write_bytes(content)
    if problem := refusal(lambda: CsvSeries(path="f").load(tmp_path)):
        assert problem.exit_code == 3
        return
    assert bool(CsvSeries(path="f").load(tmp_path).fields["x"].isfinite().all())
