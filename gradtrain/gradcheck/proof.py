"""The proof of one subject: both faces give the same number, and autograd the closed-form derivative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradtrain.gradcheck.finding import Ledger, largest
from gradtrain.gradcheck.subject import Subject
from gradtrain.lazy import Tensor, torch


def prove(subject: Subject, ledger: Ledger, generator: torch.Generator) -> None:
    """Forward against textbook, gradients against closed forms; shape, dtype and inputs kept."""
    where: dict[str, Any] = {"sample": subject.sample, "point": subject.point}
    before = {name: tensor.detach().clone() for name, tensor in subject.inputs.items()}
    with ledger.attempt(subject.of, **where):
        got = subject.result()
        _keeps_shape_and_dtype(subject, got, ledger)
        scale = largest(*subject.inputs.values())
        ledger.compare(subject.of, got, subject.textbook(), scale, **where)
        if got.shape == subject.shape:
            g = subject.layout(torch.randn(got.shape, generator=generator, dtype=torch.float64))
            _gradients(subject, got, g, scale, ledger)
    changed = [name for name, tensor in subject.inputs.items() if not torch.equal(tensor.detach(), before[name])]
    ledger.state("inputs kept", not changed, f"the call changed {', '.join(changed)} in place", **where)


def prove_kept(subject: Subject, ledger: Ledger) -> None:
    """Shape and dtype of the result, for a subject in another precision than float64."""
    with ledger.attempt("dtype", sample=subject.sample, point=subject.point):
        _keeps_shape_and_dtype(subject, subject.result(), ledger)


def _keeps_shape_and_dtype(subject: Subject, got: Tensor, ledger: Ledger) -> None:
    where: dict[str, Any] = {"sample": subject.sample, "point": subject.point}
    dtype = subject.inputs[subject.leaves[0]].dtype
    ledger.state(
        "shape",
        got.shape == subject.shape,
        f"{subject.of} gives {list(got.shape)}, the contract {list(subject.shape)}",
        **where,
    )
    ledger.state("dtype", got.dtype == dtype, f"{dtype} in, {got.dtype} out of {subject.of}", **where)


def _gradients(subject: Subject, got: Tensor, g: Tensor, scale: float, ledger: Ledger) -> None:
    where: dict[str, Any] = {"sample": subject.sample, "point": subject.point}
    leaves = {name: subject.inputs[name] for name in subject.leaves}
    automatic = _autograd(got, leaves, g.to(got.dtype))
    with torch.no_grad():
        closed = subject.gradient(g)
    scale = max(scale, largest(g))
    suffix = "" if subject.of == "forward" else f" through {subject.of}"
    for name, leaf in leaves.items():
        check = f"gradient of {name}{suffix}"
        found = automatic[name]
        if name not in closed:
            ledger.write(check, "fail", note=f"the closed form says nothing about {name}", **where)
        elif found is None:
            # Zero by derivation is fine; not in the graph at all is a parameter that never learns.
            ledger.write(check, "fail", note=f"detached: no path leads from the result back to {name}", **where)
        elif found.dtype != leaf.dtype:
            ledger.write(check, "fail", note=f"{leaf.dtype} in, {found.dtype} back", **where)
        else:
            ledger.compare(check, found, closed[name], scale, by=leaf, **where)
    if extra := closed.keys() - leaves.keys() - {"x"}:
        ledger.write(
            f"gradient of {min(extra)}{suffix}",
            "fail",
            note="the closed form names a tensor that is no parameter",
            **where,
        )


def _autograd(got: Tensor, leaves: Mapping[str, Tensor], g: Tensor) -> dict[str, Tensor | None]:
    if not got.requires_grad:
        return dict.fromkeys(leaves)
    return dict(zip(leaves, torch.autograd.grad(got, list(leaves.values()), g, allow_unused=True), strict=True))
