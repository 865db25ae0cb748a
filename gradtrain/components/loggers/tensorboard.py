"""TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradtrain.components.loggers import Header, Log, Logger


class TensorBoard(Logger):
    """Event files for TensorBoard, in the run's folder `tensorboard/`: `tensorboard --logdir runs`.

    note      After a resume, points beyond the checkpoint are purged and written again.
    """

    needs = "tensorboard"

    def open(self, header: Header) -> Log:
        from torch.utils.tensorboard import SummaryWriter

        again = header.start + 1 if header.start else None
        writer = SummaryWriter(str(header.folder / "tensorboard"), purge_step=again)
        if not header.start:
            rows = "\n".join(f"    {key}: {value}" for key, value in header.settings.items())
            writer.add_text("config", rows, 0)
        return _Events(writer)


class _Events(Log):
    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def text(self, step: int, name: str, text: str) -> None:
        self.writer.add_text(name, text, step)

    def flush(self) -> None:
        self.writer.flush()

    def close(self, state: str) -> None:
        self.writer.close()
