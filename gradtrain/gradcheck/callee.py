"""A caller's function or module with its arguments, taken apart into named tensors that a proof may move."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from gradtrain.gradcheck.captured import Captured, captured_with
from gradtrain.gradcheck.kept import Kept
from gradtrain.gradcheck.probe import Probe, Values
from gradtrain.problems import Problem


@dataclass(frozen=True)
class Callee:
    """`function(*arguments, **keywords)`, with the tensors inside its arguments by name."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tensors: Mapping[str, Tensor]
    """Every tensor among the arguments, in the proof's dtype."""
    moved: tuple[str, ...]
    """The tensors by which it is differentiated."""
    marked: bool
    """Whether the caller said so, by `requires_grad`."""
    parameters: Mapping[str, Tensor]
    """Leaves of the module's copy, or of what the function closes over."""
    owned: nn.Module | None
    """The copy of a module that was given; its parameters may be replaced by any tensors."""
    reads: Captured
    name: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    clones: bool = False
    """Whether arguments are cloned for every call: the function changes them in place."""
    complexes: tuple[str, ...] = ()
    """Complex parameters: nothing is differentiated by them."""

    def at(self, values: Values, keywords: Mapping[str, Any]) -> Callee:
        """The function at another point: other values of some tensors, other keywords."""
        return replace(self, tensors={**self.tensors, **values}, keywords={**self.keywords, **keywords})

    def probe(self) -> Probe:
        """The function at its point, ready to be evaluated."""
        tensors = self.tensors
        fixed = {name: tensor for name, tensor in tensors.items() if name not in self.moved}
        leaves = {name: laid_out(tensors[name]).requires_grad_() for name in self.moved}
        leaves |= self.parameters
        modules = [*self.reads.modules.values(), *([self.owned] if self.owned is not None else [])]
        others = [t for t in self.reads.tensors.values() if not any(t is p for p in self.parameters.values())]
        kept = Kept.of(modules, [*others, *(p.detach() for p in self.parameters.values())], self.reads.generators)

        def call(point: Values) -> Any:
            given = {**fixed, **{name: point[name] for name in self.moved}}
            if self.clones:
                given = {name: tensor.clone() for name, tensor in given.items()}
            arguments = _rebuilt(self.arguments, given)
            own = {name: point[name] for name in self.parameters if point[name] is not self.parameters[name]}
            if self.owned is not None and any(value.requires_grad or _dual(value) for value in own.values()):
                with installed(self.owned, self.parameters, own):
                    return self.function(*arguments, **self.keywords)
            with _lent(self.parameters, own):
                return self.function(*arguments, **self.keywords)

        def hold(point: Values) -> AbstractContextManager[None]:
            own = {name: point[name] for name in self.parameters if point[name] is not self.parameters[name]}
            return nullcontext() if self.owned is None else installed(self.owned, self.parameters, own)

        return Probe(leaves, call, kept, hold)

    def rebuilt(self, point: Values) -> Any:
        """The arguments, with the tensors of a point in their places."""
        return _rebuilt(self.arguments, {name: point[name] for name in self.tensors})

    @property
    def free(self) -> tuple[str, ...]:
        """Leaves that may be any tensor of any graph; what a function closes over may only change its numbers."""
        return (*self.moved, *(self.parameters if self.owned is not None else ()))


