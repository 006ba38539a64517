"""The DataLoader: from a data set to batches.

A data set is anything with `len` and `[index]` whose items are dictionaries: a list, a `Dataset`, a data set of Hugging
Face's `datasets`. One that can only be iterated over (`IterableDataset`, a generator function) works too; it has no
length and comes in its own order. In which order the items of others come is said by samplers.py; how batches are made
ahead by workers.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from ..backend import default_generator
from .collators import RandomCollator, default_data_collator
from .samplers import RandomSampler, SequentialSampler
from .seeding import generator_state, restore_generator
from .workers import END, BatchMaker, ProcessWorkers, Task, ThreadWorkers, in_order


def is_sequence(dataset) -> bool:
    """Has it a length, and can any of its items be asked for?"""
    return hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")


class DataLoader:
    """Batches of a data set. Iterating over it is one epoch.

    dataset        a sequence of items; or an iterable of items, or a function that returns one
    batch_size     items in a batch; the last one may be smaller
    shuffle        a new random order for each epoch, drawn from `generator`, or from one made of `seed`, or from the
                   one that `set_seed` sets
    sampler        an iterable of indices instead of `shuffle`
    batch_sampler  an iterable of lists of indices, each a batch, instead of all of these
    collate_fn     list of items -> batch
    drop_last      leave out a last batch that is smaller
    num_workers    how many batches are made at the same time, ahead of the loop; 0: each when it is asked for

    With workers:

    prefetch_factor          batches that each worker is ahead (default 2)
    multiprocessing_context  None: workers are threads. "spawn", "forkserver" or "fork": they are processes
    worker_init_fn           called with 0, 1, … at the start of each worker
    persistent_workers       worker processes live on from epoch to epoch

    Batches come in the same order and are the same, whatever `num_workers` is: also those of collators that draw
    (`RandomCollator`), because each batch's draws depend only on its epoch and its number. Leaving the loop early,
    Ctrl-C too, ends the workers; an exception in a worker is raised in the loop, with the worker's traceback.

    `state_dict()` says where the loader stands: the generator as it was at the epoch's beginning, and how many batches
    were handed out (not how many were made ahead). After `load_state_dict` the next iteration draws the same order and
    goes on behind those batches, without looking at the items it skips; those of an iterable are drawn and thrown away.
    """

    def __init__(
        self,
        dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler=None,
        collate_fn: Callable = default_data_collator,
        drop_last: bool = False,
        generator: np.random.Generator | None = None,
        *,
        seed: int | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        multiprocessing_context: str | None = None,
        worker_init_fn: Callable[[int], None] | None = None,
        persistent_workers: bool = False,
    ):
        self.is_iterable = not is_sequence(dataset)
        self._check_dataset(dataset, shuffle or sampler is not None or batch_sampler is not None)
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}: expected a whole number from 1 up")
        if shuffle and sampler is not None:
            raise ValueError("shuffle=True and a sampler were both given: the sampler alone decides the order")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("a batch_sampler decides alone: leave out batch_size, shuffle, sampler and drop_last")
        if generator is not None and seed is not None:
            raise ValueError("generator and seed were both given: expected one, the seed makes a generator")
        self._check_workers(num_workers, prefetch_factor, multiprocessing_context, persistent_workers, collate_fn)
        if seed is not None:
            generator = np.random.default_rng(seed)
        if shuffle:
            generator = default_generator() if generator is None else generator
            sampler = RandomSampler(len(dataset), generator)
        elif sampler is None and batch_sampler is None and not self.is_iterable:
            sampler = SequentialSampler(len(dataset))
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = getattr(sampler if batch_sampler is None else batch_sampler, "generator", generator)
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.multiprocessing_context = multiprocessing_context
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = persistent_workers
        self._workers = None  # those that live on
        self._start = self._seed = (
            None  # of the running epoch: the generator's state, and what batches' draws begin with
        )
        self._handed_out = 0
        self._loaded = None  # the state that the next epoch continues

    def __len__(self):
        """Batches in an epoch."""
        if self.is_iterable:
            raise TypeError("a loader of an iterable data set has no length: nobody knows how many items will come")
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    # -- an epoch -----------------------------------------------------------------------------------------------------

    def __iter__(self):
        loaded, self._loaded = self._loaded or {}, None
        first = loaded.get("batches", 0)
        # One generator may serve the order and the collator. A resumed epoch then draws its order from where the epoch
        # began, and goes on from where the collator is.
        is_shared = self.generator is not None and getattr(self.collate_fn, "generator", None) is self.generator
        now = generator_state(self.generator) if is_shared and loaded.get("seed") is not None else None
        if now is not None:
            restore_generator(self.generator, loaded["generator"])
        self._start = generator_state(self.generator)
        lists = iter(lambda: None, END) if self.is_iterable else islice(self._lists_of_indices(), first, None)
        restore_generator(self.generator, now)
        self._seed = self._epoch_seed() if loaded.get("seed") is None else loaded["seed"]
        self._handed_out = first
        tasks = (Task(n, indices, self._seed, begins=n == first) for n, indices in enumerate(lists, start=first))
        try:
            for batch in self._made(tasks):
                self._handed_out += 1
                yield batch
        finally:  # the epoch is over, or was left early: the next one begins at its first batch
            self._start, self._seed, self._handed_out = None, None, 0

    def _lists_of_indices(self) -> Iterator[list[int]]:
        """The indices of batch after batch. Samplers draw their order in this call."""
        if self.batch_sampler is not None:
            return map(list, iter(self.batch_sampler))
        order = iter(self.sampler)
        lists = iter(lambda: list(islice(order, self.batch_size)), [])
        return (indices for indices in lists if len(indices) == self.batch_size or not self.drop_last)

    def _made(self, tasks: Iterator[Task]) -> Iterator:
        """The batches of the tasks, made here or by workers."""
        maker = BatchMaker(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
        if self.num_workers == 0:
            for task in tasks:
                batch = maker(task)
                if batch is END:
                    return
                yield batch
            return
        workers, self._workers = self._workers or self._start_workers(maker), None
        finished = False
        try:
            yield from in_order(workers, tasks, self.num_workers * self.prefetch_factor)
            finished = True
        finally:
            if finished and self.persistent_workers:
                self._workers = workers
            else:
                workers.close()

    def _start_workers(self, maker: BatchMaker):
        if self.multiprocessing_context is None:
            return ThreadWorkers(maker, self.num_workers, self.worker_init_fn)
        return ProcessWorkers(maker, self.num_workers, self.worker_init_fn, self.multiprocessing_context)

    def _epoch_seed(self) -> int | None:
        """What the draws of this epoch's batches begin with; None where nothing draws."""
        if isinstance(self.collate_fn, RandomCollator):
            return int(self.collate_fn.generator.integers(2**63))
        if self.multiprocessing_context is None:
            return None
        # Worker processes seed their global generators with it. The order of the data must not depend on that, so the
        # loader's own generator is only looked at.
        source = default_generator() if self.generator is None else copy.deepcopy(self.generator)
        return int(source.integers(2**63))

    def set_epoch(self, epoch: int) -> None:
        """For samplers and data sets that make their order of the epoch's number."""
        for part in (self.sampler, self.batch_sampler, self.dataset):
            if hasattr(part, "set_epoch"):
                part.set_epoch(epoch)

    # -- where it stands ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict:
        """Where the loader stands, in plain numbers.

        generator  its state at the epoch's start
        batches    how many were handed out since
        seed       what the draws of the epoch's batches begin with
        collator   the state of the collator's generator
        """
        collator = self.collate_fn.generator if isinstance(self.collate_fn, RandomCollator) else None
        if self._loaded is not None:  # an evaluation before the first batch may have drawn from the collator's
            return {**self._loaded, "collator": generator_state(collator)}
        return {
            "generator": self._start if self._start is not None else generator_state(self.generator),
            "batches": self._handed_out,
            "seed": self._seed,
            "collator": generator_state(collator),
        }

    def load_state_dict(self, state: dict) -> None:
        """The next iteration continues the epoch that `state` was taken in."""
        restore_generator(self.generator, state["generator"])
        if isinstance(self.collate_fn, RandomCollator):
            restore_generator(self.collate_fn.generator, state.get("collator"))
        self._loaded = dict(state)

    # -- bad arguments ------------------------------------------------------------------------------------------------

    def _check_dataset(self, dataset, is_ordered: bool) -> None:
        if not self.is_iterable:
            return
        if isinstance(dataset, Iterator):
            raise TypeError(
                f"a data set needs len() and [index], or must give a new iterator each time; this "
                f"{type(dataset).__name__} can be read only once: use list(...), or pass the function that makes it"
            )
        if not hasattr(dataset, "__iter__") and not callable(dataset):
            raise TypeError(f"a data set needs len() and [index], or iteration; {type(dataset).__name__} has neither")
        if is_ordered:
            raise ValueError("an iterable data set comes in its own order: shuffle and samplers are not for it")

    def _check_workers(self, num_workers, prefetch_factor, context, persistent, collate_fn) -> None:
        for name, value, low in (("num_workers", num_workers, 0), ("prefetch_factor", prefetch_factor, 1)):
            if name == "prefetch_factor" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{name} is {value!r}: expected a whole number from {low} up")
        if num_workers == 0:
            for name, value in (("prefetch_factor", prefetch_factor), ("multiprocessing_context", context)):
                if value is not None:
                    raise ValueError(f"{name}={value!r} is for workers, but num_workers is 0")
        if persistent and (num_workers == 0 or context is None):
            raise ValueError(
                "persistent_workers=True is for worker processes: give num_workers, multiprocessing_context"
            )
        if self.is_iterable and num_workers > 1:
            raise ValueError(
                f"num_workers is {num_workers}, but an iterable data set can be read by one worker only: set it to 1"
            )
        draws = isinstance(getattr(collate_fn, "generator", None), np.random.Generator)
        if num_workers and draws and not isinstance(collate_fn, RandomCollator):
            raise ValueError(
                f"{type(collate_fn).__name__} draws from its generator, in no fixed order when workers share it: make "
                "it a RandomCollator, whose collate(features, generator) gets one for each batch, or set num_workers=0"
            )

    def close(self) -> None:
        """End workers that live on (`persistent_workers`). They also end with the loader, and with Python."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def __del__(self):
        if getattr(self, "_workers", None) is not None:
            self.close()

    def __copy__(self):  # a copy has workers of its own
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), _workers=None)
        return twin
