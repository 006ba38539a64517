"""From a data set to batches: in which order (samplers), how many at a time (DataLoader).

A data set is anything with `len` and `[index]` whose items are dictionaries: a list, or an object with these two
methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..backend import default_generator
from .collators import default_data_collator
from .seeding import generator_state, restore_generator

# ---------------------------------------------------------------------------------------------------------------------
# Samplers: an order of indices, drawn anew by every `iter`
# ---------------------------------------------------------------------------------------------------------------------


class SequentialSampler:
    """0, 1, 2, …"""

    def __init__(self, length: int):
        self.length = length

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.length))

    def __len__(self):
        return self.length


class RandomSampler:
    """Every index once, in a random order; another one each time."""

    def __init__(self, length: int, generator: np.random.Generator):
        self.length = length
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        return iter(self.generator.permutation(self.length).tolist())

    def __len__(self):
        return self.length


class LengthGroupedSampler:
    """A random order in which the items of a batch are about equally long: little padding, so little wasted work.

    Shuffle; sort by length within stretches of 50 batches; then shuffle these batches. The batch with the longest item
    comes first, so that a batch too large for the memory fails at once and not after an hour. What is left over, fewer
    than a batch, stays at the end.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, generator: np.random.Generator):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        size, count = self.batch_size, len(self.lengths)
        order = self.generator.permutation(count)
        # Fewer stretches than four would sort the whole set by length, and the order would be hardly random.
        stretch = size * max(1, min(count // (size * 4), 50))
        by_length = np.concatenate([self._sorted(order[start : start + stretch]) for start in range(0, count, stretch)])
        whole = count // size
        batches = by_length[: whole * size].reshape(whole, size)
        batches = batches[self.generator.permutation(whole)]
        if whole:
            longest = int(self.lengths[batches].max(axis=1).argmax())
            batches[[0, longest]] = batches[[longest, 0]]
        return iter(np.concatenate([batches.reshape(-1), by_length[whole * size :]]).tolist())

    def _sorted(self, indices: np.ndarray) -> np.ndarray:
        return indices[np.argsort(-self.lengths[indices], kind="stable")]

    def __len__(self):
        return len(self.lengths)


class LengthSortedSampler:
    """Longest first: the least padding there can be. For evaluation, where the order changes nothing."""

    def __init__(self, lengths: Sequence[int]):
        self.order = np.argsort(-np.asarray(lengths), kind="stable").tolist()

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self):
        return len(self.order)


def lengths_of(dataset, input_name: str = "input_ids", column: str = "length") -> list[int]:
    """How long each item is: what its `column` says, else the length of `input_name`. Looks at every item once."""
    lengths = []
    for index in range(len(dataset)):
        item = dataset[index]
        if column in item:
            lengths.append(int(item[column]))
        elif input_name in item:
            lengths.append(len(item[input_name]))
        else:
            raise ValueError(
                f"grouping by length needs {column!r} or {input_name!r} in every item, but item {index} has only "
                f"{sorted(item)}"
            )
    return lengths


# ---------------------------------------------------------------------------------------------------------------------
# DataLoader
# ---------------------------------------------------------------------------------------------------------------------


class DataLoader:
    """Batches of a data set. Iterating over it is one epoch.

    dataset     a sequence of items
    batch_size  items in a batch; the last one may be smaller
    shuffle     a new random order for each epoch, drawn from `generator` (or a fresh one)
    sampler     an iterable of indices instead of `shuffle`
    collate_fn  list of items -> batch
    drop_last   leave out a last batch that is smaller

    `state_dict()` says where the loader stands: the generator as it was at the epoch's beginning, and how many batches
    were handed out. After `load_state_dict` the next iteration draws the same order and goes on behind those batches,
    without looking at the items it skips.
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
    ):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"a data set needs len() and [index], {type(dataset).__name__} has not both; use list(...)")
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}: expected a whole number from 1 up")
        if shuffle and sampler is not None:
            raise ValueError("shuffle=True and a sampler were both given: the sampler alone decides the order")
        if shuffle:
            generator = default_generator() if generator is None else generator
            sampler = RandomSampler(len(dataset), generator)
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.sampler = SequentialSampler(len(dataset)) if sampler is None else sampler
        self.generator = getattr(self.sampler, "generator", generator)
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self._start = None  # the generator's state when the running epoch's order was drawn
        self._handed_out = 0
        self._skip = 0

    def __len__(self):
        """Batches in an epoch."""
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        self._start = generator_state(self.generator)
        self._handed_out, self._skip = self._skip, 0
        order = list(self.sampler)
        try:
            for number in range(self._handed_out, len(self)):
                indices = order[number * self.batch_size : (number + 1) * self.batch_size]
                self._handed_out = number + 1
                yield self.collate_fn(self._items(indices))
        finally:  # the epoch is over, or was left early: the next one begins at its first batch
            self._start, self._handed_out = None, 0

    def _items(self, indices):
        if hasattr(self.dataset, "__getitems__"):  # data sets that fetch several at once
            return self.dataset.__getitems__(indices)
        return [self.dataset[index] for index in indices]

    def state_dict(self) -> dict:
        """{"generator": its state at the epoch's start, "batches": how many were handed out since}."""
        start = self._start if self._start is not None else generator_state(self.generator)
        return {"generator": start, "batches": self._handed_out or self._skip}

    def load_state_dict(self, state: dict) -> None:
        """The next iteration continues the epoch that `state` was taken in."""
        restore_generator(self.generator, state["generator"])
        self._skip = state["batches"]
