"""Arrays in files: npz archives and IDX files, with their sizes checked before anything is read."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradtrain.components.datasets._files import LIMIT, read_bytes
from gradtrain.problems import Place, Problem, did_you_mean, quote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def read_npz(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """The named arrays of an npz file: numbers only, nothing pickled. Raises `Problem` (data)."""
    import numpy as np

    data, place = read_bytes(path), Place(str(path))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            arrays = {}
            for name in names:
                if name not in members:
                    known = ", ".join(quote(n) for n in list(members)[:10])
                    raise Problem("array-missing", f"{quote(str(path))} holds no array {quote(name)}", place, f"it holds {known or 'nothing'}", did_you_mean(name, members))
                if members[name].file_size > LIMIT:
                    raise Problem("data-limit", f"the array {quote(name)} unpacks to {members[name].file_size:,} bytes", place, "data sets are held in memory")
                with archive.open(members[name]) as file:
                    arrays[name] = _npy(np, file, name, members[name].file_size, place)
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        what = "is not an npz file" if data[:2] != b"PK" else "is damaged or cut off"
        raise Problem("data-format", f"{quote(str(path))} {what}", place, str(error).splitlines()[0] if str(error) else "", "write it with numpy.savez") from None


def _npy(np: Any, file: Any, name: str, size: int, place: Place) -> Array:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except (ValueError, SyntaxError) as error:
        raise Problem("data-format", f"the array {quote(name)} is not a .npy", place, str(error).splitlines()[0]) from None
    if dtype.hasobject:
        raise Problem("data-unsafe", f"the array {quote(name)} holds Python objects", place, "objects are pickled, and unpickling runs code", "save plain numbers")
    if dtype.kind not in "biuf":
        raise Problem("data-dtype", f"the array {quote(name)} holds {dtype}", place, "inputs and targets are real numbers")
    expected = prod(shape) * dtype.itemsize
    if expected > LIMIT or expected > size:
        raise Problem("data-limit", f"the array {quote(name)} claims {expected:,} bytes in a member of {size:,}", place, "the header does not fit the file")
    data = file.read(expected)
    if len(data) < expected:
        raise Problem("data-format", f"the array {quote(name)} is cut off: {len(data):,} of {expected:,} bytes", place)
    array = np.frombuffer(bytearray(data), dtype=dtype.newbyteorder("=") if dtype.isnative else dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("="), copy=False))  # type: ignore[no-any-return]


IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Array:
    """An IDX file, plain or gzipped. Raises `Problem` (data).

    The format: two zero bytes, a type, the number of axes; one big-endian uint32 an axis; the elements. Source: the
    description on the MNIST page, yann.lecun.com/exdb/mnist.
    """
    import numpy as np

    data, place = read_bytes(path), Place(str(path))
    if data[:2] == b"\x1f\x8b":
        data = _unzipped(data, path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES or not 1 <= data[3] <= 4:
        raise Problem("data-format", f"{quote(str(path))} is not an IDX file", place, f"it begins with {data[:4].hex(' ') or 'nothing'}: two zero bytes, a type and 1 to 4 axes are expected")
    axes, dtype = data[3], np.dtype(IDX_TYPES[data[2]])
    if len(data) < 4 + 4 * axes:
        raise Problem("data-format", f"{quote(str(path))} ends inside its header", place)
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes])
    expected, found = prod(shape) * dtype.itemsize, len(data) - 4 - 4 * axes
    if expected > LIMIT:
        raise Problem("data-limit", f"{quote(str(path))} claims {expected:,} bytes of elements", place, f"it holds {found:,}")
    if expected != found:
        raise Problem("data-format", f"{quote(str(path))} is {'cut off' if found < expected else 'too long'}: its header {list(shape)} means {expected:,} bytes, it holds {found:,}", place)
    return np.frombuffer(bytearray(data[4 + 4 * axes :]), dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)  # type: ignore[no-any-return]


def _unzipped(data: bytes, path: Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            result = file.read(LIMIT + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise Problem("data-format", f"{quote(str(path))} is a damaged gzip file", Place(str(path)), str(error).splitlines()[0] if str(error) else "it is cut off") from None
    if len(result) > LIMIT:
        raise Problem("data-limit", f"{quote(str(path))} unpacks to more than {LIMIT:,} bytes", Place(str(path)))
    return result
