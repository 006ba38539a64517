"""The Accelerator's exchange of results: everybody's predictions for the metrics, everybody's inputs shared out."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ..backend import Array, array_module, as_array_like, to_numpy


class AcceleratorGather:
    """The part of Accelerator that collects and hands out arrays.

    Values may be arrays, numbers, or tuples, lists and dictionaries of them. Every method but `split_between_processes`
    must be called on all ranks.
    """

    def gather(self, tensor):
        """All ranks' arrays behind one another along the first axis; numbers become an array of one a rank."""
        return _map(self._gather_array, tensor)

    def gather_for_metrics(self, input_data):
        """`gather` without the items that only filled up a loader's last batch: each item once, in the loader's order.

        Call it in the loop over a prepared loader, with arrays that have one row for each item of the batch. A list of
        other objects is gathered as one list.
        """
        loader = self.gradient_state.active_dataloader
        real = None if loader is None else loader.real
        if isinstance(input_data, list) and not all(hasattr(value, "dtype") for value in input_data):
            return [item for part in self.communicator.gather_objects(input_data[:real]) for item in part]
        return _map(lambda array: self._gather_array(array, real), input_data)

    def _gather_array(self, array, real: int | None = None) -> Array:
        rows = np.atleast_1d(to_numpy(array))[:real]
        gathered = self.communicator.gather_objects(rows)
        sizes = {part.shape[1:] for part in gathered}
        if len(sizes) > 1:
            raise ValueError(
                f"gather got rows of the shapes {', '.join(map(str, sorted(sizes)))} from different ranks: make them "
                "alike by pad_across_processes"
            )
        joined = np.concatenate(gathered)
        return joined if isinstance(array, (int, float)) else as_array_like(joined, array)

    def reduce(self, tensor, reduction: str = "sum", scale: float = 1.0):
        """The sum, or the "mean", of all ranks' arrays (of one shape), times `scale`; new arrays."""
        if reduction not in ("sum", "mean"):
            raise ValueError(f"reduction is {reduction!r}: expected 'sum' or 'mean'")
        factor = scale / (self.num_processes if reduction == "mean" else 1)
        return _map(lambda array: self._sum_array(array) * factor, tensor)

    def _sum_array(self, array) -> Array:
        array = np.asarray(array) if isinstance(array, (int, float, np.generic)) else array
        total = array_module(array).array(array, order="C")
        self.communicator.allreduce_(total)
        return total

    def pad_across_processes(self, tensor, dim: int = 0, pad_index: float = 0, pad_first: bool = False):
        """Fill up with `pad_index` along axis `dim` to the longest of all ranks, at the end or (`pad_first`) before."""
        return _map(lambda array: self._pad_array(array, dim, pad_index, pad_first), tensor)

    def _pad_array(self, array: Array, dim: int, pad_index: float, pad_first: bool) -> Array:
        if not -array.ndim <= dim < array.ndim:
            return array
        longest = max(self.communicator.gather_objects(array.shape[dim]))
        missing = longest - array.shape[dim]
        if missing == 0:
            return array
        widths = [(0, 0)] * array.ndim
        widths[dim] = (missing, 0) if pad_first else (0, missing)
        return array_module(array).pad(array, widths, constant_values=pad_index)

    @contextmanager
    def split_between_processes(self, inputs, apply_padding: bool = False):
        """This rank's part of a list, tuple, array, or dictionary of these: neighbouring items, sizes at most 1 apart.

        apply_padding  ranks with one item less repeat their last one, so that results can be gathered
        """
        yield _map(lambda value: self._part(value, apply_padding), inputs, leaves=(list, tuple))

    def _part(self, value, apply_padding: bool):
        each, rest = divmod(len(value), self.num_processes)
        begin = self.process_index * each + min(self.process_index, rest)
        part = value[begin : begin + each + (self.process_index < rest)]
        if apply_padding and rest and self.process_index >= rest and len(value):
            last = value[-1:] if len(part) == 0 else part[-1:]
            part = part + last if isinstance(part, (list, tuple)) else array_module(part).concatenate([part, last])
        return part


def _map(function, value, leaves: tuple = ()):
    """`function` of every array or number in dictionaries, tuples and lists."""
    if isinstance(value, dict):
        return {name: _map(function, inner, leaves) for name, inner in value.items()}
    if isinstance(value, (tuple, list)) and not isinstance(value, leaves):
        return type(value)(_map(function, inner) for inner in value)
    return function(value)
