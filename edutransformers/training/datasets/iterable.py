"""IterableDataset: rows one after the other, from a function; for what has no length or doesn't fit into memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np


class IterableDataset:
    """Rows that come when they are asked for. Each `iter` begins anew.

    The Trainer needs `max_steps` for it: nobody knows where it ends. `map`, `filter`, `take`, `skip` and `shuffle` make
    new ones and read nothing yet.
    """

    def __init__(self, make_rows: Callable[[], Iterable[Mapping]], set_epoch: Callable | None = None):
        self._make_rows = make_rows
        self._set_epoch = set_epoch

    @classmethod
    def from_generator(cls, generator: Callable[..., Iterable[Mapping]], gen_kwargs: Mapping | None = None):
        """The rows that a generator function yields: it is called anew for each pass."""
        if not callable(generator):
            raise TypeError(
                f"from_generator takes the function that yields rows, got {type(generator).__name__}: a generator that "
                "runs already can be read only once"
            )
        kwargs = dict(gen_kwargs or {})
        return cls(lambda: generator(**kwargs))

    def __iter__(self) -> Iterator[dict]:
        return iter(self._make_rows())

    def set_epoch(self, epoch: int) -> None:
        """Say which pass comes next: `shuffle` then draws another order, the same one for the same pass."""
        if self._set_epoch is not None:
            self._set_epoch(epoch)

    def map(self, function: Callable, with_indices=False, batched=False, batch_size: int = 1000,
            remove_columns: str | Sequence[str] | None = None) -> IterableDataset:  # fmt: skip
        """What `function` returns for each row (or batch) is added to it; as in `Dataset.map`."""
        removed = {remove_columns} if isinstance(remove_columns, str) else set(remove_columns or ())

        def rows():
            for start, chunk in _chunks(self, batch_size if batched else 1):
                given = {name: [row[name] for row in chunk] for name in chunk[0]} if batched else dict(chunk[0])
                numbers = list(range(start, start + len(chunk))) if batched else start
                answer = function(given, numbers) if with_indices else function(given)
                kept = {} if answer is given else {name: v for name, v in given.items() if name not in removed}
                merged = {**kept, **answer}
                if not batched:
                    yield merged
                    continue
                lengths = {name: len(values) for name, values in merged.items()}
                if len(set(lengths.values())) > 1:
                    raise ValueError(f"the function of map left columns of different lengths: {lengths}")
                for values in zip(*merged.values()):
                    yield dict(zip(merged, values))

        return IterableDataset(rows, self.set_epoch)

    def filter(self, function: Callable, with_indices=False) -> IterableDataset:
        """The rows for which `function` is true."""

        def rows():
            for number, row in enumerate(self):
                if function(row, number) if with_indices else function(row):
                    yield row

        return IterableDataset(rows, self.set_epoch)

    def take(self, n: int) -> IterableDataset:
        """The first n rows."""
        return IterableDataset(lambda: itertools.islice(iter(self), n), self.set_epoch)

    def skip(self, n: int) -> IterableDataset:
        """All but the first n rows."""
        return IterableDataset(lambda: itertools.islice(iter(self), n, None), self.set_epoch)

    def shuffle(self, seed: int = 0, buffer_size: int = 1000) -> IterableDataset:
        """Nearly random order: each row is drawn from a buffer of `buffer_size`, which the next row then fills up.

        Another order in each epoch (`set_epoch`), the same for the same seed and epoch.
        """
        epoch = [0]

        def rows():
            generator, buffer = np.random.default_rng([seed, epoch[0]]), []
            for row in self:
                if len(buffer) < buffer_size:
                    buffer.append(row)
                    continue
                place = int(generator.integers(buffer_size))
                yield buffer[place]
                buffer[place] = row
            for place in generator.permutation(len(buffer)):
                yield buffer[place]

        def set_epoch(number: int) -> None:
            epoch[0] = number
            self.set_epoch(number)

        return IterableDataset(rows, set_epoch)


def _chunks(rows: Iterable, size: int) -> Iterator[tuple[int, list]]:
    iterator, start = iter(rows), 0
    while chunk := list(itertools.islice(iterator, size)):
        yield start, chunk
        start += len(chunk)
