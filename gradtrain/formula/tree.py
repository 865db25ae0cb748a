"""The tree of a formula: every kind of node states its value and, beside it, its derivative."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field

from gradtrain.lazy import Tensor, torch

Symbol: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,31}$")]
"""A name that a config may give to a variable, a coordinate, a constant: letters and digits."""

Scalar: TypeAlias = "Tensor | float"
Values = Mapping[str, Scalar]


class Formula:
    """A node of the tree; `str` writes it so that `parse` reads the same tree again."""

    strength: ClassVar[int] = 5
    """How strongly it holds together in writing: 1 sums, 2 products, 3 signs, 4 powers, 5 what needs no parentheses."""

    @property
    def parts(self) -> tuple[Formula, ...]:
        """The formulas that it is made of."""
        return ()

    @property
    def names(self) -> frozenset[str]:
        """The names that it depends on."""
        return frozenset().union(*(part.names for part in self.parts))

    def value(self, values: Values) -> Tensor:
        """Its value, element by element, where every name has one; numbers alone give a float64."""
        return tensor(self.at(values))

    def at(self, values: Values) -> Scalar:
        """`value`, with numbers left as they are."""
        raise NotImplementedError

    def derivative(self, name: str) -> Formula:
        """Its derivative with respect to a name."""
        raise NotImplementedError


@dataclass(frozen=True)
class Number(Formula):
    number: float

    @property
    def strength(self) -> int:  # type: ignore[override]
        return 5 if self.number >= 0 else 3

    def at(self, values: Values) -> Scalar:
        return self.number

    def derivative(self, name: str) -> Formula:
        return ZERO

    def __str__(self) -> str:
        return repr(self.number).removesuffix(".0")


@dataclass(frozen=True)
class Constant(Formula):
    name: str

    def at(self, values: Values) -> Scalar:
        return CONSTANTS[self.name]

    def derivative(self, name: str) -> Formula:
        return ZERO

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Name(Formula):
    name: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset([self.name])

    def at(self, values: Values) -> Scalar:
        return values[self.name]

    def derivative(self, name: str) -> Formula:
        return ONE if name == self.name else ZERO

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Negative(Formula):
    part: Formula
    strength: ClassVar[int] = 3

    @property
    def parts(self) -> tuple[Formula, ...]:
        return (self.part,)

    def at(self, values: Values) -> Scalar:
        return -self.part.at(values)

    def derivative(self, name: str) -> Formula:
        return minus(self.part.derivative(name))

    def __str__(self) -> str:
        return f"-{_inside(self.part, 3)}"


@dataclass(frozen=True)
class Pair(Formula):
    """Two formulas with a sign between them."""

    left: Formula
    right: Formula
    sign: ClassVar[str]

    @property
    def parts(self) -> tuple[Formula, ...]:
        return (self.left, self.right)

    def both(self, values: Values) -> tuple[Scalar, Scalar]:
        """The values of the two, of which one is a tensor: 1/0 of two tensors is infinite, of two numbers an error."""
        left, right = self.left.at(values), self.right.at(values)
        return (left if isinstance(right, torch.Tensor) else tensor(left)), right

    def __str__(self) -> str:
        space = "" if self.strength == 4 else " "
        tight_left, tight_right = (1, 0) if self.strength == 4 else (0, 1)
        left, right = _inside(self.left, self.strength + tight_left), _inside(self.right, self.strength + tight_right)
        if self.strength == 4 and isinstance(self.right, Negative | Number):
            right = str(self.right)  # x^-2: a sign after ^ needs no parentheses
        return f"{left}{space}{self.sign}{space}{right}"


class Sum(Pair):
    sign, strength = "+", 1

    def at(self, values: Values) -> Scalar:
        left, right = self.both(values)
        return left + right

    def derivative(self, name: str) -> Formula:
        return plus(self.left.derivative(name), self.right.derivative(name))


class Difference(Pair):
    sign, strength = "-", 1

    def at(self, values: Values) -> Scalar:
        left, right = self.both(values)
        return left - right

    def derivative(self, name: str) -> Formula:
        return plus(self.left.derivative(name), minus(self.right.derivative(name)))


class Product(Pair):
    sign, strength = "*", 2

    def at(self, values: Values) -> Scalar:
        left, right = self.both(values)
        return left * right

    def derivative(self, name: str) -> Formula:
        a, b = self.left, self.right
        return plus(times(a.derivative(name), b), times(a, b.derivative(name)))


class Quotient(Pair):
    sign, strength = "/", 2

    def at(self, values: Values) -> Scalar:
        left, right = self.both(values)
        return left / right

    def derivative(self, name: str) -> Formula:
        a, b = self.left, self.right
        if name not in b.names:
            return over(a.derivative(name), b)
        return over(plus(times(a.derivative(name), b), minus(times(a, b.derivative(name)))), power(b, Number(2.0)))


class Power(Pair):
    sign, strength = "^", 4

    def at(self, values: Values) -> Scalar:
        left, right = self.both(values)
        return left**right

    def derivative(self, name: str) -> Formula:
        a, b = self.left, self.right
        through_a = times(times(b, power(a, plus(b, Number(-1.0)))), a.derivative(name))
        if name not in b.names:
            return through_a
        return plus(through_a, times(times(self, Function("log", a)), b.derivative(name)))


@dataclass(frozen=True)
class Function(Formula):
    """A function of one argument; `FUNCTIONS` has its value and its derivative."""

    name: str
    argument: Formula

    @property
    def parts(self) -> tuple[Formula, ...]:
        return (self.argument,)

    def at(self, values: Values) -> Scalar:
        return FUNCTIONS[self.name][0](tensor(self.argument.at(values)))

    def derivative(self, name: str) -> Formula:
        return times(FUNCTIONS[self.name][1](self.argument), self.argument.derivative(name))

    def __str__(self) -> str:
        return f"{self.name}({self.argument})"


ZERO, ONE, TWO = Number(0.0), Number(1.0), Number(2.0)

CONSTANTS = {"pi": math.pi}

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Formula], Formula]]] = {
    "sin": (lambda x: x.sin(), lambda a: Function("cos", a)),
    "cos": (lambda x: x.cos(), lambda a: minus(Function("sin", a))),
    "tan": (lambda x: x.tan(), lambda a: plus(ONE, power(Function("tan", a), TWO))),
    "exp": (lambda x: x.exp(), lambda a: Function("exp", a)),
    "log": (lambda x: x.log(), lambda a: over(ONE, a)),
    "sqrt": (lambda x: x.sqrt(), lambda a: over(Number(0.5), Function("sqrt", a))),
    "abs": (lambda x: x.abs(), lambda a: Function("sign", a)),
    "sign": (lambda x: x.sign(), lambda a: ZERO),
    "tanh": (lambda x: x.tanh(), lambda a: plus(ONE, minus(power(Function("tanh", a), TWO)))),
    "sinh": (lambda x: x.sinh(), lambda a: Function("cosh", a)),
    "cosh": (lambda x: x.cosh(), lambda a: Function("sinh", a)),
    "sigmoid": (
        lambda x: x.sigmoid(),
        lambda a: times(Function("sigmoid", a), plus(ONE, minus(Function("sigmoid", a)))),
    ),
    "square": (lambda x: x.square(), lambda a: times(TWO, a)),
}
"""Name → (value, derivative with respect to its argument)."""

RESERVED = frozenset([*FUNCTIONS, *CONSTANTS])
"""Names that have a meaning already."""


def tensor(value: Scalar) -> Tensor:
    return value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)


def _inside(part: Formula, strength: int) -> str:
    return str(part) if part.strength >= strength else f"({part})"


def plus(a: Formula, b: Formula) -> Formula:
    """a + b, simplified."""
    if ZERO in (a, b):
        return b if a == ZERO else a
    if isinstance(a, Number) and isinstance(b, Number) and math.isfinite(a.number + b.number):
        return Number(a.number + b.number)
    if isinstance(a, Difference) and isinstance(a.right, Number) and isinstance(b, Number):
        return plus(a.left, Number(b.number - a.right.number))
    if isinstance(b, Negative):
        return Difference(a, b.part)
    return Difference(a, Number(-b.number)) if isinstance(b, Number) and b.number < 0 else Sum(a, b)


def minus(a: Formula) -> Formula:
    """-a, simplified."""
    if isinstance(a, Negative):
        return a.part
    return Number(-a.number) if isinstance(a, Number) and a != ZERO else a if a == ZERO else Negative(a)


def times(a: Formula, b: Formula) -> Formula:
    """a * b, simplified; what has no names in it comes first."""
    if a.names and not b.names:
        a, b = b, a
    if ZERO in (a, b):
        return ZERO
    if ONE in (a, b):
        return b if a == ONE else a
    if a == Number(-1.0):
        return minus(b)
    if isinstance(a, Negative):
        return minus(times(a.part, b))
    if isinstance(b, Negative):
        return minus(times(a, b.part))
    if isinstance(a, Number) and isinstance(b, Number) and math.isfinite(a.number * b.number):
        return Number(a.number * b.number)
    if isinstance(a, Number) and isinstance(b, Product) and isinstance(b.left, Number):
        return times(times(a, b.left), b.right)
    return Product(a, b)


def over(a: Formula, b: Formula) -> Formula:
    """a / b, simplified."""
    return ZERO if a == ZERO else a if b == ONE else Quotient(a, b)


def power(a: Formula, b: Formula) -> Formula:
    """a ^ b, simplified."""
    return ONE if b == ZERO else a if b == ONE else Power(a, b)
