"""Learning-rate schedules: a factor for every step, times the learning rate the optimizer began with.

    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=100, num_training_steps=1000)
    ...
    optimizer.step()
    scheduler.step()

Most schedules begin with a warm-up: Adam's means are built on few gradients at first, so its first steps should be
short. `ReduceLROnPlateau`, which follows a metric instead of the steps, is in plateau.py.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from enum import Enum

from .plateau import ReduceLROnPlateau


class LambdaLR:
    """lr(step) = initial lr · factor(step), for each of the optimizer's groups.

    The constructor sets the learning rate of step 0; every `step()` that of the next. `last_epoch` (the original's name
    for the number of steps made) continues a schedule at that step.
    """

    def __init__(self, optimizer, lr_lambda: Callable[[int], float], last_epoch: int = -1):
        self.optimizer = optimizer
        self.lr_lambda = lr_lambda
        self.last_epoch = last_epoch
        for group in optimizer.param_groups:
            if group["lr"] is None:
                raise ValueError(
                    "the optimizer has no learning rate to schedule: Adafactor makes its own with relative_step=True; "
                    "use AdafactorSchedule, or give lr and relative_step=False"
                )
            if last_epoch == -1:
                group["initial_lr"] = group["lr"]
            elif "initial_lr" not in group:
                raise ValueError(
                    f"a schedule that continues at step {last_epoch} needs 'initial_lr' in the optimizer's groups: "
                    "load the optimizer's state first, or begin with last_epoch=-1"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def step(self) -> None:
        """Set the learning rates of the next step. Call it after `optimizer.step()`."""
        self.last_epoch += 1
        factor = self.lr_lambda(self.last_epoch)
        self._set([base * factor for base in self.base_lrs])

    def _set(self, learning_rates: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, learning_rates):
            group["lr"] = lr
        self._last_lr = list(learning_rates)

    def get_last_lr(self) -> list[float]:
        """The learning rate in use, for each group."""
        return self._last_lr

    def state_dict(self) -> dict:
        """Where the schedule stands. The factor's function is not in it: it is made anew with the same arguments."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state: dict) -> None:
        if len(state["base_lrs"]) != len(self.optimizer.param_groups):
            raise ValueError(
                f"the saved schedule is for {len(state['base_lrs'])} parameter groups, "
                f"the optimizer has {len(self.optimizer.param_groups)}"
            )
        self.last_epoch = state["last_epoch"]
        self.base_lrs = list(state["base_lrs"])
        self._set(state["_last_lr"])


# ---------------------------------------------------------------------------------------------------------------------
# The factors. s: the step, w: warm-up steps, n: all steps
# ---------------------------------------------------------------------------------------------------------------------


def _warm_up(w: int, after: Callable[[int], float]) -> Callable[[int], float]:
    """s / w while s < w, then `after`."""
    return lambda s: s / max(1, w) if s < w else after(s)


def _progress(s: int, w: int, n: int) -> float:
    """From 0 at the end of the warm-up to 1 at step n."""
    return (s - w) / max(1, n - w)


