"""Finding and decoding the pictures of a folder."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from gradtrain.components.datasets._arrays import DAMAGED, looks_like
from gradtrain.components.datasets._files import named, read_bytes, unreadable
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""What is decoded; pillow knows stranger formats, some of which start other programs."""
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folders at the top of the tree that are no classes → the official split that they hold."""
NAMED_AT_MOST = 5


@dataclass
class Tree:
    """The pictures of a folder, split by split and class by class, in alphabetical order."""

    labels: tuple[str, ...]
    files: tuple[Path, ...] = ()
    numbers: list[int] = field(default_factory=list)
    """The class of each file."""
    splits: dict[str, list[int]] = field(default_factory=dict)


def found(root: Path) -> Tree:
    """All pictures below `root`. Raises `Problem` (data)."""
    try:
        inside = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
        raise unreadable(root, error if isinstance(error, OSError) else OSError(40, "")) from None
    if not inside.is_dir():
        help = "name the folder that holds one folder a class"
        raise Problem("data-kind", f"{named(root)} is a file, not a folder", Place(str(root)), help=help)
    folders = _folders(root, inside)
    names = {path.name for path in folders}
    if "train" not in names or not names <= set(SPLITS):
        tree = Tree(tuple(path.name for path in folders))
        _gather(tree, root, folders, inside)
        return tree
    parts = {path: _folders(path, inside) for path in folders}
    tree = Tree(tuple(path.name for path in parts[root / "train"]))
    for part, classes in parts.items():
        strange = [path.name for path in classes if path.name not in tree.labels]
        if strange:
            what = f"{named(part)} has a class {quote(strange[0])} that `train` has not"
            raise Problem(
                "image-folder", what, Place(str(part)), f"`train` has {', '.join(map(quote, tree.labels[:10]))}"
            )
        if SPLITS[part.name] in tree.splits:
            what = f"two folders of {named(root)} hold the split {quote(SPLITS[part.name])}"
            raise Problem("image-folder", what, Place(str(part)), "val, valid and validation mean the same")
        first = len(tree.files)
        _gather(tree, part, classes, inside)
        tree.splits[SPLITS[part.name]] = list(range(first, len(tree.files)))
    return tree


def _gather(tree: Tree, root: Path, folders: list[Path], inside: Path) -> None:
    """Add the pictures of one split."""
    if not folders:
        why, help = "each class has a folder of its own", "put the pictures of each class into a folder with its name"
        raise Problem("image-folder", f"{named(root)} has no folders", Place(str(root)), why, help)
    if len(tree.labels) == 1:
        what = f"{named(root)} has a single class: {quote(folders[0].name)}"
        why, help = "there is nothing to tell apart", "name the folder above it, which has one folder a class"
        raise Problem("single-class", what, Place(str(root)), why, help)
    for folder in folders:
        pictures = [path for path in _entries(folder) if path.suffix.lower() in SUFFIXES]
        for path in pictures:
            _refuse_outside(path, inside)
        if not pictures:
            why = f"pictures end in {', '.join(sorted(SUFFIXES))}"
            raise Problem("image-folder", f"the class {named(folder)} has no pictures", Place(str(folder)), why)
        tree.files += tuple(pictures)
        tree.numbers += [tree.labels.index(folder.name)] * len(pictures)


def _folders(root: Path, inside: Path) -> list[Path]:
    folders = [path for path in _entries(root) if path.is_dir()]
    for path in folders:
        _refuse_outside(path, inside)
    return folders


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, hidden files left out, in alphabetical order."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except OSError as error:
        raise unreadable(folder, error) from None


def _refuse_outside(path: Path, inside: Path) -> None:
    """Raises `Problem` for a link that leads out of the tree."""
    if path.is_symlink() and not path.resolve().is_relative_to(inside):
        why = f"it leads to {named(path.resolve())}"
        help = "copy what it leads to, or name the folder that holds it"
        raise Problem("data-path", f"the link {named(path)} leads out of the folder", Place(str(path)), why, help)


def decode(tree: Tree, x: Tensor) -> None:
    """Fill x uint8 [count, channel, height, width]. Raises `Problem` (data) naming the files that cannot be read."""
    library = _library()
    broken: list[str] = []
    first: tuple[Path, str] | None = None
    for number, path in enumerate(tree.files):
        data = read_bytes(path)
        try:
            x[number] = _pixels(library, data, path, tuple(x.shape[1:]))
        except (*DAMAGED, SyntaxError, TypeError) as error:
            broken.append(str(path))
            first = first or (path, str(error).splitlines()[0] if str(error) else "it is cut off")
    if first is not None:
        names = ", ".join(quote(name, 200) for name in broken[:NAMED_AT_MOST])
        more = f" and {len(broken) - NAMED_AT_MOST} more" if len(broken) > NAMED_AT_MOST else ""
        what = f"{len(broken):,} of {len(tree.files):,} pictures cannot be read: {names}{more}"
        raise Problem("data-format", what, Place(str(first[0])), first[1], "remove these files, or save them again")


def _pixels(library: Any, data: bytes, path: Path, shape: tuple[int, ...]) -> Tensor:
    import numpy as np

    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on unusual tags
            warnings.simplefilter("error", library.DecompressionBombWarning)
            with library.open(BytesIO(data), formats=FORMATS) as picture:
                if picture.mode.startswith(("I", "F")):  # pillow would cut such values off at 255
                    raise ValueError("it has more than 8 bits a channel")
                pixels = picture.convert("L" if channels == 1 else "RGB")
                pixels = pixels.resize((width, height), library.Resampling.BILINEAR)
    except library.UnidentifiedImageError:
        raise ValueError(looks_like(data)) from None
    except (library.DecompressionBombWarning, library.DecompressionBombError) as error:
        why = f"{str(error).splitlines()[0].partition(',')[0]}; a small file can unpack to many gigabytes"
        raise Problem("data-limit", f"{named(path)} has too many pixels", Place(str(path)), why, "shrink it") from None
    return torch.from_numpy(np.array(pixels)).reshape(height, width, channels).permute(2, 0, 1)


def _library() -> Any:
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # what it finds wrong with a picture stands in our refusal
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        what, why = "pictures are decoded by the library pillow, which is not installed", "it is an extra of gradtrain"
        raise Problem("extra-missing", what, why=why, help='pip install "gradtrain[image]"') from None
