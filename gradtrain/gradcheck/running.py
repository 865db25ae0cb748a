"""The law of running statistics, and what evaluation mode promises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gradtrain.gradcheck.callee import Callee
from gradtrain.gradcheck.finding import Ledger


def prove_running(callee: Callee, ledger: Ledger, **where: Any) -> None:
    """new = (1 - m) old + m batch, the variance unbiased; in evaluation mode nothing of the batch is used or kept.

    For every module with `running_mean`, `running_var` and a number `momentum` inside the one that was given.
    Source: Ioffe & Szegedy (2015), arXiv:1502.03167; PyTorch documentation, BatchNorm1d.
    """
    if callee.owned is None:
        return
    found = {
        name: module
        for name, module in callee.owned.named_modules()
        if isinstance(getattr(module, "running_mean", None), Tensor)
        and isinstance(getattr(module, "running_var", None), Tensor)
        and isinstance(getattr(module, "momentum", None), float)
        and not isinstance(module, nn.modules.instancenorm._InstanceNorm)
    }
    if not found:
        return
    modes = [(inner, inner.training) for inner in callee.owned.modules()]
    probe = callee.probe()
    try:
        callee.owned.train()
        seen: dict[str, Tensor] = {}
        before = {name: (_of(m, "running_mean").clone(), _of(m, "running_var").clone()) for name, m in found.items()}
        hooks = [
            module.register_forward_pre_hook(lambda _, args, name=name: seen.setdefault(name, args[0].detach()))
            for name, module in found.items()
        ]
        try:
            probe.at(probe.moved({}, 0.0))
        finally:
            for hook in hooks:
                hook.remove()
        for name, module in found.items():
            if name in seen:
                _law(name, module, seen[name], before[name], ledger, **where)
        _evaluation(callee, ledger, **where)
    except Exception as error:
        ledger.write("running statistics", "fail", note=f"{type(error).__name__}: {error}", **where)
    finally:
        for inner, training in modes:
            inner.training = training
        probe.kept.restore()


def _of(module: nn.Module, name: str) -> Tensor:
    tensor: Tensor = getattr(module, name)
    return tensor


def _law(name: str, module: nn.Module, x: Tensor, before: tuple[Tensor, Tensor], ledger: Ledger, **where: Any) -> None:
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean, var = _of(module, "running_mean"), _of(module, "running_var")
    if x.ndim < 2 or mean.shape != (x.shape[1],) or x.numel() // x.shape[1] < 2:
        return
    momentum = float(getattr(module, "momentum"))  # noqa: B009
    expected = [
        (1 - momentum) * old + momentum * new
        for old, new in zip(before, (x.mean(axes), x.var(axes, unbiased=True)), strict=True)
    ]
    called = f" of {name}" if name else ""
    for kind, got, wanted, old, new in (
        ("mean", mean, expected[0], before[0], x.mean(axes)),
        ("variance", var, expected[1], before[1], x.var(axes, unbiased=False)),
    ):
        loose = 100 * torch.finfo(got.dtype).eps
        holds = torch.allclose(got.double(), wanted.double(), rtol=max(1e-9, loose), atol=max(1e-12, loose))
        note = "" if holds else _said(kind, got, old, new, momentum)
        ledger.state(f"running {kind}{called}", holds, note, **where)


def _said(kind: str, got: Tensor, old: Tensor, new: Tensor, momentum: float) -> str:
    law = "new = (1 - m) old + m batch" + (", with the unbiased variance" if kind == "variance" else "")
    if torch.equal(got, old):
        return f"the running {kind} does not move; the law is {law}"
    if torch.allclose(got, momentum * old + (1 - momentum) * new, rtol=1e-9):
        return f"momentum is turned round: it keeps m of the old {kind}; the law is {law}"
    if kind == "variance" and torch.allclose(got, (1 - momentum) * old + momentum * new, rtol=1e-9):
        return f"the batch's variance is biased here; the law is {law}"
    return f"the running {kind} does not follow {law}"


def _evaluation(callee: Callee, ledger: Ledger, **where: Any) -> None:
    """In evaluation mode one sample's result does not depend on the others, and no statistics move."""
    assert callee.owned is not None
    callee.owned.eval()
    before = [buffer.clone() for buffer in callee.owned.buffers()]
    probe = callee.probe()
    first = probe.at(probe.moved({}, 0.0))
    still = all(torch.equal(a, b) for a, b in zip(before, callee.owned.buffers(), strict=True))
    ledger.state("evaluation mode", still, "a call in evaluation mode changes the buffers", **where)
    probe.kept.restore()
    changed = {}
    for name in callee.moved:
        x = callee.tensors[name]
        if x.ndim and x.shape[0] > 1:
            changed[name] = x.clone()
            changed[name][1:] = 2 * x[1:] + 1
    if not changed:
        return
    other = callee.at(changed, {}).probe()
    second = other.at(other.moved({}, 0.0))
    for name, out in first.items():
        if out.ndim and out.shape[0] == next(iter(changed.values())).shape[0] and name in second:
            same = torch.allclose(out[0], second[name][0], rtol=probe.slack(1e-9), atol=probe.slack(1e-12))
            note = "in evaluation mode the first sample's result changes with the other samples of its batch"
            ledger.state("evaluation mode", same, note, **where)