def _cosine(cycles: float, progress: float) -> float:
    """½ (1 + cos(2π · cycles · progress)): with half a cycle, from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * cycles * 2 * progress))


def get_constant_schedule(optimizer, last_epoch: int = -1) -> LambdaLR:
    """Always 1."""
    return LambdaLR(optimizer, lambda s: 1.0, last_epoch)


def get_constant_schedule_with_warmup(optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """Up from 0 to 1, then 1."""
    return LambdaLR(optimizer, _warm_up(num_warmup_steps, lambda s: 1.0), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 to 1 in w steps, then in a straight line down to 0 at step n, and 0 from there on."""
    w, n = num_warmup_steps, num_training_steps
    return LambdaLR(optimizer, _warm_up(w, lambda s: max(0.0, (n - s) / max(1, n - w))), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 to 1, then ½ (1 + cos(2π · cycles · progress)): with half a cycle, smoothly down to 0."""
    w, n = num_warmup_steps, num_training_steps

    def factor(s):
        return max(0.0, _cosine(num_cycles, _progress(s, w, n)))

    return LambdaLR(optimizer, _warm_up(w, factor), last_epoch)


def get_cosine_with_min_lr_schedule_with_warmup(
    optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> LambdaLR:
    """Up from 0 to 1, then the cosine down to `min_lr_rate` in place of 0; or to the learning rate `min_lr`."""
    w, n, low = num_warmup_steps, num_training_steps, _lowest(optimizer, min_lr, min_lr_rate)

    def factor(s):
        return max(0.0, _cosine(num_cycles, _progress(s, w, n)) * (1 - low) + low)

    return LambdaLR(optimizer, _warm_up(w, factor), last_epoch)


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> LambdaLR:
    """The same one step ahead: no step is lost at a learning rate of 0.

    Up from 1/w (or `warmup_lr_rate`) to 1 at step w − 1, then down, reaching the end at step n − 1.
    """
    w, n, low = num_warmup_steps, num_training_steps, _lowest(optimizer, min_lr, min_lr_rate)

    def factor(s):
        if s < w and warmup_lr_rate is None:
            return (s + 1) / max(1, w)
        if s < w:
            return warmup_lr_rate + (1 - warmup_lr_rate) * s / max(1, w - 1)
        return max(0.0, _cosine(num_cycles, (s - w + 1) / max(1, n - w)) * (1 - low) + low)

    return LambdaLR(optimizer, factor, last_epoch)


def _lowest(optimizer, min_lr: float | None, min_lr_rate: float | None) -> float:
    """The end of a schedule as a factor, from whichever of the two was given."""
    if (min_lr is None) == (min_lr_rate is None):
        raise ValueError(f"min_lr is {min_lr} and min_lr_rate is {min_lr_rate}: expected exactly one of the two")
    return min_lr_rate if min_lr is None else min_lr / optimizer.defaults["lr"]


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 to 1, then `num_cycles` half-cosines from 1 to 0, each beginning anew at 1."""
    w, n = num_warmup_steps, num_training_steps

    def factor(s):
        progress = _progress(s, w, n)
        if progress >= 1:
            return 0.0
        return max(0.0, 0.5 * (1 + math.cos(math.pi * ((num_cycles * progress) % 1.0))))

    return LambdaLR(optimizer, _warm_up(w, factor), last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """Up from 0 to the initial lr, then lr_end + (lr − lr_end) · (1 − progress)^power, and lr_end from step n on."""
    w, n, lr = num_warmup_steps, num_training_steps, optimizer.defaults["lr"]
    if not lr > lr_end:
        raise ValueError(f"lr_end is {lr_end}: expected less than the optimizer's learning rate, {lr}")

    def factor(s):
        if s > n:
            return lr_end / lr
        remaining = 1 - (s - w) / (n - w)
        return ((lr - lr_end) * remaining**power + lr_end) / lr

    return LambdaLR(optimizer, _warm_up(w, factor), last_epoch)


def get_inverse_sqrt_schedule(
    optimizer, num_warmup_steps: int, timescale: int | None = None, last_epoch: int = -1
) -> LambdaLR:
    """Up from 0 to 1, then 1 / √((s + t − w) / t): falling ever more slowly.

    The timescale t is w unless given, and 10,000 without warm-up.
    """
    w = num_warmup_steps
    t = timescale if timescale is not None else w or 10_000
    if not t > 0:
        raise ValueError(f"the inverse square root schedule has the timescale {t}, expected a number above 0")
    return LambdaLR(optimizer, _warm_up(w, lambda s: 1 / math.sqrt((s + t - w) / t)), last_epoch)


# progress -> factor: the shapes that a warm-up (upwards) and a decay (downwards) of the next schedule can have
RISES = {
    "linear": lambda p: p,
    "cosine": lambda p: 0.5 * (1 - math.cos(math.pi * p)),
    "1-sqrt": lambda p: 1 - math.sqrt(1 - p),
}
FALLS = {
    "linear": lambda p, cycles: 1 - p,
    "cosine": lambda p, cycles: _cosine(cycles, p),
    "1-sqrt": lambda p, cycles: 1 - math.sqrt(p),
}


def get_wsd_schedule(
    optimizer,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """Warm-up, stable, decay: up from min_lr_ratio to 1, 1 for a long time, and down to min_lr_ratio at the end.

    A run can be prolonged from any checkpoint before the decay, which a cosine over all steps does not allow (Hu et al.
    2024, MiniCPM).

    num_stable_steps  None: what the others leave of num_training_steps
    warmup_type, decay_type  "linear", "cosine" or "1-sqrt"
    """
    for name, kind, kinds in (("warmup_type", warmup_type, RISES), ("decay_type", decay_type, FALLS)):
        if kind not in kinds:
            raise ValueError(f"{name} is {kind!r}: expected one of {', '.join(kinds)}")
    if num_training_steps is None and num_stable_steps is None:
        raise ValueError("num_training_steps and num_stable_steps are both None: expected one of the two")
    w, d, low = num_warmup_steps, num_decay_steps, min_lr_ratio
    stable = num_training_steps - w - d if num_stable_steps is None else num_stable_steps

    def factor(s):
        if s < w:
            return max(0.0, RISES[warmup_type](s / w) * (1 - low) + low)
        if s < w + stable:
            return 1.0
        if s < w + stable + d:
            return max(0.0, FALLS[decay_type]((s - w - stable) / d, num_cycles) * (1 - low) + low)
        return low

    return LambdaLR(optimizer, factor, last_epoch)


def get_reduce_on_plateau_schedule(optimizer, **options) -> ReduceLROnPlateau:
    """Constant, until a metric stops improving. `options` are those of `ReduceLROnPlateau`."""
    return ReduceLROnPlateau(optimizer, **options)


class AdafactorSchedule(LambdaLR):
    """For an Adafactor that makes its own learning rate (relative_step=True): changes nothing, tells what it was.

    initial_lr  what `get_last_lr()` gives for a group before its first step
    """

    def __init__(self, optimizer, initial_lr: float = 0.0):
        self.optimizer, self.initial_lr = optimizer, initial_lr
        self.last_epoch = -1
        self.base_lrs = [initial_lr] * len(optimizer.param_groups)
        self.step()

    def step(self) -> None:
        self.last_epoch += 1
        self._last_lr = [self._rate_of(group) for group in self.optimizer.param_groups]

    def _rate_of(self, group: dict):
        """That of the group's first parameter; with scale_parameter every parameter has its own."""
        state = self.optimizer.state.get(group["params"][0]) if group["params"] else None
        return self.initial_lr if state is None else self.optimizer.learning_rate(group, state)

    def get_last_lr(self) -> list[float]:
        """The learning rate of the last step, for each group's first parameter (this waits for a GPU)."""
        return [float(lr) for lr in self._last_lr]

    def _set(self, learning_rates: list[float]) -> None:
        self._last_lr = list(learning_rates)

    def state_dict(self) -> dict:
        return {**super().state_dict(), "_last_lr": self.get_last_lr()}


def get_adafactor_schedule(optimizer, initial_lr: float = 0.0) -> AdafactorSchedule:
    """An `AdafactorSchedule`."""
    return AdafactorSchedule(optimizer, initial_lr)


class SchedulerType(str, Enum):
    """The names that `get_scheduler` and `lr_scheduler_type` take. The plain words do as well."""

    LINEAR = "linear"
    COSINE = "cosine"
    COSINE_WITH_RESTARTS = "cosine_with_restarts"
    POLYNOMIAL = "polynomial"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"
    INVERSE_SQRT = "inverse_sqrt"
    REDUCE_ON_PLATEAU = "reduce_lr_on_plateau"
    COSINE_WITH_MIN_LR = "cosine_with_min_lr"
    COSINE_WARMUP_WITH_MIN_LR = "cosine_warmup_with_min_lr"
    WARMUP_STABLE_DECAY = "warmup_stable_decay"


# name -> the function that makes it; which numbers of steps a function needs is in its signature
SCHEDULES = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "cosine_with_restarts": get_cosine_with_hard_restarts_schedule_with_warmup,
    "polynomial": get_polynomial_decay_schedule_with_warmup,
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
    "inverse_sqrt": get_inverse_sqrt_schedule,
    "reduce_lr_on_plateau": get_reduce_on_plateau_schedule,
    "cosine_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup,
    "cosine_warmup_with_min_lr": get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    "warmup_stable_decay": get_wsd_schedule,
}


def get_scheduler(
    name: str | SchedulerType,
    optimizer,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: dict | None = None,
) -> LambdaLR | ReduceLROnPlateau:
    """A schedule by its name: one of SCHEDULES. `scheduler_specific_kwargs` go to its function (`num_cycles`, …).

    Raises `ValueError` for an unknown name, for one of them that the schedule does not take, and for one that it needs
    and that is not given.
    """
    name, options = getattr(name, "value", name), dict(scheduler_specific_kwargs or {})
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
    function = ReduceLROnPlateau if name == "reduce_lr_on_plateau" else SCHEDULES[name]
    taken = dict(inspect.signature(function).parameters)
    del taken["optimizer"]
    for option in options:
        if option not in taken:
            raise ValueError(f"the schedule {name!r} takes no {option!r}: it takes {', '.join(taken)}")
    steps = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    options = {**{n: count for n, count in steps.items() if n in taken and count is not None}, **options}
    for argument, parameter in taken.items():
        if parameter.default is parameter.empty and argument not in options:
            raise ValueError(f"the schedule {name!r} needs {argument}")
    return SCHEDULES[name](optimizer, **options)
