"""Checkpoints of every format that was ever written load, and their runs go on.

`golden/format-N/` holds a run of that format, stopped at step 20, and how it ended at step 40. It is never made
again: a version that writes a new format adds a folder.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from gradtrain.problems import Problem
from gradtrain.report.display import Lines
from gradtrain.start import go_on, measured
from gradtrain.storage import checkpoint, migrations
from gradtrain.storage.journal import read

KINDS = ("step", "evaluation")
"""Lines of the journal that the first format had; later versions may tell more."""
GOLDEN = sorted((Path(__file__).parent / "golden").glob("format-*"), key=lambda path: int(path.name.split("-")[1]))


def test_f20_every_format_has_its_golden_run() -> None:
    assert [path.name for path in GOLDEN] == [f"format-{n + 1}" for n in range(migrations.newest_format())]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_f20_a_golden_run_goes_on_as_it_did(golden: Path, tmp_path: Path, seeded: torch.Generator) -> None:
    """Bit for bit with the torch and the processor that made it; to the last digits of float32 elsewhere."""
    folder = tmp_path / "run"
    shutil.copytree(golden / "run", folder)
    manifest = json.loads((folder / "checkpoints" / "step-00000020" / "manifest.json").read_text())
    assert manifest["format"] == int(golden.name.split("-")[1])
    assert measured(folder, "val", "20")[1]["accuracy"] > 0.6
    said: list[Problem] = []
    shown = Lines(io.StringIO())
    shown.warn = said.append  # type: ignore[method-assign]
    assert go_on(folder, shown=shown).step == 40
    codes = {problem.code for problem in said}
    assert not codes & {"config-changed", "checkpoint-skipped"}
    made_here = "environment-changed" not in codes
    found, wanted = checkpoint.newest(folder / "checkpoints").tensors, load_file(golden / "end.safetensors")
    assert {name for name in found if not name.startswith("rng.")} == set(wanted)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, **({"rtol": 0, "atol": 0} if made_here else {}))
    lines, ends = (list(read(path)) for path in (folder / "journal.jsonl", golden / "end.jsonl"))
    told = [{k: v for k, v in line.items() if k != "seconds"} for line in lines if line["kind"] in KINDS]
    assert [(line["kind"], line["step"]) for line in told] == [(line["kind"], line["step"]) for line in ends]
    assert told == ends or not made_here


def renamed(tensors: dict[str, Tensor], facts: dict[str, Any]) -> migrations.Contents:
    """As a version might: a prefix has another name, a fact that was missing is filled in."""
    return {name.replace("net.", "network."): tensor for name, tensor in tensors.items()}, {**facts, "units": "px"}


def doubled(tensors: dict[str, Tensor], facts: dict[str, Any]) -> migrations.Contents:
    return tensors, {**facts, "scale": 2 * facts["scale"]}


def test_f20_steps_are_taken_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"net.w": torch.arange(4.0)}
    checkpoint.save(tmp_path, 1, tensors, {"scale": 3}, keep=5)
    monkeypatch.setattr(migrations, "STEPS", [renamed])
    checkpoint.save(tmp_path, 2, {"network.w": torch.arange(4.0)}, {"scale": 3, "units": "mm"}, keep=5)
    monkeypatch.setattr(migrations, "STEPS", [renamed, doubled])
    checkpoint.save(tmp_path, 3, {"network.w": torch.arange(4.0)}, {"scale": 3, "units": "mm"}, keep=5)
    formats = [json.loads((path / "manifest.json").read_text())["format"] for path in sorted(tmp_path.iterdir())]
    assert formats == [1, 2, 3]
    found = [checkpoint.load(tmp_path, step) for step in (1, 2, 3)]
    assert all(torch.equal(one.tensors["network.w"], tensors["net.w"]) for one in found)
    assert [one.facts for one in found] == [
        {"scale": 6, "units": "px"}, {"scale": 6, "units": "mm"}, {"scale": 3, "units": "mm"},
    ]  # fmt: skip


def test_f20_contents_that_do_not_fit_their_format_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, 1, {}, {"scale": None}, keep=5)
    monkeypatch.setattr(migrations, "STEPS", [doubled])
    with pytest.raises(Problem, match="is damaged") as caught:
        checkpoint.load(tmp_path, 1)
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint-damaged", 5)


def test_f21_a_newer_format_names_the_version_that_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "STEPS", [renamed])
    monkeypatch.setattr(checkpoint, "_version", lambda: "7.1.0")
    checkpoint.save(tmp_path, 1, {}, {}, keep=5)
    monkeypatch.undo()
    with pytest.raises(Problem, match="format 2, this gradtrain reads up to 1") as caught:
        checkpoint.newest(tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("checkpoint-newer", 5)
    assert caught.value.help == "it needs gradtrain `7.1.0` or later: upgrade"
