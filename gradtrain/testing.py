"""For the tests of others: a gradient that is wrong fails them with the evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradtrain.gradcheck import Report, gradcheck

__all__ = ["assert_gradients"]


def assert_gradients(
    function: Callable[..., Any],
    *inputs: Any,
    textbook: Callable[..., Any] | None = None,
    gradient: Callable[..., Any] | None = None,
    surrogate: Callable[..., Any] | None = None,
    seed: int = 0,
    directions: int = 2,
    order: int = 2,
) -> Report:
    """Prove a function or module as `gradtrain.gradcheck` does. Raises AssertionError with the report if it fails."""
    report = gradcheck(
        function, *inputs, textbook=textbook, gradient=gradient, surrogate=surrogate, seed=seed,
        directions=directions, order=order,
    )  # fmt: skip
    if not report.ok:
        raise AssertionError(f"the gradient is not proven\n\n{report}")
    return report
