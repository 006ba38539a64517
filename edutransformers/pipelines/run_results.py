"""A pipeline's result for the terminal: rows of dictionaries as an aligned table, or anything as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np


def as_json(result) -> str:
    """The result as it is, with arrays as lists."""
    return json.dumps(_plain(result), ensure_ascii=False, indent=2)


def as_text(result) -> str:
    """Dictionaries as an aligned table, texts as they are, arrays by their shape and first numbers."""
    if isinstance(result, Mapping):
        result = dict(result)
        rows = [value for value in result.values() if _is_table(value)]
        alone = {name: value for name, value in result.items() if not _is_table(value)}
        lines = [str(alone["text"])] if list(alone) == ["text"] else [table([alone])] if alone else []
        return "\n\n".join([*lines, *map(table, rows)])
    if _is_table(result):
        return table(result)
    if isinstance(result, str):
        return result
    array = _array(result)
    if array is not None:
        shown = " ".join(f"{number:.4f}" for number in array.reshape(-1)[:6])
        return f"numbers of shape {array.shape}: {shown}{' …' if array.size > 6 else ''}"
    if isinstance(result, (list, tuple)):
        return "\n\n".join(as_text(part) for part in result)
    return str(result)


def table(rows: list[Mapping]) -> str:
    """Rows under the names of their columns; numbers to the right, texts to the left. Scores are in percent."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [row.get(name, "") for row in rows]
        cells = [_cell(name, value) for value in values]
        width = max(map(len, [name, *cells]))
        is_number = all(isinstance(value, (int, float, np.number)) for value in values)
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in [name, *cells]])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns))


def _cell(name: str, value) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.1%}" if name == "score" else f"{value:.3f}"
    return " ".join(str(value).split())


def _is_table(value) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _array(value) -> np.ndarray | None:
    if isinstance(value, (list, tuple, np.ndarray)):
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            return None
        return array if array.size and array.dtype.kind in "fiu" else None
    return None


def _plain(value):
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value
