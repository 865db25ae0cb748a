"""Fashion-MNIST."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._arrays import read_idx
from gradtrain.components.datasets._files import FileName, named, resolve
from gradtrain.lazy import torch
from gradtrain.problems import Place, Problem, quote

DEBIAN = "/usr/share/datasets/fashion-mnist"
LABELS = ("t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
IMAGES, ANSWERS = "images-idx3-ubyte", "labels-idx1-ubyte"


class FashionMnist(Dataset):
    """70,000 pictures of clothes, 28x28 pixels in grey, ten classes, with an official test split of 10,000.

    paper     Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747
    shape     x uint8 [1, 28, 28], y 0..9
    note      Four IDX files, plain or gzipped; Debian's package dataset-fashion-mnist puts them in its default place.
    """

    official: ClassVar[tuple[str, ...]] = ("train", "test")
    cases = [{}, {"root": "data/fashion"}]

    root: FileName = DEBIAN
    """The folder of the four files, relative to where the command is started."""

    def facts(self) -> Facts:
        return Facts(count=70_000, shape=(1, 28, 28), classes=10, range=(0.0, 255.0))

    def load(self, base: Path) -> Examples:
        root = resolve(base, self.root)
        paths = tuple(_found(root, f"{part}-{kind}") for part in ("train", "t10k") for kind in (IMAGES, ANSWERS))
        x_train, y_train, x_test, y_test = (torch.from_numpy(read_idx(path)) for path in paths)
        for part, x, y, path in (("train", x_train, y_train, paths[0]), ("test", x_test, y_test, paths[2])):
            if x.shape[1:] != (28, 28) or y.shape != x.shape[:1]:
                what = f"the {part} files hold images {list(x.shape)} and labels {list(y.shape)}"
                why = "Fashion-MNIST has images of 28x28 and a label each"
                raise Problem("count-mismatch", what, Place(str(path)), why, "copy or download the four files again")
        x, y = torch.cat([x_train, x_test]).unsqueeze(1), torch.cat([y_train, y_test]).long()
        splits = {"train": torch.arange(len(x_train)), "test": torch.arange(len(x_train), len(x))}
        return Examples({"x": x, "y": y}, replace(self.facts(), count=len(x)), splits, LABELS, files=paths)


def _found(root: Path, stem: str) -> Path:
    for name in (f"{stem}.gz", stem):
        if os.path.lexists(root / name):
            return root / name
    what = f"no {quote(stem)} or {quote(stem + '.gz')} in {named(root)}"
    help = "`apt-get install dataset-fashion-mnist`, or name the folder of its four files: `{fashion_mnist: {root: …}}`"
    raise Problem("data-missing", what, Place(str(root)), "Fashion-MNIST is not part of gradtrain", help)
