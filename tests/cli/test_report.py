"""`gradtrain report` as a shell sees it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gradtrain.cli import run

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
logging: {every: 1 steps, layers: true}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def trained(place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["train", "tiny.yaml", "--run", "a"]) == 0
    capsys.readouterr()
    return place / "a"


def test_a_trained_run_becomes_one_file(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "a"]) == 0
    assert capsys.readouterr().out == "report.html\n"
    text = Path("report.html").read_text()
    for words in (
        "test accuracy",
        "Kingma &amp; Ba (2015)",
        "gradtrain gradcheck activations.relu",
        "dx = g",
        "1.weight",
        "moons",
    ):
        assert words in text
    assert sorted(p.name for p in trained.iterdir()) == sorted(
        ["checkpoints", "config.yaml", "environment.json", "journal.jsonl", "status.json", ".lock"]
    )


def test_several_runs_and_a_place(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "tiny.yaml", "seed=1", "--run", "b"]) == 0
    assert run(["report", "a", "b", "--out", "both.html"]) == 0
    text = Path("both.html").read_text()
    assert "2 runs, 1 group of runs that differ in their seed alone" in text
    assert not Path("report.html").exists()


def test_the_page_may_go_to_stdout(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "a", "--out", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("<!DOCTYPE html>")
    assert out.endswith("</html>\n")


def test_proofs_are_made_where_they_are_asked_for(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a/config.yaml").write_text(CONFIG.replace("{mlp: {hidden: [8], out: $data.classes}}", "{layers: [identity]}"))
    assert run(["report", "a", "--prove"]) == 0
    text = Path("report.html").read_text()
    assert '<span class="verdict good">pass</span>' in text
    assert "Not proven here" not in text


@pytest.mark.parametrize(
    ("args", "code", "status"),
    [
        (["nowhere"], "not-a-run", 2),
        (["tiny.yaml"], "not-a-run", 2),
        ([], "missing-argument", 2),
        (["a", "--out", "missing/folder/page.html"], "input-output", 6),
        (["a", "--out", "link.html"], "not-a-file", 6),
        (["a", "--out", "."], "not-a-file", 6),
    ],
)
def test_what_cannot_be_is_refused(
    trained: Path, args: list[str], code: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link.html").symlink_to("elsewhere")
    assert run(["report", *args]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert f"error[{code}]" in err
    assert not Path("elsewhere").exists()


def test_it_refuses_without_its_extra(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "plotly" else known(name, *a))
    assert run(["report", "a"]) == 2
    assert 'pip install "gradtrain[report]"' in capsys.readouterr().err
