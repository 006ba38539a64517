"""What evaluation needs around the model: putting batches together again, and measuring speed."""

from __future__ import annotations

import math
import time

import numpy as np

from ..backend import to_numpy

PADDING = -100  # what fills predictions and labels of different lengths; losses and metrics ignore it as a label


def to_host(value):
    """Arrays, also in tuples and dictionaries, in host memory."""
    if isinstance(value, (tuple, list)):
        return tuple(to_host(inner) for inner in value)
    if isinstance(value, dict):
        return {name: to_host(inner) for name, inner in value.items()}
    return to_numpy(value)


def join_batches(batches: list):
    """A list of batches' arrays (or of tuples of them) as one array; shorter ones are filled up with −100."""
    first = batches[0]
    if isinstance(first, tuple):
        return tuple(join_batches(list(parts)) for parts in zip(*batches))
    if isinstance(first, dict):
        return {name: join_batches([batch[name] for batch in batches]) for name in first}
    if all(batch.shape[1:] == first.shape[1:] for batch in batches):
        return np.concatenate(batches)
    if any(batch.ndim != first.ndim for batch in batches):
        raise ValueError(f"outputs of {first.ndim} and of other numbers of axes can't be joined")
    sides = [max(batch.shape[axis] for batch in batches) for axis in range(1, first.ndim)]
    joined = np.full((sum(len(batch) for batch in batches), *sides), PADDING, dtype=first.dtype)
    row = 0
    for batch in batches:
        place = (slice(row, row + len(batch)), *(slice(side) for side in batch.shape[1:]))
        joined[place] = batch
        row += len(batch)
    return joined


def reorder(joined, order: list[int]):
    """Row n of `joined` belongs to item order[n]: put the rows into the data set's order."""
    if joined is None:
        return None
    if isinstance(joined, tuple):
        return tuple(reorder(inner, order) for inner in joined)
    if isinstance(joined, dict):
        return {name: reorder(inner, order) for name, inner in joined.items()}
    result = np.empty_like(joined)
    result[order] = joined
    return result


def batch_size_of(inputs: dict) -> int:
    """Items in a batch: the length of its first array."""
    for value in inputs.values():
        if getattr(value, "ndim", 0) > 0:
            return len(value)
    raise ValueError(f"a batch with {sorted(inputs)} holds no array, so it has no size")


def plain_numbers(metrics: dict) -> dict:
    """NumPy numbers as Python numbers, so that JSON can hold them."""
    return {name: value.item() if getattr(value, "ndim", None) == 0 else value for name, value in metrics.items()}


def speed_metrics(prefix: str, start: float, samples: int, batch_size: int | None = None, steps: int | None = None):
    """How long something took, and how much it did a second; the original's names."""
    runtime = max(time.perf_counter() - start, 1e-9)
    steps = math.ceil(samples / batch_size) if steps is None else steps
    return {
        f"{prefix}_runtime": round(runtime, 4),
        f"{prefix}_samples_per_second": round(samples / runtime, 3),
        f"{prefix}_steps_per_second": round(steps / runtime, 3),
    }