def taken_apart(function: Callable[..., Any], inputs: Sequence[Any], dtype: torch.dtype | None) -> Callee:
    """Read a function or module and its arguments. `dtype` None keeps the caller's. Raises `Problem`s."""
    if isinstance(function, type) or not callable(function):
        raise Problem(
            "not-a-function",
            f"gradcheck was given {'the class ' if isinstance(function, type) else ''}{_named(function)}",
            why="it proves a function of tensors or a module that is already built",
            help="give the function itself, then its arguments: gradcheck(torch.sin, torch.randn(3))"
            if not isinstance(function, type)
            else f"build it first: gradcheck({_named(function)}(...), x)",
        )
    names = _argument_names(function, len(inputs))
    reads = captured_with(function, dict(zip(names, inputs, strict=True)))
    owned: nn.Module | None = None
    if isinstance(function, nn.Module):
        own = {id(inner) for inner in function.modules()} | {id(p) for p in function.parameters()}
        if own.issuperset(id(x) for x in (*reads.modules.values(), *reads.trainable.values())):
            owned = _copied(function, inputs, dtype)
        if owned is not None:
            function = owned
            reads.modules.clear()
            hold_power_iterations(owned)
    learning = reads.trainable if owned is None else dict(owned.named_parameters())
    given = {id(tensor) for value in inputs for _, tensor in _inside(value, "")}
    learning = {name: p for name, p in learning.items() if p.requires_grad and id(p) not in given}
    tensors = dict(_found(inputs, names, set(learning)))
    if hollow := next((name for name, tensor in tensors.items() if tensor.is_meta), None):
        raise Problem(
            "no-numbers", f"{hollow} is a meta tensor: it has a shape and no numbers",
            why="a derivative is proven at a point", help="give tensors on the CPU: torch.randn(...)",
        )  # fmt: skip
    arguments = _marked(inputs, iter(list(tensors)))
    marked = [name for name, tensor in tensors.items() if tensor.requires_grad]
    dense = {name: tensor for name, tensor in tensors.items() if tensor.layout == torch.strided}
    floats = {name: tensor for name, tensor in dense.items() if tensor.is_floating_point() or tensor.is_complex()}
    moved = marked or [name for name, tensor in floats.items() if not _labels(tensor, name, floats)]
    return Callee(
        function, arguments, {name: _as_real(_at(tensor.detach(), dtype)) for name, tensor in tensors.items()},
        tuple(name for name in moved if name in floats),
        bool(marked), {name: p for name, p in learning.items() if p.is_floating_point()}, owned, reads,
        _named(function), complexes=tuple(name for name, p in learning.items() if p.is_complex()),
    )  # fmt: skip


def borrowed(function: Callable[..., Any], reads: Captured) -> Callee:
    """What only closes over things: it has no arguments of its own."""
    return Callee(function, (), {}, (), False, reads.trainable, None, reads, _named(function))


@contextmanager
def at_precision(callee: Callee, dtype: torch.dtype | None, constants: bool = False) -> Iterator[None]:
    """Modules and trainable tensors that a function closes over in another precision meanwhile; no gradients kept.

    Its other tensors stay as they are, unless `constants` says that they do not mix.
    """
    borrowed: dict[int, Tensor] = {}
    for module in callee.reads.modules.values():
        for tensor in (*module.parameters(), *module.buffers()):
            borrowed[id(tensor)] = tensor
    tops = [*callee.reads.modules.values(), *([] if callee.owned is None else [callee.owned])]
    held = [value for top in tops for inner in top.modules() for value in vars(inner).values()]
    for tensor in (*callee.reads.tensors.values(), *(x for x in held if constants and isinstance(x, Tensor))):
        if tensor.is_leaf and (tensor.requires_grad or (constants and not tensor.is_inference())):
            borrowed[id(tensor)] = tensor
    borrowed = {key: tensor for key, tensor in borrowed.items() if not nn.parameter.is_lazy(tensor)}
    before = [(tensor, tensor.data, tensor.grad) for tensor in borrowed.values()]
    kept = [(tensor, None if grad is None else grad.clone()) for tensor, _, grad in before]
    modes = [(module, module.training) for top in callee.reads.modules.values() for module in top.modules()]
    versions = [(tensor, tensor._version) for tensor in borrowed.values() if not tensor.is_inference()]
    try:
        for tensor, data, _ in before:
            tensor.grad = None
            tensor.data = _at(data, dtype) if data.is_floating_point() or data.is_complex() else data
        for module in callee.reads.modules.values():
            hold_power_iterations(module)
        yield
    finally:
        for (tensor, data, grad), (_, value) in zip(before, kept, strict=True):
            tensor.data = data
            tensor.grad = grad
            if grad is not None and value is not None and not torch.equal(grad, value):
                grad.copy_(value)
        # Their numbers are what they were: a graph of the caller's that has saved them may still go backward.
        unchanged = [tuple(each) for each in zip(*versions, strict=True)]
        if unchanged:
            torch._C._autograd._unsafe_set_version_counter(*unchanged)
        for module, training in modes:
            module.training = training


