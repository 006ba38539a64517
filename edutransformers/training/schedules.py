"""Learning-rate schedules: a factor for every step, times the learning rate the optimizer began with.

    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=100, num_training_steps=1000)
    ...
    optimizer.step()
    scheduler.step()

Most schedules begin with a warm-up: Adam's means are built on few gradients at first, so its first steps should be
short.
"""

from __future__ import annotations

import math
from collections.abc import Callable


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
        return max(0.0, 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * _progress(s, w, n))))

    return LambdaLR(optimizer, _warm_up(w, factor), last_epoch)


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
    """Up from 0 to 1, then 1 / √((s + t − w) / t): falling ever more slowly. The timescale t is w unless given."""
    w = num_warmup_steps
    t = timescale if timescale is not None else w
    if not t > 0:
        raise ValueError(f"the inverse square root schedule needs a timescale above 0, or warm-up steps; got {t}")
    return LambdaLR(optimizer, _warm_up(w, lambda s: 1 / math.sqrt((s + t - w) / t)), last_epoch)


# name -> (function, what it needs besides the optimizer)
SCHEDULES = {
    "linear": (get_linear_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "cosine": (get_cosine_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "cosine_with_restarts": (
        get_cosine_with_hard_restarts_schedule_with_warmup,
        ("num_warmup_steps", "num_training_steps"),
    ),
    "polynomial": (get_polynomial_decay_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "constant": (get_constant_schedule, ()),
    "constant_with_warmup": (get_constant_schedule_with_warmup, ("num_warmup_steps",)),
    "inverse_sqrt": (get_inverse_sqrt_schedule, ("num_warmup_steps",)),
}


def get_scheduler(
    name: str, optimizer, num_warmup_steps: int | None = None, num_training_steps: int | None = None, **options
) -> LambdaLR:
    """A schedule by its name: one of SCHEDULES. `options` go to its function (`num_cycles`, `power`, …).

    Raises `ValueError` for an unknown name, and when the schedule needs a number of steps that is not given.
    """
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}: expected one of {', '.join(SCHEDULES)}")
    function, needed = SCHEDULES[name]
    given = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    for argument in needed:
        if given[argument] is None:
            raise ValueError(f"the schedule {name!r} needs {argument}")
    return function(optimizer, **{argument: given[argument] for argument in needed}, **options)
