"""The refusal of a character that a vocabulary does not hold."""

from __future__ import annotations

import unicodedata

from gradtrain.problems import Problem, quote


def unknown_symbol(text: str, position: int, known: str) -> Problem:
    """Names the character, where it stands (from 0), and the known characters that are closest to it."""
    symbol = text[position]
    name = unicodedata.name(symbol, "")
    said = f"U+{ord(symbol):04X}" + (f" {name}" if name else "")
    why = f"{said} does not occur in the text that the tokenizer learned from ({len(known)} characters)"
    near = ", ".join(quote(other) for other in closest(symbol, known))
    what = f"the character {quote(symbol)} at position {position} is not in the vocabulary"
    return Problem("unknown-symbol", what, why=why, help=f"the closest known ones are {near}" if near else "")


def closest(symbol: str, known: str, most: int = 3) -> list[str]:
    """The known characters that look most like `symbol`: its other case, its letter without accents, its kind."""
    letter = _letter(symbol)

    def distance(other: str) -> tuple[bool, bool, bool, int]:
        return (
            other.casefold() != symbol.casefold(),
            _letter(other) != letter,
            unicodedata.category(other) != unicodedata.category(symbol),
            abs(ord(other) - ord(symbol)),
        )

    return sorted(known, key=distance)[:most]


def _letter(symbol: str) -> str:
    return unicodedata.normalize("NFKD", symbol)[:1].casefold()
