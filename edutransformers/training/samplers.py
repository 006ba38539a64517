"""Samplers: in which order a data set is gone through. An order of indices, drawn anew by every `iter`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


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
    names = getattr(dataset, "column_names", None)  # a table: one column is enough
    if isinstance(names, (list, tuple)) and column in names:
        return [int(length) for length in dataset[column]]
    if isinstance(names, (list, tuple)) and input_name in names:
        return [len(row) for row in dataset[input_name]]
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
