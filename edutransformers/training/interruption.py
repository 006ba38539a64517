"""Ctrl-C and SIGTERM during training: first end the step, then write a checkpoint, then stop."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from ..logging import get_logger

logger = get_logger(__name__)

# The signals, and what handles them when nobody has asked for anything else. A program's own handler is left alone.
USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class EvaluationEnded(Exception):
    """An evaluation during training was left, because a signal came."""


class Interruption:
    """While this context is open, a first Ctrl-C or SIGTERM only sets `signal`; a second one stops at once.

        with Interruption() as interruption:
            for ...:
                ...
                if interruption.signal is not None:
                    ...tidy up...
                    interruption.stop()      # KeyboardInterrupt, or SystemExit(143)

    Signals reach Python's main thread alone, so in any other nothing is changed; nor is it for a signal that the
    program handles itself or ignores. On leaving, the handlers are as before.

    active  False: change nothing
    """

    def __init__(self, active: bool = True):
        self.active = active
        self.signal: int | None = None  # the one that came
        self._process = os.getpid()
        self._replaced: list[int] = []

    def __enter__(self) -> Interruption:
        if self.active and threading.current_thread() is threading.main_thread():
            for number, usual in USUAL.items():
                if signal.getsignal(number) is usual:
                    signal.signal(number, self._received)
                    self._replaced.append(number)
        return self

    def __exit__(self, kind, error, traceback) -> None:
        for number in self._replaced:
            signal.signal(number, USUAL[number])
        self._replaced = []
        if self.signal is not None and kind is None:
            self.stop()  # it came too late for the loop to see it, but it came

    def stop(self) -> None:
        """Raise what the signal stands for."""
        raise KeyboardInterrupt if self.signal == signal.SIGINT else SystemExit(128 + self.signal)

    def _received(self, number: int, frame) -> None:
        if os.getpid() != self._process:  # a worker process that was forked in the meantime: it just ends
            signal.signal(number, USUAL[number])
            os.kill(os.getpid(), number)
            return
        if self.signal is not None:
            self.stop()
        self.signal = number
        name = signal.Signals(number).name
        with suppress(RuntimeError):  # if a log was being written just now: that can't be done twice at a time
            logger.warning("%s: after this step a checkpoint is written; a second signal stops at once", name)
