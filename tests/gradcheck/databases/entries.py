"""PyTorch's own test databases as things to prove: entries with a few small samples each.

`op_db`, `module_db` and `optim_db` ship with PyTorch as a private part; they need the package expecttest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db

import gradtrain
from gradtrain.gradcheck import Report
from gradtrain.gradcheck.optimizers import gradcheck_optimizer

Proof = Callable[[], Report]


@dataclass(frozen=True)
class Entry:
    """One entry of a database; `samples` draws at most so many of its proofs, none where it has none to offer."""

    name: str
    samples: Callable[[int], dict[str, Proof]]


def operators() -> Iterator[Entry]:
    """Every operator with a derivative on the CPU in float64, through the wrapper that PyTorch's own tests use."""
    for op in op_db:
        if op.supports_autograd and torch.float64 in op.supported_dtypes("cpu"):
            name = op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")
            yield Entry(name, partial(_operators, op, name))


def _operators(op: Any, name: str, most: int) -> dict[str, Proof]:
    """Without sparse samples, and those in which nothing requires a gradient."""
    torch.manual_seed(0)
    found = enumerate(op.sample_inputs("cpu", torch.float64, requires_grad=True))
    fit = [(number, s) for number, s in found if _fits((s.input, s.args, s.kwargs))]
    chosen = _smallest(fit, lambda s: (s.input, s.args, s.kwargs), most)
    return {str(number): partial(_operator, op, s, name) for number, s in chosen}


def _operator(op: Any, sample: Any, name: str) -> Report:
    def call(input: Any, args: Any, kwargs: Any) -> Any:
        answer = op.gradcheck_wrapper(op.get_op(), input, *args, **kwargs)
        return sample.output_process_fn_grad(answer) if sample.output_process_fn_grad is not None else answer

    call.__name__ = name
    return gradtrain.gradcheck(call, sample.input, tuple(sample.args), dict(sample.kwargs))


