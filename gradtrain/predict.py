"""Applying a trained run to new inputs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradtrain.assemble import Warn, unheard
from gradtrain.components.datasets import END, Examples
from gradtrain.components.datasets._arrays import read_npz
from gradtrain.components.datasets._tensors import inputs
from gradtrain.components.datasets.csv import Csv
from gradtrain.components.datasets.graph import Graph
from gradtrain.components.datasets.npz import Npz
from gradtrain.components.metrics import decided
from gradtrain.components.tokenizers import vocabulary
from gradtrain.problems import Place, Problem, quote
from gradtrain.start import Trained, reopen
from gradtrain.storage.journal import plain

AT_ONCE = 1024
"""Samples in one forward pass."""


def predicted(run: Path, data: Path, which: str = "best", warn: Warn = unheard) -> list[dict[str, Any]]:
    """One record a sample: the class with its probability, or the values. Raises `Problem`s.

    A `.csv` table needs the columns that trained the model, in any order; an `.npz` file the array of inputs, and of a
    graph its edges, unless its nodes are those of the graph that trained the model.
    """
    trained = reopen(run, which, warn)
    if trained.facts.series:
        why = "its samples are windows of one long sequence"
        help = "`gradtrain sample` goes on from a beginning"
        raise Problem("input-shape", "this model was not trained on separate samples", Place(str(data)), why, help)
    x, edges = _nodes(trained, data) if trained.run.objective.graph else (_read(trained, data), None)
    if trained.facts.shape is not None and tuple(x.shape[1:]) != trained.facts.shape:
        raise Problem(
            "input-shape",
            f"the inputs have the shape {list(x.shape[1:])}, the model was trained on {list(trained.facts.shape)}",
            Place(str(data)),
        )
    x = x if trained.facts.vocab is None else _symbols(x, trained.facts.vocab, data)
    if edges is not None:
        trained.task.bind(trained.networks, Examples({"x": x}, trained.facts, edges=edges))
    for network in trained.networks.values():
        network.eval()
    device = next(parameter.device for network in trained.networks.values() for parameter in network.parameters())
    records: list[dict[str, Any]] = []
    with torch.no_grad():
        for chunk in torch.split(x, AT_ONCE if edges is None else len(x)):
            fields = {"x": chunk.to(device)}
            for use, fitted in zip(trained.pipeline.transforms, trained.pipeline.fitted, strict=True):
                if use.on == "x":
                    fields["x"] = use.part.forward(fields["x"], fitted)
            said = trained.task.predict(trained.networks, {"x": trained.pipeline.typed("x", fields["x"])})
            records += _records(trained, trained.pipeline.undone("y", said) if trained.kind == "value" else said)
    return records


def _nodes(trained: Trained, data: Path) -> tuple[Tensor, Tensor]:
    """(features of all nodes, edges): of the file, or of the run's own graph where the file has no edges."""
    source = trained.run.data.source
    if isinstance(source, Graph) and data.suffix == ".npz":
        x, edges = source.model_copy(update={"path": str(data)}).inputs(Path())
        if edges is not None:
            return x, edges
    else:
        x = _read(trained, data)
    own = source.load(trained.base)
    nodes = len(own.fields["x"])
    if own.edges is None or len(x) != nodes:
        raise Problem(
            "input-shape",
            f"the inputs are {len(x):,} nodes, the graph that trained the model has {nodes:,}",
            Place(str(data)),
            "a node is read together with its neighbours: without `edges` in the file they are those of that graph",
            "give all of its nodes in its order, or add `edges` [edges, 2] to the file",
        )
    return x, own.edges


def _read(trained: Trained, data: Path) -> Tensor:
    source = trained.run.data.source
    if data.suffix == ".csv":
        if not trained.features:
            raise Problem(
                "input-shape",
                "this model was not trained on a table",
                Place(str(data)),
                help="give an .npz file with its inputs",
            )
        delimiter = source.delimiter if isinstance(source, Csv) else ","
        return Csv(path=str(data), target="", features=trained.features, delimiter=delimiter).inputs(Path())
    if data.suffix != ".npz":
        raise Problem(
            "data-format",
            f"{quote(str(data))} is neither a .csv nor an .npz file",
            Place(str(data)),
            help="save the inputs as one of them",
        )
    name = source.x if isinstance(source, Npz) else "x"
    x = inputs(read_npz(data, (name,))[name], name, data)
    shape = trained.facts.shape
    return x.unsqueeze(1) if shape is not None and x.ndim == len(shape) and tuple(x.shape[1:]) == shape[1:] else x


def _symbols(x: Tensor, vocab: int, data: Path) -> Tensor:
    """Inputs as the symbols they stand for. Raises `Problem` (data)."""
    if bool(((x < 0) | (x >= vocab) | (x != x.round())).any()):
        what = f"the inputs are no symbols: they run from {float(x.min()):g} to {float(x.max()):g}"
        raise Problem("input-shape", what, Place(str(data)), f"the model was trained on whole numbers below {vocab}")
    return x.long()


def _records(trained: Trained, prediction: Tensor) -> Iterator[dict[str, Any]]:
    if not prediction.is_floating_point():
        words = None if trained.facts.vocabulary is None else vocabulary(trained.facts.vocabulary)
        for row in prediction.tolist():
            symbols = [symbol for symbol in row if symbol > END]
            yield {"text": words.decode(symbols) if words is not None else " ".join(map(str, symbols))}
    elif trained.kind == "class" and not trained.run.objective.embeds:
        chances = prediction.softmax(dim=1)
        for index, row in zip(decided(prediction, "class").tolist(), chances.tolist(), strict=True):
            yield {"class": trained.labels[index] if trained.labels else index, "probability": row[index]}
    elif trained.kind == "value" or trained.run.objective.embeds:
        for row in prediction.reshape(len(prediction), -1).tolist():
            yield {"value": row[0]} if len(row) == 1 else {f"value_{i}": value for i, value in enumerate(row)}
    else:
        scores, answers = (
            prediction.reshape(len(prediction), -1).tolist(),
            decided(prediction, trained.kind).reshape(len(prediction), -1).tolist(),
        )
        yes, no = (1, -1) if trained.kind == "pm1" else (1, 0)
        for score, answer in zip(scores, answers, strict=True):
            one = len(score) == 1
            yield {f"answer{'' if one else f'_{i}'}": yes if a else no for i, a in enumerate(answer)} | {
                f"score{'' if one else f'_{i}'}": s for i, s in enumerate(score)
            }


def written(records: list[dict[str, Any]], *, as_json: bool) -> str:
    """The records as CSV text, or one JSON object a line. A cell that a spreadsheet would run gets a quote."""
    if as_json:
        return "".join(json.dumps(plain(record)) + "\n" for record in records)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(records[0] if records else [])
    for record in records:
        writer.writerow([f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t" else v for v in record.values()])
    return file.getvalue()
