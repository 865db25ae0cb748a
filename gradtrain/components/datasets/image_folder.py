"""Pictures in one folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._files import FileName, most, resolve, too_large
from gradtrain.components.datasets._pictures import Tree, decode, found
from gradtrain.lazy import torch

Side = Annotated[int, Field(ge=1, le=16_384)]


class ImageFolder(Dataset):
    """Pictures in one folder a class: the folders' names, in alphabetical order, are the classes.

    shape     x uint8 [channels, height, width], y class indices; official splits where the tree begins with folders
              called train and val or test
    note      Needs the library pillow: `pip install "gradtrain[image]"`. Reads PNG, JPEG, BMP, GIF (its first picture),
              PPM, TIFF and WebP; pictures are stretched to the size, other files and hidden ones are left out.
    """

    cases = [{"path": "flowers", "size": 64}, {"path": "flowers", "size": (48, 64), "channels": 1}]

    path: FileName
    """The folder, relative to where the command is started."""
    size: Side | tuple[Side, Side]
    """Height and width of every sample, in pixels; one number for squares."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for red, green and blue."""

    def load(self, base: Path) -> Examples:
        root = resolve(base, self.path)
        tree: Tree = found(root)
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        shape = (self.channels, height, width)
        if (whole := len(tree.files) * self.channels * height * width) > most():
            raise too_large(root, f"{len(tree.files):,} pictures of {list(shape)} take too much", whole)
        x = torch.empty(len(tree.files), *shape, dtype=torch.uint8)
        decode(tree, x)
        facts = Facts(count=len(x), shape=shape, classes=len(tree.labels), range=(0.0, 255.0))
        splits = {name: torch.tensor(members) for name, members in tree.splits.items()}
        fields = {"x": x, "y": torch.tensor(tree.numbers)}
        return Examples(fields, facts, splits, tree.labels, files=tree.files)
