"""From the tree to records: the spellings of a component, and what is said of every mistake."""

from __future__ import annotations

import copy
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtrain import registry
from gradtrain.config.compose import FAILED, Composer
from gradtrain.config.load import Config, read
from gradtrain.config.scalars import dump
from gradtrain.config.sections import Run
from gradtrain.config.tree import parse
from gradtrain.problems import Problem, exit_codes, flatten, render
from gradtrain.registry import Component

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def composed(family: type[Component], written: str) -> Any:
    """A component from YAML, which must be right."""
    composer = Composer()
    value = composer.value(family, parse(f"x: {written}\n", "c.yaml").root.value["x"], "x")
    assert [p.what for p in composer.problems] == []
    return value


def family_named(shelf: str) -> type[Component]:
    return registry.families()[shelf]


@pytest.mark.parametrize(
    ("shelf", "spellings"),
    [
        (
            "losses",
            ["huber", "{huber: }", "{huber: {}}", "{huber: 1.0}", "{huber: {delta: 1.0}}", "{huber: {delta: 1}}"],
        ),
        ("activations", ["relu", "{relu: }", "{relu: {}}", "'relu'"]),
        ("models", ["{mlp: {out: 3, hidden: [4]}}", "{mlp: {hidden: [4], out: 3, dropout: 0.0}}"]),
        (
            "layers",
            ["{residual: relu}", "{residual: [relu]}", "{residual: {body: relu}}", "{residual: {body: [{relu: }]}}"],
        ),
        ("layers", ["{linear: 3}", "{linear: {out: 3}}", "{linear: {out: 3, bias: true}}"]),
    ],
)
def test_all_spellings_of_a_component_mean_the_same(shelf: str, spellings: list[str]) -> None:
    values = [composed(family_named(shelf), written) for written in spellings]
    assert all(value == values[0] for value in values)


@pytest.mark.parametrize(
    ("shelf", "name", "cls"), [pytest.param(*row, id=f"{row[0]}.{row[1]}") for row in registry.everything()]
)
def test_every_case_of_every_component_is_read_from_what_is_dumped(shelf: str, name: str, cls: type[Component]) -> None:
    for case in cls.cases:
        if any(isinstance(value, registry.Record) or _holds_record(value) for value in case.values()):
            continue
        written = dump({name: {key: list(v) if isinstance(v, tuple) else v for key, v in case.items()}})
        composer = Composer()
        node = parse(dump({"x": parse(written, "c").root.plain()}), "c").root.value["x"]
        value = composer.value(registry.families()[shelf], node, "x")
        assert composer.problems == []
        assert value == cls(**case)


def _holds_record(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and any(isinstance(v, registry.Record) or _holds_record(v) for v in value)


def test_the_main_parameter_is_the_first_of_the_class_itself() -> None:
    loss = composed(family_named("losses"), "{huber: 0.3}")
    assert (loss.delta, loss.reduce) == (0.3, "mean")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loss: cross_entropy", "loss: [cross_entropy]"),
        ("loss: cross_entropy", "loss: [{cross_entropy: }]"),
        ("loss: cross_entropy", "loss: {cross_entropy: {}, weight: 1.0}"),
        ("metrics: [accuracy]", "metrics: accuracy"),
        ("[flatten, standardize]", "\n    - flatten\n    - standardize:"),
    ],
)
def test_one_item_may_stand_for_a_list(good: str, old: str, new: str) -> None:
    one, other = (Config("c.yaml", parse(text, "c.yaml").root).run(None) for text in (good, good.replace(old, new)))
    assert one == other
    assert good != good.replace(old, new)


Found = typing.Callable[..., list[Problem]]

