"""Columns: the values of one name, one a row, and views of them that need no copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

import numpy as np


class Column:
    """A column's values, seen through `rows`: row n is values[rows[n]]; without `rows`, values[n].

    values  a list; or an array whose first axis is the rows
    rows    whole numbers (N,), shared by all columns of a data set that was selected from or shuffled

    What comes out: numbers as Python's own, whether they are kept in a list or in an array; rows that are arrays as
    arrays; anything else as it is.
    """

    __slots__ = ("rows", "values")

    def __init__(self, values, rows: np.ndarray | None = None):
        self.values = values
        self.rows = rows

    def __len__(self):
        return len(self.values if self.rows is None else self.rows)

    def __getitem__(self, row: int):
        value = self.values[row if self.rows is None else self.rows[row]]
        return value.item() if isinstance(value, np.generic) else value

    def __iter__(self) -> Iterator:
        return iter(self.take(None))

    def take(self, rows: Sequence[int] | None) -> list:
        """The values of some rows, or of all (None), as a list."""
        if rows is not None:
            rows = np.asarray(rows, dtype=np.int64)
            rows = rows if self.rows is None else self.rows[rows]
        else:
            rows = self.rows
        if isinstance(self.values, np.ndarray):
            if self.values.ndim == 1:
                return (self.values if rows is None else self.values[rows]).tolist()
            return list(self.values) if rows is None else [self.values[row] for row in rows]
        return list(self.values) if rows is None else [self.values[row] for row in rows.tolist()]


def as_column(name: str, values) -> Column:
    """Values as the user gave them -> a column of its own: appending to the user's list changes nothing here."""
    if isinstance(values, Column):
        return values
    if isinstance(values, np.ndarray):
        if values.ndim == 0:
            raise ValueError(f"column {name!r} is a single value: expected one value a row, in a list or an array")
        return Column(values if values.ndim > 1 or values.dtype.kind in "biuf" else values.tolist())
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        raise TypeError(f"column {name!r} is {values!r:.40}: expected one value a row, in a list or an array")
    return Column([value.item() if isinstance(value, np.generic) else value for value in values])


def check_lengths(columns: Mapping[str, Column]) -> int:
    """The number of rows, which must be the same in each column."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise ValueError(f"columns of different lengths: {told} rows; expected the same number in each")
    return next(iter(lengths.values()), 0)


def select_rows(columns: Mapping[str, Column], rows: np.ndarray) -> dict[str, Column]:
    """The columns seen through `rows`. Indices are put together once for all columns that share theirs."""
    together: dict[int, np.ndarray] = {}
    selected = {}
    for name, column in columns.items():
        if column.rows is None:
            selected[name] = Column(column.values, rows)
            continue
        key = id(column.rows)
        if key not in together:
            together[key] = column.rows[rows]
        selected[name] = Column(column.values, together[key])
    return selected


class LazyRow(MutableMapping):
    """A row (or a batch) whose pictures and sounds are opened when they are first looked at.

    What functions of `map`, `filter` and transforms get. It reads like a dictionary, and may be written to.
    """

    def __init__(self, values: dict, decoders: dict[str, Callable]):
        self._values = values
        self._closed = {name: decoder for name, decoder in decoders.items() if name in values}

    def __getitem__(self, name):
        if name in self._closed:
            self._values[name] = self._closed.pop(name)(self._values[name])
        return self._values[name]

    def __setitem__(self, name, value):
        self._closed.pop(name, None)
        self._values[name] = value

    def __delitem__(self, name):
        self._closed.pop(name, None)
        del self._values[name]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def stored(self) -> dict:
        """The values as they are: opened where they were looked at, paths where not."""
        return self._values

    def __repr__(self):
        return repr(self._values)
