"""Text files as characters and as lines, and sequences of symbols side by side in one tensor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradtrain.components.datasets._arrays import looks_like
from gradtrain.components.datasets._files import most, named, read_bytes, too_large
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Indices

INDEX = 8
"""Bytes of one symbol in memory: an int64."""


def read_text(path: Path, sha256: str | None = None) -> str:
    """A text file, UTF-8, lines ended by a line feed. Raises `Problem` (data)."""
    data = read_bytes(path)
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        why, help = f"it has the SHA-256 {found}, `sha256` names {sha256}", "get the file again, or correct `sha256`"
        raise Problem("data-checksum", f"{named(path)} is not the file that was meant", Place(str(path)), why, help)
    text = decoded(data, path)
    refuse_above(len(text), path)
    if not text.strip():
        raise Problem("data-empty", f"{named(path)} holds no text", Place(str(path)), "it is white space only")
    return text


def decoded(data: bytes, path: Path) -> str:
    """The text of a file, without its byte-order mark, lines ended by a line feed. Raises `Problem` (data)."""
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Problem("data-format", f"{named(path)} is not a text file", Place(str(path)), looks_like(data))
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        line = data[: error.start].count(b"\n") + 1
        before = data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")
        what = f"byte 0x{data[error.start]:02x} at offset {error.start} of {named(path)} is not UTF-8"
        why = "the file is UTF-16" if utf16 else "older programs write latin-1 or windows-1252"
        new = f"utf8{path.suffix}"
        help = f"save it as UTF-8: `iconv -f {'utf-16' if utf16 else 'latin1'} -t utf-8 {path.name} > {new}`"
        raise Problem("data-encoding", what, Place(str(path), line, len(before) + 1), why, help) from None


def refuse_above(symbols: int, path: Path) -> None:
    """Raises `Problem` when so many symbols do not fit into memory."""
    if symbols * INDEX > most():
        raise too_large(path, f"{symbols:,} symbols of {named(path)} take too much", symbols * INDEX)


@dataclass(frozen=True)
class Line:
    """One line of a file."""

    path: Path
    number: int
    """From 1."""
    text: str

    def place(self, start: int = 0, length: int | None = None) -> Place:
        """Where it stands; `start` and `length` put the caret under a part of it."""
        length = max(1, len(self.text) - start) if length is None else length
        return Place(str(self.path), self.number, start + 1, length, self.text)


def read_lines(path: Path) -> list[Line]:
    """The lines of a text file. Raises `Problem` (data), also for a blank one."""
    texts = read_text(path).removesuffix("\n").split("\n")
    blank = [number for number, text in enumerate(texts, 1) if not text.strip()]
    if blank:
        what = f"line {blank[0]} of {named(path)} is blank"
        why = f"every line is a sample; {len(blank):,} of {len(texts):,} lines are blank"
        help = f"remove them: `grep -v '^[[:space:]]*$' {path.name} > lines{path.suffix}`"
        raise Problem("blank-line", what, Place(str(path), blank[0]), why, help)
    return [Line(path, number, text) for number, text in enumerate(texts, 1)]


def refuse_longer(lines: Sequence[Line], lengths: Sequence[int], longest: int, help: str) -> None:
    """Raises `Problem` naming the first line with more than `longest` symbols."""
    if long := [place for place, length in enumerate(lengths) if length > longest]:
        first = lines[long[0]]
        what = f"line {first.number} of {named(first.path)} has {lengths[long[0]]:,} symbols, the limit is {longest:,}"
        why = f"all samples take as much memory as the longest one; {len(long):,} of {len(lines):,} lines are longer"
        raise Problem("line-too-long", what, first.place(0, 1), why, help)


def side_by_side(rows: Sequence[Indices], width: int, fill: int) -> Tensor:
    """Sequences as int64 [count, width], filled up at the end with `fill`."""
    import numpy as np

    lengths = np.array([len(row) for row in rows])
    table = np.full((len(rows), width), fill, dtype=np.int64)
    table[np.arange(width) < lengths[:, None]] = np.concatenate(rows) if rows else []
    return torch.from_numpy(table)


def shown_delimiter(delimiter: str) -> str:
    """A delimiter as it is shown in a sentence."""
    return "a tab" if delimiter == "\t" else quote(delimiter)
