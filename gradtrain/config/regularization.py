"""The section `regularization:`: words that say nothing where they stand, and networks that are not there."""

from __future__ import annotations

from gradtrain.config.findings import Findings, listed
from gradtrain.config.sections import Penalty
from gradtrain.problems import Place, did_you_mean, quote

WHERE = {
    "weight": "a penalty on weights",
    "constraint": "a constraint on weights",
    "output": "a penalty on outputs",
    "input_gradient": "a penalty on the slope of a network",
}
"""What a penalty is on, in words."""

MEANT = {
    "params": ("weight", "constraint"),
    "of": ("output", "input_gradient"),
    "at": ("output",),
    "weight": ("weight", "output", "input_gradient"),
    "form": ("weight",),
}
"""Word beside a penalty → the kinds of penalty that read it."""


class Regularization(Findings):
    """Mistakes in the words beside a penalty, which would otherwise be read by nobody."""

    def all(self) -> None:
        for item in self.run.regularization:
            self.unread(item)
            roles = tuple(self.run.networks)
            if item.of is not None and item.part.of in MEANT["of"] and item.of not in roles:
                self.add(
                    "roles",
                    f"no network is named {quote(item.of)}",
                    self.key(item, "of"),
                    f"the networks are {listed(roles)}",
                    did_you_mean(item.of, roles, "name one of them"),
                )

    def unread(self, item: Penalty) -> None:
        name, kind = item.part.name(), item.part.of
        for word, kinds in MEANT.items():
            if word not in item.model_fields_set or kind in kinds:
                continue
            help = f"remove `{word}`"
            if word in type(item.part).model_fields:
                help = f"a parameter stands below its name: `{name}: {{{word}: {getattr(item, word)}}}`"
            self.add(
                "penalty-word",
                f"`{word}` says nothing beside `{name}`",
                self.key(item, word),
                f"`{name}` is {WHERE[kind]}; `{word}` is for {_or([WHERE[k] for k in kinds])}",
                help,
            )

    def key(self, item: Penalty, word: str) -> Place | None:
        """Where a word beside a penalty was written."""
        node = self.composer.places.get(id(item))
        below = (node.mapping or {}).get(word) if node else None
        return below.at if below else self.of(item)


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
