"""Which items of an epoch belong to which rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..seeding import generator_state, restore_generator
from .communicator import Communicator


class Part(NamedTuple):
    """A rank's part of an epoch."""

    positions: np.ndarray  # places in the epoch's order, batch after batch; the last batch may be smaller
    last_real: int  # items of the last batch that only this rank has; the others fill up
    last_counted: int  # items of the last batch that enter the loss's mean
    last_of_all: int  # last_counted over all ranks


def positions_of_rank(
    length: int, batch_size: int, rank: int, size: int, even_batches: bool = False, drop_last: bool = False
) -> Part:
    """The part of rank `rank` when `size` ranks share `length` items in batches of `batch_size` each.

    A *round* is what all ranks take at once, size · batch_size neighbouring items, in the order of ranks:

        order:   0 1 2 3 | 4 5 6 7 | 8 9        2 ranks, 2 items a batch
        rank 0:  0 1       4 5       8
        rank 1:      2 3       6 7     9

    so a round holds the same items as a batch of one process with size · batch_size. What is left for the last round is
    shared out as evenly as it goes. Each item comes once; but a rank for which nothing is left repeats the first item,
    which does not count, so that all ranks have equally many batches and none waits for one that has finished.

    even_batches  fill the last round up with items from the beginning, as the original does: all batches have one size,
                  and the repeated items count twice
    drop_last     leave the rest out
    """
    whole, rest = divmod(length, batch_size * size)
    full = np.arange(whole * size * batch_size).reshape(whole, size, batch_size)[:, rank].reshape(-1)
    if rest == 0 or drop_last:
        return Part(full, batch_size, batch_size, batch_size * size)
    begin = length - rest
    if even_batches and size > 1:
        last = (begin + rank * batch_size + np.arange(batch_size)) % length
        real = min(max(rest - rank * batch_size, 0), batch_size)
        return Part(np.concatenate([full, last]), real, batch_size, batch_size * size)
    last = np.arange(begin + rest * rank // size, begin + rest * (rank + 1) // size)
    positions = np.concatenate([full, last if len(last) else [0]])
    return Part(positions, len(last), len(last), rest)


class ShardedSampler:
    """This rank's part of another sampler's order.

    Each epoch rank 0 sends the order that it has drawn to the others, so all ranks share one, whatever sampler and
    generator it comes from.
    """

    def __init__(
        self, sampler, batch_size: int, communicator: Communicator, even_batches: bool = False, drop_last: bool = False
    ):
        self.sampler = sampler
        self.batch_size = batch_size
        self.communicator = communicator
        self.even_batches = even_batches
        self.drop_last = drop_last
        self.start: dict | None = None  # the generator's state when the running epoch's order was drawn
        self._draw_from: dict | None = None

    @property
    def generator(self) -> np.random.Generator | None:
        return getattr(self.sampler, "generator", None)

    def part(self) -> Part:
        """Which places of an epoch's order are this rank's."""
        rank, size = self.communicator.rank, self.communicator.size
        return positions_of_rank(len(self.sampler), self.batch_size, rank, size, self.even_batches, self.drop_last)

    def __iter__(self) -> Iterator[int]:
        order = self._draw()
        return iter([order[position] for position in self.part().positions])

    def __len__(self):
        return len(self.part().positions)

    def draw_from(self, start: dict | None) -> None:
        """Draw the next order from this state of the generator, and leave the generator as it was before."""
        self._draw_from = start

    def _draw(self) -> list[int]:
        """The order of all items, the same on all ranks."""
        before = generator_state(self.generator)
        restore_generator(self.generator, self._draw_from)
        self.start = generator_state(self.generator)
        order = self.communicator.broadcast_object(list(self.sampler))  # all draw, rank 0's counts
        if self._draw_from is not None:
            restore_generator(self.generator, before)
            self._draw_from = None
        return order

    def set_epoch(self, epoch: int) -> None:
        """For samplers that make their order of the epoch's number."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)
