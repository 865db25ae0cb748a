"""A plot of an activation and its derivative in the terminal, drawn from its equations."""

from __future__ import annotations

import importlib.util

from gradtrain.components.activations import Activation
from gradtrain.lazy import torch
from gradtrain.stage import Misfit

HOW_TO_GET_PLOTS = "(a plot of f and f' needs plotext: pip install 'gradtrain[plot]')"
POINTS = 241
REACH = 4.0


def curves(cls: type[Activation], width: int) -> str:
    """f and f' over [-4, 4] as text of at most `width` columns; empty for what mixes its inputs."""
    activation = cls(**cls.cases[0])
    x = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    try:
        f, alone = activation.textbook(x[None]), activation.textbook(x[:, None])
    except (Misfit, RuntimeError):
        return ""
    if f.shape != x[None].shape or not torch.allclose(f[0], alone[:, 0], equal_nan=True):
        return ""
    if importlib.util.find_spec("plotext") is None:
        return HOW_TO_GET_PLOTS
    slope = activation.derivative(torch.ones_like(x)[None], x[None])
    return _drawn({"f": f[0].tolist(), "f'": slope[0].tolist()}, x.tolist(), min(width, 76))


def _drawn(lines: dict[str, list[float]], x: list[float], width: int) -> str:
    import plotext  # type: ignore[import-untyped]

    figure = plotext.figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(max(20, width), 16)
    for (name, y), marker in zip(lines.items(), ("braille", "+"), strict=True):
        signal = figure.signal(x, y, marker=marker)
        signal.label(name)
        signal.lines()
        figure.draw(signal)
    return str(plotext.uncolorize(str(figure.build()))).rstrip()
