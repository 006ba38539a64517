"""A training step without arithmetic: the model's and the optimizer's own code, run on phantom arrays.

The model itself is left alone: a twin of it is made, the same modules around weights without numbers.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..module import Buffer, Module, Parameter
from .phantom import Ledger, Phantom, PhantomGenerator, at, owner, place


@dataclass
class Saved:
    """One array that a forward pass keeps for its backward pass."""

    module: str  # path of the module in whose cache it was found first
    name: str  # what the module calls it
    shape: tuple[int, ...]
    dtype: np.dtype
    nbytes: int  # of the memory behind it: a view of a larger array keeps all of that
    real: bool  # ids and the like are no phantoms, so they are not in the ledger


@dataclass
class Step:
    """What a dry run saw."""

    saved: list[Saved]
    weights: dict[str, int]  # bytes, by name; buffers too
    gradients: int  # bytes
    states: dict[str, int]  # bytes of the optimizer's states, by their names
    ledger: Ledger  # with the worst moment, and the operations of all passes
    real: int  # bytes of weights and saved activations that are not in the ledger


def dry_step(model: Module, batch: dict, optimizer=None, accumulation: int = 1) -> Step:
    """A training step like any but the first: forward, backward, change of the weights. Nothing of `model` changes.

    batch         the arguments of model.forward; floats become phantoms
    optimizer     an Optimizer over this model's parameters; None: no states, and no change of the weights
    accumulation  how many such batches a step takes. From the second on, gradients wait while others are computed.

    In training mode, whatever mode `model` is in. Every pass's cache is let go of when its backward is through, as the
    Trainer does.
    """
    inputs = {name: phantom_like(value) for name, value in batch.items()}  # outside: the batch is there anyway
    with Ledger() as ledger, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what is computed after all, from memory that nobody wrote, may overflow
        model, optimizer = twins(model, optimizer)
        model.train()
        arrays = {name: place.data for name, place in [*model.named_parameters(), *model.named_buffers()]}
        weights = {name: _as_kind("weights", array) for name, array in arrays.items()}
        watch = Watch(model)
        if "generator" in inspect.signature(type(model).forward).parameters:
            inputs.setdefault("generator", PhantomGenerator())
        states = _make_states(model, optimizer)
        known = {id(owner(array)) for array in (*arrays.values(), *arrays_in(list(inputs.values())))}

        ledger.reset_peak()
        for _ in range(min(accumulation, 2)):  # all later ones are like the second
            ledger.operations.clear()
            with at("", "forward"):
                output, cache = model.forward(**inputs)
            saved = watch.saved(cache, known)
            with at("", "backward"):
                model.backward(gradient_of(output), cache)
            del output, cache
            gradients = sum(_as_kind("gradients", p.grad) for p in model.parameters() if p.grad is not None)
        if optimizer is not None:
            with at("optimizer", "step"):
                optimizer.step()
    real = sum(array.nbytes for array in arrays.values() if not isinstance(array, Phantom))
    real += sum(array.nbytes for array in saved if array.real)
    return Step(saved, weights, gradients, states, ledger, real)


def gradient_of(output) -> dict:
    """What to start backward with: the loss; without one, any other output."""
    if "loss" in output:
        return {"loss": 1.0}
    name = next(iter(output))
    return {name: np.ones_like(output[name])}


# ---------------------------------------------------------------------------------------------------------------------
# Twins
# ---------------------------------------------------------------------------------------------------------------------


def phantom_like(value):
    """A phantom for an array of floats, wherever that lives. All else stays: ids are looked at."""
    if getattr(getattr(value, "dtype", None), "kind", "") != "f":
        return value
    return Phantom(value.shape, value.dtype)


def twins(model: Module, optimizer=None):
    """The same modules around phantom weights, and the same optimizer for them, with no states yet."""
    memo = {}  # what copy.deepcopy is to take as copied already
    for parameter in model.parameters():
        memo[id(parameter)] = Parameter(phantom_like(parameter.data), parameter.requires_grad)
    for _, buffer in model.named_buffers():
        memo[id(buffer)] = Buffer(phantom_like(buffer.data), buffer.persistent)
    twin = copy.deepcopy(model, memo)
    for module in twin.modules():
        if isinstance(getattr(module, "generator", None), np.random.Generator):
            module.generator = PhantomGenerator()
    if optimizer is None:
        return twin, None
    strangers = [p for group in optimizer.param_groups for p in group["params"] if id(p) not in memo]
    if strangers:
        raise ValueError(
            f"the optimizer has a parameter of shape {strangers[0].shape} that is none of the model's: make it from "
            "this model's parameters"
        )
    other = copy.copy(optimizer)
    other.threads = 1
    other.param_groups = [{**g, "params": [memo[id(p)] for p in g["params"]]} for g in optimizer.param_groups]
    other.state = {}
    return twin, other


def _make_states(model: Module, optimizer) -> dict[str, int]:
    """Let the optimizer make what it keeps for each parameter. -> bytes by name"""
    if optimizer is None:
        return {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad:
                state = optimizer.state_of(parameter, group)
                state.update((name, Phantom(x.shape, x.dtype)) for name, x in state.items() if np.ndim(x))
    sizes = {}
    for state in optimizer.state.values():
        for name, value in state.items():
            if np.ndim(value):
                sizes[name] = sizes.get(name, 0) + _as_kind("optimizer", value)
    return sizes


def _as_kind(kind: str, array) -> int:
    """Note in the ledger what an array is. -> its bytes"""
    entry = getattr(owner(array), "entry", None)
    if entry is not None:
        entry.kind = kind
    return array.nbytes


# ---------------------------------------------------------------------------------------------------------------------
# Which module made which part of a cache
# ---------------------------------------------------------------------------------------------------------------------


class Watch:
    """Notes which module returned which cache, and which module is at work. Layers need not know of it.

    Every module of the model gets a `forward` and a `backward` of its own, around the class's. The model should be a
    twin: it stays watched.
    """

    def __init__(self, model: Module):
        self.made_by: dict[int, tuple[str, type]] = {}  # id of a cache -> path and class of the module
        seen = set()
        for path, module in model.named_modules():
            if id(module) not in seen:
                seen.add(id(module))
                module.forward = self._forward(module.forward, path, type(module))
                module.backward = self._backward(module.backward, path)

    def _forward(self, forward, path, kind):
        def watched(*inputs, **options):
            phase = "forward" if place()[1] == "forward" else "recompute"
            with at(path, phase):
                output, cache = forward(*inputs, **options)
            if cache:
                self.made_by[id(cache)] = path, kind
            return output, cache

        return watched

    def _backward(self, backward, path):
        def watched(*inputs, **options):
            with at(path, "backward"):
                return backward(*inputs, **options)

        return watched

    def saved(self, cache, known: set[int]) -> list[Saved]:
        """Every array in a cache, once: the first module in the order of the forward pass that keeps it has it.

        known  ids of arrays that exist anyway, weights and inputs
        """
        found, seen = [], set(known)
        for path, name, array in self._walk(cache, "", ""):
            memory = owner(array)
            if id(memory) not in seen:
                seen.add(id(memory))
                size = _as_kind("activations", memory)
                found.append(Saved(path, name, array.shape, array.dtype, size, not isinstance(memory, Phantom)))
        return found

    def _walk(self, part, path, name):
        """(module, name in its cache, array) for each array in a part of a cache, in order."""
        if isinstance(part, np.ndarray):
            yield path, name, part
        elif isinstance(part, dict):
            for key, inner in part.items():
                yield from self._walk(inner, path, str(key))
        elif isinstance(part, (tuple, list)):
            names = getattr(part, "_fields", None)
            if id(part) in self.made_by:
                (path, kind), name = self.made_by[id(part)], ""
                names = names or kept_names(kind, len(part))
            for inner, inner_name in zip(part, names or [name] * len(part)):
                yield from self._walk(inner, path, inner_name)


@lru_cache(maxsize=256)
def kept_names(kind: type, count: int) -> list[str] | None:
    """What a class calls the things that it keeps: the words in its `keep(x, mask)`, read from its source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind.forward)))
    except (OSError, TypeError):  # a class that was typed into a prompt has no source
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "keep" and len(node.args) == count:
            return [ast.unparse(argument) for argument in node.args]
    return None


def arrays_in(part):
    """Every array in nested tuples, lists and dictionaries."""
    if isinstance(part, np.ndarray):
        yield part
    elif isinstance(part, dict):
        yield from arrays_in(list(part.values()))
    elif isinstance(part, (tuple, list)):
        for inner in part:
            yield from arrays_in(inner)
