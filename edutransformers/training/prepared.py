"""What `Accelerator.prepare` returns: a loader of this rank's batches, an optimizer and a schedule that wait for the
last batch of a step."""

from __future__ import annotations

import copy
from itertools import islice

from .data import DataLoader
from .distributed import Communicator, ShardedSampler
from .evaluation import batch_size_of
from .seeding import generator_state


class GradientState:
    """Where the loops over prepared loaders stand; shared by an Accelerator and what it has prepared."""

    def __init__(self):
        self.sync_gradients = True  # False: more batches come before the weights change
        self.batches = 0  # that all prepared loaders have handed out
        self.loaders: list[PreparedLoader] = []  # those whose loops are running, the innermost last

    @property
    def active_dataloader(self) -> PreparedLoader | None:
        """The loader whose batch is being worked on."""
        return self.loaders[-1] if self.loaders else None

    @property
    def end_of_dataloader(self) -> bool:
        """Is it the loader's last batch?"""
        return self.active_dataloader is not None and self.active_dataloader.end_of_dataloader


class PreparedLoader:
    """This rank's batches of a DataLoader, and how many items of the current one count.

    With one process any iterable of batches will do. Other attributes are the loader's own.
    """

    def __init__(
        self, loader, state: GradientState, communicator: Communicator, even_batches: bool = False, split_batches=False
    ):
        self._state = state
        self._sampler = None
        self._inner = loader
        if getattr(loader, "sampler", None) is not None and isinstance(loader, DataLoader):
            batch_size = loader.batch_size
            if split_batches:
                if batch_size % communicator.size:
                    raise ValueError(
                        f"split_batches=True splits a batch of {batch_size} over {communicator.size} ranks: choose a "
                        "batch_size that is a multiple"
                    )
                batch_size //= communicator.size
            self._inner = copy.copy(loader)
            self._sampler = ShardedSampler(loader.sampler, batch_size, communicator, even_batches, loader.drop_last)
            self._inner.sampler, self._inner.batch_size = self._sampler, batch_size
        elif communicator.size > 1:
            raise TypeError(
                f"this {type(loader).__name__} can't be shared out to {communicator.size} ranks: expected an "
                "edutransformers DataLoader with a data set that has a length, and without a batch_sampler"
            )
        self._loaded: dict | None = None  # where the next iteration begins
        self._done = 0  # batches handed out in this epoch
        self.end_of_dataloader = False
        self.real = self.counted = self.counted_by_all = 0  # items of the current batch: see sharding.Part

    def __getattr__(self, name):
        if name == "_inner":  # not there yet: in copy and pickle
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __len__(self):
        """Batches in an epoch, the same number on all ranks."""
        return len(self._inner)

    def __iter__(self):
        part = None if self._sampler is None else self._sampler.part()
        self._done, self._loaded = 0 if self._loaded is None else self._loaded["batches"], None
        self._state.loaders.append(self)
        try:
            for batch, is_last in self._batches():
                self._done += 1
                self._state.batches += 1
                self.end_of_dataloader = is_last
                self._count(batch, part)
                yield batch
        finally:
            self._state.loaders.remove(self)
            self._done, self.end_of_dataloader = 0, False

    def _batches(self):
        """The batches that are left, each with whether it is the last one."""
        done = 0 if isinstance(self._inner, DataLoader) else self._done  # a DataLoader skips by itself
        batches = islice(iter(self._inner), done, None)
        try:
            length = len(self)
        except TypeError:  # nobody knows: look one batch ahead
            batch = next(batches, None)
            while batch is not None:
                ahead = next(batches, None)
                yield batch, ahead is None
                batch = ahead
            return
        for number, batch in enumerate(batches, start=self._done + 1):
            yield batch, number == length

    def _count(self, batch, part) -> None:
        if part is None:
            self.real = self.counted = self.counted_by_all = batch_size_of(batch)
        elif self.end_of_dataloader:
            self.real, self.counted, self.counted_by_all = part.last_real, part.last_counted, part.last_of_all
        else:
            size = self._inner.batch_size
            self.real, self.counted, self.counted_by_all = size, size, size * self._sampler.communicator.size

    @property
    def total_batch_size(self) -> int:
        """Items in a batch of all ranks together."""
        return self._inner.batch_size * self._sampler.communicator.size

    def state_dict(self) -> dict:
        """Where the loader stands on this rank, in plain numbers: a DataLoader's state, and

        start  the generator's state when the running epoch's order was drawn (None between epochs); "generator" is its
               state now
        """
        if self._loaded is not None:
            return dict(self._loaded)
        state = self._inner.state_dict() if isinstance(self._inner, DataLoader) else {}
        if self._sampler is not None:
            state["generator"] = generator_state(self._sampler.generator)
            state["start"] = self._sampler.start if self._done else None
        return {**state, "batches": self._done}

    def load_state_dict(self, state: dict) -> None:
        """The next iteration continues the epoch that `state` was taken in."""
        self._loaded = dict(state)
        if isinstance(self._inner, DataLoader):
            self._inner.load_state_dict({name: value for name, value in state.items() if name != "start"})
        if self._sampler is not None:
            self._sampler.draw_from(state["start"])


class AcceleratedOptimizer:
    """An optimizer that steps, and forgets gradients, only when a step's last batch is through.

    So the loop's body is the same with and without gradient accumulation. Other attributes are the optimizer's own.
    """

    def __init__(self, optimizer, state: GradientState):
        self.optimizer = optimizer
        self._state = state

    def __getattr__(self, name):
        if name == "optimizer":
            raise AttributeError(name)
        return getattr(self.optimizer, name)

    def step(self) -> None:
        if self._state.sync_gradients:
            self.optimizer.step()

    def zero_grad(self) -> None:
        if self._state.sync_gradients:
            self.optimizer.zero_grad()


class AcceleratedScheduler:
    """A schedule that steps when the optimizer does, and then as many steps as there are ranks.

    A schedule is made for a number of steps, and with N ranks an epoch has N times fewer. Stepping N times, it ends at
    the same value, so the script needs no change. With split_batches the number stays, and so does the step.
    """

    def __init__(self, scheduler, state: GradientState, steps: int):
        self.scheduler = scheduler
        self._state = state
        self._steps = steps

    def __getattr__(self, name):
        if name == "scheduler":
            raise AttributeError(name)
        return getattr(self.scheduler, name)

    def step(self, *metrics) -> None:
        """`metrics` are for a schedule that looks at them (reduce_lr_on_plateau): it steps once."""
        if self._state.sync_gradients:
            for _ in range(1 if metrics else self._steps):
                self.scheduler.step(*metrics)
