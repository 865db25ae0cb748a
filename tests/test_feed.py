"""From a source to batches: fields, targets, splits, windows, graphs."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.config.load import read
from gradtrain.config.sections import Run
from gradtrain.feed import Feed, facts_after, feed, target_kind
from gradtrain.problems import Problem
from gradtrain.training import samples
from gradtrain.training.batches import Batches
from gradtrain.training.groups import Balanced, Paired

REST = "model: {layers: [{linear: 2}]}\noptimizer: {sgd: 0.1}\ntraining: {epochs: 1}\n"
TEXT = "the quick brown fox jumps over the lazy dog " * 5


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(TEXT)
    return tmp_path


def loaded(data: str, more: str = "loss: cross_entropy\n") -> tuple[Run, Examples]:
    Path("c.yaml").write_text(f"name: a\nseed: 1\ndata: {{{data}}}\n{more}{REST}")
    config = read(Path("c.yaml"))
    examples = config.data().source.load(Path())
    return config.run(examples.facts), examples


def fed(data: str, more: str = "loss: cross_entropy\n") -> Feed:
    run, examples = loaded(data, more)
    return feed(run, examples, torch.float32, torch.device("cpu"))


MODEL = "objective: language_model\nloss: cross_entropy\n"
BOOK = "source: {text: {path: t.txt}}, split: {val: 0.25}, batch_size: 6"


def seen(batches: Batches, name: str = "x") -> list[Any]:
    return torch.cat([batch[name] for batch in batches.once()]).tolist()


def test_doubts_about_samples_that_were_read() -> None:
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{i % 7},4,{i % 2}\n" for i in range(28)))
    table = "source: {csv: {path: t.csv, target: y}}, split: {val: 7}, target: {kind: binary}"
    warnings = fed(table, "loss: binary_cross_entropy\n").warnings
    assert [p.code for p in warnings] == ["constant-column", "split-overlap"]
    assert "column `b`" in warnings[0].what
    assert "7 val samples" in warnings[1].what
    assert (
        fed(table.replace("split: {val: 7}", "split: {train: 28}"), "loss: binary_cross_entropy\n").warnings[1:] == []
    )
    assert fed("source: {sort: {length: 3}}, split: {val: 0.5}", MODEL).warnings == []  # what a rule made
    assert fed(f"{BOOK}, windows: {{length: 8}}", MODEL).warnings == []  # symbols repeat


def test_a_series_is_split_in_order_and_no_window_crosses() -> None:
    run, examples = loaded(f"{BOOK}, windows: {{length: 8}}", MODEL)
    x = examples.fields["x"].tolist()
    made = feed(run, examples, torch.float32, torch.device("cpu"))
    edge = round(len(x) * 0.75)
    train, val = made.splits["train"].fields, made.splits["val"].fields
    assert train["x"].tolist() == [x[i : i + 8] for i in range(edge - 8)]
    assert train["y"].tolist() == [x[i + 1 : i + 9] for i in range(edge - 8)]
    assert val["x"][0].tolist() == x[edge : edge + 8]
    assert val["y"][-1].tolist() == x[-8:]


def test_every_symbol_of_a_split_is_measured_once() -> None:
    made = fed(f"{BOOK}, windows: {{length: 8}}", MODEL)
    for batches, symbols in ((made.splits["train"], 165), (made.splits["val"], 55)):
        y = torch.tensor(seen(batches, "y"))
        assert int((y != IGNORED).sum()) == symbols - 1


def test_a_stream_goes_on_from_batch_to_batch() -> None:
    run, examples = loaded(f"{BOOK}, windows: {{length: 5, start: stream}}", MODEL)
    made = feed(run, examples, torch.float32, torch.device("cpu"))
    for name in ("train", "val"):
        batches = list(made.splits[name].once())
        assert batches[0].first
        for before, after in pairwise(batches):
            assert not after.first
            assert torch.equal(before["y"][:, -1], after["x"][:, 0])  # every row reads on where it stopped
    taken = [batch for batch, _ in zip(made.splits["train"].starting_at(0), range(12), strict=False)]
    per_epoch = made.splits["train"].per_epoch
    assert [batch.first for batch in taken] == [i % per_epoch == 0 for i in range(12)]
    assert torch.equal(taken[0]["x"], taken[per_epoch]["x"])


def test_windows_of_a_value_series_with_a_horizon() -> None:
    made = fed(
        "source: {sine_waves: {count: 6, length: 30}}, split: {val: 2, order: contiguous}, "
        "windows: {length: 10, start: 5, predict: 3}, batch_size: 4",
        "objective: forecast\nloss: mse\n",
    )
    x, y = made.splits["train"].fields["x"], made.splits["train"].fields["y"]
    assert (x.shape, y.shape, made.kind) == ((4 * 4, 10, 1), (4 * 4, 3, 1), "value")
    waves = loaded("source: {sine_waves: {count: 6, length: 30}}", "objective: forecast\nloss: mse\n")[1].fields["x"]
    assert torch.equal(x[1], waves[0, 5:15].float())
    assert torch.equal(y[1], waves[0, 15:18].float())
    assert made.facts.shape == (10, 1)


def test_transforms_of_a_series_come_before_its_windows(place: Path) -> None:
    values = np.arange(60, dtype=np.float64) ** 2
    (place / "s.csv").write_text("v\n" + "\n".join(map(str, values)) + "\n")
    made = fed(
        "source: {csv_series: {path: s.csv}}, split: {val: 0.5}, windows: {length: 4}, transforms: [standardize]",
        "objective: forecast\nloss: mse\n",
    )
    train = values[:30]
    expected = (train - train.mean()) / train.std()
    torch.testing.assert_close(made.splits["train"].fields["x"][3, :, 0], torch.from_numpy(expected[3:7]).float())


def graph(place: Path) -> None:
    masks = {name: np.arange(12) % 3 == i for i, name in enumerate(("train", "val", "test"))}
    edges = np.array([[i, i + 1] for i in range(11)])
    np.savez(place / "g.npz", x=np.eye(12, dtype=np.float32), label=np.arange(12) % 2, edges=edges, **masks)


def test_every_split_of_a_graph_has_all_nodes_and_its_own_targets(place: Path) -> None:
    graph(place)
    made = fed(
        "source: {graph: {path: g.npz}}, batch_size: full", "objective: node_classification\nloss: cross_entropy\n"
    )
    for i, name in enumerate(("train", "val", "test")):
        (batch,) = made.splits[name].once()
        assert torch.equal(batch["x"], torch.eye(12))
        assert batch["y"].tolist() == [n % 2 if n % 3 == i else IGNORED for n in range(12)]
    order = [batch["x"] for batch, _ in zip(made.splits["train"].starting_at(0), range(2), strict=False)]
    assert all(torch.equal(x, torch.eye(12)) for x in order)  # nodes keep their places


def test_pairs_and_balanced_batches_are_asked_for_in_the_config() -> None:
    blobs = "source: {blobs: {count: 200}}, split: {val: 0.2}, batch_size: 10"
    siamese = "objective: siamese\nloss: binary_cross_entropy\n"
    made = fed(f"{blobs}, pairs: {{positive: 0.3}}", siamese)
    assert all(isinstance(b, Paired) and b.positive == 0.3 for b in made.splits.values())
    assert set(next(iter(made.splits["val"].once()))) == {"a", "b", "y"}
    assert made.kind == "binary"
    metric = "objective: metric_learning\nloss: {triplet: {margin: 0.2}}\n"
    made = fed(f"{blobs}, balanced: {{classes: 2, per_class: 3}}", metric)
    assert isinstance(made.splits["train"], Balanced)
    assert type(made.splits["val"]) is Batches


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_transforms_come_once_or_batch_by_batch_to_the_same_end(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "IN_ONE_PIECE", limit)
    made = fed("source: {blobs: {count: 90}}, split: {val: 30}, transforms: [standardize], batch_size: 16")
    assert (made.splits["train"].prepare is None) is (limit > 0)
    train = torch.tensor(seen(made.splits["train"]))
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    stored = loaded("source: {blobs: {count: 90}}")[1].fields["x"]
    everything = torch.cat([train, torch.tensor(seen(made.splits["val"]))])
    assert everything.shape == stored.shape


def test_only_the_train_split_is_shuffled() -> None:
    made = fed("source: {blobs: {count: 90}}, split: {val: 30}, batch_size: 16")
    assert [made.splits[name].shuffle for name in ("train", "val")] == [True, False]
    assert len(list(made.splits["val"].once())) == 1  # an evaluation takes more samples at a time


def test_a_missing_field_is_named() -> None:
    run, examples = loaded("source: {text: {path: t.txt}}, windows: {length: 8}")
    bare = run.model_copy(update={"data": run.data.model_copy(update={"windows": None})})
    with pytest.raises(Problem) as caught:
        feed(bare, examples, torch.float32, torch.device("cpu"))
    assert (caught.value.code, caught.value.exit_code) == ("field-missing", 3)
    assert "`y`" in caught.value.what


def test_the_kind_of_target_is_as_written_or_as_the_source_says() -> None:
    data = loaded("source: blobs")[0].data
    assert target_kind(data, Facts(classes=3)) == "class"
    assert target_kind(data, Facts(outputs=1)) == "value"
    assert target_kind(data, Facts()) is None
    assert target_kind(data, None) is None
    written = loaded("source: moons, target: {kind: pm1}", "loss: hinge\n")[0].data
    assert target_kind(written, Facts(classes=2)) == "pm1"


def test_facts_as_the_network_sees_them() -> None:
    run, examples = loaded("source: digits, transforms: [{to_float: 16}, flatten]")
    before = examples.facts
    after = facts_after(before, run.data)
    assert (before.shape, before.range, after.shape, after.range) == ((1, 8, 8), (0.0, 16.0), (64,), (0.0, 1.0))
    run, examples = loaded(f"{BOOK}, windows: {{length: 8}}", MODEL)
    assert (examples.facts.series, facts_after(examples.facts, run.data).series) == (True, False)
    assert facts_after(examples.facts, run.data).shape == (8,)
    assert dataclasses.replace(facts_after(Facts(), run.data)) == Facts()


def test_a_split_is_stratified_by_labels_that_the_objective_does_not_read() -> None:
    data = "source: digits, split: {val: 0.5, stratify: true}, transforms: [flatten]"
    got = fed(data, "objective: autoencoder\nloss: mse\n")
    same = fed(data)
    assert "y" not in got.splits["val"].fields
    assert torch.equal(got.splits["val"].fields["x"], same.splits["val"].fields["x"])
