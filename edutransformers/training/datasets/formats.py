"""Formats: what rows look like when they come out. Python values, arrays, or what a function makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """How rows come out.

    type                None (Python values), "numpy", or "custom" (`transform`)
    columns             only these; None: all
    output_all_columns  the other columns too, as Python values
    transform           dictionary of lists -> dictionary of lists, for "custom"
    """

    type: str | None = None
    columns: tuple[str, ...] | None = None
    output_all_columns: bool = False
    transform: Callable | None = None


def format_type(name: str | None) -> str | None:
    """The format by any of its names."""
    known = {None: None, "python": None, "numpy": "numpy", "np": "numpy"}
    if name not in known:
        raise ValueError(f"there is no format {name!r}: expected None (or 'python') or 'numpy'")
    return known[name]


def as_array(value):
    """One row's value as `datasets` gives it: numbers and texts as NumPy scalars, lists and pictures as arrays.

    Floats in lists become float32, whole numbers int64; lists of different lengths an array of arrays.
    """
    if isinstance(value, (str, bool, int, float)):
        return np.asarray(value)[()]
    if isinstance(value, dict):
        return {name: as_array(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return stack(value)
    if hasattr(value, "getexif"):  # a picture
        return np.asarray(value)
    return value


def stack(values: Sequence):
    """Several values as one array, where they fit together; None among numbers becomes nan. No values: int64."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    if all(isinstance(value, dict) for value in values):
        return [as_array(value) for value in values]
    if any(value is None for value in values) and all(value is None or np.ndim(value) == 0 for value in values):
        if all(value is None or isinstance(value, (bool, int, float)) for value in values):
            values = [np.nan if value is None else value for value in values]
        else:
            return np.array(values, dtype=object)
    if all(isinstance(value, (str, bool, int, float)) for value in values):
        array = np.asarray(values)
    else:
        rows = [as_array(value) for value in values]
        fits = all(isinstance(r, (np.ndarray, np.generic)) and r.shape == rows[0].shape for r in rows)
        if fits and rows[0].dtype != object:
            array = np.stack(rows)
        else:
            array = np.empty(len(rows), dtype=object)
            array[:] = rows
    given = all(isinstance(value, np.ndarray) for value in values)  # arrays keep their number type
    return array.astype(np.float32) if array.dtype == np.float64 and not given else array
