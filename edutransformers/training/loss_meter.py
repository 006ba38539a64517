"""The sum of the training losses since the last log, and over the whole run."""

from __future__ import annotations

import math

import numpy as np

from ..backend import array_module, to_numpy

MOST_WAITING = 100  # losses on a GPU that are looked at together


def is_known(loss) -> bool:
    """True for a number that nobody has to wait for."""
    return isinstance(loss, (float, np.ndarray, np.generic))


class LossMeter:
    """Adds up losses and refuses those that are not finite.

    On a GPU a loss is a number that is still being computed. To look at it at once would make every step wait, so
    losses are collected there and looked at when a log is due. A nan is then found late, but its step is named all the
    same.

    explain   (step, whether it is the newest loss) -> more about a loss that is not finite, for the error message
    """

    def __init__(self, explain=lambda step, newest: ""):
        self.explain = explain
        self.total = 0.0  # of all losses before the last log
        self.since_log = 0.0
        self.step_of_log = 0
        self._waiting: list[tuple[int, object]] = []

    def add(self, loss, step: int) -> None:
        """Count the loss, or share of one, that a batch of this step had."""
        self._waiting.append((step, loss))
        if is_known(loss) or len(self._waiting) >= MOST_WAITING:
            self.look()

    def check(self, loss, step: int) -> None:
        """Raises `FloatingPointError` for a loss that is nan or infinite, if it is known by now."""
        if is_known(loss) and not math.isfinite(float(loss)):
            self._refuse(float(loss), step, newest=True)

    def look(self) -> None:
        """Add what is waiting to the sum. Raises `FloatingPointError` for a loss that is nan or infinite."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        losses = [loss for _, loss in waiting]
        if not is_known(losses[0]):
            losses = to_numpy(array_module(losses[0]).stack(losses))  # one transfer for all
        for number, ((step, _), loss) in enumerate(zip(waiting, losses), start=1):
            loss = float(loss)
            if not math.isfinite(loss):
                self._refuse(loss, step, newest=number == len(waiting))
            self.since_log += loss

    def _refuse(self, loss: float, step: int, newest: bool) -> None:
        raise FloatingPointError(
            f"the training loss at step {step} is {loss}: the training was stopped. A lower learning_rate, a "
            "longer warm-up or a smaller max_grad_norm often help; so does a look at that batch. "
            + self.explain(step, newest)
        )

    def mean_since_log(self, step: int) -> float:
        """The mean loss of a step since this was last asked; it begins anew."""
        self.look()
        mean = self.since_log / max(1, step - self.step_of_log)
        self.total += self.since_log
        self.since_log, self.step_of_log = 0.0, step
        return mean

    def mean(self, step: int) -> float:
        """The mean loss of a step over the whole run."""
        self.look()
        return (self.total + self.since_log) / max(1, step)

    def state_dict(self) -> dict:
        self.look()
        return {"total": self.total, "since_log": self.since_log, "step_of_log": self.step_of_log}

    def load_state_dict(self, state: dict) -> None:
        self.total, self.since_log, self.step_of_log = state["total"], state["since_log"], state["step_of_log"]
