"""npz and IDX files: what numpy wrote comes back, and every damaged file has its refusal."""

from __future__ import annotations

import gzip
import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gradtrain.components.datasets import _files
from gradtrain.components.datasets._arrays import read_idx, read_npz
from gradtrain.problems import Problem

IDX_CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def idx(array: np.ndarray, dtype: str = "u1") -> bytes:
    """The format by its description, written independently of the reader."""
    head = bytes([0, 0, IDX_CODES[dtype], array.ndim])
    return head + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.astype(dtype).tobytes()


def npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def npy_header(shape: object, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


class TestNpz:
    @pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "<i8", "f2", "<f4", ">f8", "?"])
    def test_numbers_come_back(self, tmp_path, write, dtype) -> None:
        x = np.arange(24).reshape(4, 3, 2).astype(dtype)
        write(tmp_path / "a.npz", x=x, columns=np.asfortranarray(x), none=x[:0])
        read = read_npz(tmp_path / "a.npz", ("x", "columns", "none"))
        for name, expected in (("x", x), ("columns", x), ("none", x[:0])):
            np.testing.assert_array_equal(read[name], expected)
            assert read[name].dtype == x.dtype.newbyteorder("=")
            assert read[name].flags.c_contiguous
            assert read[name].flags.writeable

    def test_a_missing_array_lists_those_that_are_there(self, tmp_path, refused) -> None:
        np.savez(tmp_path / "a.npz", images=np.ones(2), labels=np.ones(2))
        says = ("`images`, `labels`", "did you mean `images`")
        refused("array-missing", read_npz, tmp_path / "a.npz", ("image",), says=says)

    def test_pickled_objects_are_never_unpickled(self, tmp_path, refused) -> None:
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "sprung",))

        np.savez(tmp_path / "a.npz", x=np.array([Trap(), None], dtype=object))
        refused("data-unsafe", read_npz, tmp_path / "a.npz", ("x",))
        (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
        refused("data-format", read_npz, tmp_path / "b.npz", ("x",), says=("a pickle",))
        npz(tmp_path / "c.npz", {"x.npy": pickle.dumps(Trap())})
        refused("data-format", read_npz, tmp_path / "c.npz", ("x",))
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("value", [1 + 2j, "text", np.datetime64("2024-01-01"), np.longdouble(1)])
    def test_what_is_no_number(self, tmp_path, refused, value) -> None:
        np.savez(tmp_path / "a.npz", x=np.array([value]))
        refused("data-dtype", read_npz, tmp_path / "a.npz", ("x",))

    def test_records_are_no_numbers(self, tmp_path, refused) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
        refused("data-dtype", read_npz, tmp_path / "a.npz", ("x",))

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (npy(np.ones(3)), "a single .npy array"),
            (b"<!DOCTYPE html>", "a web page"),
            (b"1,2,3\n", "31 2c 32 2c"),
            (b"PK\x03\x04 and then nothing", "damaged"),
        ],
    )
    def test_what_is_no_npz(self, tmp_path, refused, content, words) -> None:
        (tmp_path / "a.npz").write_bytes(content)
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",), says=(words,))

    @pytest.mark.parametrize("content", [b"", b"1,2,3\n4,5,6\n", b"\x93NUMPY\x01\x00\xff\xff", npy_header("(-1, 2)")])
    def test_a_member_that_is_no_array(self, tmp_path, refused, content) -> None:
        npz(tmp_path / "a.npz", {"x.npy": content})
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",), says=("`x`",))

    def test_a_truncated_archive(self, tmp_path, refused) -> None:
        np.savez(tmp_path / "a.npz", x=np.arange(400))
        data = (tmp_path / "a.npz").read_bytes()
        for size in (3, 100, len(data) // 2, len(data) - 1):
            (tmp_path / "cut.npz").write_bytes(data[:size])
            refused("data-format", read_npz, tmp_path / "cut.npz", ("x",))

    def test_a_changed_byte_is_noticed(self, tmp_path, refused) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros(1000, dtype="u1"))
        data = bytearray((tmp_path / "a.npz").read_bytes())
        data[600] ^= 1
        (tmp_path / "a.npz").write_bytes(data)
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",), says=("CRC",))

    def test_a_header_that_claims_more_than_its_member_holds(self, tmp_path, refused) -> None:
        npz(tmp_path / "a.npz", {"x.npy": npy_header("(1000000000000,)")})
        refused("data-limit", read_npz, tmp_path / "a.npz", ("x",), says=("4,000,000,000,000",))

    def test_rows_after_the_array_are_noticed(self, tmp_path, refused) -> None:
        npz(tmp_path / "a.npz", {"x.npy": npy(np.ones(3)) + bytes(8)})
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",), says=("too long",))

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path, refused, monkeypatch) -> None:
        monkeypatch.setattr(_files, "LIMIT", 1 << 20)
        np.savez_compressed(tmp_path / "a.npz", x=np.zeros(1 << 26, dtype="u1"))
        tracemalloc.start()
        refused("data-limit", read_npz, tmp_path / "a.npz", ("x",), says=("67,1",))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_another_way_of_packing(self, tmp_path, refused, method) -> None:
        npz(tmp_path / "a.npz", {"x.npy": npy(np.ones(3))}, method)
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",), says=("numpy does not write",))

    def test_an_encrypted_member(self, tmp_path, refused) -> None:
        np.savez(tmp_path / "a.npz", x=np.ones(3))
        data = bytearray((tmp_path / "a.npz").read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1
        data[6] |= 1
        (tmp_path / "a.npz").write_bytes(data)
        refused("data-format", read_npz, tmp_path / "a.npz", ("x",))


class TestIdx:
    @pytest.mark.parametrize("dtype", IDX_CODES)
    @pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 2, 2), (2, 1, 3, 2)])
    @pytest.mark.parametrize("packed", [False, True])
    def test_round_trip(self, tmp_path, dtype, shape, packed) -> None:
        array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        data = idx(array, dtype)
        (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
        read = read_idx(tmp_path / "a")
        np.testing.assert_array_equal(read, array)
        assert read.dtype == np.dtype(dtype).newbyteorder("=")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"\0\0\x07\x01" + bytes(8), "00 00 07 01"),
            (b"\1\0\x08\x01" + bytes(8), "not an IDX file"),
            (b"\0\0\x08\x00" + bytes(8), "not an IDX file"),
            (b"\0\0\x08\xff" + bytes(1020), "not an IDX file"),
            (b"\0\0", "not an IDX file"),
            (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
            (b"<html><body>404", "a web page"),
            (b"\0\0\x08\x03\0\0\0\x01", "ends inside its header"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_bad_magic(self, tmp_path, refused, content, words, packed) -> None:
        (tmp_path / "a").write_bytes(gzip.compress(content) if packed else content)
        says = () if packed and words.startswith("a ") else (words,)
        refused("data-format", read_idx, tmp_path / "a", says=says)

    @pytest.mark.parametrize("packed", [False, True])
    def test_truncated_elements_name_both_sizes(self, tmp_path, refused, packed) -> None:
        data = idx(np.zeros((4, 28, 28)))[:-100]
        (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
        refused("data-format", read_idx, tmp_path / "a", says=("cut off", "3,136", "3,036", "[4, 28, 28]"))

    @pytest.mark.parametrize("packed", [False, True])
    def test_bytes_after_the_last_element(self, tmp_path, refused, packed) -> None:
        data = idx(np.zeros((4, 2))) + b"\0"
        (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
        refused("data-format", read_idx, tmp_path / "a", says=("too long",))

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_header_of_a_billion_images(self, tmp_path, refused, packed) -> None:
        data = b"\0\0\x08\x03" + struct.pack(">3I", 10**9, 28, 28) + bytes(100)
        (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
        refused("data-limit", read_idx, tmp_path / "a", says=("784,000,000,000",))

    def test_a_gzip_file_cannot_hold_what_its_header_claims(self, tmp_path, refused) -> None:
        data = b"\0\0\x08\x01" + struct.pack(">I", 10**8) + bytes(100)
        (tmp_path / "a").write_bytes(gzip.compress(data))
        refused("data-limit", read_idx, tmp_path / "a", says=("100,000,000",))

    def test_a_damaged_gzip_file(self, tmp_path, refused) -> None:
        data = gzip.compress(idx(np.arange(200).reshape(10, 20)))
        for size in (5, 12, len(data) // 2, len(data) - 9, len(data) - 1):
            (tmp_path / "a").write_bytes(data[:size])
            refused("data-format", read_idx, tmp_path / "a", says=("damaged gzip file",))
        wrong = bytearray(data)
        wrong[-6] ^= 1
        (tmp_path / "a").write_bytes(wrong)
        refused("data-format", read_idx, tmp_path / "a", says=("CRC",))

    def test_a_bomb_is_not_unpacked(self, tmp_path, refused) -> None:
        (tmp_path / "a").write_bytes(gzip.compress(idx(np.zeros((2, 2))) + bytes(1 << 26)))
        tracemalloc.start()
        refused("data-format", read_idx, tmp_path / "a", says=("too long",))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["npz", "deflated", "npy", "idx", "gzip"])
def test_no_damage_leads_to_another_exception(tmp_path, kind) -> None:
    """Hundreds of damaged files: read or refused, never a reader's own exception."""
    x = np.arange(60, dtype="<f4").reshape(20, 3)
    if kind in ("npz", "deflated"):
        (np.savez if kind == "npz" else np.savez_compressed)(tmp_path / "good.npz", x=x)
        whole = (tmp_path / "good.npz").read_bytes()
    else:
        whole = npy(x) if kind == "npy" else gzip.compress(idx(x)) if kind == "gzip" else idx(x)
    draw = random.Random(0)
    path = tmp_path / "bad"
    statuses = []
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2, 8])):
            data[draw.randrange(len(data))] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)])
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        path.write_bytes(data or b"\0")
        try:
            if kind == "npy":  # an archive in order around a damaged array
                npz(path, {"x.npy": bytes(data)}, zipfile.ZIP_STORED)
            read_idx(path) if kind in ("idx", "gzip") else read_npz(path, ("x",))
        except Problem as problem:
            statuses.append(problem.exit_code)
    assert len(statuses) > 80
    assert set(statuses) == {3}
