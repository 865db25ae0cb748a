"""Formulas that a config may hold: parsed by hand into a tree of a few kinds of nodes, never run as a program."""

from __future__ import annotations

from gradtrain.formula.parser import parse
from gradtrain.formula.tree import RESERVED, Formula, Symbol

__all__ = ["RESERVED", "Formula", "Symbol", "parse"]
