"""IDX files, the format of MNIST."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gradtrain.components.datasets import Dataset, Examples
from gradtrain.components.datasets._arrays import read_idx
from gradtrain.components.datasets._files import FileName, named, resolve
from gradtrain.components.datasets._tensors import examples, inputs, labels_or_values
from gradtrain.problems import Place, Problem


class Idx(Dataset):
    """Images and labels in two IDX files, plain or gzipped.

    paper     LeCun, Cortes & Burges, The MNIST database of handwritten digits (the format's description)
    shape     x uint8 [1, height, width], y class indices
    """

    cases = [{"images": "train-images-idx3-ubyte", "labels": "train-labels-idx1-ubyte"}]

    images: FileName
    """The file of images, relative to where the command is started."""
    labels: FileName
    """The file of labels."""

    def load(self, base: Path) -> Examples:
        paths = resolve(base, self.images), resolve(base, self.labels)
        x, y = (read_idx(path) for path in paths)
        if y.ndim != 1:
            what = f"{named(paths[1])} holds an array {list(y.shape)}, not one label a sample"
            help = "`images` and `labels` may have changed places" if x.ndim == 1 else "name the file of labels"
            raise Problem("label-shape", what, Place(str(paths[1])), "labels have one axis", help)
        read = examples(inputs(x, "images", paths[0]), labels_or_values(y, "labels", paths[1]), paths)
        return replace(read, places=lambda number: Place(str(paths[1])))
