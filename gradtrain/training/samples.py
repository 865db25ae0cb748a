"""Samples on their way to the network: transforms fitted on the train split, dtypes, the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtrain.components.transforms import Fitted, TransformUse
from gradtrain.training.batches import IN_ONE_PIECE


@dataclass
class Pipeline:
    """The transforms of a run with what they learned."""

    transforms: Sequence[TransformUse]
    fitted: list[Fitted]
    dtype: torch.dtype

    @classmethod
    def fit(cls, transforms: Sequence[TransformUse], train: Mapping[str, Tensor], dtype: torch.dtype) -> Pipeline:
        """Learn each transform from the train split as the ones before it left it."""
        fields, fitted = dict(train), []
        for use in transforms:
            learned = use.part.fit(fields[use.on])
            fields[use.on] = use.part.forward(fields[use.on], learned)
            fitted.append(learned)
        return cls(transforms, fitted, dtype)

    def __call__(self, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch as the network reads it: transformed, real numbers in the run's dtype."""
        for use, learned in zip(self.transforms, self.fitted, strict=True):
            fields[use.on] = use.part.forward(fields[use.on], learned)
        return {name: self.typed(name, tensor) for name, tensor in fields.items()}

    def undone(self, field: str, tensor: Tensor) -> Tensor:
        """Predictions of a field in the data's own units: its transforms taken back, the last one first."""
        for use, learned in reversed(list(zip(self.transforms, self.fitted, strict=True))):
            tensor = use.part.inverse(tensor, learned) if use.on == field else tensor
        return tensor

    def typed(self, name: str, tensor: Tensor) -> Tensor:
        """Real numbers in the run's dtype; class indices (the only integers a target keeps) stay int64."""
        return (
            tensor.to(self.dtype)
            if tensor.is_floating_point() or (name == "x" and tensor.dtype == torch.uint8)
            else tensor
        )

    def to(self, device: torch.device) -> None:
        self.fitted = [{key: tensor.to(device) for key, tensor in learned.items()} for learned in self.fitted]

    def fits(self, fields: Mapping[str, Tensor]) -> bool:
        """Whether a split is small enough to be transformed once and for all; a large one stays as it is stored."""
        one = self({name: tensor[:1] for name, tensor in fields.items()})
        return sum(tensor.nbytes for tensor in one.values()) * len(next(iter(fields.values()))) <= IN_ONE_PIECE

    def laid_out(self, fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A whole split, transformed."""
        return {name: tensor.contiguous() for name, tensor in self(dict(fields)).items()}
