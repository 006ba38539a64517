"""Mixed precision (Micikevicius et al. 2017): compute with float16 copies of the weights, change them in float32.

    precision = MixedPrecision(model, optimizer)
    for batch in loader:
        with precision.half():                                              # float16 weights inside
            out, cache = model.forward(**batch)
            model.backward({"loss": precision.scale}, cache)                # gradients, `scale` times too large
        precision.unscale()                                                 # and now of the right size, in float32
        clip_grad_norm_(model, 1.0)
        if precision.step():                                                # optimizer.step(), unless one is infinite
            schedule.step()
        optimizer.zero_grad()

Why two copies: a step changes a weight by a thousandth of it or less, and 1 + 0.0004 = 1 in float16. Why a scale:
gradients below 6e-8 are 0 in float16, and many are that small. Multiplying the loss multiplies them all, by the chain
rule; a power of two costs no digit. What must not be computed in float16 at all stands in functional/precision.py.
"""

from __future__ import annotations

import math
from contextlib import contextmanager

import numpy as np

from ..backend import array_module
from ..module import Module


@contextmanager
def half_weights(model: Module):
    """Inside this block the model's weights (and buffers) are float16 copies; after it, the old ones are back.

    Forward and backward of one batch belong into the same block. The copies are made anew each time, so they are never
    out of date, and are freed at the end. Gradients are collected in float32 all along (`Parameter.accumulate`).
    NumPy's warnings of overflows are off: infinite gradients are expected here, and looked for.
    """
    places = [*model.parameters(), *(buffer for _, buffer in model.named_buffers())]
    masters = [(place, place.data) for place in places if place.data.dtype.kind == "f"]
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            for place, master in masters:
                place.data = master.astype(np.float16)
            yield
        finally:
            for place, master in masters:
                place.data = master


class MixedPrecision:
    """The loss scale, and the step that is left out when a gradient overflowed. Scales as torch.amp.GradScaler's.

    model, optimizer   the weights are float32 and stay so: they are the master copy, which checkpoints hold
    init_scale         what the loss is multiplied by at first
    growth_interval    so many good steps in a row, and the scale is multiplied by `growth_factor`
    backoff_factor     what the scale is multiplied by after a step with an infinite or nan gradient, which is left out

    The scale thus climbs until something overflows, goes back by half, and climbs again: always about as large as
    float16 allows. The first steps of a run are often left out until it has come down from 65536.

    Raises `ValueError` for a model whose weights are float16 themselves.
    """

    def __init__(
        self,
        model: Module,
        optimizer,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ):
        for name, parameter in model.named_parameters():
            if parameter.dtype == np.float16:
                raise ValueError(
                    f"{name} is float16: mixed precision changes float32 weights and computes with float16 copies of "
                    "them; use model.astype('float32')"
                )
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ValueError(
                f"init_scale={init_scale}, growth_factor={growth_factor}, backoff_factor={backoff_factor}, "
                f"growth_interval={growth_interval}: expected above 0, above 1, between 0 and 1, and 1 or more"
            )
        self.model, self.optimizer = model, optimizer
        self.scale = float(init_scale)
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        self.good_steps = 0  # since the scale last changed
        self._finite = None  # after unscale(): whether all gradients are finite; on a GPU a number that stays there

    def half(self):
        """`with precision.half():` the model's weights are float16 inside the block; see `half_weights`."""
        return half_weights(self.model)

    def unscale(self) -> None:
        """Divide all gradients by the scale, once a step, before anything looks at them (clipping, logs).

        Raises `RuntimeError` if that was done already since the last `step()`.
        """
        if self._finite is not None:
            raise RuntimeError("the gradients were unscaled already: unscale() comes once before each step()")
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        checks = []
        for gradient in gradients:
            gradient *= 1 / self.scale
            checks.append(array_module(gradient).isfinite(gradient).all())
        self._finite = array_module(gradients[0]).stack(checks).all() if gradients else True

    def step(self) -> bool:
        """`optimizer.step()` if all gradients are finite, nothing otherwise; then the next scale. True if it stepped.

        On a GPU this is the one place in a training step where the host waits for it: whether the schedule goes on
        and how large the next scale is depends on numbers that have to be computed first.
        """
        if self._finite is None:
            self.unscale()
        finite, self._finite = bool(self._finite), None
        if finite:
            self.optimizer.step()
        self._adapt(finite)
        return finite

    def _adapt(self, finite: bool) -> None:
        if not finite:
            self.scale, self.good_steps = float(np.float32(self.scale * self.backoff_factor)), 0
            return
        self.good_steps += 1
        if self.good_steps == self.growth_interval:
            with np.errstate(over="ignore"):
                larger = float(np.float32(self.scale * self.growth_factor))
            self.scale, self.good_steps = larger if math.isfinite(larger) else self.scale, 0

    def state_dict(self) -> dict:
        """The scale and what decides its future, under the names of torch's GradScaler."""
        return {
            "scale": self.scale,
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": self.good_steps,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state_dict()`; torch's fits as well."""
        self.scale, self.good_steps = float(state["scale"]), int(state["_growth_tracker"])
        self.growth_factor, self.backoff_factor = state["growth_factor"], state["backoff_factor"]
        self.growth_interval = state["growth_interval"]


def check_on_gpu(model: Module, setting: str) -> None:
    """Raise `ValueError` if the model is in host memory, where NumPy computes float16 slowly: as in the original."""
    if array_module(next(model.parameters()).data) is np:
        raise ValueError(
            f"{setting}=True is for a GPU, but the model is on the CPU: call model.to('cuda') first, or leave it out"
        )
