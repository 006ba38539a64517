"""Adagrad: weights that have moved far move less."""

from __future__ import annotations

from ...backend import array_module
from .base import Kept
from .elementwise import ElementwiseOptimizer, check_settings, with_decay


class Adagrad(ElementwiseOptimizer):
    """Adagrad (Duchi, Hazan & Singer 2011). Equal to torch.optim.Adagrad.

        g ← g + λ w                       decay, λ = weight_decay
        s ← s + g²                        the sum of all squared gradients, begun at initial_accumulator_value
        w ← w − lr_t · g / (√s + ε)       lr_t = lr / (1 + (t − 1) lr_decay)

    A word that is rare gets few gradients and takes large steps when it gets one. But s only grows, so in a long
    training all steps die away: RMSprop and Adam put a running mean in its place.

    threads    as in AdamW

    Keeps s: 4 bytes for each float32 weight.
    """

    buffers = (None, None)

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, threads=None
    ):
        defaults = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay}
        super().__init__(
            params, {**defaults, "initial_accumulator_value": initial_accumulator_value, "eps": eps}, threads
        )

    def check(self, settings):
        check_settings(self, settings, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def kept(self, group):
        return ("sum",)

    def remembers(self, parameter, group):
        return {"sum": Kept(parameter.shape, parameter.dtype, float(group["initial_accumulator_value"]))}

    def numbers(self, group, step):
        """(this step's lr, λ, ε)"""
        rate = float(group["lr"]) / (1 + (step - 1) * float(group["lr_decay"]))
        return rate, float(group["weight_decay"]), float(group["eps"])

    @staticmethod
    def update(numbers, scratch, w, g, s):
        xp = array_module(w)
        rate, weight_decay, eps = numbers
        step, decayed = scratch
        g = with_decay(w, g, weight_decay, decayed)
        xp.multiply(g, g, out=step)
        s += step
        xp.sqrt(s, out=step)
        step += eps
        xp.divide(g, step, out=step)
        step *= rate
        w -= step
