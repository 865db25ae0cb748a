"""Formulas in a config: what is wrong with them is shown where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradtrain.config.validate import validated
from gradtrain.problems import Problem, render

PINN = """\
name: heat
data:
  source:
    collocation:
      domain: {x: [0.0, 1.0], t: [0.0, 1.0]}
      points:
        inside: {count: 100}
        initial: {count: 20, where: {t: 0.0}}
        edges: {count: 20, where: {x: {any: [0.0, 1.0]}}}
  batch_size: full
model:
  layers: [{linear: 8}, tanh, {linear: 1}]
objective:
  pinn:
    unknown: u
    equations:
      inside: "u_t - alpha * u_xx"
      initial: "u - sin(pi * x)"
      edges: u
    constants: {alpha: 0.1}
    exact: "exp(-alpha * pi^2 * t) * sin(pi * x)"
optimizer: {adam: {lr: 1e-3}}
training: {steps: 10}
evaluation: {splits: [train]}
"""

LESSON = """\
name: lesson
data: {source: nothing}
model:
  layers: [{variables: [5.0, -3.0]}]
objective:
  minimize: {formula: "(x - 3)^2 + 10 * y^2", names: [x, y]}
optimizer: {sgd: {lr: 0.05}}
training: {steps: 10}
evaluation: {splits: [train]}
"""

MISTAKES = [
    # replacements, code, line, column, what
    ([("alpha * u_xx", "alhpa * u_xx")], "formula", 17, 22, "nothing here is named `alhpa`"),
    ([("u_t - alpha", "u_s - alpha")], "formula", 17, 16, "nothing here is named `u_s`"),
    ([("edges: u\n", "edges: u +\n")], "formula", 19, 16, "the formula ends too early"),
    ([("edges: u\n", "edges: [u, v]\n")], "formula", 19, 18, "nothing here is named `v`"),
    ([("edges: u\n", "edges: t * x\n")], "formula", 19, 14, "the equation says nothing about `u`"),
    ([("* sin(pi * x)\"\nopt", "* u\"\nopt")], "formula", 21, 38, "nothing here is named `u`"),
    ([("{alpha: 0.1}", "{alpha: 0.1, t: 2.0}")], "formula", 20, 5, "`t` is a coordinate already"),
    ([("edges: u\n", "edge: u\n")], "point-sets", None, None, None),
    ([("        edges: {count: 20, where: {x: {any: [0.0, 1.0]}}}\n", "")], "point-sets", 18, 7,
     "there are no points for the equation of `edges`"),
    ([("      edges: u\n", "")], "point-sets", 16, 5, "no equation is written for the points `edges`"),
    ([("  batch_size: full\n", "")], "point-sets", 2, 1, "sets of points cannot be cut into batches"),
    ([("batch_size: full", "batch_size: full\n  transforms: [standardize]")], "point-sets", 11, 3,
     "`transforms` would change the coordinates"),
    ([("batch_size: full", "batch_size: full\n  split: {val: 0.2}")], "point-sets", 11, 3,
     "points of an equation are not split"),
    ([("tanh", "relu")], "flat-network", 12, 25, "`u_xx` of a network with `relu` is 0 everywhere"),
    ([("tanh, ", "")], "flat-network", 11, 1, "`u_xx` of a linear network is 0 everywhere"),
    ([("tanh", "{linear: {out: 8, bias: false}}, batch_norm, tanh")], "points-mixed", 12, None,
     "`batch_norm` lets every point depend on all others"),
    ([("{linear: 1}", "{linear: 3}")], "output-width", 12, 31, "the network has 3 outputs, `unknown` has 1: `u`"),
    ([("    exact: \"exp(-alpha * pi^2 * t) * sin(pi * x)\"\n", ""), ("[train]}", "[train], metrics: [rmse]}")],
     "nothing-to-compare", 23, None, "`pinn` without `exact` has no targets"),
    ([("{steps: 10}", "{steps: 10, accumulate: 2}")], "accumulate-shares", 23, None,
     "sets of points cannot be accumulated"),
]  # fmt: skip


def problems(text: str, changes: list[tuple[str, str]], folder: Path) -> list[Problem]:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "config.yaml"
    path.write_text(text)
    return validated(path)


@pytest.mark.parametrize("good", [PINN, LESSON], ids=["pinn", "minimize"])
def test_the_good_config_has_no_problem(good: str, tmp_path: Path) -> None:
    assert [problem.what for problem in problems(good, [], tmp_path)] == []


@pytest.mark.parametrize(("changes", "code", "line", "column", "what"), MISTAKES)
def test_a_mistake_in_a_pinn_is_named_where_it_stands(
    changes: list[tuple[str, str]], code: str, line: int | None, column: int | None, what: str | None, tmp_path: Path
) -> None:
    found = problems(PINN, changes, tmp_path)
    assert found
    assert {problem.code for problem in found} == {code}
    if what is not None:
        (problem,) = found
        assert problem.at is not None
        assert (problem.what, problem.at.line) == (what, line)
        assert column is None or problem.at.column == column


def test_a_misnamed_set_is_missed_on_both_sides(tmp_path: Path) -> None:
    found = problems(PINN, [("edges: u\n", "edge: u\n")], tmp_path)
    assert [problem.what for problem in found] == [
        "no equation is written for the points `edges`",
        "there are no points for the equation of `edge`",
    ]
    assert found[1].help.startswith("did you mean `edges`?")


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "what"),
    [
        ("10 * y^2", "10 y^2", "formula", 6, "no operator between `10` and `y`"),
        ("10 * y^2", "10 * z^2", "formula", 6, "nothing here is named `z`"),
        (" + 10 * y^2", "", "formula", 6, "the formula does not depend on `y`"),
        ("[5.0, -3.0]", "[5.0]", "output-width", 4, "the network has 1 variable, `names` has 2: `x`, `y`"),
        ("[train]}", "[train], metrics: [rmse]}", "nothing-to-compare", 9, "`minimize` has no targets"),
    ],
)
def test_a_mistake_in_a_minimised_formula(old: str, new: str, code: str, line: int, what: str, tmp_path: Path) -> None:
    (problem,) = problems(LESSON, [(old, new)], tmp_path)
    assert problem.at is not None
    assert (problem.code, problem.at.line, problem.what) == (code, line, what)


def test_the_caret_stands_under_the_culprit(tmp_path: Path) -> None:
    (problem,) = problems(PINN, [("alpha * u_xx", "alhpa * u_xx")], tmp_path)
    shown = render(problem).splitlines()
    assert shown[3].index("alhpa") == shown[4].index("^^^^^")
    assert "did you mean `alpha`?" in shown[6]


def test_a_folded_formula_is_shown_as_a_whole(tmp_path: Path) -> None:
    (problem,) = problems(PINN, [('"u_t - alpha * u_xx"', "|\n        u_t -\n        alhpa * u_xx")], tmp_path)
    assert problem.at is not None
    assert (problem.at.line, problem.what) == (17, "nothing here is named `alhpa`")


def test_points_need_an_equation_and_an_equation_points(tmp_path: Path) -> None:
    samples = PINN[: PINN.index("    collocation")].replace("source:\n", "source: linear\n")
    samples += PINN[PINN.index("  batch_size") :]
    (problem,) = problems(samples, [], tmp_path)
    assert (problem.code, problem.what) == ("point-sets", "`pinn` needs points, `linear` has samples")
    points = PINN[: PINN.index("objective")] + "loss: mse\n" + PINN[PINN.index("optimizer") :]
    (problem,) = problems(points, [], tmp_path)
    assert (problem.code, problem.at and problem.at.line) == ("point-sets", 3)


def test_a_relu_may_stand_where_only_slopes_are_asked_for(tmp_path: Path) -> None:
    assert problems(PINN, [("alpha * u_xx", "alpha * u_x"), ("tanh", "relu")], tmp_path) == []
