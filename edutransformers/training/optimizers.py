"""Optimizers: from gradients to new weights.

A layer's backward pass leaves dL/dw in `Parameter.grad`; an optimizer turns it into a step. Here are the base class,
which keeps groups of parameters and their states, and AdamW.

    optimizer = AdamW(decay_groups(model, weight_decay=0.01), lr=5e-5)
    ...backward...
    optimizer.step()
    optimizer.zero_grad()
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..layers import LayerNorm
from ..module import Module, Parameter

CHUNK = 128 * 1024  # numbers worked on at a time: few enough to stay in the processor's cache through all operations
NORMS = (LayerNorm,)  # layers whose weights don't decay
SMALL = 1_000_000  # below this many numbers a second thread costs more than it saves


class Optimizer:
    """Groups of parameters with their settings, and what is remembered about each parameter between steps.

    params    Parameters, (name, Parameter) pairs, a Module, or a list of dictionaries {"params": any of these, ...}
              whose other entries replace `defaults` for their parameters ({"params": [...], "weight_decay": 0.0})
    defaults  the settings of a group that says nothing else; every optimizer has "lr"

    `param_groups` may be changed between steps: a schedule writes "lr". `state[parameter]` is what a subclass keeps.

    Raises `ValueError` for no parameters, for a parameter that comes twice, and for an unknown setting.
    """

    def __init__(self, params, defaults: dict):
        self.defaults = dict(defaults)
        self.param_groups: list[dict] = []
        self.state: dict[Parameter, dict] = {}
        for group in _as_groups(params):
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError("the optimizer got no parameters: pass a model, model.parameters(), or groups of them")

    def add_param_group(self, group: dict) -> None:
        """One more group: {"params": ..., settings}."""
        unknown = set(group) - {"params", "initial_lr"} - set(self.defaults)
        if unknown:
            raise ValueError(
                f"a parameter group has the setting {sorted(unknown)[0]!r}: expected params, {', '.join(self.defaults)}"
            )
        parameters = as_parameters(group["params"])
        seen = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in parameters:
            if id(parameter) in seen:
                raise ValueError(
                    f"a parameter of shape {parameter.shape} was passed twice (a tied weight?): it would be stepped "
                    "twice; model.parameters() yields each once"
                )
            seen.add(id(parameter))
            if parameter.dtype.itemsize < 4:
                raise ValueError(
                    f"a parameter of {parameter.dtype} can't be trained: steps smaller than its precision get lost; "
                    "use model.astype('float32')"
                )
        settings = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self.check(settings)
        self.param_groups.append({"params": parameters, **settings})

    def check(self, settings: dict) -> None:
        """Raise `ValueError` for settings that make no sense."""

    def step(self) -> None:
        """Change every parameter that has a gradient; those without are passed over."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget the gradients, so that the next backward starts anew (it *adds*)."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict:
        """{"state": {place: {name: array or number}}, "param_groups": [settings and places]}; the arrays are not
        copies.

        A parameter's place is its number over all groups, so a model of the same build gets its states back.
        """
        places = {id(p): place for place, p in enumerate(self._parameters())}
        groups = [{**group, "params": [places[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": {places[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over states (copied, moved to where each parameter lives) and settings from `state_dict()`."""
        groups, parameters = state_dict["param_groups"], list(self._parameters())
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"the saved optimizer has groups of {sizes} parameters, this one of {own}: another model?")
        state = {}
        for place, saved in state_dict["state"].items():
            parameter = parameters[int(place)]
            state[parameter] = {k: _copy_to(v, parameter, int(place), k) for k, v in saved.items()}
        self.state = state
        for group, saved in zip(self.param_groups, groups):
            group.update({k: v for k, v in saved.items() if k != "params"})

    def _parameters(self) -> Iterable[Parameter]:
        return (parameter for group in self.param_groups for parameter in group["params"])


def _copy_to(value, parameter: Parameter, place: int, name: str):
    if not hasattr(value, "dtype") or value.ndim == 0:
        return value
    if value.shape != parameter.shape:
        raise ValueError(
            f"the saved optimizer's {name} of parameter {place} has shape {value.shape}, but the parameter has "
            f"{parameter.shape}: is it another model's?"
        )
    return as_array_like(value, parameter.data).copy()


def _as_groups(params) -> list[dict]:
    if isinstance(params, (Module, Parameter)):
        return [{"params": params}]
    params = list(params)
    if params and isinstance(params[0], dict):
        return params
    return [{"params": params}]


def as_parameters(params) -> list[Parameter]:
    if isinstance(params, Module):
        return list(params.parameters())
    if isinstance(params, Parameter):
        return [params]
    parameters = [entry[1] if isinstance(entry, tuple) else entry for entry in params]
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"expected Parameters (or a model), got {type(parameter).__name__}")
    return parameters


def decay_groups(model: Module, weight_decay: float) -> list[dict]:
    """Two parameter groups: what decays, and what doesn't.

    Decay pulls weights towards 0, which makes sense for those that multiply inputs. A bias only moves an output, and a
    norm's neutral setting is γ = 1, β = 0, so neither decays. Norms are found by the type of the layer. As in the
    original's Trainer.
    """
    in_norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    decaying, others = [], []
    for name, parameter in model.named_parameters():
        (others if id(parameter) in in_norms or "bias" in name else decaying).append(parameter)
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


# ---------------------------------------------------------------------------------------------------------------------
# AdamW
# ---------------------------------------------------------------------------------------------------------------------


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2017; Adam: Kingma & Ba 2014). Equal to torch.optim.AdamW.

    Step t, for every number w with gradient g:

        w ← w − lr λ w                            decay, λ = weight_decay, apart from the gradient
        m ← β₁ m + (1 − β₁) g                     a running mean of the gradient: the direction
        v ← β₂ v + (1 − β₂) g²                    a running mean of its square: the usual size
        w ← w − lr · m̂ / (√v̂ + ε)                 m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)

    The hats repair the start: m begins at 0, so after t steps of a constant gradient m = (1 − β₁ᵗ) g; dividing gives g
    back. A step is thus about lr wide whatever the gradient's scale. Decay stands apart because as a part of g it
    would be divided by √v̂ too, and weights with large gradients would hardly decay.

    The last line is computed with the corrections taken out of the arrays: with a = √(1 − β₂ᵗ),

        m̂ / (√v̂ + ε) = (a / (1 − β₁ᵗ)) · m / (√v + a ε)

    so the arrays see two multiplications less and the rest is Python numbers.

    lr, betas, eps, weight_decay   as above; torch's defaults
    correct_bias                   False leaves out the hats (the original BERT code did)
    threads                        how many threads share the work on the CPU; None: two for large models. The result is
                                   the same bit for bit.

    Why chunks: written as whole-array expressions, each of the dozen operations reads and writes main memory. Taken
    128 K numbers at a time, with one scratch buffer and `out=` everywhere, all operations on a chunk happen in the
    cache.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, correct_bias=True, threads=None
    ):
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "correct_bias": correct_bias})
        self.threads = threads

    def check(self, settings):
        for name in ("lr", "eps", "weight_decay"):
            if not settings[name] >= 0:
                raise ValueError(f"AdamW: {name} is {settings[name]}, expected a number from 0 up")
        if len(settings["betas"]) != 2 or not all(0 <= beta < 1 for beta in settings["betas"]):
            raise ValueError(
                f"AdamW: betas are {settings['betas']}, expected two numbers from 0 up to, not including, 1"
            )

    def step(self):
        chunks = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    chunks += self._prepare(parameter, group)
        run_chunks(adamw_chunk, chunks, self.threads)

    def _prepare(self, parameter: Parameter, group: dict) -> list[tuple]:
        """Count the step, and cut the parameter's arrays into chunks: (w, g, m, v, the step's numbers)."""
        state = self.state.get(parameter)
        if state is None:
            zeros = array_module(parameter.data).zeros_like
            state = {"step": 0, "exp_avg": zeros(parameter.data), "exp_avg_sq": zeros(parameter.data)}
            self.state[parameter] = state
        state["step"] += 1
        numbers = _numbers_of_step(group, state["step"])
        arrays = (writable_flat(parameter), parameter.grad.reshape(-1), *(_flat(state, k) for k in _MOMENTS))
        return [(*(x[start:stop] for x in arrays), numbers) for start, stop in chunk_bounds(parameter.data)]


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _numbers_of_step(group: dict, step: int) -> tuple[float, ...]:
    """(β₁, β₂, factor of the decay, factor of the step, ε): Python floats, so that float32 arrays stay float32."""
    beta1, beta2 = (float(beta) for beta in group["betas"])
    lr = float(group["lr"])
    correction1, root2 = 1.0, 1.0
    if group["correct_bias"]:
        correction1, root2 = 1 - beta1**step, math.sqrt(1 - beta2**step)
    return beta1, beta2, 1 - lr * float(group["weight_decay"]), lr * root2 / correction1, float(group["eps"]) * root2