def with_clones(callee: Callee) -> Callee:
    return replace(callee, clones=True)


def laid_out(tensor: Tensor) -> Tensor:
    """A copy with the same places in memory: gaps and expanded dimensions stay."""
    tensor = tensor.detach()
    if tensor.layout != torch.strided or tensor.is_quantized:
        return tensor.clone()
    if 0 in tensor.stride() and tensor.numel():
        narrow = tensor[tuple(slice(0, 1) if step == 0 else slice(None) for step in tensor.stride())]
        return narrow.clone().expand(tensor.shape)
    copied = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copied.copy_(tensor)


def _copied(module: nn.Module, inputs: Sequence[Any], dtype: torch.dtype | None) -> nn.Module | None:
    """A module of our own; None where this one cannot be copied."""
    try:
        own = copy.deepcopy(module)
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in own.parameters()):
            plain = torch.get_default_dtype()
            with torch.no_grad():
                own(*(x.to(plain) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs))
    except Exception:  # weights computed by hooks are no leaves and refuse to be copied
        return None
    if not all(parameter.is_leaf for parameter in own.parameters()):  # a copied ScriptModule's are not
        return None
    for parameter in own.parameters():
        parameter.grad = None
    return own if dtype is None else converted(own, dtype)


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A module in another precision; complex numbers stay complex, which `Module.to` would cut to their real part."""
    module._apply(lambda tensor: tensor.to(_like(tensor, dtype)))  # type: ignore[no-untyped-call]
    return module


def hold_power_iterations(module: nn.Module) -> None:
    """torch's spectral norm takes its u and v for constants, though they follow the weight: they stay where they are.

    Source: Miyato et al. (2018), arXiv:1802.05957, equation 12.
    """
    for inner in module.modules():
        hooks = inner._forward_pre_hooks.values()
        if isinstance(inner, _SpectralNorm) or any(isinstance(hook, SpectralNorm) for hook in hooks):
            inner.training = False


@contextmanager
def _lent(parameters: Mapping[str, Tensor], values: Values) -> Iterator[None]:
    """Parameters hold other numbers meanwhile."""
    before = [(parameters[name], parameters[name].data) for name in values]
    try:
        for name, value in values.items():
            parameters[name].data = value.detach()
        yield
    finally:
        for tensor, data in before:
            tensor.data = data


@contextmanager
def installed(module: nn.Module, parameters: Values, values: Values) -> Iterator[None]:
    """Other tensors, of any graph, in the places of a module's parameters, tied ones included."""
    new = {id(parameters[name]): value for name, value in values.items()}
    before = [
        (inner, key, parameter)
        for inner in module.modules()
        for key, parameter in inner._parameters.items()
        if id(parameter) in new
    ]
    recurrent = [(inner, inner._flat_weights) for inner in module.modules() if isinstance(inner, nn.RNNBase)]
    try:
        for inner, key, parameter in before:
            inner._parameters[key] = new[id(parameter)]  # type: ignore[assignment]
        for layer, _ in recurrent:  # torch's recurrent layers keep a second list of their parameters
            layer._flat_weights = [getattr(layer, name, None) for name in layer._flat_weights_names]
        yield
    finally:
        for inner, key, parameter in before:
            inner._parameters[key] = parameter
        for layer, flat in recurrent:
            layer._flat_weights = flat


def _dual(value: Tensor) -> bool:
    forward = torch.autograd.forward_ad
    return forward._current_level >= 0 and forward.unpack_dual(value).tangent is not None  # type: ignore[no-untyped-call]


