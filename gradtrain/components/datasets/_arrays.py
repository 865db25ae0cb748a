"""Arrays in files: npz archives and IDX files, with their sizes checked before anything is read."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

from gradtrain.components.datasets._files import most, named, read_bytes, too_large
from gradtrain.problems import Place, Problem, did_you_mean, quote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError,
    LookupError, OverflowError,
)  # fmt: skip
"""What the standard library raises for a damaged, encrypted or unknown archive, once the file itself was read."""

KNOWN = {
    b"PK\x03\x04": "a zip archive", b"\x93NUMPY": "a single .npy array", b"\x1f\x8b": "a gzip file",
    b"\x80": "a pickle", b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"<": "a web page",
    b"%PDF": "a PDF", b"version https://git-lfs": "a pointer of git-lfs", b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
}  # fmt: skip
"""How files begin that are given by mistake."""


def looks_like(data: bytes) -> str:
    """A reason for a refusal: what a file seems to be, by its first bytes."""
    kind = next((name for start, name in KNOWN.items() if data.startswith(start)), None)
    return f"it looks like {kind}" if kind else f"it begins with the bytes {data[:4].hex(' ') or 'of nothing'}"


def read_npz(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Array]:
    """The named arrays of an npz file, and those of `optional` that it has: numbers only, nothing pickled.

    Raises `Problem` (data).
    """
    data = read_bytes(path)
    if not data.startswith(b"PK"):
        help = "write it with `numpy.savez(path, x=…, y=…)`"
        raise Problem("data-format", f"{named(path)} is not an npz file", Place(str(path)), looks_like(data), help)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = [*names, *(name for name in optional if name in members)]
            return {name: _member(archive, members, name, path) for name in wanted}
    except DAMAGED as error:
        raise _damaged(path, "npz", error) from None


def _member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, path: Path) -> Array:
    if name not in members:
        known = ", ".join(quote(n) for n in list(members)[:10])
        what = f"{named(path)} holds no array {quote(name)}"
        raise Problem(
            "array-missing",
            what,
            Place(str(path)),
            f"it holds {known or 'nothing'}",
            did_you_mean(name, members),
        )
    size = members[name].file_size
    if size > most():
        raise too_large(path, f"the array {quote(name)} unpacks to too much", size)
    if members[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        what, why = f"the array {quote(name)} is packed in a way that numpy does not write", "it stores or deflates"
        raise Problem("data-format", what, Place(str(path)), why, "write it with `numpy.savez_compressed`")
    with archive.open(members[name]) as file:
        return _npy(file, name, size, path)


def _npy(file: IO[bytes], name: str, size: int, path: Path) -> Array:
    import numpy as np

    place, shown = Place(str(path)), quote(name)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's advice on headers that Python 2 wrote
            shape, fortran, dtype = read(file)
        if min(shape, default=0) < 0:
            raise ValueError(f"its header names the shape {list(shape)}")
    except (ValueError, SyntaxError, TypeError, RecursionError, TokenError) as error:
        said = str(error).splitlines()[0] if str(error) else "its header is damaged"
        raise Problem("data-format", f"the member {shown} is not a .npy array", place, said) from None
    if dtype.hasobject:
        why = "objects are pickled, and unpickling runs code"
        help = "save plain numbers: `numpy.asarray(values, dtype=numpy.float32)`"
        raise Problem("data-unsafe", f"the array {shown} holds Python objects", place, why, help)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        why = "inputs and targets are real numbers of at most 64 bits"
        raise Problem(
            "data-dtype",
            f"the array {shown} holds {quote(str(dtype))}",
            place,
            why,
            "save it as float32 or as integers",
        )
    expected = prod(shape) * dtype.itemsize
    if expected > size:
        raise Problem(
            "data-limit",
            f"the array {shown} claims {expected:,} bytes",
            place,
            f"its member has {size:,}",
            "save it again",
        )
    data = bytearray(file.read(expected))
    if len(data) < expected:
        raise Problem(
            "data-format",
            f"the array {shown} is cut off",
            place,
            f"{expected:,} bytes are expected, {len(data):,} are there",
        )
    if file.read(1):  # also reaches the end, where zipfile compares the checksum
        raise Problem(
            "data-format",
            f"the array {shown} is too long",
            place,
            f"its header names {expected:,} bytes, more are there",
        )
    array = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)  # ascontiguousarray would give () an axis


def _damaged(path: Path, kind: str, error: Exception) -> Problem:
    said = str(error).splitlines()[0] if str(error) else "it is cut off"
    help = "copy or download it again"
    return Problem("data-format", f"{named(path)} is a damaged {kind} file", Place(str(path)), said, help)


IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
AXES = 4
DEFLATE = 1032
"""Deflate makes of one byte at most this many: a header that claims more is refused before unpacking."""


def read_idx(path: Path) -> Array:
    """An IDX file, plain or gzipped. Raises `Problem` (data).

    The format: two zero bytes, a type, the number of axes; one big-endian uint32 an axis; the elements. Source: the
    description on the MNIST page, yann.lecun.com/exdb/mnist.
    """
    data = read_bytes(path)
    if not data.startswith(b"\x1f\x8b"):
        return _idx(io.BytesIO(data), path, data[:32])
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _idx(file, path, holds=len(data) * DEFLATE)
    except DAMAGED as error:
        raise _damaged(path, "gzip", error) from None


def _idx(file: IO[bytes] | gzip.GzipFile, path: Path, start: bytes = b"", holds: int | None = None) -> Array:
    """Read what the header claims and one byte more; `holds` is the most bytes that can be there, if that is known."""
    import numpy as np

    place, shown = Place(str(path)), named(path)
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or not 1 <= magic[3] <= AXES:
        rule = f"two zero bytes, a type (08 to 0e) and 1 to {AXES} axes are expected"
        raise Problem("data-format", f"{shown} is not an IDX file", place, f"{looks_like(start or magic)}; {rule}")
    axes, dtype = magic[3], np.dtype(IDX_TYPES[magic[2]])
    head = file.read(4 * axes)
    if len(head) < 4 * axes:
        raise Problem(
            "data-format",
            f"{shown} ends inside its header",
            place,
            f"{4 + 4 * axes} bytes are expected, {4 + len(head)} are there",
        )
    shape = struct.unpack(f">{axes}I", head)
    expected = prod(shape) * dtype.itemsize
    if expected > most() or prod(max(size, 1) for size in shape) > most():  # a zero must not hide the other axes
        raise too_large(path, f"the header {list(shape)} of {shown} claims too much", expected)
    claim = f"its header {list(shape)} means {expected:,} bytes"
    if holds is not None and expected > holds:
        why = f"{claim}, a gzip file of this size cannot hold more than {holds:,}"
        raise Problem("data-limit", f"{shown} claims more than it can hold", place, why, "copy or download it again")
    data = bytearray(file.read(expected))
    if len(data) < expected:
        why = f"{claim}, {len(data):,} are there"
        raise Problem("data-format", f"{shown} is cut off", place, why, "copy or download it again")
    if file.read(1):  # of a gzip file this also compares the checksum
        raise Problem("data-format", f"{shown} is too long", place, f"{claim}, more are there")
    return np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