def adamw_chunk(w, g, m, v, numbers, scratch) -> None:
    """AdamW's four lines on flat arrays of one length, in place; `scratch` is overwritten."""
    xp = array_module(w)
    beta1, beta2, keep_of_w, rate, eps = numbers
    step = scratch[: len(w)]
    xp.multiply(g, 1 - beta1, out=step)
    m *= beta1
    m += step

    xp.multiply(g, g, out=step)
    step *= 1 - beta2
    v *= beta2
    v += step

    xp.sqrt(v, out=step)
    step += eps
    xp.divide(m, step, out=step)
    step *= rate
    if keep_of_w != 1:
        w *= keep_of_w
    w -= step


# ---------------------------------------------------------------------------------------------------------------------
# Chunks, shared by optimizers and clipping
# ---------------------------------------------------------------------------------------------------------------------


def chunk_bounds(array: Array):
    """(start, stop) pairs that cut a flat view of `array` into pieces for the cache; on a GPU, one piece."""
    size = array.size
    width = CHUNK if array_module(array) is np else max(1, size)
    return [(start, min(start + width, size)) for start in range(0, size, width)]


def writable_flat(parameter: Parameter) -> Array:
    """(size,) view of the weights that may be written to. Weights that are no plain block of memory become one."""
    data = parameter.data
    if not data.flags.c_contiguous or (isinstance(data, np.ndarray) and not data.flags.writeable):
        parameter.data = data = array_module(data).ascontiguousarray(data).copy()
    return data.reshape(-1)


def _flat(state: dict, name: str) -> Array:
    if not state[name].flags.c_contiguous:
        state[name] = array_module(state[name]).ascontiguousarray(state[name])
    return state[name].reshape(-1)


def run_chunks(update, chunks: list[tuple], threads: int | None) -> None:
    """update(*chunk, scratch) for every chunk, in one or several threads: chunks don't overlap, any order will do."""
    if not chunks:
        return
    if threads is None:
        large = sum(chunk[0].size for chunk in chunks) > SMALL
        threads = min(2, os.cpu_count() or 1) if large else 1
    if array_module(chunks[0][0]) is not np:
        threads = 1  # a GPU works through its queue by itself

    longest = max(chunk[0].size for chunk in chunks)

    def work(mine):
        scratch = {}  # one buffer a number type
        for chunk in mine:
            dtype = chunk[0].dtype
            if dtype not in scratch:
                scratch[dtype] = array_module(chunk[0]).empty(longest, dtype=dtype)
            update(*chunk, scratch[dtype])

    if threads == 1:
        work(chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [chunks[start::threads] for start in range(threads)]))
