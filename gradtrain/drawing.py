"""What networks make up, as files: a text, a grid of pictures, a table with its chart."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.components.objectives import Drawn, Task, Wish
from gradtrain.config.sections import Sampling
from gradtrain.problems import Problem
from gradtrain.training.batches import Batches

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""A palette that colour-blind readers can tell apart (Paul Tol's bright scheme)."""


def drawn(task: Task, networks: Mapping[str, nn.Module], batches: Batches, section: Sampling) -> Drawn:
    """What the section asks for; torch's generator and the networks' modes are left as they were."""
    first = next(iter(batches.once(1)))
    wish = Wish(
        count=section.count,
        prompt=section.prompt,
        length=section.length,
        temperature=section.temperature,
        top_k=section.top_k,
        source=section.source,
        batch={name: tensor[: section.count] for name, tensor in first.items()},
    )
    modes = {role: network.training for role, network in networks.items()}
    try:
        for network in networks.values():
            network.eval()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(section.seed)
            return task.sample(networks, wish)
    finally:
        for role, network in networks.items():
            network.train(modes[role])


def ready(draws: str | None) -> None:
    """Raises `Problem` where a run could not write what it is to draw; asked before it starts."""
    if draws in ("images", "table"):
        _pillow()


def files(made: Drawn, stem: str) -> dict[str, bytes]:
    """File name → its bytes. Raises `Problem` (configuration) where pictures need a library that is not installed."""
    if made.text is not None:
        return {f"{stem}.txt": made.text.encode()}
    if made.images is not None:
        return {f"{stem}.png": grid(made.images)}
    if made.table is not None:
        return {f"{stem}.csv": table(made.table), f"{stem}.png": chart(made.table)}
    return {}


def grid(images: Tensor) -> bytes:
    """Pictures [count, channel, height, width] in 0..1 side by side, as a PNG: eight a row, two pixels apart."""
    pillow = _pillow()
    count, channels, height, width = images.shape
    columns = min(8, count)
    rows = math.ceil(count / columns)
    sheet = torch.ones(channels, rows * (height + 2) + 2, columns * (width + 2) + 2)
    for i, image in enumerate(images.cpu().float()):
        top, left = 2 + i // columns * (height + 2), 2 + i % columns * (width + 2)
        sheet[:, top : top + height, left : left + width] = image
    pixels = (sheet * 255).round().to(torch.uint8).movedim(0, -1)
    picture = pillow.Image.fromarray(pixels.squeeze(-1).numpy())
    scale = max(1, round(480 / picture.width))
    return _png(picture.resize((picture.width * scale, picture.height * scale), pillow.Image.Resampling.NEAREST))


def table(columns: Mapping[str, Tensor]) -> bytes:
    """The columns as CSV; what is missing is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", *columns])
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    for number, row in enumerate(rows):
        writer.writerow([number, *("" if math.isnan(value) else repr(value) for value in row)])
    return file.getvalue().encode()


def chart(columns: Mapping[str, Tensor]) -> bytes:
    """The columns as lines over their steps, as a PNG of 960x360; the range of values stands at the left."""
    pillow = _pillow()
    picture = pillow.Image.new("RGB", (960, 360), "white")
    pen = pillow.ImageDraw.Draw(picture)
    values = torch.stack([column.double() for column in columns.values()])
    known = values[values.isfinite()]
    low, high = (float(known.min()), float(known.max())) if known.numel() else (0.0, 1.0)
    span = (high - low) or 1.0
    left, right, top, bottom = 70, 950, 10, 335
    pen.rectangle((left, top, right, bottom), outline="#bbbbbb")
    for value in (low, (low + high) / 2, high):
        y = bottom - (value - low) / span * (bottom - top)
        pen.text((6, y - 6), f"{value:.3g}", fill="#333333")
    groups = list(dict.fromkeys(name.rpartition("_")[2] for name in columns))
    steps = max(values.shape[1] - 1, 1)
    for name, column in zip(columns, values, strict=True):
        colour = COLOURS[groups.index(name.rpartition("_")[2]) % len(COLOURS)]
        faint = name.startswith("given")
        points = [
            (left + i / steps * (right - left), bottom - (float(v) - low) / span * (bottom - top))
            for i, v in enumerate(column)
            if math.isfinite(float(v))
        ]
        if len(points) > 1:
            pen.line(points, fill=colour, width=1 if faint else 2)
    pen.text((left, 340), f"0 … {steps} steps; thin: given, thick: the network's own run", fill="#333333")
    return _png(picture)


def _png(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageDraw
    except ImportError:
        raise Problem(
            "extra-missing",
            "pictures are written by pillow, which is not installed",
            why="it is an extra of gradtrain",
            help='pip install "gradtrain[image]", or leave out `sampling:`',
        ) from None
    return PIL
