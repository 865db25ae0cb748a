"""Arrays in an npz file."""

from __future__ import annotations

from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets._arrays import read_npz
from gradtrain.components.datasets._files import FileName, resolve
from gradtrain.components.datasets._tensors import examples, inputs, labels_or_values


class Npz(Dataset):
    """Two arrays of a numpy archive: inputs and targets, one row a sample.

    shape     x [count, ...]: uint8 stays uint8, other numbers become float32, images [count, height, width] get a
              channel axis; y [count] or [count, outputs]
    note      Nothing pickled is read. Whole numbers from 0 are taken as classes unless `data.target.kind` says
              otherwise.
    """

    cases = [{"path": "data.npz"}, {"path": "data.npz", "x": "images", "y": "labels"}]

    path: FileName
    """The file, relative to where the command is started."""
    x: str = "x"
    """Name of the array of inputs."""
    y: str = "y"
    """Name of the array of targets."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        arrays = read_npz(path, (self.x, self.y))
        x, y = inputs(arrays[self.x], self.x, path), labels_or_values(arrays[self.y], self.y, path)
        return examples(x, y, (path,))
