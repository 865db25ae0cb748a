"""A graph whose nodes are classified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gradtrain.components.datasets import Dataset, Examples, Facts
from gradtrain.components.datasets._arrays import read_npz
from gradtrain.components.datasets._files import FileName, most, named, resolve, too_large
from gradtrain.components.datasets._tensors import classes_in, refuse_nonfinite
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Place, Problem, quote

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SPARSE = ("feature_row", "feature_col", "shape")
PARTS = ("train", "val", "test")


class Graph(Dataset):
    """Documents that cite one another, or any nodes with features, labels and edges: one graph in an npz file.

    shape     x float32 [nodes, features], y int64 [nodes], edges [2, edges]; official splits where the file has them
    note      The file holds `edges` [edges, 2], `label` [nodes], features as `x` [nodes, features] or, sparse, as
              `feature_row`, `feature_col` and `shape` with ones at these places; and, if there are official splits,
              `train`, `val` and `test` as node indices or as masks [nodes]. Edges have no direction;
              loops are left out.
    """

    official: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    cases = [{"path": "cora.npz"}, {"path": "cora.npz", "normalize": False}]

    path: FileName
    """The file, relative to where the command is started."""
    normalize: bool = True
    """Divide the features of every node by their sum, as Kipf and Welling do."""

    def load(self, base: Path) -> Examples:
        path = resolve(base, self.path)
        arrays = read_npz(path, ("edges", "label"), ("x", *SPARSE, *PARTS))
        x = _features(arrays, path)
        nodes = len(x)
        label = _whole(arrays["label"], "label", path)
        if label.shape != (nodes,):
            what = f"`label` has the shape {list(label.shape)}, there are {nodes:,} nodes"
            raise Problem("graph-arrays", what, Place(str(path)), "every node has one label, or -1 for none")
        edges = _edges(_whole(arrays["edges"], "edges", path), nodes, path)
        splits = {name: _part(arrays[name], name, nodes, path) for name in PARTS if name in arrays}
        _refuse_overlap(splits, path)
        x = self._scaled(x)
        known = label[label >= 0]
        classes = classes_in(known) if len(known) else None
        span = (float(x.min()), float(x.max()))
        facts = Facts(count=nodes, shape=tuple(x.shape[1:]), classes=classes, range=span)
        return Examples({"x": x, "y": label}, facts, splits, files=(path,), edges=edges)

    def inputs(self, base: Path) -> tuple[Tensor, Tensor | None]:
        """(features of the nodes, edges where the file has them), of a file that may lack all else."""
        path = resolve(base, self.path)
        arrays = read_npz(path, (), ("edges", "x", *SPARSE))
        x = _features(arrays, path)
        edges = _edges(_whole(arrays["edges"], "edges", path), len(x), path) if "edges" in arrays else None
        return self._scaled(x), edges

    def _scaled(self, x: Tensor) -> Tensor:
        if not self.normalize:
            return x
        total = x.sum(dim=1, keepdim=True)
        return torch.where(total == 0, x, x / torch.where(total == 0, 1.0, total))


def _features(arrays: dict[str, Array], path: Path) -> Tensor:
    """x float32 [nodes, features]."""
    if "x" in arrays:
        if arrays["x"].ndim != 2 or not arrays["x"].size:
            what = f"`x` has the shape {list(arrays['x'].shape)}"
            raise Problem("graph-arrays", what, Place(str(path)), "features are [nodes, features]")
        x = torch.from_numpy(arrays["x"]).to(torch.float32)
        refuse_nonfinite(x, "x", path)
        return x
    if missing := [name for name in SPARSE if name not in arrays]:
        what = f"{named(path)} holds no features: neither `x` nor {quote(missing[0])}"
        why = "features are `x` [nodes, features], or sparse: `feature_row`, `feature_col` and `shape`"
        raise Problem("array-missing", what, Place(str(path)), why)
    row, column, shape = (_whole(arrays[name], name, path) for name in SPARSE)
    place = Place(str(path))
    if shape.shape != (2,) or int(shape.min()) < 1:
        raise Problem(
            "graph-arrays", f"`shape` is {shape.tolist()[:5]}", place, "it is [nodes, features], both above 0"
        )
    nodes, width = int(shape[0]), int(shape[1])
    if 4 * nodes * width > most():
        raise too_large(path, f"the features [{nodes:,}, {width:,}] take too much", 4 * nodes * width)
    if row.shape != column.shape or row.ndim != 1:
        what = f"`feature_row` has the shape {list(row.shape)}, `feature_col` {list(column.shape)}"
        raise Problem("graph-arrays", what, place, "they name the row and the column of each one")
    for name, places, end in (("feature_row", row, nodes), ("feature_col", column, width)):
        _refuse_outside(places, name, end, path)
    x = torch.zeros(nodes, width)
    x[row, column] = 1.0
    return x


def _edges(pairs: Tensor, nodes: int, path: Path) -> Tensor:
    """int64 [2, edges]: each edge once, its smaller node first, without loops."""
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        what = f"`edges` has the shape {list(pairs.shape)}"
        raise Problem("graph-arrays", what, Place(str(path)), "edges are [edges, 2]: two nodes a row")
    _refuse_outside(pairs, "edges", nodes, path)
    apart = pairs[pairs[:, 0] != pairs[:, 1]]
    unique: Tensor = torch.unique(apart.sort(dim=1).values, dim=0)
    return unique.T.contiguous()


def _part(array: Array, name: str, nodes: int, path: Path) -> Tensor:
    """The nodes of a split, int64, from indices or a mask."""
    if array.dtype.kind == "b":
        if array.shape != (nodes,):
            what = f"the mask {quote(name)} has the shape {list(array.shape)}, there are {nodes:,} nodes"
            raise Problem("graph-arrays", what, Place(str(path)), "a mask says of every node whether it belongs")
        members = torch.from_numpy(array).nonzero().flatten()
    else:
        members = _whole(array, name, path).flatten()
        _refuse_outside(members, name, nodes, path)
    if not len(members) or len(torch.unique(members)) != len(members):
        what = f"the split {quote(name)} is empty" if not len(members) else f"{quote(name)} names a node twice"
        raise Problem("graph-arrays", what, Place(str(path)), "a split is a list of different nodes")
    return members


def _refuse_overlap(splits: dict[str, Tensor], path: Path) -> None:
    """Raises `Problem` when a node belongs to two splits, or when nothing would train."""
    if splits and "train" not in splits:
        why, help = "the file has official splits, so that it must say what trains", "add the array `train`"
        raise Problem("array-missing", f"{named(path)} holds no array `train`", Place(str(path)), why, help)
    members = torch.cat([*splits.values(), torch.empty(0, dtype=torch.int64)])
    nodes, counts = torch.unique(members, return_counts=True)
    if bool((counts > 1).any()):
        twice = nodes[counts > 1]
        what = f"{len(twice):,} nodes belong to two splits, the first is {int(twice[0])}"
        raise Problem("graph-arrays", what, Place(str(path)), "what trains must not be tested", "save the splits again")


def _whole(array: Array, name: str, path: Path) -> Tensor:
    """An array of whole numbers as int64."""
    if array.dtype.kind not in "iu":
        what = f"the array {quote(name)} holds {quote(str(array.dtype))}"
        raise Problem("data-dtype", what, Place(str(path)), "indices and labels are integers", "save it as int64")
    return torch.from_numpy(array).to(torch.int64)


def _refuse_outside(places: Tensor, name: str, end: int, path: Path) -> None:
    wrong = (places < 0) | (places >= end)
    if bool(wrong.any()):
        what = f"{quote(name)} holds the index {int(places[wrong][0])}, expected 0 to {end - 1}"
        why = f"{int(wrong.sum()):,} of {wrong.numel():,} are like that"
        raise Problem("graph-arrays", what, Place(str(path)), why, "indices count from 0")
