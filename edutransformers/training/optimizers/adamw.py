"""AdamW: steps of about one length in each weight, and decay apart from the gradient."""

from __future__ import annotations

import math

from ...backend import array_module
from .elementwise import ElementwiseOptimizer, check_settings


class AdamW(ElementwiseOptimizer):
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
    amsgrad                        divide by the root of the largest v so far, so that steps along a weight never grow
                                   again (Reddi et al. 2018); one array more
    correct_bias                   False leaves out the hats (the original BERT code did)
    threads                        how many threads share the work on the CPU; None: two for large models. The result is
                                   the same bit for bit.

    Keeps m and v: 8 bytes for each float32 weight.
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        correct_bias=True,
        threads=None,
    ):
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "correct_bias": correct_bias}, threads)

    def check(self, settings):
        check_settings(self, settings, "lr", "eps", "weight_decay")
        betas = settings["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"{type(self).__name__}: betas are {betas}, expected two numbers from 0 up to, not including, 1"
            )

    def kept(self, group):
        return ("exp_avg", "exp_avg_sq") + (("max_exp_avg_sq",) if group["amsgrad"] else ())

    def numbers(self, group, step):
        """(β₁, β₂, factor of the decay, factor of the step, ε)"""
        beta1, beta2 = (float(beta) for beta in group["betas"])
        lr = float(group["lr"])
        correction1, root2 = 1.0, 1.0
        if group["correct_bias"]:
            correction1, root2 = 1 - beta1**step, math.sqrt(1 - beta2**step)
        keep_of_w = 1 - lr * float(group["weight_decay"])
        return beta1, beta2, keep_of_w, lr * root2 / correction1, float(group["eps"]) * root2

    @staticmethod
    def update(numbers, scratch, w, g, m, v, largest=None):
        adamw_chunk(numbers, scratch, w, g, m, v, largest)


def adamw_chunk(numbers, scratch, w, g, m, v, largest=None) -> None:
    """AdamW's four lines on flat arrays of one length, in place; `largest` is AMSGrad's v."""
    xp = array_module(w)
    beta1, beta2, keep_of_w, rate, eps = numbers
    (step,) = scratch
    xp.multiply(g, 1 - beta1, out=step)
    m *= beta1
    m += step

    xp.multiply(g, g, out=step)
    step *= 1 - beta2
    v *= beta2
    v += step
    if largest is not None:
        v = xp.maximum(largest, v, out=largest)

    xp.sqrt(v, out=step)
    step += eps
    xp.divide(m, step, out=step)
    step *= rate
    if keep_of_w != 1:
        w *= keep_of_w
    w -= step
