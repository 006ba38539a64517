"""One sum a step: the gradients of all ranks in one block of memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...backend import Array, array_module
from ...module import Parameter
from .communicator import Communicator


class GradientAverager:
    """p.grad ← Σᵣ gradᵣ / Σᵣ weightᵣ over the ranks r, for every parameter p; the same on all ranks afterwards.

    Rank r sees n_r items (or counted tokens) and its loss is the mean over them, L_r = S_r / n_r. The loss of the batch
    that all ranks have together is

        L = Σ S_r / Σ n_r = Σ n_r L_r / Σ n_r

    Only where all n_r are equal is this the mean of the L_r. So every rank brings the gradient of n_r L_r and the
    weight n_r, and the sum of the one is divided by the sum of the other.

    All gradients are copied behind one another into one flat buffer, which is summed by a single Allreduce: a message
    has a fixed price, and all ranks must have come for it. The gradients are then views of the buffer, so nothing is
    copied back. (To let `Parameter.grad` be such views from the start would save the copy and
    cost more: the buffer would have to be filled with zeros, and every backward would add to it instead of handing
    over its array.)

    A small message goes ahead: which parameters have a gradient on this rank, and the weight. A layer that one rank did
    not use counts as zeros there; what no rank used stays without gradient, so that an optimizer passes it over.
    """

    def __init__(self, communicator: Communicator):
        self.communicator = communicator
        self._buffers: dict[np.dtype, Array] = {}

    def average_(self, parameters: Iterable[Parameter], weight: float = 1.0, total: float | None = None) -> float:
        """Sum over the ranks and divide by `total`: by default the ranks' weights together. Returns what it divided by.

        On one process nothing is copied.
        """
        parameters = list(parameters)
        notes = np.array([*(p.grad is not None for p in parameters), weight], dtype=np.float64)
        self.communicator.allreduce_(notes)
        present = [p for p, ranks in zip(parameters, notes) if ranks]
        total = float(notes[-1]) if total is None else total
        blocks = [p.grad for p in present] if self.communicator.size == 1 else self._sum(present)
        if total not in (0.0, 1.0):  # 0: nothing counted, and every gradient is 0
            for block in blocks:
                block /= total
        return total

    def _sum(self, parameters: list[Parameter]) -> list[Array]:
        """Sum the gradients; returns the buffers, of which they are views now."""
        by_dtype: dict[np.dtype, list[Parameter]] = {}
        for parameter in parameters:
            by_dtype.setdefault(np.result_type(parameter.dtype, np.float32), []).append(parameter)
        blocks = []
        for dtype, group in by_dtype.items():
            flat = self._buffer(dtype, group)
            for parameter, view in zip(group, _views(flat, group)):
                view[...] = 0 if parameter.grad is None else parameter.grad
                parameter.grad = view
            self.communicator.allreduce_(flat)
            blocks.append(flat)
        return blocks

    def _buffer(self, dtype: np.dtype, group: list[Parameter]) -> Array:
        """(numbers in the group,) kept from step to step."""
        size, xp = sum(p.size for p in group), array_module(group[0].data)
        kept = self._buffers.get(dtype)
        if kept is None or len(kept) < size or not isinstance(kept, xp.ndarray):
            kept = self._buffers[dtype] = xp.empty(size, dtype=dtype)
        return kept[:size]


def _views(flat: Array, parameters: list[Parameter]):
    start = 0
    for parameter in parameters:
        yield flat[start : start + parameter.size].reshape(parameter.shape)
        start += parameter.size