MISTAKES = [
    # old, new, code, line, column, in the message, in the help
    ("lr: 0.1", "lr: '1e-3'", "wrong-type", 10, 23, "the text \"1e-3\"", "write `1e-3` without quotes"),
    ("lr: 0.1", "lr: “0.1”", "wrong-type", 10, 23, "“0.1”", "write `0.1` without quotes"),
    ("{sgd: {lr: 0.1}}", "\n  sgd:\n    lr: 1,5", "wrong-type", 12, 9, "`1,5`", "write `1.5`"),
    ("lr: 0.1", "lr: true", "wrong-type", 10, 23, "`true`", ""),
    ("lr: 0.1", "lr: [0.1]", "wrong-type", 10, 23, "a list of 1", ""),
    ("lr: 0.1", "lr: {x: 0.1}", "wrong-type", 10, 23, "a mapping", ""),
    ("lr: 0.1", "lr: -1", "out-of-range", 10, 23, "greater than 0, found `-1`", ""),
    ("lr: 0.1", "lr: 0", "out-of-range", 10, 23, "`0`", ""),
    ("lr: 0.1", "lr: .nan", "out-of-range", 10, 23, "`.nan`", ""),
    ("lr: 0.1", "lr: .inf", "out-of-range", 10, 23, "`.inf`", ""),
    ("lr: 0.1", "lr: 1e999", "out-of-range", 10, 23, "`1e999`", ""),
    ("epochs: 2", "epochs: 1.5", "wrong-type", 11, 20, "an integer greater than 0, found `1.5`", ""),
    ("epochs: 2", "epochs: 3.0", "wrong-type", 11, 20, "`3.0`", "write `3`"),
    ("epochs: 2", "epochs: 1e2", "wrong-type", 11, 20, "`1e2`", "write `100`"),
    ("epochs: 2", "epochs: 1e300", "wrong-type", 11, 20, "`1e300`", ""),
    ("epochs: 2", "epochs: 1e999", "wrong-type", 11, 20, "`1e999`", ""),
    ("epochs: 2", "epochs: 10_000", "wrong-type", 11, 20, "`10_000`", "write `10000`"),
    ("epochs: 2", "epochs: '2'", "wrong-type", 11, 20, "the text \"2\"", "write `2`"),
    ("epochs: 2", "epochs: 1:30:00", "wrong-type", 11, 20, "`1:30:00`", "write the plain number"),
    ("epochs: 2", "epochs: 0", "out-of-range", 11, 20, "`0`", ""),
    ("batch_size: 64", "batch_size: '32'", "wrong-type", 6, 15, "or `full`", "write `32`"),
    ("batch_size: 64", "batch_size: ful", "wrong-type", 6, 15, "`ful`", "did you mean `full`?"),
    ("batch_size: 64", "batch_size: -3", "out-of-range", 6, 15, "`-3`", ""),
    ("batch_size: 64", "shuffle: no", "wrong-type", 6, 12, "`true` or `false`, found `no`", "write `false`"),
    ("batch_size: 64", "shuffle: 'false'", "wrong-type", 6, 12, "the text \"false\"", "write `false`"),
    ("batch_size: 64", "shuffle: yes", "wrong-type", 6, 12, "`yes`", "write `true`"),
    ("batch_size: 64", "shuffle: 0", "wrong-type", 6, 12, "`0`", ""),
    ("name: good", "name: 1.10", "wrong-type", 1, 7, "a text, found `1.10`", "write `\"1.10\"` in quotes"),
    ("name: good", "name: ../../etc/x", "bad-name", 1, 7, "`name` cannot be", ""),
    ("name: good", "name: -rf", "bad-name", 1, 7, "`name` cannot be", ""),
    ("name: good", "name: %2e%2e/x", "yaml-syntax", 1, 7, "not YAML", "quote a text that begins with"),
    ("name: good", "name: ．．／", "bad-name", 1, 7, "`name` cannot be", ""),
    ("name: good", f"name: {'x' * 300}", "bad-name", 1, 7, "`name` cannot be", ""),
    ("name: good", "name:", "missing-key", 1, 1, "`name` has no value", "write one behind"),
    ("name: good\n", "", "missing-key", 1, 1, "needs `name`", "add `name: …`"),
    ("name: good", "name: good\nseed: -1", "out-of-range", 2, 7, "of at least 0", ""),
    ("name: good", "name: good\nLR: 1", "unknown-key", 2, 1, "unknown key `LR`", ""),
    ("name: good", "name: good\n_target_: os.system", "unknown-key", 2, 1, "unknown key `_target_`", ""),
    ("optimizer:", "optimzer:", "unknown-key", 10, 1, "unknown key `optimzer`", "did you mean `optimizer`?"),
    ("{epochs: 2}", "{epochs: 2, patience: 3}", "unknown-key", 11, 23, "`patience`", "belongs under `early_stopping:`"),
    ("{epochs: 2}", "{epochs: 2, seed: 3}", "unknown-key", 11, 23, "`seed`", "belongs at the top level"),
    ("sgd: {lr: 0.1}", "sgd: {lrr: 0.1}", "unknown-key", 10, 19, "`sgd` has no parameter `lrr`", "did you mean `lr`?"),
    ("sgd: {lr: 0.1}", "adam: {nesterov: true}", "unknown-key", 10, 20, "`adam` has no parameter", ""),
    ("sgd: {lr: 0.1}", "Adamm", "unknown-component", 10, 13, "no optimizer is named `Adamm`", "did you mean `adam`?"),
    ("{sgd: {lr: 0.1}}", "torch.optim.../x", "unknown-component", 10, 12, "no optimizer is named", "list optimizers"),
    ("{sgd: {lr: 0.1}}", "logging.os.system", "unknown-component", 10, 12, "no optimizer is named", ""),
    ("{sgd: {lr: 0.1}}", "[sgd]", "wrong-type", 10, 12, "expected an optimizer, found a list", ""),
    ("{sgd: {lr: 0.1}}", "3", "wrong-type", 10, 12, "expected an optimizer, found an integer", ""),
    ("{sgd: {lr: 0.1}}", "{}", "missing-component", 10, 1, "no optimizer is named here", "list optimizers"),
    ("{sgd: {lr: 0.1}}", "{groups: []}", "missing-component", 10, 1, "no optimizer is named here", ""),
    ("{sgd: {lr: 0.1}}", "{sgd: 0.1, adam: 1}", "two-components", 10, 23, "`adam` does not belong beside `sgd`", ""),
    ("{sgd: {lr: 0.1}}", "{sgd: 0.1, group: []}", "unknown-key", 10, 23, "`group`", "did you mean `groups`?"),
    ("{sgd: {lr: 0.1}}", "{sgd: 0.1, groups: [{lr: 1}]}", "missing-key", 10, 32, "needs `params`", "add `params: …`"),
    ("{sgd: {lr: 0.1}}", "{sgd: 0.1, groups: [{params: {of: 3}}]}", "bad-value", 10, 41, "`of` takes a name", ""),
    ("sgd: {lr: 0.1}", "adam: {betas: [0.9]}", "wrong-length", 10, 27, "a list of 2", ""),
    ("sgd: {lr: 0.1}", "adam: {betas: [0.9, 0.9, 0.9]}", "wrong-length", 10, 27, "found a list of 3", ""),
    ("sgd: {lr: 0.1}", "adam: {betas: [0.9, 1.0]}", "out-of-range", 10, 33, "item 2 of `betas`", ""),
    ("sgd: {lr: 0.1}", "adam: {betas: [0.9, '0.9']}", "wrong-type", 10, 33, "item 2 of `betas`", "without quotes"),
    ("sgd: {lr: 0.1}", "adam: {betas: 0.9}", "wrong-type", 10, 27, "`betas` takes a list of 2", ""),
    ("relu,", "{relu: 3},", "unexpected-value", 8, 33, "`relu` takes no parameters", "write `relu` alone"),
    ("relu,", "{relu: {a: 3}},", "unknown-key", 8, 34, "`relu` has no parameter `a`", ""),
    ("relu,", "relux,", "unknown-component", 8, 26, "no layer is named `relux`", "did you mean `relu`?"),
    ("relu,", "null,", "wrong-type", 8, 26, "expected a layer, found nothing", ""),
    ("relu,", "linear,", "missing-key", 8, 26, "`linear` needs `out`", "write `linear: {out: …}`"),
    ("relu,", "{linear: {}},", "missing-key", 8, 27, "`linear` needs `out`", "add `out: …`"),
    (
        "relu,", "{linear: '$data.classes'},",
        "wrong-type", 8, 35, "$data.classes", "write `$data.classes` without quotes",
    ),
    ("relu,", "{linear: $classes},", "unknown-argument", 8, 35, "`$classes`", "write `$data.classes`"),
    ("relu,", "{linear: $data.class},", "unknown-fact", 8, 35, "no fact `class`", "did you mean `classes`?"),
    ("relu,", "{linear: 3, name: 'a b'},", "bad-value", 8, 44, "`name` cannot be `a b`", ""),
    ("relu,", "{conv: {out: 3, kernel: [1, 2, 3]}},", "wrong-length", 8, 50, "a list of 1 to 2 integers", ""),
    ("relu,", "{conv: {out: 3, kernel: [1, 0]}},", "out-of-range", 8, 54, "item 2 of `kernel`", ""),
    ("relu,", "{conv: {out: 3, kernel: 3, padding: sam}},", "wrong-type", 8, 62, "`same`", "did you mean `same`?"),
    ("relu,", "{residual: [relu, {linear: -1}]},", "out-of-range", 8, 53, "`out`", ""),
    ("relu,", "norm,", "norm-undefined", 8, 26, "`norm` has no meaning yet", "normalization: layer_norm"),
    ("model:\n  layers:", "model:\n  layer:", "unknown-component", 8, 3, "`layer`", "did you mean `layers`?"),
    ("model:\n  layers:", "model:", "wrong-type", 7, 8, "found a list", "below `layers:`"),
    ("loss: cross_entropy", "loss: [cross_entropy, 3]", "wrong-type", 9, 23, "expected a loss, found an integer", ""),
    ("loss: cross_entropy", "loss: {weight: 2}", "missing-component", 9, 1, "no loss is named here", ""),
    ("loss: cross_entropy", "loss: {mse: {reduce: men}}", "not-a-choice", 9, 22, "`men`", "did you mean `mean`?"),
    (
        "loss: cross_entropy", "loss: {mse: {}, weight: '2'}",
        "wrong-type", 9, 25, "the text \"2\"", "write `2` without quotes",
    ),
    ("val: 0.2", "val: 1.2", "out-of-range", 4, 16, "below 1 or an integer", ""),
    ("val: 0.2", "val: true", "wrong-type", 4, 16, "`true`", ""),
    ("metrics: [accuracy]", "every: 5", "bad-value", 12, 21, "`every` cannot be `5`", ""),
    ("metrics: [accuracy]", "every: 0 steps", "bad-value", 12, 21, "`every` cannot be `0 steps`", ""),
    (
        "metrics: [accuracy]", "splits: [val, tset]",
        "not-a-choice", 12, 28, "item 2 of `splits`", "did you mean `test`?",
    ),
    ("training: {epochs: 2}", "training: 3", "wrong-type", 11, 11, "expected a mapping", ""),
    ("training: {epochs: 2}", "training: [3]", "wrong-type", 11, 11, "found a list", ""),
    (
        "training: {epochs: 2}", "early_stopping: {}\ntraining: {epochs: 2}",
        "missing-key", 11, 1, "`early_stopping` needs", "",
    ),
    ("training: {epochs: 2}", "checkpoint: {best: loss}\ntraining: {epochs: 2}", "bad-value", 11, 20, "`loss`", ""),
    (
        "training: {epochs: 2}", "device: gpu0\ntraining: {epochs: 2}",
        "bad-value", 11, 9, "`device` cannot be `gpu0`", "",
    ),
    ("training: {epochs: 2}", "precision: fp32\ntraining: {epochs: 2}", "not-a-choice", 11, 12, "`fp32`", ""),
    ("training: {epochs: 2}", "gradtrain: '1'\ntraining: {epochs: 2}", "not-a-choice", 11, 12, "the text \"1\"", ""),
    (
        "training: {epochs: 2}", "models: 3\ntraining: {epochs: 2}",
        "wrong-type", 11, 9, "`models` takes a mapping", "indented",
    ),
    ("name: good", "extra: {name: 2}", "missing-key", 1, 1, "needs `name`", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "column", "what", "help"), MISTAKES, ids=[f"{row[1][:40]!r}" for row in MISTAKES]
)
def test_a_mistake_is_named_where_it_is_with_what_to_write(
    found: Found, old: str, new: str, code: str, line: int, column: int, what: str, help: str
) -> None:
    matching = [p for p in found(old, new) if p.code == code]
    assert len(matching) == 1
    (problem,) = matching
    assert problem.at is not None
    assert (problem.at.line, problem.at.column) == (line, column)
    assert what in problem.what
    assert help in problem.help if help else "write" not in problem.help
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr: 0.1", "lr: 1e-3"),
        ("lr: 0.1", "lr: 1"),
        ("name: good", "name: 2024-01-01"),
        ("name: good", "name: NO"),
        ("relu,", "{linear: {out: $data.classes}},"),
        ("relu,", "{relu: },"),
        ("metrics: [accuracy]", "every: 1 epoch"),
        ("metrics: [accuracy]", "every: '10 steps'"),
        ("val: 0.2, test: 0.2", "val: 100, test: 0"),
        ("batch_size: 64", "batch_size: full"),
    ],
)
def test_controls_are_right(found: Found, old: str, new: str) -> None:
    assert found(old, new) == []


