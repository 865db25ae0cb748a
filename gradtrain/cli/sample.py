"""gradtrain sample RUN."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Source(StrEnum):
    """What a drawing begins with."""

    PRIOR = "prior"
    RECONSTRUCTION = "reconstruction"


def sample(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    count: Annotated[int | None, typer.Option("--count", min=1, max=1024, help="Pictures, texts or forecasts.")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="What a text begins with.")] = None,
    length: Annotated[
        int | None, typer.Option("--length", min=1, max=1_000_000, help="Symbols of a text, steps of a forecast.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, help="Below 1 likely symbols become likelier; 0 takes them.")
    ] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", min=1, help="Draw from so many likeliest symbols.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the noise.")] = None,
    source: Annotated[
        Source | None, typer.Option("--source", help="Begin with chance alone, or with samples of the run's data.")
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="`best`, `last`, or the number of a step.")] = "best",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for what is drawn; for pictures by default RUN/samples.")
    ] = None,
) -> None:
    """Draw from a trained generative run."""
    from gradtrain.cli.failure import warn
    from gradtrain.cli.terminal import print_text
    from gradtrain.sample import sampled

    wishes = {
        "count": count,
        "prompt": prompt,
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "seed": seed,
        "source": None if source is None else source.value,
    }
    made = sampled(run, wishes, checkpoint, out, warn)
    print_text(made.removesuffix("\n") if isinstance(made, str) else "\n".join(map(str, made)))
