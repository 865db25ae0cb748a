"""Proofs of the record itself: it survives a journey through YAML, and its docstring says what it must."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from gradtrain.config.compose import Composer
from gradtrain.config.scalars import dump
from gradtrain.config.tree import parse
from gradtrain.gradcheck.finding import Ledger
from gradtrain.problems import flatten
from gradtrain.registry import Component, Record, Use, about

DIFFERENTIATED = {"losses", "games", "activations", "regularizers", "normalizations"}
"""Families whose members state a value, its gradient and where they were published."""

DEMANDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(DIFFERENTIATED, ("value", "gradient", "paper")),
    "layers": ("value",),
    "optimizers": ("value", "paper"),
    "initializers": ("value",),
    "schedules": ("value",),
}
"""Family → the parts of the docstring that its members must have."""


def prove_docstring(family: str, cls: type[Component], ledger: Ledger) -> None:
    """A first sentence, and the parts that the family demands."""
    with ledger.attempt("docstring"):
        known = about(cls)
        missing = [f"`{part}`" for part in DEMANDED.get(family, ()) if not known.sections.get(part)]
        wrong = [] if known.summary else ["the docstring is empty"]
        wrong += ["its first line does not end in a period"] * bool(known.summary and not known.summary.endswith("."))
        wrong += [f"it has no {', '.join(missing)}"] * bool(missing)
        ledger.state("docstring", not wrong, "; ".join(wrong))


def prove_round_trip(component: Component, ledger: Ledger) -> None:
    """Record → YAML text → record: equal, and hashable as the place of a part in a run must be."""
    with ledger.attempt("round trip"):
        text = dump(spelled(component))
        composer = Composer()
        node = parse(text, "round trip").root
        back = composer.fields(type(component), node.mapping or {}, node)
        said = "; ".join(problem.what for error in composer.problems for problem in flatten(error))
        ledger.state("round trip", back == component, f"{text.strip()!r} reads back as {said or repr(back)}")
        hash(component)


def spelled(record: Record) -> dict[str, Any]:
    """The fields that differ from their defaults, as YAML spells them."""
    differing = {
        name: getattr(record, name)
        for name, field in type(record).model_fields.items()
        if name != "part" and _differs(getattr(record, name), field)
    }
    return {name: _tree(value) for name, value in differing.items()}


def _differs(value: Any, field: FieldInfo) -> bool:
    return field.is_required() or bool(value != field.get_default(call_default_factory=True))


def _tree(value: Any) -> Any:
    match value:
        case Component():
            return {value.name(): spelled(value)}
        case Use():
            return {value.part.name(): spelled(value.part), **spelled(value)}
        case Record():
            return spelled(value)
        case dict():
            return {key: _tree(item) for key, item in value.items()}
        case tuple() | list():
            return [_tree(item) for item in value]
    return value
