"""From a text to the tree of its formula, by hand; a culprit is shown where it stands."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from gradtrain.formula.tree import (
    CONSTANTS,
    FUNCTIONS,
    Constant,
    Difference,
    Formula,
    Function,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
)
from gradtrain.problems import Place, Problem, did_you_mean, quote

LONGEST, DEEPEST = 2000, 64
"""Characters of a formula, and operations inside of one another."""


def parse(text: str, names: Collection[str]) -> Formula:
    """The formula of a text over these names. Raises `Problem` (configuration) that points at the culprit.

    Of `names` only `in` and iteration are used, the latter to find what was meant by an unknown name.
    """
    return _Parser(text, names).parsed()


_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|[-+*/^()])", re.ASCII
)
_SPELLED = {
    "×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "²": "^2", "³": "^3", "π": "pi", "√": "sqrt(…)",
    "[": "(", "]": ")", "{": "(", "}": ")",
}  # fmt: skip
"""What people write for what a formula has."""


class _Parser:
    """Recursive descent.

    sum = product {± product}, product = signed {*/ signed}, signed = [±] signed or power, power = atom [^ signed]
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        self.text, self.names = text, names
        self.tokens: list[tuple[str, str, int]] = []
        self.next = 0
        self.nested = 0

    def parsed(self) -> Formula:
        if len(self.text) > LONGEST:
            raise self.refusal(f"a formula of {len(self.text):,} characters", 0, 1, f"at most {LONGEST:,} are read")
        self.tokens = self.read()
        if not self.tokens:
            raise self.refusal("an empty formula", 0, 1, "write for example `x^2 + 1`")
        formula = self.sum()
        if self.next < len(self.tokens):
            raise self.left_over()
        if _depth(formula) > DEEPEST:
            raise self.too_deep()
        return formula

    def read(self) -> list[tuple[str, str, int]]:
        """(kind, text, where it begins) of every word; the end of the text is no word."""
        found, at = [], 0
        while at < len(self.text):
            if self.text[at].isspace():
                at += 1
                continue
            token = _TOKEN.match(self.text, at)
            if token is None:
                sign = self.text[at]
                meant = f"write `{_SPELLED[sign]}`" if sign in _SPELLED else ""
                meant = meant or ("functions take one argument; decimals are written `0.5`" if sign == "," else "")
                raise self.refusal(f"a formula has no {quote(sign)}", at, 1, meant)
            if token[0] == "**":
                raise self.refusal("a formula has no `**`", at, 2, "write `^` for powers")
            if token.lastgroup == "number" and math.isinf(float(token[0])):
                raise self.refusal(f"the number {quote(token[0])} is too large", at, len(token[0]))
            found.append((str(token.lastgroup), token[0], at))
            at = token.end()
        return found

    def refusal(self, what: str, at: int, length: int, help: str = "") -> Problem:
        shown = re.sub(r"\s", " ", self.text[:LONGEST])
        why = "a formula has numbers, names, + - * / ^, parentheses and functions such as `sin(x)`"
        return Problem("formula", what, Place("formula", 1, at + 1, length, shown), why, help)

    def too_deep(self) -> Problem:
        return self.refusal(f"more than {DEEPEST} operations inside of one another", 0, max(1, len(self.text)))

    def left_over(self) -> Problem:
        """A word where an operator should be."""
        _, word, at = self.tokens[self.next]
        before = self.tokens[self.next - 1][1]
        if word == ")":
            return self.refusal("this `)` closes nothing", at, 1, "remove it, or add a `(`")
        help = "write a `*` between them" if before == ")" or word == "(" else f"write `{before} * {word}`"
        return self.refusal(f"no operator between {quote(before)} and {quote(word)}", at, len(word), help)

    def taken(self, *signs: str) -> str:
        """The next word if it is one of these signs; it is used up."""
        if self.next < len(self.tokens) and self.tokens[self.next][1] in signs:
            self.next += 1
            return self.tokens[self.next - 1][1]
        return ""

    def sum(self) -> Formula:
        left = self.product()
        while sign := self.taken("+", "-"):
            left = (Sum if sign == "+" else Difference)(left, self.product())
        return left

    def product(self) -> Formula:
        left = self.signed()
        while sign := self.taken("*", "/"):
            left = (Product if sign == "*" else Quotient)(left, self.signed())
        return left

    def signed(self) -> Formula:
        self.nested += 1
        if self.nested > DEEPEST:
            raise self.too_deep()
        sign = self.taken("+", "-")
        part = self.signed() if sign else self.power()
        self.nested -= 1
        if sign != "-":
            return part
        return Number(-part.number) if isinstance(part, Number) and part.number > 0 else Negative(part)

    def power(self) -> Formula:
        left = self.atom()
        return Power(left, self.signed()) if self.taken("^") else left

    def atom(self) -> Formula:
        if self.next == len(self.tokens):
            raise self.refusal(
                "the formula ends too early", max(0, len(self.text.rstrip()) - 1), 1, "an operand is missing"
            )
        kind, word, at = self.tokens[self.next]
        self.next += 1
        if kind == "number":
            return Number(float(word))
        if kind == "name":
            return self.named(word, at)
        if word != "(":
            raise self.refusal(f"{quote(word)} stands where a number or a name is expected", at, 1)
        return self.closed(at)

    def closed(self, opened: int) -> Formula:
        inner = self.sum()
        if not self.taken(")"):
            if self.next < len(self.tokens):
                raise self.left_over()
            raise self.refusal("this `(` is never closed", opened, 1, "add a `)`")
        return inner

    def named(self, word: str, at: int) -> Formula:
        called = self.next < len(self.tokens) and self.tokens[self.next][1] == "("
        if word in FUNCTIONS:
            if not called:
                following = self.tokens[self.next][1] if self.next < len(self.tokens) else "x"
                help = f"write `{word}({following if following not in '+-*/^)' else 'x'})`"
                raise self.refusal(f"{quote(word)} needs an argument in parentheses", at, len(word), help)
            self.next += 1
            return Function(word, self.closed(self.tokens[self.next - 1][2]))
        known = word in CONSTANTS or word in self.names
        if called and known:
            help = f"write `{word} * (…)`"
            raise self.refusal(f"{quote(word)} is a name, and no function", at, len(word), help)
        if word in CONSTANTS:
            return Constant(word)
        if known:
            return Name(word)
        if called:
            help = did_you_mean(word, FUNCTIONS, f"there are {', '.join(f'`{name}`' for name in FUNCTIONS)}")
            raise self.refusal(f"no function is named {quote(word)}", at, len(word), help)
        listed = ", ".join(quote(name) for name in list(self.names)[:8])
        help = did_you_mean(word, [*self.names, *CONSTANTS], f"the names here are {listed}" if listed else "")
        raise self.refusal(f"nothing here is named {quote(word)}", at, len(word), help)


def _depth(formula: Formula) -> int:
    """How deep the tree is; without recursion, which a long sum would exhaust."""
    deepest, left = 0, [(formula, 1)]
    while left:
        node, level = left.pop()
        deepest = max(deepest, level)
        left += [(part, level + 1) for part in node.parts]
    return deepest