def test_the_word_norm_means_what_normalization_says(good: str) -> None:
    text = good.replace("relu,", "norm, relu,") + "normalization: {group_norm: {groups: 4}}\n"
    run = Config("c.yaml", parse(text, "c.yaml").root).run(None)
    assert run.model is not None
    assert run.model.layers is not None
    assert run.model.layers[1].part == run.normalization


def test_all_problems_come_at_once_sorted_by_line(found: Found) -> None:
    old = "optimizer: {sgd: {lr: 0.1}}\ntraining: {epochs: 2}\nevaluation: {metrics: [accuracy]}\n"
    new = "optimizer: {sdg: 0.1}\ntraining: {epochs: 2.0, epoch: 1}\n"
    new += "evaluation: {metrics: [acuracy, {top_k: 0}]}\nsed: 1\n"
    problems = found(old, new)
    assert [(p.code, p.at.line) for p in problems if p.at] == [
        ("unknown-component", 10), ("wrong-type", 11), ("unknown-key", 11),
        ("unknown-component", 12), ("out-of-range", 12), ("unknown-key", 13),
    ]  # fmt: skip


def test_one_mistake_is_one_problem_even_in_a_union(found: Found) -> None:
    assert len(found("val: 0.2", "val: -1.5")) == 1
    assert len(found("relu,", "{conv: {out: 3, kernel: x}},")) == 1


