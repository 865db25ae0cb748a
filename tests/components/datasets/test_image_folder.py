"""Folders of pictures: classes, splits, sizes, and what is refused."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import pytest

from gradtrain.components.datasets.image_folder import ImageFolder


def png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour, by the format's specification."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(colour) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(root: Path, *names: str, colour: tuple[int, int, int] = (10, 20, 30)) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(6, 4, colour))


def test_without_the_library_the_refusal_says_how_to_get_it(tmp_path, refused, monkeypatch) -> None:
    write(tmp_path, "a/1.png", "b/1.png")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    load = ImageFolder(path=".", size=2).load
    refused("extra-missing", load, tmp_path, says=('pip install "gradtrain[image]"',), exit=2)


class TestFolders:
    """What is refused before a picture is decoded."""

    def test_no_folder_at_all(self, tmp_path, refused) -> None:
        refused("data-missing", ImageFolder(path="nowhere", size=2).load, tmp_path, says=("nowhere",))

    def test_pictures_without_folders(self, tmp_path, refused) -> None:
        write(tmp_path, "1.png")
        refused("image-folder", ImageFolder(path=".", size=2).load, tmp_path, says=("no folders",))

    def test_a_single_class(self, tmp_path, refused) -> None:
        write(tmp_path, "a/1.png", "a/2.png", ".hidden/1.png")
        refused("single-class", ImageFolder(path=".", size=2).load, tmp_path, says=("`a`",))

    def test_a_class_without_pictures(self, tmp_path, refused) -> None:
        write(tmp_path, "a/1.png", "b/.hidden.png")
        (tmp_path / "b" / "notes.txt").write_text("none")
        refused("image-folder", ImageFolder(path=".", size=2).load, tmp_path, says=("b` has no pictures",))

    def test_a_split_with_a_class_that_does_not_train(self, tmp_path, refused) -> None:
        write(tmp_path, "train/a/1.png", "train/b/1.png", "test/c/1.png")
        refused("image-folder", ImageFolder(path=".", size=2).load, tmp_path, says=("class `c`",))

    def test_two_folders_for_one_split(self, tmp_path, refused) -> None:
        write(tmp_path, *(f"{part}/{name}/1.png" for part in ("train", "val", "valid") for name in "ab"))
        refused("image-folder", ImageFolder(path=".", size=2).load, tmp_path, says=("split `val`",))

    def test_a_file_instead_of_a_folder(self, tmp_path, refused) -> None:
        write(tmp_path, "a.png")
        refused("data-kind", ImageFolder(path="a.png", size=2).load, tmp_path, says=("a file, not a folder",))

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_links_that_lead_out_of_the_tree(self, tmp_path, refused, kind) -> None:
        write(tmp_path, "root/a/1.png", "root/b/1.png", "secret/s.png")
        target, link = ("secret/s.png", "root/a/2.png") if kind == "file" else ("secret", "root/c")
        os.symlink(tmp_path / target, tmp_path / link)
        refused("data-path", ImageFolder(path="root", size=2).load, tmp_path, says=("leads out of", "secret"))


class TestPictures:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("PIL.Image", reason="the extra `image` is not installed")

    def test_classes_are_folders_in_alphabetical_order(self, tmp_path) -> None:
        write(tmp_path, "b/2.png", "b/1.PNG", colour=(0, 0, 255))
        write(tmp_path, "a/1.png", colour=(255, 128, 0))
        made = ImageFolder(path=".", size=(2, 3)).load(tmp_path)
        x, y = made.fields["x"], made.fields["y"]
        assert x.shape == (3, 3, 2, 3)
        assert y.tolist() == [0, 1, 1]
        assert made.labels == ("a", "b")
        assert [path.name for path in made.files] == ["1.png", "1.PNG", "2.png"]
        assert x[0].unique_consecutive(dim=1)[:, 0, 0].tolist() == [255, 128, 0]
        assert x[1].unique_consecutive(dim=1)[:, 0, 0].tolist() == [0, 0, 255]
        assert (made.facts.count, made.facts.shape, made.facts.classes) == (3, (3, 2, 3), 2)

    def test_one_channel_is_the_luminance(self, tmp_path) -> None:
        write(tmp_path, "a/1.png", colour=(255, 0, 0))
        write(tmp_path, "b/1.png", colour=(0, 255, 0))
        x = ImageFolder(path=".", size=2, channels=1).load(tmp_path).fields["x"]
        assert x[:, 0, 0, 0].tolist() == [76, 150]  # ITU-R 601: 0.299 and 0.587 of 255
        assert x.shape == (2, 1, 2, 2)

    def test_official_splits(self, tmp_path) -> None:
        write(tmp_path, *(f"train/{name}/{i}.png" for name in "ab" for i in range(3)), "test/b/1.png", "valid/a/1.png")
        made = ImageFolder(path=".", size=1).load(tmp_path)
        assert {name: len(part) for name, part in made.splits.items()} == {"train": 6, "val": 1, "test": 1}
        assert made.fields["y"][made.splits["test"]].tolist() == [1]
        assert made.fields["y"][made.splits["val"]].tolist() == [0]
        assert sorted(i for part in made.splits.values() for i in part.tolist()) == list(range(8))

    def test_links_inside_the_tree_are_followed(self, tmp_path) -> None:
        write(tmp_path, "a/1.png", "b/1.png")
        os.symlink(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
        assert ImageFolder(path=".", size=1).load(tmp_path).facts.count == 3

    def test_unreadable_pictures_are_named(self, tmp_path, refused) -> None:
        write(tmp_path, "a/1.png", "a/2.png", "b/1.png")
        (tmp_path / "a" / "2.png").write_bytes(png(6, 4, (1, 2, 3))[:50])
        (tmp_path / "b" / "page.jpg").write_text("<html>")
        says = ("2 of 4 pictures", "a/2.png", "b/page.jpg")
        refused("data-format", ImageFolder(path=".", size=2).load, tmp_path, says=says)
        write(tmp_path, "a/2.png")
        refused("data-format", ImageFolder(path=".", size=2).load, tmp_path, says=("1 of 4", "a web page"))

    def test_sixteen_bits_are_not_cut_off(self, tmp_path, refused) -> None:
        write(tmp_path, "a/1.png", "b/1.png")
        image = pytest.importorskip("PIL.Image")
        image.new("I;16", (4, 4), 1000).save(tmp_path / "b" / "1.png")
        refused("data-format", ImageFolder(path=".", size=2).load, tmp_path, says=("b/1.png", "8 bits"))

    def test_an_empty_picture(self, tmp_path, refused) -> None:
        write(tmp_path, "a/1.png", "b/1.png")
        (tmp_path / "b" / "1.png").write_bytes(b"")
        refused("data-empty", ImageFolder(path=".", size=2).load, tmp_path, says=("b/1.png",))

    @pytest.mark.parametrize("side", [10_000, 60_000])
    def test_a_picture_that_unpacks_to_too_much(self, tmp_path, refused, side) -> None:
        write(tmp_path, "a/1.png", "b/1.png")
        small = bytearray(png(1, 1, (0, 0, 0)))
        small[16:24] = struct.pack(">II", side, side)
        small[29:33] = struct.pack(">I", zlib.crc32(bytes(small[12:29])))
        (tmp_path / "b" / "1.png").write_bytes(small)
        refused("data-limit", ImageFolder(path=".", size=2).load, tmp_path, says=("b/1.png", "too many pixels"))

    def test_more_pixels_than_memory_holds(self, tmp_path, refused) -> None:
        write(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(20)))
        refused("data-limit", ImageFolder(path=".", size=16_384).load, tmp_path, says=("40 pictures",))
