from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from gradtrain import registry
from gradtrain.config.schema import json_schema
from gradtrain.config.tree import parse, read_file

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


@pytest.mark.parametrize(
    "changed",
    [
        "training:",
        "training: {epochs: 3}\nlogging:",
        "optimizer: sgd",
        "optimizer: {sgd: {lr: 0.1}, groups: {params: {only: weights, not: [norms, 'head.*']}, lr_scale: 2.0}}",
        "loss: {mse: , weight: 0.5}",
        "model: {layers: [{linear: {out: $data.classes, bias: $bias}}, norm, mine, {mine: 3}, {parallel: relu}]}",
        "model: {mlp: {hidden: $data.shape, out: 3}}",
        "data: {source: {csv: {path: a.csv, target: y}}, transforms: flatten, batch_size: full}",
        "evaluation: {every: 2 epochs, metrics: accuracy, batches: all}",
        "init: [{constant: 0.0, params: biases}, {normal: {std: 0.1}, params: [a, b]}]",
        "models: {model: {layers: relu}}",
    ],
)
def test_what_the_loader_takes_fits(validator: Draft202012Validator, changed: str) -> None:
    config = parse("name: x\ndata: {source: digits}\nloss: mse\ntraining: {epochs: 1}\n", "c.yaml").root.plain()
    config |= parse(changed + "\n", "c.yaml").root.plain()
    assert [e.message for e in validator.iter_errors(config)] == []


@pytest.mark.parametrize(
    "changed",
    [
        "optimizer: {sgd: 0.1, adam: 0.1}",
        "optimizer: {groups: []}",
        "optimizer: {}",
        "optimizer: Adam",
        "loss: {weight: 2}",
        "loss: {mse: {reduce: men}}",
        "data: {}",
        "data: {source: digits, batch_size: none}",
        "training: {epochs: 0}",
        "training: [1]",
        "evaluation: {every: 0 steps}",
        "evaluation: {every: 5}",
        "early_stopping: {}",
        "checkpoint: {best: loss}",
        "regularization: {l2: 0.1, params: {ofs: linear}}",
        "model: {layers: [{conv: {out: 3, kernel: [1, 2, 3]}}]}",
        "blocks: {a: {layer: [relu]}}",
        "extends: [a.yaml]",
        "seed: -1",
        "seed: true",
    ],
)
def test_what_the_loader_refuses_does_not_fit(validator: Draft202012Validator, changed: str) -> None:
    config = parse("name: x\ndata: {source: digits}\nloss: mse\ntraining: {epochs: 1}\n", "c.yaml").root.plain()
    assert validator.is_valid(config)
    assert not validator.is_valid(config | parse(changed + "\n", "c.yaml").root.plain())


def test_a_config_that_extends_another_may_leave_anything_to_it(validator: Draft202012Validator) -> None:
    above = {"extends": "base.yaml", "data": {"batch_size": 8}, "early_stopping": {"watch": "val.loss"}}
    assert validator.is_valid(above)
    assert not validator.is_valid({**above, "data": {"batchsize": 8}})
    assert not validator.is_valid({key: value for key, value in above.items() if key != "extends"})


EVERYTHING = [pytest.param(*row, id=f"{row[0]}.{row[1]}") for row in registry.everything()]


@pytest.mark.parametrize(("shelf", "name", "cls"), EVERYTHING)
def test_every_component_has_its_own_parameters(
    validator: Draft202012Validator, shelf: str, name: str, cls: type[registry.Component]
) -> None:
    made = validator.schema["$defs"].get(f"{registry.families()[shelf].__name__}.{name}")
    assert made is not None
    assert made["description"] == registry.about(cls).summary
    whole = made["anyOf"][0]
    assert list(whole["properties"]) == list(cls.model_fields)
    assert whole["additionalProperties"] is False
    docs = registry.field_docs(cls)
    assert all(whole["properties"][field].get("description") == docs.get(field) for field in cls.model_fields)


def test_every_section_is_described(validator: Draft202012Validator) -> None:
    assert all(section.get("description") for section in validator.schema["properties"].values())


def test_making_the_schema_imports_no_torch() -> None:
    code = "import sys; from gradtrain.config import schema; schema.json_schema(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
