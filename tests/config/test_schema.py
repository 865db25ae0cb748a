from __future__ import annotations

import copy
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gradtrain.config.schema import json_schema
from gradtrain.config.tree import read_file

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_fits_the_schema(validator: Draft202012Validator, path: Path) -> None:
    assert [e.message for e in validator.iter_errors(read_file(path).root.plain())] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("optimzer",), {"sgd": 0.1}),
        (("training", "epoch"), 3),
        (("training", "epochs"), 3.5),
        (("data", "source"), "digitz"),
        (("optimizer",), {"adam": {"momentum": 0.9}}),
        (("model", "layers"), [{"linear": {"outs": 3}}]),
        (("evaluation", "every"), "3"),
        (("loss",), {"cross_entropy": {"label_smoothing": 1.5}}),
    ],
)
def test_a_mistake_does_not_fit(validator: Draft202012Validator, where: tuple[str, ...], value: object) -> None:
    config = read_file(CONFIGS[[p.stem for p in CONFIGS].index("digits-mlp")]).root.plain()
    wrong = copy.deepcopy(config)
    node = wrong
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    assert validator.is_valid(config)
    assert not validator.is_valid(wrong)


def test_parameters_carry_their_documentation(validator: Draft202012Validator) -> None:
    huber = validator.schema["$defs"]["Loss.huber"]
    assert "Quadratic near zero" in huber["description"]
    assert "linear" in huber["anyOf"][0]["properties"]["delta"]["description"]
