"""gradtrain trains PyTorch models from one YAML file and proves that their gradients are right.

    import gradtrain

    config = gradtrain.load("configs/digits-mlp.yaml")     # a validated record; raises gradtrain.Problem
    outcome = gradtrain.train("configs/digits-mlp.yaml")   # trains it, as the command does
    report = gradtrain.gradcheck("huber", "layers")        # proves components; report.ok, report.findings
    report = gradtrain.gradcheck(my_loss, x, y)            # proves a function or a module at a point
    report = gradtrain.gradcheck_optimizer(lambda params: MyAdam(params), textbook="adamw")

A component of your own derives from one of the families: Loss, Game, Activation, Regularizer, Normalization, Layer,
Model, Initializer, Optimizer, Schedule, Objective, Metric, Dataset, Transform, Augmentation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtrain.components.activations import Activation
    from gradtrain.components.augmentations import Augmentation
    from gradtrain.components.datasets import Dataset
    from gradtrain.components.games import Game
    from gradtrain.components.initializers import Initializer
    from gradtrain.components.layers import Layer
    from gradtrain.components.losses import Loss
    from gradtrain.components.metrics import Metric
    from gradtrain.components.models import Model
    from gradtrain.components.normalizations import Normalization
    from gradtrain.components.objectives import Objective
    from gradtrain.components.optimizers import Optimizer
    from gradtrain.components.regularizers import Regularizer
    from gradtrain.components.schedules import Schedule
    from gradtrain.components.transforms import Transform
    from gradtrain.gradcheck import gradcheck
    from gradtrain.gradcheck.optimizers import gradcheck_optimizer
    from gradtrain.interface import load, train
    from gradtrain.problems import Problem

_HOMES = {
    "Activation": "components.activations",
    "Augmentation": "components.augmentations",
    "Dataset": "components.datasets",
    "Game": "components.games",
    "Initializer": "components.initializers",
    "Layer": "components.layers",
    "Loss": "components.losses",
    "Metric": "components.metrics",
    "Model": "components.models",
    "Normalization": "components.normalizations",
    "Objective": "components.objectives",
    "Optimizer": "components.optimizers",
    "Problem": "problems",
    "Regularizer": "components.regularizers",
    "Schedule": "components.schedules",
    "Transform": "components.transforms",
    "gradcheck_optimizer": "gradcheck.optimizers",
    "load": "interface",
    "train": "interface",
}

__all__ = [
    "Activation",
    "Augmentation",
    "Dataset",
    "Game",
    "Initializer",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Normalization",
    "Objective",
    "Optimizer",
    "Problem",
    "Regularizer",
    "Schedule",
    "Transform",
    "gradcheck",
    "gradcheck_optimizer",
    "load",
    "train",
]


def __getattr__(name: str) -> object:
    """Public names are imported at their first use: `import gradtrain` alone imports neither torch nor pydantic."""
    if name == "gradcheck":  # the package is callable: its name and the function's are the same
        return importlib.import_module("gradtrain.gradcheck")
    if name not in _HOMES:
        raise AttributeError(f"module 'gradtrain' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gradtrain.{_HOMES[name]}"), name)
