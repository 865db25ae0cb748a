"""The catalogue of components."""

from __future__ import annotations

from typing import ClassVar

import pytest
import yaml
from pydantic import PositiveInt

from gradtrain.components.activations import Activation
from gradtrain.components.losses import Loss
from gradtrain.problems import Problem
from gradtrain.registry import Component, everything, families
from gradtrain.report import catalogue
from gradtrain.report.catalogue import PLACES, Entry, as_data, as_text, entries, examples, lookup, plain

ALL = [Entry(*found) for found in everything()]
IDS = [f"{entry.family}.{entry.name}" for entry in ALL]


def test_every_family_has_a_place_in_the_config() -> None:
    assert set(PLACES) == set(families())


@pytest.mark.parametrize("entry", ALL, ids=IDS)
def test_every_component_has_a_page(entry: Entry) -> None:
    page, data = as_text(entry), as_data(entry)
    assert data["summary"] in page
    assert "a value" not in {field["takes"] for field in data["parameters"]}
    assert all(field["about"] for field in data["parameters"])


@pytest.mark.parametrize("entry", ALL, ids=IDS)
def test_the_yaml_to_copy_names_the_component(entry: Entry) -> None:
    for example in examples(entry):
        written = yaml.safe_load(example)
        assert entry.name in str(written)
        assert next(iter(written)) in PLACES[entry.family]


def test_a_name_in_two_families_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "names", lambda cls: ["twin"] if cls in (Loss, Activation) else [])
    monkeypatch.setattr(catalogue, "find", lambda cls, name: cls)
    with pytest.raises(Problem, match="`twin` is the name of 2 components") as caught:
        lookup("twin")
    assert caught.value.code == "ambiguous-name"
    assert "`activations.twin` or `losses.twin`" in caught.value.help
    assert lookup("losses.twin").family == "losses"


def test_entries_of_one_family() -> None:
    assert {entry.family for entry in entries("losses")} == {"losses"}
    assert "huber" in {entry.name for entry in entries("losses")}


class Inner(Component):
    """Inside."""

    size: PositiveInt = 3
    """Its size."""

    registered_as: ClassVar[str] = "inner"


def test_values_are_spelled_as_in_yaml() -> None:
    assert plain(Inner()) == "inner"
    assert plain((Inner(size=4), 1, None, 0.5)) == [{"inner": {"size": 4}}, 1, None, 0.5]
