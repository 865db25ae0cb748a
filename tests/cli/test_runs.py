"""The commands about runs, as a shell sees them: what stands on stdout, what on stderr, and the exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from gradtrain.cli import run
from gradtrain.config.templates import TEMPLATES
from gradtrain.report.display import Events

CONFIG = """\
name: tiny
data:
  source: {moons: {count: 80}}
  split: {val: 0.25, test: 0.25}
  batch_size: 16
model: {mlp: {hidden: [8], out: $data.classes}}
loss: cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 3}
evaluation: {metrics: [accuracy]}
profiles:
  long: {training.epochs: 5}
"""

TABLE = "a,b,kind\n" + "".join(f"{i / 10},{(i * 7) % 5},{'cat' if i % 2 else 'dog'}\n" for i in range(40))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    return captured.out, captured.err


def test_train_makes_numbered_folders_and_says_so_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "tiny.yaml"]) == 0
    assert run(["train", "tiny.yaml", "seed=1"]) == 0
    out, err = said(capsys)
    assert out == ""
    assert "finished: done" in err
    assert sorted(p.name for p in Path("runs/tiny").iterdir()) == ["001", "002"]


def test_train_takes_overrides_and_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "tiny.yaml", "--profile", "long", "optimizer.lr=5e-3", "--run", "here"]) == 0
    saved = Path("here/config.yaml").read_text()
    assert "epochs: 5" in saved
    assert "lr: 0.005" in saved
    assert "profiles" not in saved
    assert run(["train", "tiny.yaml", "--profile", "lang"]) == 2
    assert "did you mean `long`?" in said(capsys)[1]


def test_train_in_json_writes_events(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "tiny.yaml", "--json"]) == 0
    events = [json.loads(line) for line in said(capsys)[0].splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    assert {"step", "evaluation", "checkpoint"} <= {event["event"] for event in events}
    assert set(events[-1]["results"]) == {"val", "test"}


def test_problems_in_json_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(CONFIG.replace("epochs: 3", "epoch: 3").replace("moons", "moon"))
    assert run(["validate", "bad.yaml", "--json"]) == 2
    found = [json.loads(line) for line in said(capsys)[1].splitlines()]
    assert [(p["code"], p["line"], p["exit"]) for p in found] == [("unknown-component", 3, 2), ("unknown-key", 9, 2)]


def test_evaluate_predict_and_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "tiny.yaml", "--run", "a"]) == 0
    said(capsys)
    assert run(["evaluate", "a", "--json"]) == 0
    values = json.loads(said(capsys)[0])
    assert set(values) == {"loss", "accuracy"}
    assert run(["evaluate", "a", "--split", "train"]) == 0
    assert "accuracy" in said(capsys)[0]
    np.savez("new.npz", x=np.array([[0.0, 1.0], [1.0, -0.5], [2.0, 0.2]]))
    assert run(["predict", "a", "new.npz", "--json"]) == 0
    rows = [json.loads(line) for line in said(capsys)[0].splitlines()]
    assert len(rows) == 3
    assert all(row["class"] in (0, 1) and 0.5 <= row["probability"] <= 1 for row in rows)
    assert run(["runs"]) == 0
    assert "no runs in runs" in said(capsys)[0]
    assert run(["train", "tiny.yaml"]) == 0
    said(capsys)
    assert run(["runs", "--json"]) == 0
    assert [(r["run"], r["state"]) for r in json.loads(said(capsys)[0])] == [("runs/tiny/001", "finished")]


def test_a_table_with_text_classes_is_trained_and_predicted_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.csv").write_text(TABLE)
    source = "{csv: {path: table.csv, target: kind}}\n  target: {kind: class}\n  transforms: [standardize]"
    Path("table.yaml").write_text(CONFIG.replace("{moons: {count: 80}}", source))
    assert run(["train", "table.yaml", "--run", "t"]) == 0
    Path("new.csv").write_text("b,a\n1,0.5\n3,2.5\n")
    Path("table.csv").unlink()  # a trained model needs no training data
    said(capsys)
    assert run(["predict", "t", "new.csv"]) == 0
    head, *rows = said(capsys)[0].splitlines()
    assert head == "class,probability"
    assert {row.split(",")[0] for row in rows} <= {"cat", "dog"}
    assert run(["predict", "t", "missing.csv"]) == 3


def test_resume_of_something_else_is_a_matter_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["resume", "nowhere"]) == 2
    assert "error[not-a-run]" in said(capsys)[1]


def test_compare_turns_a_difference_into_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run(["train", "tiny.yaml", f"seed={seed}", "--run", name]) == 0
    said(capsys)
    assert run(["compare", "a", "b", "--assert-equal"]) == 0
    assert "the journals agree" in said(capsys)[0]
    assert run(["compare", "a", "c", "--assert-equal"]) == 1
    assert "differences" in said(capsys)[0]
    assert run(["compare", "a", "c", "--assert-close", "1e9"]) == 0
    assert run(["compare", "a", "c"]) == 0
    assert "seed" in said(capsys)[0]


def test_validate_says_ok_for_every_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "tiny.yaml", "tiny.yaml"]) == 0
    assert said(capsys)[0] == "tiny.yaml: ok\ntiny.yaml: ok\n"


def test_validate_takes_values_that_replace_a_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "tiny.yaml", "training.epochs=2"]) == 0
    assert said(capsys)[0] == "tiny.yaml: ok\n"
    assert run(["validate", "tiny.yaml", "training.epoch=2"]) == 2
    assert "did you mean `epochs`?" in said(capsys)[1]
    assert run(["validate", "training.epochs=2"]) == 2
    assert "missing-argument" in said(capsys)[1]


def test_validate_checks_every_profile(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(CONFIG.replace("training.epochs: 5", "training.epoch: 5"))
    assert run(["validate", "bad.yaml"]) == 2
    assert "bad.yaml:12:" in said(capsys)[1]


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_a_template_trains_as_it_is(template: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", template]) == 0
    assert run(["validate", f"{template}.yaml"]) == 0
    assert run(["train", f"{template}.yaml", "--dry-run"]) == 0
    assert run(["init", template]) == 2
    assert "error[file-exists]" in said(capsys)[1]


def test_explain_names_every_weight(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["explain", "tiny.yaml"]) == 0
    out = said(capsys)[0]
    for name in ("1.weight", "1.bias", "head.weight", "head.bias", "42 weights in 4 tensors"):
        assert name in out


def test_cite_prints_the_papers_of_what_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cite", "tiny.yaml"]) == 0
    out = said(capsys)[0]
    assert "Kingma & Ba (2015)" in out
    assert "Huber" not in out


def test_predictions_are_in_the_units_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("line.csv").write_text("x,y\n" + "".join(f"{i},{1000 + 50 * i}\n" for i in range(64)))
    source = (
        "{csv: {path: line.csv, target: y}}\n  target: {kind: value}\n  transforms: [standardize, {min_max: {}, on: y}]"
    )
    text = CONFIG.replace("{moons: {count: 80}}", source).replace("cross_entropy", "mse").replace("[accuracy]", "[r2]")
    Path("line.yaml").write_text(
        text.replace("{mlp: {hidden: [8], out: $data.classes}}", "{layers: [{linear: 1}]}").replace(
            "epochs: 3", "epochs: 150"
        )
    )
    assert run(["train", "line.yaml", "--run", "l"]) == 0
    Path("new.csv").write_text("x\n10\n40\n")
    said(capsys)
    assert run(["predict", "l", "new.csv"]) == 0
    head, *rows = said(capsys)[0].splitlines()
    assert head == "value"
    assert [float(row) for row in rows] == pytest.approx([1500, 3000], rel=0.05)


def test_json_has_no_numbers_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A setting of infinity, a metric that is not defined: words, as in a journal."""

    def strict(text: str) -> object:
        return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    lines = ["stop: .inf", "stop: 3.0"]
    for name, line in zip("ab", lines, strict=True):
        (place := Path(name)).mkdir()
        (place / "config.yaml").write_text(line + "\n")
        (place / "journal.jsonl").write_text("")
    assert run(["compare", "a", "b", "--json"]) == 0
    out, _ = said(capsys)
    assert [entry["settings"] for entry in strict(out)["runs"]] == [{"stop": "inf"}, {"stop": 3.0}]  # type: ignore[index]
    Events(stream := io.StringIO()).evaluated(1, "val", {"auc": float("nan")})
    assert strict(stream.getvalue()) == {"event": "evaluation", "step": 1, "split": "val", "metrics": {"auc": "nan"}}
