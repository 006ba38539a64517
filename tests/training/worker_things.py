"""What worker processes of the tests are given: they must be importable, so they stand in a module."""

import os
import random
import signal

import numpy as np


class Numbers:
    """0, 1, 2, … as items; some do what an item should not."""

    def __init__(self, count, bad=None, does=None):
        self.count, self.bad, self.does = count, bad, does

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.bad:
            getattr(self, self.does)()
        return {"x": index}

    def fails(self):
        raise KeyError("the item is bad")

    def dies(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def fails_unpicklably(self):
        raise Unpicklable(1, 2)

    def hangs(self):
        signal.pause()


class Augmented(Numbers):
    """Draws from global generators, and says which process made the item."""

    def __getitem__(self, index):
        return {"x": index, "noise": [random.random(), np.random.random()], "pid": os.getpid()}  # noqa: NPY002


class Unpicklable(Exception):
    def __init__(self, first, second):
        super().__init__("only this")


class Stream:
    """An iterable without a length."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return ({"x": number} for number in range(self.count))


def init_fails(number):
    raise OSError(f"worker {number} finds no file")