@pytest.mark.parametrize(
    ("options", "code", "place"),
    [
        ({"overrides": ["training.epochs=1.5"]}, "wrong-type", ("command line", 1, 17)),
        ({"overrides": ["trainin.epochs=1"]}, "unknown-key", ("command line", 1, 1)),
        ({"overrides": ["optimizer={sdg: 1}"]}, "unknown-component", ("command line", 1, 11)),
        ({"overrides": ["loss=[]  x"]}, "override-form", ("command line", 1, 6)),
        ({"profile": "p"}, "wrong-type", ("c.yaml", 14, 25)),
        ({"profile": "q"}, "unknown-key", ("c.yaml", 15, 7)),
    ],
)
def test_a_value_is_blamed_where_it_came_from(
    found: Found, options: Any, code: str, place: tuple[str, int, int]
) -> None:
    profiles = "profiles:\n  p: {training.epochs:  1.5}\n  q: {training.epoch: 1}\n"
    (problem,) = found("", profiles, **options)
    assert problem.at is not None
    assert problem.code == code
    assert (problem.at.file, problem.at.line, problem.at.column) == place


def test_facts_stand_for_what_the_data_says(good: str) -> None:
    config = Config("c.yaml", parse(good, "c.yaml").root)
    facts = config.data().source.facts()
    run = config.run(facts)
    assert run.model is not None
    assert run.model.layers is not None
    assert facts is not None
    assert run.model.layers[2].part == composed(family_named("layers"), f"{{linear: {facts.classes}}}")


