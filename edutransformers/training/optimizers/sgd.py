"""SGD: against the gradient, with momentum if you like."""

from __future__ import annotations

from ...backend import array_module
from .elementwise import ElementwiseOptimizer, check_settings, with_decay


class SGD(ElementwiseOptimizer):
    """Stochastic gradient descent. Equal to torch.optim.SGD.

        g ← g + λ w                  decay, λ = weight_decay
        b ← μ b + (1 − τ) g          μ = momentum, τ = dampening; the first step sets b = g
        w ← w − lr b

    Without momentum b is g. A momentum of 0.9 adds up about ten gradients (1 + μ + μ² + … = 1 / (1 − μ)): where they
    agree the steps grow tenfold, where they point to and fro they cancel (Polyak 1964).

    nesterov   w ← w − lr (g + μ b): nearly the gradient at the place to which momentum leads (Sutskever et al. 2013)

    Other than Adam's, a step is as large as the gradient is, so lr depends on the model: transformers, whose layers'
    gradients differ by orders of magnitude, train badly with it.

    threads    as in AdamW

    Keeps b with momentum, 4 bytes for each float32 weight; without, nothing.
    """

    buffers = (None, None)

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, threads=None):
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov}, threads)

    def check(self, settings):
        check_settings(self, settings, "lr", "momentum", "weight_decay")
        if settings["nesterov"] and (not settings["momentum"] > 0 or settings["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov=True with momentum={settings['momentum']} and dampening={settings['dampening']}, "
                "expected a momentum above 0 and no dampening"
            )

    def kept(self, group):
        return ("momentum_buffer",) if group["momentum"] else ()

    def numbers(self, group, step):
        """(lr, λ, μ, what of g goes into b, is it Nesterov's?)"""
        momentum = float(group["momentum"])
        share = 1.0 if step == 1 else 1 - float(group["dampening"])
        return float(group["lr"]), float(group["weight_decay"]), momentum, share, bool(group["nesterov"])

    @staticmethod
    def update(numbers, scratch, w, g, b=None):
        xp = array_module(w)
        lr, weight_decay, momentum, share, nesterov = numbers
        step, decayed = scratch
        g = with_decay(w, g, weight_decay, decayed)
        direction = g
        if b is not None:
            b *= momentum
            b += g if share == 1 else xp.multiply(g, share, out=step)
            direction = b
        if nesterov:
            xp.multiply(b, momentum, out=step)
            step += g
            direction = step
        xp.multiply(direction, lr, out=step)
        w -= step
