"""RMSprop: Adam without the mean of the gradient."""

from __future__ import annotations

from ...backend import array_module
from .elementwise import ElementwiseOptimizer, check_settings, with_decay


class RMSprop(ElementwiseOptimizer):
    """RMSprop (Hinton 2012, lecture 6e of "Neural Networks for Machine Learning"). Equal to torch.optim.RMSprop.

        g ← g + λ w                      decay, λ = weight_decay
        v ← α v + (1 − α) g²             a running mean of the square: the usual size, α = alpha
        w ← w − lr · g / (√v + ε)

    v begins at 0 and nothing repairs that, so the first steps are up to 1/√(1 − α) = 10 times too long.

    momentum   μ above 0: b ← μ b + g / (√v + ε), w ← w − lr b
    centered   divide by √(v − ḡ²) + ε, the spread, where ḡ ← α ḡ + (1 − α) g is the running mean (Graves 2013)
    threads    as in AdamW

    Keeps v, with momentum b, and centered ḡ: 4 bytes each for each float32 weight.
    """

    buffers = (None, None)

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0.0,
        momentum=0.0,
        centered=False,
        threads=None,
    ):
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**defaults, "centered": centered}, threads)

    def check(self, settings):
        check_settings(self, settings, "lr", "alpha", "eps", "weight_decay", "momentum")
        if not settings["alpha"] < 1:
            raise ValueError(f"RMSprop: alpha is {settings['alpha']}, expected a number from 0 up to, not including, 1")

    def kept(self, group):
        more = {"grad_avg": group["centered"], "momentum_buffer": group["momentum"]}
        return ("square_avg", *(name for name, wanted in more.items() if wanted))

    def numbers(self, group, step):
        """(lr, λ, α, ε, μ, centered?)"""
        names = ("lr", "weight_decay", "alpha", "eps", "momentum")
        return (*(float(group[name]) for name in names), bool(group["centered"]))

    @staticmethod
    def update(numbers, scratch, w, g, v, *more):
        xp = array_module(w)
        lr, weight_decay, alpha, eps, momentum, centered = numbers
        mean, b = more[0] if centered else None, more[-1] if momentum else None
        step, decayed = scratch
        g = with_decay(w, g, weight_decay, decayed)
        xp.multiply(g, g, out=step)
        step *= 1 - alpha
        v *= alpha
        v += step
        if centered:
            xp.multiply(g, 1 - alpha, out=step)
            mean *= alpha
            mean += step
            xp.multiply(mean, mean, out=step)
            xp.subtract(v, step, out=step)
            xp.maximum(step, 0, out=step)  # of a gradient that stays the same, rounding may leave less than nothing
            xp.sqrt(step, out=step)
        else:
            xp.sqrt(v, out=step)
        step += eps
        xp.divide(g, step, out=step)
        if momentum:
            b *= momentum
            b += step
            xp.multiply(b, lr, out=step)
        else:
            step *= lr
        w -= step