def test_a_fact_that_this_data_lacks_is_named_with_those_it_has(good: str) -> None:
    config = Config("c.yaml", parse(good.replace("$data.classes", "$data.vocab"), "c.yaml").root)
    with pytest.raises(ExceptionGroup) as caught:
        config.run(config.data().source.facts())
    (problem,) = flatten(caught.value)
    assert problem.code == "unknown-fact"
    assert "`$data.classes` = 10" in problem.why


def test_what_is_resolved_means_the_same_run(good: str) -> None:
    for path in CONFIGS:
        config = read(path)
        again = Config(str(path), parse(dump(config.resolved()), "resolved.yaml").root)
        assert again.run(None) == config.run(None)


def test_a_broken_section_does_not_hide_the_others(found: Found) -> None:
    codes = [p.code for p in found("source: digits", "source: digitz\n  batchsize: 3")]
    assert codes == ["unknown-component", "unknown-key"]


SEEDS = [parse(path.read_text("utf-8"), path.name).root.plain() for path in CONFIGS]
JUNK = [
    None, 0, -1, 3.5, 1e300, float("inf"), float("nan"), True, 2**62, "", "x", "relu", "norm", "full", "1 epoch",
    "val.loss", "$out", "$data.classes", "$data.shape", "$data.range", [], [[]], [None], [1, 2, 3], {}, {"": 1},
    {"x": 1}, {"relu": None}, {"linear": 3}, {"layers": ["relu"]}, {"params": "weights"}, {"of": 1}, {"ndim": "<2"},
    {"res": {}}, {"residual": "relu"}, {"repeat": {"times": 3, "layers": ["res"]}},
]  # fmt: skip


def paths(value: Any, before: tuple[Any, ...] = ()) -> typing.Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*before, key)
        yield from paths(inside, (*before, key))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_config_is_read_or_refused_with_known_codes(data: st.DataObject) -> None:
    root = parse(dump(data.draw(st.sampled_from(SEEDS))), "c.yaml").root.plain()
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(list(paths(root)) or [("name",)]))
        node = root
        for key in above:
            node = node[key]
        node[last] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    try:
        run = Config("c.yaml", parse(dump(root), "c.yaml").root).run(None)
    except (Problem, ExceptionGroup) as error:
        for problem in flatten(error):
            assert exit_codes()[problem.code] == 2
            assert len(render(problem)) < 3000
    else:
        assert isinstance(run, Run)
        assert run is not FAILED