class Call(nn.Module):
    """A module called with positional arguments and keywords."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, args: Any, kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)


def modules() -> Iterator[Entry]:
    """Every module with its parameters, with the inputs of training and of evaluation mode."""
    for info in module_db:
        yield Entry(info.name, partial(_modules, info))


def _modules(info: Any, most: int) -> dict[str, Proof]:
    proofs: dict[str, Proof] = {}
    for mode in ("training", "evaluation"):
        torch.manual_seed(0)
        training = mode == "training"
        inputs = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
        given = [(number, each) for number, each in enumerate(inputs) if each.forward_input is not None]
        for number, each in _smallest(given, lambda e: (e.forward_input.args, e.forward_input.kwargs), most):
            proofs[f"{number} {mode}"] = partial(_module, info.module_cls, each, training)
    return proofs


def _module(cls: type[nn.Module], given: Any, training: bool) -> Report:
    torch.manual_seed(1)
    inner = cls(*given.constructor_input.args, **given.constructor_input.kwargs).to(torch.float64)
    args, kwargs = tuple(given.forward_input.args), dict(given.forward_input.kwargs)
    if any(nn.parameter.is_lazy(p) for p in inner.parameters()):
        with torch.no_grad():
            inner(*args, **kwargs)
    return gradtrain.gradcheck(Call(inner).train(training), args, kwargs)


def optimizers() -> Iterator[Entry]:
    """Every optimizer in every configuration and implementation, against the published rule of its name."""
    for info in optim_db:
        yield Entry(info.optim_cls.__name__, partial(_optimizers, info))


def _optimizers(info: Any, most: int) -> dict[str, Proof]:
    """All configurations, however many samples of other databases are drawn; none of those for sparse gradients."""
    proofs: dict[str, Proof] = {}
    for given in [] if info.only_supports_sparse_grads else info.optim_inputs_func(device="cpu"):
        for how in _implementations(info):
            options = {**given.kwargs, **({how: True} if how else {})}
            name = info.optim_cls.__name__
            rule = Averaged(**options) if name == "ASGD" else name.lower()
            said = given.desc + (f", {how}" if how else "")
            proofs[said] = partial(gradcheck_optimizer, partial(info.optim_cls, **options), rule)
    return proofs


def _implementations(info: Any) -> list[str]:
    known = ["foreach", "differentiable"] + (["fused"] if "cpu" in info.supports_fused_on else [])
    return ["", *(how for how in known if how in info.supported_impls)]


class Averaged:
    """Stochastic gradient descent whose average is kept beside it; the average is no part of the way.

    Source: Polyak & Juditsky (1992), SIAM J. Control Optim. 30(4):838-855, doi:10.1137/0330046, with the decaying
    rate of Bottou (2010), Large-Scale Machine Learning with SGD: eta = lr / (1 + lambd lr t)^alpha.
    """

    def __init__(
        self, lambd: float = 1e-4, alpha: float = 0.75, weight_decay: float = 0.0, maximize: bool = False, **rest: Any
    ) -> None:
        self.lambd, self.alpha, self.weight_decay, self.sign = lambd, alpha, weight_decay, -1 if maximize else 1

    def init(self, p: Tensor) -> dict[str, Tensor]:
        return {"eta": torch.zeros((), dtype=torch.float64)}

    def update(
        self, g: Tensor, p: Tensor, state: dict[str, Tensor], t: int, lr: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        eta = lr if t == 1 else state["eta"]
        g = self.sign * g + self.weight_decay * p
        following = torch.tensor(lr / (1 + self.lambd * lr * t) ** self.alpha, dtype=torch.float64)
        return (1 - self.lambd * eta) * p - eta * g, {"eta": following}


def beyond() -> Iterator[Entry]:
    """What the databases do not sample and is known to be wrong, or known to be right beside it."""

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    third = partial(gradtrain.gradcheck, order=3)
    targets, lengths = torch.tensor([[1, 2], [3, 1]]), (torch.tensor([5, 5]), torch.tensor([2, 2]))
    factor = torch.linalg.cholesky(drawn(3, 3) @ drawn(3, 3).T + torch.eye(3))

    def ctc(x: Tensor) -> Tensor:
        return F.ctc_loss(x, targets, *lengths)

    proofs: dict[str, Proof] = {
        "celu, alpha 1": lambda: gradtrain.gradcheck(F.celu, drawn(8)),
        "celu, alpha 1.3": lambda: gradtrain.gradcheck(lambda x: F.celu(x, 1.3), drawn(8)),
        "batch_norm, order 3": lambda: third(lambda x: F.batch_norm(x, None, None, training=True), drawn(4, 3)),
        "layer_norm, order 3": lambda: third(lambda x: F.layer_norm(x, (3,)), drawn(4, 3)),
        "group_norm, order 3": lambda: third(lambda x: F.group_norm(x, 2), drawn(3, 4, 2)),
        "rms_norm, order 3": lambda: third(lambda x: F.rms_norm(x, (3,)), drawn(4, 3)),
        "ctc_loss of raw log-probabilities": lambda: gradtrain.gradcheck(ctc, drawn(5, 2, 4).log_softmax(2)),
        "ctc_loss of log_softmax": lambda: gradtrain.gradcheck(lambda x: ctc(x.log_softmax(2)), drawn(5, 2, 4)),
        "weight_norm": lambda: gradtrain.gradcheck(lambda v, g: torch._weight_norm(v, g, 0), drawn(3, 4), drawn(3, 1)),
        "weight_norm, order 1": lambda: gradtrain.gradcheck(
            lambda v, g: torch._weight_norm(v, g, 0), drawn(3, 4), drawn(3, 1), order=1
        ),
        "CrossMapLRN2d": lambda: gradtrain.gradcheck(torch.nn.CrossMapLRN2d(3), drawn(1, 4, 3, 3)),
        "cholesky_inverse": lambda: gradtrain.gradcheck(lambda a: torch.cholesky_inverse(a.tril()), factor),
    }
    for name, proof in proofs.items():
        yield Entry(name, lambda most, proof=proof: {"0": proof})  # type: ignore[misc]


DATABASES: dict[str, Callable[[], Iterator[Entry]]] = {
    "op_db": operators,
    "module_db": modules,
    "optim_db": optimizers,
    "beyond": beyond,
}


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _fits(value: Any) -> bool:
    tensors = list(_tensors(value))
    return any(t.requires_grad for t in tensors) and all(t.layout == torch.strided for t in tensors)


def _smallest(found: Sequence[tuple[int, Any]], of: Callable[[Any], Any], most: int) -> list[tuple[int, Any]]:
    """At most so many samples, those with the fewest numbers first; an empty one only where there is nothing else."""

    def size(pair: tuple[int, Any]) -> int:
        return sum(t.numel() for t in _tensors(of(pair[1])))

    return sorted((pair for pair in found if size(pair)), key=size)[:most] or list(found[:1])
