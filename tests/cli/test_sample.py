from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.cli import run

TEXT = """
name: letters
data:
  source: {text: {path: text.txt}}
  split: {val: 0.2}
  windows: {length: 8}
  batch_size: 16
model: {gpt: {layers: 1, heads: 2, width: 16, vocab: $data.vocab}}
objective: language_model
loss: cross_entropy
optimizer: {adam: {lr: 1e-2}}
training: {steps: 60}
evaluation: {every: 60 steps}
"""

PICTURES = """
name: pictures
data: {source: digits, split: {val: 0.2}, transforms: [{to_float: 16}, flatten]}
models:
  encoder: {layers: [{linear: 16}, relu, {gaussian: 2}]}
  decoder: {input: 2, layers: [{linear: $data.features}]}
objective: vae
optimizer: {adam: {lr: 1e-2}}
training: {steps: 2}
"""


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def text(at: Path) -> Path:
    (at / "text.txt").write_text("abcd" * 100)
    (at / "c.yaml").write_text(TEXT)
    assert run(["train", "c.yaml", "--run", "r"]) == 0
    return at


def test_a_text_goes_on_from_its_prompt(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["sample", "r", "--prompt", "ab", "--length", "6", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == "abcdabcd"


def test_the_same_seed_writes_the_same_text(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for seed in ("1", "1", "2"):
        capsys.readouterr()
        assert run(["sample", "r", "--prompt", "a", "--length", "40", "--temperature", "3", "--seed", seed]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != told[2]


def test_a_prompt_with_an_unknown_character_is_refused(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sample", "r", "--prompt", "xyz"]) == 2
    said = capsys.readouterr().err
    assert "error[prompt]" in said
    assert "`x`" in said


def test_pictures_become_files(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    (at / "c.yaml").write_text(PICTURES)
    assert run(["train", "c.yaml", "--run", "r"]) == 0
    capsys.readouterr()
    assert run(["sample", "r", "--count", "4", "--out", "drawn"]) == 0
    (path,) = capsys.readouterr().out.split()
    assert Path(path).parent == Path("drawn")
    with Image.open(path) as picture:
        assert picture.width > picture.height > 0


def test_a_classifier_draws_nothing(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "classify"]) == 0
    assert run(["train", "classify.yaml", "training.epochs=1", "--run", "r"]) == 0
    assert run(["sample", "r"]) == 2
    assert "no-samples" in capsys.readouterr().err


def test_neither_texts_nor_pictures_need_the_data_again(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text / "text.txt").unlink()
    capsys.readouterr()
    assert run(["sample", "r", "--prompt", "ab", "--length", "2", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "abcd\n"


def test_several_texts_have_a_seed_each(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sample", "r", "--prompt", "a", "--length", "20", "--temperature", "3"]
    told = []
    for more in (["--count", "2", "--seed", "4"], ["--seed", "4"], ["--seed", "5"]):
        capsys.readouterr()
        assert run([*command, *more]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == f"{told[1]}---\n{told[2]}"


def test_what_is_left_out_is_as_in_the_config(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at / "text.txt").write_text("abcd" * 100)
    (at / "c.yaml").write_text(TEXT + "sampling: {every: 60 steps, prompt: bc, length: 30, temperature: 2, seed: 8}\n")
    assert run(["train", "c.yaml", "--run", "r"]) == 0
    capsys.readouterr()
    assert run(["sample", "r"]) == 0
    assert capsys.readouterr().out.removesuffix("\n") == Path("r/samples/step-00000060.txt").read_text()


def test_a_text_goes_into_a_folder_when_one_is_named(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for number in (1, 2):
        assert run(["sample", "r", "--prompt", "ab", "--length", "2", "--temperature", "0", "--out", "texts"]) == 0
        path = Path(capsys.readouterr().out.strip())
        assert path == Path(f"texts/drawn-00000060-{number:03d}.txt")  # what was drawn before stays
        assert path.read_text() == "abcd"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (["--source", "reconstruction"], "`language_model` draws no reconstruction"),
        (["--temperature", "-1"], "temperature"),
        (["--top-k", "0"], "top-k"),
        (["--prompt", ""], "the prompt is empty"),
        (["--checkpoint", "good"], "`--checkpoint` cannot be `good`"),
        (["--checkpoint", "7"], "7"),
    ],
)
def test_wishes_that_cannot_be(text: Path, capsys: pytest.CaptureFixture[str], wish: list[str], said: str) -> None:
    capsys.readouterr()
    assert run(["sample", "r", *wish]) in (2, 5)
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.fixture
def pictures(at: Path) -> Path:
    pytest.importorskip("PIL")
    (at / "c.yaml").write_text(PICTURES)
    assert run(["train", "c.yaml", "--run", "r"]) == 0
    return at


def test_pictures_of_samples_and_made_up_ones(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawings = []
    for wish in ([], ["--source", "reconstruction"], ["--seed", "1"], ["--seed", "0"]):
        capsys.readouterr()
        assert run(["sample", "r", "--count", "3", *wish]) == 0
        (path,) = capsys.readouterr().out.splitlines()
        assert Path(path).parent == Path("r/samples")
        drawings.append(Path(path).read_bytes())
    assert drawings[0] == drawings[3]
    assert len(set(drawings)) == 3


def test_an_option_that_changes_nothing_is_refused(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["sample", "r", "--prompt", "a"]) == 2
    assert "`--prompt` changes nothing in what `vae` draws" in capsys.readouterr().err


def test_forecasts_go_on_from_the_runs_own_data(at: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    (at / "c.yaml").write_text(
        "name: waves\ndata: {source: {sine_waves: {count: 8, length: 20}}, split: {val: 3}, windows: {length: all}}\n"
        "model: {layers: [{gru: 4}, {linear: 1}]}\nobjective: forecast\nloss: mse\noptimizer: adam\n"
        "training: {steps: 2}\n"
    )
    assert run(["train", "c.yaml", "--run", "r"]) == 0
    capsys.readouterr()
    assert run(["sample", "r", "--count", "2", "--length", "5", "--out", "out"]) == 0
    table, chart = map(Path, capsys.readouterr().out.splitlines())
    assert (table.suffix, chart.suffix) == (".csv", ".png")
    head, *rows = table.read_text().splitlines()
    assert head == "step,given_0,run_0,given_1,run_1"
    assert len(rows) == 19 + 5
    assert run(["sample", "r", "--source", "prior"]) == 2


def test_a_place_that_cannot_hold_files(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("")
    assert run(["sample", "r", "--out", "taken"]) == 6
    assert "taken" in capsys.readouterr().err


def test_what_is_no_run_is_a_matter_of_usage(at: Path) -> None:
    assert run(["sample", "nowhere"]) == 2
