"""Texts as one series of symbols, and how text files are read."""

from __future__ import annotations

import hashlib
import io
import lzma
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from gradtrain.components.datasets import _text, tinyshakespeare
from gradtrain.components.datasets.text import Text
from gradtrain.components.datasets.tinyshakespeare import Tinyshakespeare
from gradtrain.components.tokenizers import vocabulary
from gradtrain.components.tokenizers.bytes import Bytes
from gradtrain.components.tokenizers.words import Words

SHAKESPEARE = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def test_a_text_is_one_series_of_symbols(tmp_path) -> None:
    (tmp_path / "t.txt").write_text("banana\nc", "utf-8")
    made = Text(path="t.txt").load(tmp_path)
    assert made.fields["x"].tolist() == [2, 1, 4, 1, 4, 1, 0, 3]
    assert set(made.fields) == {"x"}
    assert made.fields["x"].dtype == torch.int64
    assert (made.facts.series, made.facts.shape, made.facts.count, made.facts.vocab) == (True, (), 8, 5)
    assert vocabulary(made.facts.vocabulary).decode(made.fields["x"].tolist()) == "banana\nc"
    assert made.files == (tmp_path / "t.txt",)


def test_the_tokenizer_can_learn_from_the_first_share_alone(tmp_path, refused) -> None:
    (tmp_path / "t.txt").write_text("a b a c a d d d d d", "utf-8")
    made = Text(path="t.txt", tokenizer=Words(), learn=0.5).load(tmp_path)
    assert made.facts.vocabulary["words"] == ["a", "b", "c"]
    assert made.fields["x"].tolist() == [1, 2, 1, 3, 1, 0, 0, 0, 0, 0]
    refused("unknown-symbol", Text(path="t.txt", learn=0.5).load, tmp_path, says=("`d` at position 10",))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_are_no_symbols(tmp_path, end, mark) -> None:
    (tmp_path / "t").write_bytes(mark + f"a{end}b{end}".encode())
    made = Text(path="t").load(tmp_path)
    assert vocabulary(made.facts.vocabulary).decode(made.fields["x"].tolist()) == "a\nb\n"


def test_the_checksum_is_compared(tmp_path, refused) -> None:
    (tmp_path / "t").write_bytes(b"abc")
    right = hashlib.sha256(b"abc").hexdigest()
    assert Text(path="t", sha256=right).load(tmp_path).facts.count == 3
    refused("data-checksum", Text(path="t", sha256="0" * 64).load, tmp_path, says=(right, "0" * 64))


@pytest.mark.parametrize("fields", [{"sha256": "abc"}, {"sha256": "A" * 64}, {"learn": 0.0}, {"learn": 1.5}, {}])
def test_what_is_no_parameter(fields) -> None:
    with pytest.raises(ValidationError):
        Text(**({"path": "t"} if fields else {}), **fields)


def test_files_that_are_no_text(tmp_path, refused) -> None:
    load = Text(path="t").load
    refused("data-missing", load, tmp_path)
    (tmp_path / "t").touch()
    refused("data-empty", load, tmp_path)
    (tmp_path / "t").write_bytes(b" \n\n")
    refused("data-empty", load, tmp_path, says=("white space",))
    (tmp_path / "t").write_bytes(b"first\ncaf\xe9")
    refused("data-encoding", load, tmp_path, says=("byte 0xe9 at offset 9", "t:2", "latin1"))
    (tmp_path / "t").write_bytes("text".encode("utf-16"))
    refused("data-encoding", load, tmp_path, says=("UTF-16", "iconv -f utf-16"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a" * 50)
    (tmp_path / "t").write_bytes(file.getvalue())
    refused("data-format", load, tmp_path, says=("not a text file", "zip archive"))


def test_more_symbols_than_memory_holds(tmp_path, refused, monkeypatch) -> None:
    (tmp_path / "t").write_bytes(b"abcd" * 100)
    monkeypatch.setattr(_text, "most", lambda: 1000)
    refused("data-limit", Text(path="t").load, tmp_path, says=("400 symbols", "3,200 bytes"))


def test_tinyshakespeare_is_the_known_file(real_data) -> None:
    shipped = Tinyshakespeare().load(Path())
    text = vocabulary(shipped.facts.vocabulary).decode(shipped.fields["x"].tolist())
    assert hashlib.sha256(text.encode()).hexdigest() == SHAKESPEARE
    read = Text(path=str(real_data("tinyshakespeare.txt")), sha256=SHAKESPEARE).load(Path())
    assert torch.equal(read.fields["x"], shipped.fields["x"])


def test_tinyshakespeare_has_the_published_numbers_and_symbols() -> None:
    """nanoGPT: 65 symbols, 1,003,854 and 111,540 of them in the first nine tenths and the rest; "First" begins it."""
    made = Tinyshakespeare().load(Path())
    x = made.fields["x"]
    assert (made.facts.vocab, len(x), int(0.9 * len(x))) == (65, 1_115_394, 1_003_854)
    assert made.facts.vocabulary["symbols"].startswith("\n !$&',-.3:;?ABC")
    assert x[:5].tolist() == [18, 47, 56, 57, 58]


@pytest.mark.parametrize("tokenizer", [None, Bytes(), Words()])
def test_tinyshakespeare_knows_its_facts_unless_words_are_counted(tokenizer) -> None:
    source = Tinyshakespeare() if tokenizer is None else Tinyshakespeare(tokenizer=tokenizer)
    known, found = source.facts(), source.load(Path()).facts
    if isinstance(tokenizer, Words):
        assert known is None
    else:
        assert known is not None
        assert known == replace(found, vocabulary=None)


@pytest.mark.parametrize("change", ["cut", "longer", "flipped", "bomb"])
def test_a_damaged_copy_of_tinyshakespeare(tmp_path, refused, change) -> None:
    whole = (Path(tinyshakespeare.__file__).parents[2] / "data" / "tinyshakespeare.txt.xz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    packed = {
        "cut": whole[: len(whole) // 2],
        "longer": lzma.compress(bytes(tinyshakespeare.SIZE + 5)),
        "flipped": bytes(flipped),
        "bomb": lzma.compress(bytes(100 << 20)),
    }
    (tmp_path / "t.xz").write_bytes(packed[change])
    refused("data-format", tinyshakespeare._unpacked, tmp_path / "t.xz", says=("damaged", "install gradtrain again"))


def test_reading_it_takes_well_under_a_second() -> None:
    Tinyshakespeare().load(Path())
    began = time.perf_counter()
    Tinyshakespeare().load(Path())
    assert time.perf_counter() - began < 1.0


def test_the_wheel_holds_it(tmp_path) -> None:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    root = Path(tinyshakespeare.__file__).parents[3]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read("gradtrain/data/tinyshakespeare.txt.xz")
    assert hashlib.sha256(lzma.decompress(packed)).hexdigest() == SHAKESPEARE
