"""What language models have in common: writing a text, and the probe that they do not look ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtrain.components.datasets import Facts
from gradtrain.components.objectives import Wish
from gradtrain.components.objectives._memory import stepwise
from gradtrain.lazy import Tensor, nn, torch
from gradtrain.problems import Problem

if TYPE_CHECKING:
    from gradtrain.components.tokenizers import Vocabulary

PLACES = 16
"""Places of a sequence that the probe looks at: the first so many, where it is longer."""


def continued(network: nn.Module, vocabulary: Vocabulary, facts: Facts, wish: Wish) -> str:
    """A text that goes on from a prompt, symbol by symbol; the network sees the last places that its window holds."""
    device = next(network.parameters()).device
    ids = torch.tensor([vocabulary.encode(wish.prompt)], dtype=torch.int64, device=device)
    if not ids.numel():
        raise Problem("prompt", "the prompt is empty", help="begin with a symbol, such as a line break")
    length = facts.shape[0] if facts.shape else 1
    with torch.no_grad(), stepwise(network, ids.repeat(1, 2)) as remembers:
        new = ids
        for _ in range(wish.length):
            window = new if remembers else ids[:, -length:]
            new = drawn(network(window)[:, window.shape[1] - 1], wish.temperature, wish.top_k)
            ids = torch.cat([ids, new], dim=1)
    return vocabulary.decode(ids[0].tolist())


def drawn(scores: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """One symbol a row [batch, 1] by its probability softmax(scores / temperature), of the likeliest `top_k` only."""
    if temperature == 0:
        return scores.argmax(dim=-1, keepdim=True)
    scores = scores / temperature
    if top_k is not None and top_k < scores.shape[-1]:
        least = scores.topk(top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, float("-inf"))
    return torch.multinomial(scores.softmax(dim=-1), 1)


def refuse_looking_ahead(network: nn.Module, facts: Facts) -> None:
    """Raises `Problem` where the scores of a place depend on a later symbol: the gradient there must be exactly 0."""
    if not facts.shape or facts.shape[0] < 2:
        return
    found = dependence(network, torch.arange(facts.shape[0]))
    for place, slopes in enumerate(() if found is None else found):
        refuse_later(place, slopes[place + 1 :])


def refuse_later(place: int, slopes: Tensor) -> None:
    """Raises `Problem` where the scores of a place depend on the symbols after it, whose slopes [later] these are."""
    if later := slopes.nonzero().flatten().tolist():
        raise _sees(place, place + 1 + later[0])


def dependence(network: nn.Module, symbols: Tensor) -> Tensor | None:
    """How much the scores of a place depend on each symbol: the largest slope [place, time], for the first places.

    None for a network that looks up no vector for a symbol. Symbols are taken modulo the number of vectors.
    """
    tables = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    if not tables:
        return None
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    training = network.training
    hook = tables[0].register_forward_hook(keep)
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            symbols = symbols.to(tables[0].weight.device) % tables[0].num_embeddings
            scores = network.eval()(symbols.unsqueeze(0))
            slopes = [
                torch.autograd.grad(scores[0, place].sum(), seen[0], retain_graph=True)[0]
                for place in range(min(PLACES, scores.shape[1]))
            ]
            return torch.cat(slopes).abs().amax(dim=-1)
    finally:
        hook.remove()
        network.train(training)


def _sees(place: int, later: int) -> Problem:
    return Problem(
        "looks-ahead",
        f"the network sees what it is asked: its answer at place {place} depends on the symbol at place {later}",
        why="the gradient of an output with respect to a later input must be exactly 0",
        help="write `causal: true` in attention, and no `bidirectional` layers",
    )
