"""A stack of layers run on shares of the batch, one thread a share."""

import numpy as np

from ..backend import BatchShare
from ..module import Module, keep
from ..speed import run_side_by_side, use_batch_threads
from .key_value_cache import KeyValueCache


class BatchThreads(Module):
    """The inner module, its batch split along the first axis over `use_batch_threads()` threads. Same numbers.

    That is possible because no example of a batch looks at another, and safe because nothing of a forward pass lives on
    a layer: every thread has caches of its own, and gradients are added under a lock. On a GPU, or with one thread, the
    inner module simply runs.
    """

    checkpoint_names = {"inner": ""}

    def __init__(self, inner: Module):
        self.inner = inner

    def forward(self, x, *inputs, generator=None, **shared):
        """x and `inputs` are split along the first axis (None, or an axis of 1, serves all shares); `shared` is not.

        With a key/value cache `past` of earlier tokens nothing is split: such steps are short.
        """
        batch = len(x)
        shares = _shares(x) if shared.get("past") is None else [slice(0, batch)]
        if len(shares) == 1:
            output, cache = self.inner.forward(x, *inputs, generator=generator, **shared)
            return output, keep(shares, [cache])

        def task(share):
            parts = [_part(value, share, batch) for value in (x, *inputs)]
            draws = None if generator is None else BatchShare(generator, share.start, share.stop, batch)
            return lambda: (*self.inner.forward(*parts, generator=draws, **shared), draws)

        results = run_side_by_side([task(share) for share in shares])
        outputs, caches, draws = zip(*results)
        if generator is not None:  # every share's generator ends where one for the whole batch would have ended
            generator.bit_generator.state = draws[0].bit_generator.state
        return _join(outputs), keep(shares, list(caches))

    def backward(self, d_output, cache):
        shares, caches = cache
        if len(shares) == 1:
            return self.inner.backward(d_output, caches[0])

        def task(share, share_cache):
            part = _part(d_output, share, shares[-1].stop)
            return lambda: self.inner.backward(part, share_cache)

        return _join(run_side_by_side([task(share, c) for share, c in zip(shares, caches)]))


def _shares(x) -> list[slice]:
    """The batch in as many equal shares as there are threads, at least one example each."""
    count = min(use_batch_threads(), len(x)) if isinstance(x, np.ndarray) else 1
    borders = [round(len(x) * i / count) for i in range(count + 1)]
    return [slice(a, b) for a, b in zip(borders[:-1], borders[1:])]


def _part(value, share, batch):
    """One share of a value: arrays that have the batch as first axis are cut, lists and tuples entry by entry."""
    if isinstance(value, (list, tuple)):
        return type(value)(_part(entry, share, batch) for entry in value)
    if isinstance(value, np.ndarray) and value.ndim > 0 and len(value) == batch:
        return value[share]
    return value


def _join(parts):
    """The shares' results put together again, entry by entry."""
    first = parts[0]
    if isinstance(first, (list, tuple)):
        entries = [_join(entries) for entries in zip(*parts)]
        return type(first)(*entries) if hasattr(first, "_fields") else type(first)(entries)
    if isinstance(first, KeyValueCache):
        return KeyValueCache.join(parts)
    return None if first is None else np.concatenate(parts)
