"""`map` and `filter`: a user's function over all rows, one at a time or in batches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .columns import Column, LazyRow
from .features import ClassLabel
from .looking import check_batch


def calls(data, function, with_indices, input_columns, batched, batch_size, fn_kwargs, drop_last_batch=False):
    """Call `function` on every row, or on every batch; yields (row numbers, what it was given, what it returned)."""
    if batched and (batch_size is None or batch_size <= 0):
        batch_size = max(len(data), 1)
    size = batch_size if batched else 1
    names = None if input_columns is None else data._check_columns(input_columns)
    options = fn_kwargs or {}
    for start in range(0, len(data), size):
        rows = range(start, min(start + size, len(data)))
        if drop_last_batch and batched and len(rows) < size:
            return
        given = _given(data, rows, batched)
        arguments = [given] if names is None else [given[name] for name in names]
        if with_indices:
            arguments.append(list(rows) if batched else start)
        yield rows, given, function(*arguments, **options)


def _given(data, rows: range, batched: bool):
    """A row or a batch in the data set's format; pictures and sounds are opened when the function looks at them."""
    decoders = data._batch_decoders(data._columns) if batched else data._decoders(data._columns)
    if data._format.type is not None or not decoders:
        return data[rows.start : rows.stop] if batched else data[rows.start]
    shown, rest = data._shown()
    columns = {name: data._columns[name] for name in [*shown, *rest]}
    if batched:
        return LazyRow({name: column.take(rows) for name, column in columns.items()}, decoders)
    return LazyRow({name: column[rows.start] for name, column in columns.items()}, decoders)


def filter_rows(data, function, with_indices, input_columns, batched, batch_size, fn_kwargs) -> np.ndarray:
    """The numbers of the rows for which `function` is true."""
    kept = []
    for rows, _, answer in calls(data, function, with_indices, input_columns, batched, batch_size, fn_kwargs):
        answers = list(answer) if batched else [answer]
        if len(answers) != len(rows):
            raise ValueError(f"the filter returned {len(answers)} answers for {len(rows)} rows: expected one for each")
        kept += [row for row, yes in zip(rows, answers) if yes]
    return np.asarray(kept, dtype=np.int64)


def map_rows(data, function, with_indices, input_columns, batched, batch_size, drop_last_batch, removed, fn_kwargs):
    """The data set with the columns that `function` returns. See `Dataset.map`."""
    made: dict[str, list] = {}
    rows_out, nothing, dropped = 0, False, set(removed)
    every = calls(data, function, with_indices, input_columns, batched, batch_size, fn_kwargs, drop_last_batch)
    for rows, given, answer in every:
        if answer is None and (nothing or rows.start == 0):
            nothing = True
            continue
        if nothing:
            raise TypeError(f"the function of map returned None for some rows, but not for row {rows.start}")
        if not isinstance(answer, Mapping):
            raise TypeError(
                f"the function of map returned {type(answer).__name__} for row {rows.start}: expected a dictionary of "
                "columns, or None for every row"
            )
        if answer is given:  # it changed what it was given: columns that it took out are gone
            dropped |= set(data.column_names) - set(answer)
            answer = given.stored() if isinstance(given, LazyRow) else given  # pictures nobody looked at stay paths
        if not batched:
            answer = {name: [value] for name, value in answer.items()}
        check_batch(answer, "the function of map")
        count = len(next(iter(answer.values()))) if answer else len(rows)
        for name in [*made, *(name for name in answer if name not in made)]:
            values = answer[name] if name in answer else [None] * count
            made.setdefault(name, [None] * rows_out).extend(_plain(values))
        rows_out += count
    if not made and not dropped:
        return data._with()
    kept = [name for name in data.column_names if name not in dropped and name not in made]
    if made and kept and rows_out != len(data):
        raise ValueError(
            f"the function of map made {rows_out} rows of {len(data)}, so the columns that it doesn't return can't "
            f"stay: expected remove_columns={kept}"
        )
    order = [name for name in data.column_names if name in kept or name in made]
    order += [name for name in made if name not in order]
    columns = {name: Column(made[name]) if name in made else data._columns[name] for name in order}
    features = {n: f for n, f in data.features.items() if n not in made or _still(f, made[n])}
    shown = data._format_without(dropped - set(made))
    if shown.columns is not None:
        new = tuple(name for name in order if name not in data._columns)
        shown = type(shown)(shown.type, shown.columns + new, shown.output_all_columns, shown.transform)
    return data._with(columns, features, shown)


def _plain(values) -> list:
    """Rows of a column as they are stored: arrays as they are, NumPy's numbers as Python's."""
    if isinstance(values, np.ndarray):
        return values.tolist() if values.ndim == 1 else list(values)
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _still(feature, values: list) -> bool:
    """Is an overwritten column what it was? Classes are, if they are numbers of classes; pictures and sounds are."""
    if not isinstance(feature, ClassLabel):
        return True
    return all(v is None or (isinstance(v, int) and -1 <= v < feature.num_classes) for v in values)