def _at(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    if dtype is None or tensor.dtype == _like(tensor, dtype) or tensor.layout != torch.strided:
        return laid_out(tensor)
    dtype = _like(tensor, dtype)
    if 0 in tensor.stride() and tensor.numel():
        narrow = tensor[tuple(slice(0, 1) if step == 0 else slice(None) for step in tensor.stride())]
        return narrow.to(dtype).expand(tensor.shape)
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype).copy_(tensor)


def _like(tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """A dtype, for a real tensor; its complex counterpart for a complex one; their own for all others."""
    if tensor.is_complex():
        return dtype.to_complex()
    return dtype if tensor.is_floating_point() else tensor.dtype


def _as_real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers: by these it is differentiated."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _labels(tensor: Tensor, name: str, floats: Mapping[str, Tensor]) -> bool:
    """Whole numbers, after a first argument that has others, are taken for labels."""
    first = next(iter(floats.values()))
    if tensor.is_complex() or first.is_complex():
        return False
    return tensor is not first and bool((tensor == tensor.round()).all()) and not bool((first == first.round()).all())


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    own = _own_function(function)
    try:
        if own is not None:
            known = dict(list(inspect.signature(own.forward).parameters.items())[own.setup_context is _PLAIN :])
        else:
            known = dict(
                inspect.signature(function.forward if isinstance(function, nn.Module) else function).parameters
            )
    except (TypeError, ValueError):
        return [f"input {number}" for number in range(count)] if count > 1 else ["input"][:count]
    plain = [p.name for p in known.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [plain[number] if number < len(plain) else f"input {number}" for number in range(count)]


def _found(inputs: Sequence[Any], names: Sequence[str], used: set[str]) -> Iterator[tuple[str, Tensor]]:
    for name, value in zip(names, inputs, strict=True):
        for place, tensor in _inside(value, name):
            yield f"input {place}" if place in used else place, tensor


def _inside(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, (tuple, list)):
        for number, item in enumerate(value):
            yield from _inside(item, f"{name}[{number}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inside(item, f"{name}[{key!r}]")


@dataclass(frozen=True)
class _Slot:
    """Where a tensor goes in the arguments."""

    name: str
    paired: bool
    """Whether it is complex, and held as pairs."""


def _marked(value: Any, names: Iterator[str]) -> Any:
    if isinstance(value, Tensor):
        return _Slot(next(names), value.is_complex())
    if isinstance(value, (tuple, list)):
        return _sequence(value, [_marked(item, names) for item in value])
    if isinstance(value, Mapping):
        return _mapping(value, {key: _marked(item, names) for key, item in value.items()})
    return value


def _rebuilt(value: Any, tensors: Values) -> Any:
    if isinstance(value, _Slot):
        found = tensors[value.name]
        return torch.view_as_complex(found) if value.paired else found
    if isinstance(value, (tuple, list)):
        return _sequence(value, [_rebuilt(item, tensors) for item in value])
    if isinstance(value, Mapping):
        return _mapping(value, {key: _rebuilt(item, tensors) for key, item in value.items()})
    return value


def _sequence(like: Any, items: list[Any]) -> Any:
    make: Any = getattr(type(like), "_make", type(like))  # a named tuple's own constructor may look at what it gets
    return make(items)


def _mapping(like: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the same kind; a plain one where that is fixed."""
    if type(like) is dict:
        return items
    try:
        fresh: Any = copy.copy(like)
        for key, value in items.items():
            fresh[key] = value
    except Exception:  # a mapping that cannot be written
        return items
    return fresh


_PLAIN = torch.autograd.Function.setup_context


def _own_function(function: object) -> type[torch.autograd.Function] | None:
    """The class whose `apply` a function is."""
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, type) and issubclass(owner, torch.autograd.Function) else None


def _named(function: object) -> str:
    if (own := _own_function(function)) is not None:
        return own.__name__
    return getattr(function, "__name__", None) or type(function).__name__
