"""What every component says about itself, in its docstring and beside its fields."""

from __future__ import annotations

import inspect

import pytest

from gradtrain import registry
from gradtrain.registry import about, everything, field_docs

COMPONENTS = [pytest.param(family, cls, id=name) for family, name, cls in everything()]


@pytest.mark.parametrize(("family", "cls"), COMPONENTS)
class TestComponent:
    def test_first_line_is_a_sentence(self, family, cls):
        summary = about(cls).summary
        assert summary.endswith(".")
        assert summary[0].isupper() or summary[0] in "`0123456789"
        assert len(summary.split()) >= 4

    def test_sections_stand_in_order_and_are_aligned(self, family, cls):
        known = about(cls)
        order = [section for section in registry.SECTIONS if section in known.sections]
        assert list(known.sections) == order
        assert all(text.strip() for text in known.sections.values())
        for line in inspect.cleandoc(cls.__doc__).splitlines():
            head = line.split(" ")[0]
            if head in known.sections and line.startswith(f"{head}  "):
                assert line[:10] == head.ljust(10)
                assert line[10] != " "

    def test_every_field_is_documented(self, family, cls):
        bare = [name for name in cls.model_fields if not field_docs(cls).get(name, "").strip()]
        assert not bare

    def test_cases_construct_and_are_more_than_the_defaults(self, family, cls):
        made = [cls(**case) for case in cls.cases]
        assert made
        own = set(cls.model_fields) - set(registry.family_of(cls).model_fields)
        required = {name for name in own if cls.model_fields[name].is_required()}
        if own:
            assert any(set(case) & own for case in cls.cases), f"`cases` never sets any of {sorted(own)}"
        if own - required and not required:
            assert any(component != cls() for component in made), "`cases` holds only the defaults"
