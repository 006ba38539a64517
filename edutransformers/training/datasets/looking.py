"""Looking at a data set: its shape, rows, batches and columns, in the format that was set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from .columns import LazyRow
from .features import Audio, Image
from .formats import Format, as_array, format_type, stack


class Looking:
    """The part of Dataset that gives out values. `self._columns` and `self._format` are the data set's."""

    def __len__(self):
        return self._length

    @property
    def num_rows(self) -> int:
        return self._length

    @property
    def column_names(self) -> list[str]:
        return list(self._columns)

    @property
    def num_columns(self) -> int:
        return len(self._columns)

    @property
    def shape(self) -> tuple[int, int]:
        return self._length, len(self._columns)

    def __getitem__(self, key):
        """data[3] -> dictionary; data[2:5], data[[0, 7]] -> dictionary of lists; data["text"] -> list."""
        if isinstance(key, str):
            self._check_columns([key])
            return self._shown_column(key)
        if isinstance(key, slice):
            return self._batch(range(self._length)[key])
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            batch_of_one = self._batch([key])
            return {name: values[0] for name, values in batch_of_one.items()} if self._is_custom else self._row(key)
        if isinstance(key, (Iterable, np.ndarray)):
            return self._batch(key)
        raise TypeError(f"a data set is asked for a row (int, slice, list) or a column (str), not for {key!r}")

    def __getitems__(self, rows: Sequence[int]) -> list[dict]:
        """Several rows as a list of dictionaries: what a DataLoader asks for."""
        if not self._is_custom:
            return [self._row(row) for row in rows]
        batch = self._batch(rows)
        return [{name: values[n] for name, values in batch.items()} for n in range(len(rows))]

    def __iter__(self) -> Iterator[dict]:
        for row in range(self._length):
            yield self[row]

    def iter(self, batch_size: int, drop_last_batch: bool = False) -> Iterator[dict]:
        """Batches of rows in order, as dictionaries of lists."""
        for start in range(0, self._length, batch_size):
            if not drop_last_batch or start + batch_size <= self._length:
                yield self[start : start + batch_size]

    def to_dict(self) -> dict[str, list]:
        """All columns, as they are stored: pictures and sounds as paths."""
        return {name: column.take(None) for name, column in self._columns.items()}

    def to_list(self) -> list[dict]:
        """All rows, as they are stored: pictures and sounds as paths."""
        columns = self.to_dict()
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

    def unique(self, column: str) -> list:
        """The different values of a column, in the order in which they first occur."""
        self._check_columns([column])
        return list(dict.fromkeys(self._columns[column].take(None)))

    def __repr__(self):
        return f"Dataset({{\n    features: {self.column_names},\n    num_rows: {self._length}\n}})"

    @property
    def _is_custom(self) -> bool:
        return self._format.type == "custom"

    def _shown(self) -> tuple[list[str], list[str]]:
        """(columns in the format, columns that come out as Python values)"""
        chosen = self.column_names if self._format.columns is None else list(self._format.columns)
        rest = [name for name in self._columns if name not in chosen] if self._format.output_all_columns else []
        return chosen, rest

    def _decoders(self, names) -> dict[str, Callable]:
        return {n: f.decode for n, f in self.features.items() if n in names and isinstance(f, (Image, Audio))}

    def _batch_decoders(self, names) -> dict[str, Callable]:
        each = self._decoders(names)
        return {n: (lambda values, decode=decode: [decode(v) for v in values]) for n, decode in each.items()}

    def _row(self, row: int) -> dict:
        row = self._rows([row])[0]
        chosen, rest = self._shown()
        decoders = self._decoders(self._columns)
        values = {name: self._columns[name][row] for name in [*chosen, *rest]}
        values = {name: decoders[name](value) if name in decoders else value for name, value in values.items()}
        if self._format.type == "numpy":
            values.update({name: as_array(values[name]) for name in chosen})
        return values

    def _batch(self, rows) -> dict:
        rows = self._rows(rows)
        chosen, rest = self._shown()
        values = {name: self._columns[name].take(rows) for name in chosen}
        if self._is_custom:
            decoders = self._batch_decoders(chosen)
            given = LazyRow(values, decoders) if decoders else values
            values = dict(check_batch(self._format.transform(given), "the transform"))
        else:
            for name, decode in self._batch_decoders(chosen).items():
                values[name] = decode(values[name])
            if self._format.type == "numpy":
                values = {name: stack(column) for name, column in values.items()}
        decoders = self._batch_decoders(rest)
        for name in rest:
            column = self._columns[name].take(rows)
            values.setdefault(name, decoders[name](column) if name in decoders else column)
        return values

    def _shown_column(self, name: str):
        values = self._columns[name].take(None)
        for decode in self._batch_decoders([name]).values():
            values = decode(values)
        in_format = self._format.type == "numpy" and name in self._shown()[0]
        return stack(values) if in_format else values

    def _rows(self, rows) -> np.ndarray:
        """Row numbers, negative ones counted from the end."""
        rows = np.asarray(rows if hasattr(rows, "__len__") else list(rows))
        if rows.size == 0:
            return np.zeros(0, dtype=np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(f"rows are whole numbers, got {rows.ravel()[0]!r}; for a mask use numpy.flatnonzero(mask)")
        bad = (rows < -self._length) | (rows >= self._length)
        if bad.any():
            raise IndexError(f"row {rows[bad.argmax()]} of a data set with {self._length} rows")
        return np.where(rows < 0, rows + self._length, rows).astype(np.int64)

    # -- formats ------------------------------------------------------------------------------------------------------

    @property
    def format(self) -> dict:
        """How rows come out: {"type", "columns", "output_all_columns"}."""
        shown = self._format
        columns = self.column_names if shown.columns is None else list(shown.columns)
        return {"type": shown.type, "columns": columns, "output_all_columns": shown.output_all_columns}

    def set_format(self, type: str | None = None, columns=None, output_all_columns: bool = False) -> None:
        """From now on rows come out as Python values (None) or as arrays ("numpy"), with these columns only.

        Arrays of whole numbers are int64, of others float32; lists of different lengths become an array of arrays.
        """
        names = None if columns is None else tuple(self._check_columns(columns))
        self._format = Format(format_type(type), names, output_all_columns)

    def with_format(self, type: str | None = None, columns=None, output_all_columns: bool = False) -> Looking:
        """A new table with `set_format`."""
        data = self._with()
        data.set_format(type, columns, output_all_columns)
        return data

    def reset_format(self) -> None:
        """Back to Python values of all columns."""
        self._format = Format()

    def set_transform(self, transform: Callable | None, columns=None, output_all_columns: bool = False) -> None:
        """From now on rows are what `transform` makes of them when they are asked for: anew each time.

        transform  dictionary of lists -> dictionary of lists; a single row is a batch of one
        columns    it sees only these
        """
        if transform is None:
            return self.reset_format()
        names = None if columns is None else tuple(self._check_columns(columns))
        self._format = Format("custom", names, output_all_columns, transform)
        return None

    def with_transform(self, transform: Callable | None, columns=None, output_all_columns: bool = False) -> Looking:
        """A new table with `set_transform`."""
        data = self._with()
        data.set_transform(transform, columns, output_all_columns)
        return data


def check_batch(batch, maker: str) -> Mapping:
    """A dictionary of columns of one length, as functions on batches must return."""
    if not isinstance(batch, Mapping):
        raise TypeError(f"{maker} returned {type(batch).__name__}: expected a dictionary of lists, {{column: values}}")
    lengths = {}
    for name, values in batch.items():
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise TypeError(f"{maker} returned {values!r:.40} for {name!r}: expected a list, one value a row")
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{maker} returned columns of different lengths: {lengths}")
    return batch
