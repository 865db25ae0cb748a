"""Who checks the checker: every planted defect is refused, and the same thing done right is accepted."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import gradtrain

sys.path.append(str(Path(__file__).parent))
for path in sorted(Path(__file__).with_name("defects").glob("*.py")):
    importlib.import_module(f"defects.{path.stem}")
planted = importlib.import_module("defects.planted")
sys.path.remove(str(Path(__file__).parent))

STRAIGHT_THROUGH = sorted(name for name, build in planted.PLANTED.items() if "surrogate" in build().faces)


@pytest.fixture(autouse=True)
def _same_weights() -> Iterator[None]:
    """Modules that a builder makes have the same weights in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", planted.PLANTED)
def test_a_planted_defect_is_refused(name: str) -> None:
    defect = planted.PLANTED[name]()
    report = gradtrain.gradcheck(defect.wrong, *defect.inputs, **defect.faces)
    assert not report.ok
    assert defect.verdict in (None, report.verdict)


@pytest.mark.parametrize("name", planted.PLANTED)
def test_the_same_thing_done_right_is_accepted(name: str) -> None:
    defect = planted.PLANTED[name]()
    report = gradtrain.gradcheck(defect.right, *defect.inputs, **defect.faces)
    assert not report.failures


@pytest.mark.parametrize("name", STRAIGHT_THROUGH)
def test_a_gradient_that_stands_for_another_is_refused_until_it_is_declared(name: str) -> None:
    defect = planted.PLANTED[name]()
    assert not gradtrain.gradcheck(defect.right, *defect.inputs).ok
    assert gradtrain.gradcheck(defect.right, *defect.inputs, **defect.faces).verdict == "intended"


@pytest.mark.parametrize("name", planted.CORRECT)
def test_correct_code_is_accepted(name: str) -> None:
    code = planted.CORRECT[name]()
    report = gradtrain.gradcheck(code.function, *code.inputs, **code.faces)
    assert not report.failures
    assert code.verdict in (None, report.verdict)
