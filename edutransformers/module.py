"""Parameter, Module, keep and friends: the contract that every layer of this package follows.

    forward(inputs)            -> (output, cache)       the cache holds exactly what backward needs, nothing else
    backward(d_output, cache)  -> d_input(s)            and *adds* the gradients of the weights to Parameter.grad
    module(inputs)             -> output                inference: nothing is kept

Nothing of a forward pass lives on `self`. So a layer can be called twice before its backward (shared layers), be
interleaved with an evaluation, be recomputed (`Checkpoint`), or run in several threads, and its gradients stay right.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields

import numpy as np

from .backend import Array, array_module, as_array_like, default_generator, random_normal, scatter_add, to_device

# ---------------------------------------------------------------------------------------------------------------------
# keep: what a forward pass leaves for its backward pass
# ---------------------------------------------------------------------------------------------------------------------

_keeping: ContextVar[bool] = ContextVar("edutransformers_keeping", default=True)


def keep(*values):
    """The cache of a forward pass: a tuple of `values`, or None while nothing is kept (`inference_mode`).

    `keep(x)` is read back with `(x,) = cache`. A cache of more than two things is a NamedTuple, so that its parts have
    names: `keep(AttentionCache, q, k, v, weights)` makes an `AttentionCache(q, k, v, weights)`.
    """
    if not _keeping.get():
        return None
    if values and isinstance(values[0], type):
        return values[0](*values[1:])
    return values


def keeping() -> bool:
    """True when a backward pass may follow. When False, a layer may work in place on its own intermediate arrays."""
    return _keeping.get()


@contextmanager
def inference_mode():
    """Inside this block forward passes keep nothing: no memory for activations, and no backward."""
    token = _keeping.set(False)
    try:
        yield
    finally:
        _keeping.reset(token)


@contextmanager
def training_cache():
    """Inside this block forward passes keep their caches, whatever the surroundings say (for recomputation)."""
    token = _keeping.set(True)
    try:
        yield
    finally:
        _keeping.reset(token)


# ---------------------------------------------------------------------------------------------------------------------
# Parameter and Buffer
# ---------------------------------------------------------------------------------------------------------------------


class Parameter:
    """A weight: `data`, its gradient `grad` (None until the first backward), and whether it learns.

    A weight that two layers share (a tied weight) is one Parameter object held by both: their gradients add up by
    themselves, and optimizers and checkpoints visit it once.
    """

    __slots__ = ("data", "grad", "requires_grad", "_adding")

    def __init__(self, data: Array, requires_grad: bool = True):
        self.data = data
        self.grad: Array | None = None
        self.requires_grad = requires_grad
        self._adding = threading.Lock()

    def accumulate(self, gradient: Array) -> None:
        """Add to `grad`. The array passed in may *become* the gradient, so pass a fresh one (views are copied).

        The gradient of a float16 weight is float32: it is a sum over many terms, and it may be larger than 65504.
        """
        if not self.requires_grad:
            return
        if gradient.shape != self.data.shape:
            raise ValueError(f"a gradient of shape {gradient.shape} for a parameter of shape {self.data.shape}")
        with self._adding:  # batches split over threads add at the same time
            if self.grad is not None:
                self.grad += gradient
            elif gradient.base is not None or gradient.dtype != self._gradient_dtype:
                self.grad = gradient.astype(self._gradient_dtype)
            else:
                self.grad = gradient

    def accumulate_rows(self, ids: Array, rows: Array) -> None:
        """grad[ids[n]] += rows[n]: the gradient of a table of which only some rows were looked up (repeats add up)."""
        if not self.requires_grad:
            return
        with self._adding:
            if self.grad is None:
                self.grad = array_module(self.data).zeros(self.shape, dtype=self._gradient_dtype)
            scatter_add(self.grad, ids, rows)

    @property
    def _gradient_dtype(self):
        return np.dtype(np.float32) if self.data.dtype == np.float16 else self.data.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    def __deepcopy__(self, memo):  # a lock can't be copied
        twin = Parameter(self.data.copy(), self.requires_grad)
        twin.grad = None if self.grad is None else self.grad.copy()
        memo[id(self)] = twin
        return twin

    def __reduce__(self):
        return Parameter, (self.data, self.requires_grad)

    def __repr__(self):
        return f"Parameter(shape={self.shape}, dtype={self.dtype}, requires_grad={self.requires_grad})"


class Buffer:
    """An array that belongs to a module but is not trained (running statistics, a table of sinusoids).

    It moves with `to` and `astype`; `persistent` says whether checkpoints hold it.
    """

    __slots__ = ("data", "persistent")

    def __init__(self, data: Array, persistent: bool = True):
        self.data = data
        self.persistent = persistent

    def __repr__(self):
        return f"Buffer(shape={self.data.shape}, dtype={self.data.dtype}, persistent={self.persistent})"


_initializing: ContextVar[bool] = ContextVar("edutransformers_initializing", default=True)


@contextmanager
def skip_initialization():
    """Inside this block new layers draw no random weights: something else (a checkpoint) is about to fill them."""
    token = _initializing.set(False)
    try:
        yield
    finally:
        _initializing.reset(token)


def initializing() -> bool:
    """True when new layers should draw random weights."""
    return _initializing.get()


# ---------------------------------------------------------------------------------------------------------------------
# Module
# ---------------------------------------------------------------------------------------------------------------------


class Module:
    """A layer, or a whole model: parameters, child modules, `forward` above `backward`.

    Parameters, buffers and children are plain attributes, found in the order in which they were assigned. Parameters
    are named as in the original's checkpoints; where a shared layer calls its parts differently, the class that uses
    it says so in `checkpoint_names`: attribute path -> path in the checkpoint, both relative to this class.
    """

    checkpoint_names: dict[str, str] = {}
    training: bool = True

    def forward(self, *inputs, **options):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, d_output, cache):
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs, **options):
        """Inference: the output alone. Nothing is kept, so no backward can follow."""
        with inference_mode():
            output, _ = self.forward(*inputs, **options)
        return output

    # -- weights at birth ---------------------------------------------------------------------------------------------

    def initialize(self, generator: np.random.Generator, std: float = 0.02) -> None:
        """Draw this layer's own weights (not its children's). Layers with weights define it."""

    def initialize_now(self, generator: np.random.Generator | None) -> None:
        """Called at the end of a layer's constructor: draw the weights, unless a checkpoint is about to fill them."""
        if initializing():
            self.initialize(default_generator() if generator is None else generator)

    # -- the tree -----------------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        for _, child in self.named_children():
            yield child

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, by attribute path."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        for _, module in self.named_modules():
            yield module

    def _named_arrays(self, kind: type) -> Iterator[tuple[str, Parameter | Buffer]]:
        """All Parameters (or Buffers) at and below this module with their names in the checkpoint, duplicates too."""
        for name, value in vars(self).items():
            if isinstance(value, kind):
                yield self._checkpoint_name(name), value
            elif isinstance(value, Module):
                for inner, array in value._named_arrays(kind):
                    yield self._checkpoint_name(f"{name}.{inner}"), array

    def _checkpoint_name(self, path: str) -> str:
        for ours, theirs in self.checkpoint_names.items():
            if path == ours or path.startswith(ours + "."):
                return (theirs + path[len(ours) :]).lstrip(".")
        return path

    def named_parameters(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(name in the original's checkpoint, Parameter). A tied weight comes once, under its first name."""
        seen: set[int] = set()
        for name, parameter in self._named_arrays(Parameter):
            if remove_duplicate and id(parameter) in seen:
                continue
            seen.add(id(parameter))
            yield name, parameter

    def parameters(self) -> Iterator[Parameter]:
        for _, parameter in self.named_parameters():
            yield parameter

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        yield from self._named_arrays(Buffer)

    def num_parameters(self, only_trainable: bool = False) -> int:
        """How many numbers this module has learned or can learn; a tied weight counts once."""
        return sum(p.size for p in self.parameters() if p.requires_grad or not only_trainable)

    # -- modes --------------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True):
        """Training mode: dropout drops. Returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Evaluation mode: dropout passes everything on. Returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True):
        """Freeze (False) or unfreeze all parameters at and below this module. Returns self."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    # -- number type and device ---------------------------------------------------------------------------------------

    def _replace_arrays(self, change) -> None:
        for _, parameter in self.named_parameters():
            parameter.data = change(parameter.data)
            if parameter.grad is not None:
                parameter.grad = change(parameter.grad)
        for _, buffer in self.named_buffers():
            buffer.data = change(buffer.data)

    def astype(self, dtype):
        """All floating-point parameters, gradients and buffers in another number type. Returns self."""
        dtype = np.dtype(dtype)
        if dtype.kind != "f":
            raise ValueError(f"a model's number type must be a floating-point one, got {dtype}")
        self._replace_arrays(lambda x: x.astype(dtype, copy=False) if x.dtype.kind == "f" else x)
        return self

    def to(self, device: str):
        """Move everything to "cpu" or "cuda" (or "cuda:1"). Returns self."""
        self._replace_arrays(lambda x: to_device(x, device))
        return self

    @property
    def dtype(self):
        return next(self.parameters()).dtype

    # -- state dicts --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """name -> array, for parameters and persistent buffers. Not copies: the arrays themselves."""
        state = {name: parameter.data for name, parameter in self.named_parameters()}
        state.update((name, buffer.data) for name, buffer in self.named_buffers() if buffer.persistent)
        return state

    def load_state_dict(self, state: dict[str, Array], strict: bool = True) -> tuple[list[str], list[str]]:
        """Copy arrays into parameters and buffers of the same names. Returns (missing names, unexpected names).

        With `strict` any missing or unexpected name is a `KeyError`; a wrong shape always is a `ValueError`. Nothing is
        changed when an error is raised. A tied weight may come under any of its names.
        """
        places: dict[str, Parameter | Buffer] = dict(self.named_parameters(remove_duplicate=False))
        places.update((name, buffer) for name, buffer in self.named_buffers() if buffer.persistent)
        filled = {id(places[name]) for name in state if name in places}
        missing = [name for name, place in places.items() if id(place) not in filled]
        unexpected = [name for name in state if name not in places]
        if strict and (missing or unexpected):
            raise KeyError(f"state dict does not fit {type(self).__name__}: missing {missing}, unexpected {unexpected}")
        for name, place in places.items():
            if name in state and tuple(state[name].shape) != place.data.shape:
                raise ValueError(
                    f"{name} has shape {tuple(state[name].shape)} in the state dict, "
                    f"but {place.data.shape} in {type(self).__name__}"
                )
        for name, place in places.items():
            if name in state:
                array = as_array_like(state[name], place.data)
                place.data = array.astype(place.data.dtype)  # a copy: the model never shares memory with the caller
        return missing, unexpected

    # -- printing -----------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What to print of a layer besides its children: its sizes."""
        return ""

    def __repr__(self):
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        head = f"{type(self).__name__}({self.extra_repr()}"
        return head + "\n" + "\n".join(lines) + "\n)" if lines else head + ")"


class ModuleList(Module):
    """Modules in a row, reached by index; their parameters are named 0., 1., …"""

    def __init__(self, modules=()):
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> None:
        setattr(self, str(len(self)), module)

    def __len__(self):
        return sum(1 for _ in self.named_children())

    def __iter__(self):
        return self.children()

    def __getitem__(self, index):
        modules = list(self.children())
        return ModuleList(modules[index]) if isinstance(index, slice) else modules[index]


class ModelOutput:
    """Several named outputs of a model: by attribute, by name, or by place. Outputs that are None are left out.

    >>> out.logits, out["logits"], out[0], out.to_tuple()                                          # doctest: +SKIP

    Subclasses are dataclasses, one a kind of model.
    """

    def _present(self) -> dict:
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def to_tuple(self) -> tuple:
        return tuple(self._present().values())

    def keys(self):
        return self._present().keys()

    def values(self):
        return self._present().values()

    def items(self):
        return self._present().items()

    def get(self, name, default=None):
        return self._present().get(name, default)

    def __getitem__(self, key):
        return self._present()[key] if isinstance(key, str) else self.to_tuple()[key]

    def __contains__(self, name):
        return name in self._present()

    def __iter__(self):
        return iter(self._present())

    def __len__(self):
        return len(self._present())

    def __repr__(self):
        parts = [f"{name}={_describe(value)}" for name, value in self.items()]
        return f"{type(self).__name__}({', '.join(parts)})"


def _describe(value) -> str:
    if isinstance(value, tuple):
        return f"({len(value)} x {_describe(value[0])})" if value else "()"
    if getattr(value, "ndim", 0) > 0:
        return f"array{tuple(value.shape)}"
    return repr(value)


def normal_(parameter: Parameter, generator: np.random.Generator, std: float) -> None:
    """Fill a parameter from a normal distribution with mean 0, where it lives, in its own number type."""
    parameter.data = random_normal(generator, parameter.shape, std, parameter.dtype, like=parameter.data)


def uniform_(parameter: Parameter, generator: np.random.Generator, low: float, high: float) -> None:
    """Fill a parameter with numbers from low to high, all equally probable, where it lives, in its own number type."""
    values = generator.uniform(low, high, parameter.shape).astype(parameter.dtype)
    parameter.data = as_array_like(values, parameter.data)


def flatten_rows(x: Array) -> Array:
    """(…, D) -> (N, D): all leading axes become one. A view when memory allows."""
    return x.reshape(-1, x.shape[-1])


def same_place(x: Array, like: Array) -> bool:
    """True when both arrays live on the same kind of device."""
    return array_module(x) is array_module(like)
