"""Physics-informed networks: a differential equation is the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, model_validator

from gradtrain.components.datasets import Examples, Facts
from gradtrain.components.losses import TargetKind, WeightedLoss
from gradtrain.components.objectives import Batch, Networks, Objective, Task, Terms
from gradtrain.components.objectives._symbols import Derivatives, Symbols, distinct
from gradtrain.formula import Formula, Symbol, parse
from gradtrain.lazy import Tensor, torch


class Pinn(Objective):
    """The network is a function u of the coordinates, and must satisfy a differential equation wherever it is asked.

    An equation is written as what must be 0: `u_t - alpha * u_xx`, where u_xx is the second derivative of u by x.

    value     total = Σ_s weight_s · mean(residual_s²) over the sets of points s;  u = model(x, t, …)
    gradient  ∂total/∂w = Σ_s weight_s · mean(2 residual_s · ∂residual_s/∂w);  u_x, u_xx, … by autograd through the
              network, and through that once more for ∂/∂w
    paper     Raissi, Perdikaris & Karniadakis (2019), Journal of Computational Physics 378:686-707,
              doi:10.1016/j.jcp.2018.10.045
    shape     points [count, coordinates] (the data set `collocation`); model [count, coordinates] → [count, unknowns]
    note      With `exact`, every evaluation yields relative_l2 = ‖u - exact‖ / ‖exact‖ over the largest set of points.
    """

    kind: ClassVar[TargetKind | None] = "value"
    fields: ClassVar[tuple[str, ...] | None] = None
    labelled: ClassVar[bool] = False
    needs_loss: ClassVar[bool] = False
    twice: ClassVar[bool] = True
    cases = [
        {"equations": {"inside": "u_x - u"}},
        {
            "unknown": "u",
            "equations": {"inside": "u_t - alpha * u_xx", "initial": "u - sin(pi * x)", "edges": "u"},
            "weights": {"initial": 10.0},
            "constants": {"alpha": 0.1},
            "exact": "exp(-alpha * pi^2 * t) * sin(pi * x)",
        },
        {
            "unknown": ("u", "v"),
            "equations": {"inside": ("u_t - v", "v_t + u"), "initial": ("u", "v - 1")},
            "exact": ("sin(t)", "cos(t)"),
        },
    ]

    unknown: Symbol | Annotated[tuple[Symbol, ...], Field(min_length=1, max_length=8)] = "u"
    """The function that is looked for, or a list of them: the network's outputs, in this order."""
    equations: Annotated[dict[str, str | Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]
    """Set of points → what must be 0 there: one formula, or a list of them."""
    weights: dict[str, NonNegativeFloat] = {}
    """Set of points → the weight of its loss; 1 by default."""
    constants: dict[Symbol, float] = {}
    """Name in the formulas → its number."""
    exact: str | tuple[str, ...] | None = None
    """The solution, where it is known, one formula an unknown: it is compared with, and never trains."""

    def __hash__(self) -> int:
        return hash(repr(self))

    @model_validator(mode="after")
    def _says_what_it_means(self) -> Self:
        named = distinct({}, self.unknowns, "unknown")
        distinct(named, self.constants, "constant")
        distinct(dict.fromkeys(("loss", "total", "relative_l2"), "a number"), self.equations, "set of points")
        for name in self.weights:
            if name not in self.equations:
                raise ValueError(f"the weight of `{name}` has no equation to weigh")
        if self.exact is not None and len(self.solutions) != len(self.unknowns):
            raise ValueError(f"`exact` takes one formula an unknown: {len(self.unknowns)}, not {len(self.solutions)}")
        return self

    @property
    def unknowns(self) -> tuple[str, ...]:
        return (self.unknown,) if isinstance(self.unknown, str) else self.unknown

    @property
    def solutions(self) -> tuple[str, ...]:
        """The formulas of `exact`."""
        return () if self.exact is None else (self.exact,) if isinstance(self.exact, str) else self.exact

    @property
    def residuals(self) -> dict[str, tuple[str, ...]]:
        """Set of points → the formulas that must be 0 there."""
        return {name: (said,) if isinstance(said, str) else said for name, said in self.equations.items()}

    @property
    def measures(self) -> Mapping[str, Literal["min", "max"]]:
        return dict.fromkeys((*self.equations, *(("relative_l2",) if self.exact is not None else ())), "min")

    def start(self, losses: Sequence[WeightedLoss], kind: str, facts: Facts) -> Task:
        return _Pinn(self)


class _Pinn(Task):
    def __init__(self, pinn: Pinn) -> None:
        self.pinn = pinn

    def bind(self, networks: Networks, examples: Examples) -> None:
        """Reads the formulas, now that the coordinates have names. Raises `Problem` (configuration)."""
        pinn = self.pinn
        self.symbols = Symbols(examples.features, pinn.unknowns, pinn.constants)
        plain = [*examples.features, *pinn.constants]
        self.residuals = {name: [parse(text, self.symbols) for text in texts] for name, texts in pinn.residuals.items()}
        self.exact: Sequence[Formula] = [parse(text, plain) for text in pinn.solutions]
        self.asked = {name: sorted(set().union(*(f.names for f in fs))) for name, fs in self.residuals.items()}

    def count(self, batch: Batch) -> float:
        return float(sum(len(points) for points in batch.values()))

    def losses(self, update: str, networks: Networks, batch: Batch) -> Terms:
        total: Tensor | float = 0.0
        seen: dict[str, Tensor] = {}
        for name, formulas in self.residuals.items():
            values = self._values(networks, batch[name], self.asked[name])
            loss = sum((formula.value(values).square().mean() for formula in formulas), torch.zeros(()).to(batch[name]))
            weight = self.pinn.weights.get(name, 1.0)
            total = total + (loss if weight == 1.0 else weight * loss)
            seen[name] = loss.detach()
        return Terms(torch.as_tensor(total), seen)

    def measure(self, networks: Networks, batch: Batch) -> tuple[Terms, Tensor, Tensor]:
        with torch.enable_grad():
            terms = self.losses("model", networks, batch)
        points = max((batch[name] for name in self.residuals), key=len)
        prediction = self.predict(networks, {"x": points})
        if not self.exact:
            return Terms(terms.total.detach(), terms.losses), prediction, prediction
        values = self._known(points)
        target = torch.stack([formula.value(values).expand(len(points)) for formula in self.exact], dim=1)
        target = target.to(prediction)
        error = (prediction - target).norm() / target.norm()
        return Terms(terms.total.detach(), {**terms.losses, "relative_l2": error}), prediction, target

    def predict(self, networks: Networks, batch: Batch) -> Tensor:
        return networks["model"](batch["x"])  # type: ignore[no-any-return]

    def _known(self, points: Tensor) -> dict[str, Tensor | float]:
        """Coordinates and constants by name."""
        return {**self.pinn.constants, **dict(zip(self.symbols.coordinates, points.unbind(dim=1), strict=True))}

    def _values(self, networks: Networks, points: Tensor, asked: Sequence[str]) -> Mapping[str, Tensor | float]:
        """Every name that is asked for at these points: coordinates, constants, unknowns and their derivatives."""
        wanted = {name: found for name in asked if (found := self.symbols.derivative(name)) is not None}
        differentiated = any(below for _, below in wanted.values())
        points = points.detach().requires_grad_() if differentiated else points
        outputs: Tensor = networks["model"](points)
        functions = dict(zip(self.pinn.unknowns, outputs.unbind(dim=1), strict=True))
        derivatives = Derivatives(points, self.symbols.coordinates, functions)
        return {**self._known(points), **{name: derivatives(*found) for name, found in wanted.items()}}
