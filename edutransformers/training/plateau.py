"""ReduceLROnPlateau: the learning rate falls when a metric no longer improves."""

from __future__ import annotations

import math


class ReduceLROnPlateau:
    """After more than `patience` evaluations in a row without improvement: lr ← factor · lr. Equal to torch's.

        schedule.step(metrics["eval_loss"])        once an evaluation, in place of once a step

    mode            "min" if less is better (a loss), "max" if more is (an accuracy)
    factor          what a learning rate is multiplied by
    patience        so many evaluations without improvement change nothing yet
    threshold       an improvement must be larger: with threshold_mode "rel", than this share of the best value so far
                    (of a loss of 2 and 0.01: below 1.98); with "abs", than this
    cooldown        so many evaluations after a reduction don't count as without improvement
    min_lr          the learning rate stays above; a number, or one for each group
    eps             a reduction that is not larger than this is not made

    A metric that is nan is no improvement.
    """

    def __init__(
        self,
        optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ):
        if not 0 < factor < 1:
            raise ValueError(f"factor is {factor}: expected a number between 0 and 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}: expected min or max")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is {threshold_mode!r}: expected rel or abs")
        groups = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"min_lr has {len(self.min_lrs)} numbers, but the optimizer has {groups} parameter groups")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best: float | None = None  # the best metric so far
        self.num_bad_epochs = 0  # evaluations since then
        self.cooldown_counter = 0
        self.last_epoch = 0  # evaluations seen

    def step(self, metrics: float) -> None:
        """Take note of an evaluation's metric, and reduce the learning rates if it is time."""
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.best is None:
            return sign * value > -math.inf
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        # torch's border: best · (1 ± threshold), which for a negative metric lies on the other side
        return sign * value > sign * (self.best + sign * margin)

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs):
            lr = max(group["lr"] * self.factor, lowest)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """The learning rate in use, for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict:
        """Where the schedule stands; the learning rates themselves are in the optimizer's groups."""
        names = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict) -> None:
        """Go on from `state_dict()`. The optimizer's state brings the learning rates."""
        for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            setattr(self, name, state[name])
