"""AdamW: steps of about one length in each weight, and decay apart from the gradient."""

from __future__ import annotations

import math

from ...backend import array_module
from ...module import Parameter
from .base import Optimizer
from .chunks import chunk_bounds, flat_state, run_chunks, writable_flat


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
        arrays = (writable_flat(parameter), parameter.grad.reshape(-1), *(flat_state(state, k) for k in _MOMENTS))
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
