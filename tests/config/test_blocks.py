"""Blocks: layers from templates; scalars in, no recursion, never more than can be run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gradtrain.config.blocks import Blocks
from gradtrain.config.tree import Node, parse
from gradtrain.problems import Problem


def spliced(text: str) -> tuple[list[Any], list[Problem]]:
    """The layers of `use:` with the blocks of `blocks:` written out."""
    sections = parse(text, "c.yaml").root.value
    problems: list[Problem] = []
    blocks = Blocks.read(sections["blocks"], problems)
    return [node.plain() for node in blocks.spliced(sections["use"].value, problems)], problems


def node_of(text: str) -> tuple[list[Node], list[Problem]]:
    sections = parse(text, "c.yaml").root.value
    problems: list[Problem] = []
    return Blocks.read(sections["blocks"], problems).spliced(sections["use"].value, problems), problems


MODEL = "model:\n  layers: [{linear: 32}, relu, {linear: $data.classes}]"

CONV = """\
blocks:
  unit:
    args: {out: null, stride: 1}
    layers:
      - conv: {out: $out, stride: $stride, bias: false}
      - relu
  pair:
    args: {out: null}
    layers: [{unit: {out: $out}}, {unit: {out: $out, stride: 2}}]
"""


@pytest.mark.parametrize(
    ("use", "layers"),
    [
        ("[{unit: {out: 3}}]", [{"conv": {"out": 3, "stride": 1, "bias": False}}, "relu"]),
        ("[{unit: 3}]", [{"conv": {"out": 3, "stride": 1, "bias": False}}, "relu"]),
        ("[tanh, {unit: {out: 3, stride: 2}}]", ["tanh", {"conv": {"out": 3, "stride": 2, "bias": False}}, "relu"]),
        ("[{unit: $data.classes}]", [{"conv": {"out": "$data.classes", "stride": 1, "bias": False}}, "relu"]),
        (
            "[{pair: 4}, tanh]",
            [
                {"conv": {"out": 4, "stride": 1, "bias": False}}, "relu",
                {"conv": {"out": 4, "stride": 2, "bias": False}}, "relu", "tanh",
            ],
        ),
        ("[]", []),
    ],
)  # fmt: skip
def test_a_block_is_written_out(use: str, layers: list[Any]) -> None:
    assert spliced(f"{CONV}use: {use}\n") == (layers, [])


def test_a_block_without_arguments_stands_alone() -> None:
    for written in ("[a]", "[{a: }]", "[{a: {}}]"):
        assert spliced(f"blocks: {{a: {{layers: [relu]}}}}\nuse: {written}\n") == (["relu"], [])


def test_a_quoted_dollar_is_a_text() -> None:
    assert spliced("blocks: {a: {args: {x: 1}, layers: [{take: '$x'}]}}\nuse: [a]\n") == ([{"take": "$x"}], [])


def test_an_argument_points_at_where_it_was_given_and_the_rest_at_the_template() -> None:
    (conv, relu), problems = node_of(f"{CONV}use:\n  - unit: {{out: 3}}\n")
    assert not problems
    inside = conv.value["conv"].value
    assert (inside["out"].place.line, inside["out"].place.column) == (11, 17)
    assert inside["stride"].place.line == 3  # the default
    assert relu.place.line == 6


@pytest.mark.parametrize(
    ("blocks", "use", "code", "line"),
    [
        ("{a: {layers: [a]}}", "[a]", "block-order", 1),
        ("{a: {layers: [b]}, b: {layers: [relu]}}", "[a]", "block-order", 1),
        ("{a: {args: {out: null}, layers: [{linear: $out}]}}", "[a]", "missing-key", 2),
        ("{a: {args: {out: null}, layers: [{linear: $out}]}}", "[a: {}]", "missing-key", 2),
        ("{a: {args: {out: 1}, layers: [{linear: $out}]}}", "[a: {ou: 3}]", "unknown-key", 2),
        ("{a: {args: {out: 1}, layers: [{linear: $out}]}}", "[a: [3]]", "wrong-type", 2),
        ("{a: {args: {out: 1}, layers: [{linear: $out}]}}", "[a: {out: {x: 3}}]", "wrong-type", 2),
        ("{a: {layers: [relu]}}", "[a: 3]", "unexpected-value", 2),
        ("{a: {layers: [relu]}}", "[{a: {}, name: x}]", "unknown-key", 2),
        ("{a: {args: [out], layers: [relu]}}", "[a]", "wrong-type", 1),
        ("{a: {args: {out: [1]}, layers: [relu]}}", "[a]", "wrong-type", 1),
        ("{a: {args: 3, layers: [relu]}}", "[a]", "wrong-type", 1),
        ("{a: {arg: {out: 1}, layers: [relu]}}", "[a]", "unknown-key", 1),
        ("{a: {layers: relu}}", "[a]", "missing-key", 1),
        ("{a: {args: {out: 1}}}", "[a]", "missing-key", 1),
        ("{a: relu}", "[a]", "missing-key", 1),
        ("{a: }", "[a]", "missing-key", 1),
        ("[a]", "[relu]", "wrong-type", 1),
        ("{relu: {layers: [tanh]}}", "[relu]", "block-name", 1),
        ("{conv: {layers: [tanh]}}", "[conv]", "block-name", 1),
        ("{layer_norm: {layers: [tanh]}}", "[tanh]", "block-name", 1),
        ("{norm: {layers: [tanh]}}", "[tanh]", "block-name", 1),
    ],
)
def test_one_mistake_is_one_problem(blocks: str, use: str, code: str, line: int) -> None:
    _, problems = spliced(f"blocks: {blocks}\nuse: {use}\n")
    assert [(p.code, p.at.line if p.at else None) for p in problems] == [(code, line)]


DOUBLING = {
    "layers": ("[relu]", "[b{0}, b{0}]"),
    "nothing": ("[]", "[b{0}, b{0}]"),
    "bulk": (f"[{', '.join(['{linear: 3}'] * 900)}]", "[b{0}, b{0}]"),
    "wrong": ("[{linear: $x}]", "[b{0}: {{y: 1}}, b{0}]"),
}


@pytest.mark.parametrize("kind", DOUBLING)
def test_doubling_blocks_end_at_once_and_say_so_once(kind: str) -> None:
    first, then = DOUBLING[kind]
    lines = [f"  b{i}: {{layers: {then.format(i - 1)}}}" for i in range(1, 60)]
    began = time.perf_counter()
    layers, problems = spliced("\n".join(["blocks:", f"  b0: {{layers: {first}}}", *lines, "use: [b59]", ""]))
    assert time.perf_counter() - began < 5
    assert len(layers) <= 20_000
    assert [p.code for p in problems].count("config-limit") == 1


def test_a_long_chain_of_blocks_is_refused_and_not_a_crash() -> None:
    lines = [f"  b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 2000)]
    _, problems = spliced("\n".join(["blocks:", "  b0: {layers: [relu]}", *lines, "use: [b1999]", ""]))
    assert [p.code for p in problems] == ["config-limit"]


@pytest.mark.parametrize(
    "inside", ["{{residual: {{body: [b{0}, b{0}]}}}}", "{{repeat: {{times: 2, layers: b{0}}}}}", "{{residual: [b{0}]}}"]
)
def test_blocks_inside_of_structure_layers_end_too(found: Any, inside: str) -> None:
    lines = [f"  b{i}: {{layers: [{inside.format(i - 1)}]}}" for i in range(1, 60)]
    model = "\n".join(["blocks:", "  b0: {layers: [relu]}", *lines, "model:", "  layers: [b59]"])
    problems = found(MODEL, model)
    assert {p.code for p in problems} == {"config-limit"}


@pytest.mark.parametrize(
    "inside",
    [
        "{residual: {body: [a]}}",
        "{residual: a}",
        "{repeat: {times: 2, layers: [{residual: [a]}]}}",
        "{parallel: [[relu], [a]]}",
    ],
)
def test_a_block_cannot_use_itself_inside_of_a_structure_layer(found: Any, inside: str) -> None:
    model = f"blocks: {{a: {{layers: [{inside}]}}}}\nmodel:\n  layers: [a]"
    problems = found(MODEL, model)
    assert [(p.code, p.at.line) for p in problems] == [("block-order", 7)]


def test_an_earlier_block_may_stand_inside_of_a_structure_layer(found: Any) -> None:
    model = """\
blocks:
  a: {args: {n: null}, layers: [{linear: $n}]}
  b: {args: {m: 4}, layers: [{residual: {body: [{a: $m}, relu]}}]}
model:
  layers: [b, {b: 5}]"""
    assert found(MODEL, model) == []
