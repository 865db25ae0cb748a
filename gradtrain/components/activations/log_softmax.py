"""The logarithm of softmax."""

from __future__ import annotations

from gradtrain.components.activations import Activation
from gradtrain.lazy import F, Tensor


class LogSoftmax(Activation):
    """Logarithms of probabilities that add up to one over the classes: what `nll` takes.

    With p = softmax(x) over axis 1:

    value     x_k - log Σ_j exp(x_j)
    gradient  dx_k = g_k - p_k Σ_j g_j
    paper     Bridle (1990), Neurocomputing: Algorithms, Architectures and Applications, Springer
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(x, dim=1)

    def textbook(self, x: Tensor, **parameters: Tensor) -> Tensor:
        below = x - x.max(dim=1, keepdim=True).values
        return below - below.exp().sum(dim=1, keepdim=True).log()

    def derivative(self, g: Tensor, x: Tensor) -> Tensor:
        scaled = (x - x.max(dim=1, keepdim=True).values).exp()
        return g - scaled / scaled.sum(dim=1, keepdim=True) * g.sum(dim=1, keepdim=True)
