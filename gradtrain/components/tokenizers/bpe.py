"""One symbol a frequent piece of text."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, PositiveInt

from gradtrain.components.tokenizers import UNREADABLE, Tokenizer, Vocabulary, damaged, distinct_texts, only
from gradtrain.problems import Problem

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Indices


class _Pieces(Vocabulary):
    """Pieces and merges only; the rest of the pipeline is always the same and never read from a file."""

    tokenizer = "bpe"

    def __init__(self, pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
        self.pieces, self.merges = tuple(pieces), tuple(merges)
        numbers = {piece: number for number, piece in enumerate(pieces)}
        self._codec = _pipeline(numbers, list(merges))

    @property
    def size(self) -> int:
        return len(self.pieces)

    def array(self, text: str) -> Indices:
        import numpy as np

        return np.array(self.encode(text), dtype=np.int64)

    def encode(self, text: str) -> list[int]:
        readable = text.encode("utf-8", "replace").decode()  # the library takes no lone surrogates
        indices: list[int] = self._codec.encode(readable).ids
        return indices

    def decode(self, indices: Iterable[int]) -> str:
        text, run = [], []
        for index in indices:
            if 0 <= index < len(self.pieces):
                run.append(index)
            else:
                text += [self._codec.decode(run), UNREADABLE]
                run = []
        return "".join([*text, self._codec.decode(run)])

    def stored(self) -> dict[str, Any]:
        return {"pieces": list(self.pieces), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Self:
        only(stored, "pieces", "merges")
        pieces, merges = distinct_texts(stored, "pieces"), stored["merges"]
        known = set(pieces)
        if not isinstance(merges, list | tuple) or len(merges) > len(pieces):
            raise damaged("`merges` is no list of pairs, or longer than `pieces`")
        for pair in merges:
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise damaged("`merges` holds something else than pairs of texts")
            if not {*pair, "".join(pair)} <= known:
                raise damaged("`merges` joins what is not in `pieces`")
        if not set(_library().pre_tokenizers.ByteLevel.alphabet()) <= known:
            raise damaged("`pieces` lacks some of the 256 bytes")
        return cls(pieces, [(first, second) for first, second in merges])


class Bpe(Tokenizer):
    """Frequent pieces of text are symbols: bytes, and what grows from them by joining the most frequent pair again.

    paper     Sennrich, Haddow & Birch (2016), ACL, arXiv:1508.07909; over bytes as in Radford et al. (2019), GPT-2
    shape     vocabulary: at most `size`, at least 256
    note      Needs the library tokenizers: `pip install "gradtrain[text]"`. Text is cut before words and numbers as
              GPT-2 does; every text can be encoded.
    """

    cases = [{}, {"size": 300, "min_count": 3}]

    size: Annotated[int, Field(ge=256, le=1_000_000)] = 1000
    """Most symbols; the first 256 are the bytes."""
    min_count: PositiveInt = 2
    """Pairs that occur less often are not joined."""

    learns = _Pieces

    def learn(self, text: str) -> Vocabulary:
        import json

        library = _library()
        codec = _pipeline({}, [])
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.size, min_frequency=self.min_count, show_progress=False,
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        )  # fmt: skip
        codec.train_from_iterator(text.splitlines(keepends=True), trainer)
        model = json.loads(codec.to_str())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return _Pieces(pieces, [(pair[0], pair[1]) for pair in model["merges"]])


def _library() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ImportError:
        what = "`bpe` is learned by the library tokenizers, which is not installed"
        why, help = (
            "it is an extra of gradtrain",
            'pip install "gradtrain[text]"; `chars`, `bytes` and `words` need none',
        )
        raise Problem("extra-missing", what, why=why, help=help) from None


def _pipeline(numbers: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    """The library's tokenizer: GPT-2's cuts, bytes as characters, and these pieces."""
    library = _library()
    codec = library.Tokenizer(library.models.BPE(vocab=numbers, merges=merges))
    codec.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    codec.decoder = library.decoders.ByteLevel()
    return codec
