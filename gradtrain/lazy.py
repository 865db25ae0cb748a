"""torch, imported at its first use, so that refusing a typo need not wait for it.

`from gradtrain.lazy import F, Tensor, nn, torch` costs nothing until an attribute of one of them is read; from
then on the attribute is cached in the proxy and a call costs what it always costs.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch import Tensor
else:

    class _Lazy(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            value = getattr(importlib.import_module(self.__name__), attribute)
            setattr(self, attribute, value)
            return value

    torch = _Lazy("torch")
    nn = _Lazy("torch.nn")
    F = _Lazy("torch.nn.functional")
    Tensor = "torch.Tensor"  # for annotations only; `torch.Tensor` where a class is needed

__all__ = ["F", "Tensor", "nn", "torch"]
