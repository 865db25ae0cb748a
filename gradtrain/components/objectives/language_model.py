"""Language modelling: what comes next?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal

from gradtrain.components.datasets import IGNORED, Examples, Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import (
    Batch,
    Complaint,
    Drawn,
    Networks,
    Objective,
    Outline,
    Task,
    Terms,
    Wish,
    width,
)
from gradtrain.components.objectives._memory import forget, memories
from gradtrain.components.objectives._text import continued, refuse_looking_ahead
from gradtrain.components.objectives._weighted import Weighted
from gradtrain.components.tokenizers import vocabulary
from gradtrain.lazy import Tensor, torch
from gradtrain.problems import Problem


class LanguageModel(Objective):
    """At every place of a sequence the network says what comes next, and is told.

    With s_t the scores after x_0 … x_t, over the places whose target counts:

    value     total = mean_t loss(s_t, x_t+1);  for cross_entropy the mean surprise in nats a symbol
    gradient  ∂total/∂s_t = ∂loss/∂s_t / places;  ∂s_t/∂x_t+1 = 0 exactly: the network must not see what it is asked
    paper     Shannon (1951), Bell System Technical Journal 30(1):50-64; Bengio et al. (2003), JMLR 3:1137-1155
    note      Before the first step the run measures ∂s_t/∂x_u for u > t, and refuses a network where one is not 0.
              With `carry`, a recurrent network begins each batch with the memory of the one before, of which no
              gradient flows back (truncated backpropagation through time); `data.windows.start: stream` goes with it.
    """

    kind: ClassVar[TargetKind | None] = "class"
    labelled: ClassVar[bool] = False
    draws: ClassVar[Literal["text", "images", "table"] | None] = "text"

    cases = [{}, {"carry": True}]

    carry: bool = False
    """Begin a batch with the memory that the batch before left."""

    def complaints(self, networks: Mapping[str, Outline], facts: Facts) -> Iterator[Complaint]:
        model, vocab = networks["model"], facts.vocab
        if vocab is not None and model.output != (*model.input, vocab):
            why = "every place of the window needs one score a symbol"
            yield width("model", model.output, (*model.input, vocab), why, "end with `linear: $data.vocab`")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _LanguageModel(self, losses, facts)


class _LanguageModel(Task):
    def __init__(self, objective: LanguageModel, losses: Sequence[WeightedLoss], facts: Facts) -> None:
        self.objective, self.facts = objective, facts
        self.terms = Weighted(losses, ignored=IGNORED)
        self.memories: list[torch.nn.Module] = []
        self.mode = "train"
        self.kept: dict[str, list[object]] = {}

    def bind(self, networks: Networks, examples: Examples) -> None:
        refuse_looking_ahead(networks["model"], self.facts)
        if not self.objective.carry:
            return
        self.memories = memories(networks["model"])
        if not self.memories:
            raise Problem(
                "nothing-to-carry",
                "`carry` has nothing to carry: no layer of the network has a memory",
                why="`lstm`, `gru` and `rnn` have one",
                help="leave out `carry`, or use one of them",
            )
        for module in self.memories:
            module.carry, module.carried = True, None  # type: ignore[assignment]

    def count(self, batch: Batch) -> Tensor | float:
        return self.terms.count(batch["y"].flatten())

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        self.enter("train", batch)
        return self.terms(networks["model"](batch["x"]).flatten(0, 1), batch["y"].flatten())

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        self.enter("measure", batch)
        scores, target = networks["model"](batch["x"]), batch["y"]
        return self.terms(scores.flatten(0, 1), target.flatten()), scores.transpose(1, 2), target

    def enter(self, mode: str, batch: Batch) -> None:
        """Keep the memories of training apart from those of an evaluation; an epoch begins without any."""
        if self.memories and mode != self.mode:
            self.kept[self.mode] = [module.carried for module in self.memories]
            for module, carried in zip(self.memories, self.kept.get(mode, [None] * len(self.memories)), strict=True):
                module.carried = carried  # type: ignore[assignment]
            self.mode = mode
        if getattr(batch, "first", False):
            forget(self.memories)

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])[:, -1]  # type: ignore[no-any-return]

    def sample(self, networks: Networks, wish: Wish) -> Drawn:
        if self.facts.vocabulary is None:
            raise Problem("no-samples", "this data has no text to write", help="leave out `sampling:`")
        return Drawn(text=continued(networks["model"], vocabulary(self.facts.vocabulary), self.facts, wish))

    def state(self) -> dict[str, Tensor]:
        self.enter("train", {})
        carried = [getattr(module, "carried", None) for module in self.memories]
        return {f"carried.{i}.{j}": part for i, parts in enumerate(carried) for j, part in enumerate(parts or ())}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        for i, module in enumerate(self.memories):
            own = {int(name.split(".")[2]): value for name, value in state.items() if name.startswith(f"carried.{i}.")}
            module.carried = tuple(own[j] for j in sorted(own)) or None  # type: ignore[assignment]
