"""Files to columns: CSV, JSON, plain text. Folders of pictures and sounds are read in folders.py.

Each reader returns ({column: values}, {column: feature}). Several files are read one after the other into one table.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from .folders import read_audio_folder, read_image_folder

# What stands for "no value" in a CSV file: the list of pandas, so that a file means the same in both.
MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
WHOLE = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|inf(inity)?)", re.IGNORECASE)
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
LONGEST_FIELD = 2**31 - 1  # Python's own limit for a field is 131,072 characters: too few for documents


def read_csv(paths, delimiter: str = ",", sep: str | None = None, column_names=None, encoding: str = "utf-8"):
    """CSV files (RFC 4180: quoted fields may hold delimiters and line breaks, "" is a quote). Blank lines are skipped.

    delimiter (or sep)  between two fields
    column_names        names of the columns of a file without a header

    A column's type follows from all of its values: whole numbers (int); numbers (float); true, True, TRUE, false,
    False, FALSE (bool); anything else text, exactly as it stands in the file. Empty fields and "NA", "NaN", "null",
    "None" and the like (`MISSING`) are None; whole numbers with None among them become floats; a column of nothing but
    None stays so. These are the rules of pandas and so of `datasets`. To keep such words as text, read with Python's
    csv module and use `Dataset.from_dict`.
    """
    delimiter = delimiter if sep is None else sep
    columns: dict[str, list] = {}
    for path in as_paths(paths):
        header, rows = _csv_rows(path, delimiter, column_names, encoding)
        if columns and list(columns) != header:
            raise ValueError(f"{path} has the columns {header}, but the files before it have {list(columns)}")
        columns = columns or {name: [] for name in header}
        for values, column in zip(columns.values(), zip(*rows)):
            values.extend(column)
    return {name: typed(values) for name, values in columns.items()}, {}


def _csv_rows(path: Path, delimiter: str, column_names, encoding: str) -> tuple[list[str], list[list[str]]]:
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        reader = csv.reader(io.StringIO(read_whole(path, encoding), newline=""), delimiter=delimiter, strict=True)
        header, rows = None if column_names is None else list(column_names), []
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise ValueError(f"{path}, line {line}: {error}") from error
            if row is None:
                break
            if not any(row) and len(row) <= 1:
                continue
            if header is None:
                header = row
                continue
            if len(row) > len(header):
                raise ValueError(f"{path}, line {line}: {len(row)} fields, but there are {len(header)} columns")
            rows.append(row + [""] * (len(header) - len(row)))
    finally:
        csv.field_size_limit(limit)
    if header is None:
        raise ValueError(f"{path} is empty: expected a line with the names of the columns")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ValueError(f"{path}, line 1: the column name {twice[0]!r} occurs twice")
    return header, rows


def typed(texts: list[str]) -> list:
    """The values of a CSV column from their texts."""
    missing = [text in MISSING for text in texts]
    known = [text for text, is_missing in zip(texts, missing) if not is_missing]
    if not known:
        return [None] * len(texts)
    stripped = [text.strip(" \t") for text in known]
    if all(text in TRUTHS for text in known):
        values = [TRUTHS[text] for text in known]
    elif all(WHOLE.fullmatch(text) for text in stripped):
        values = [int(text) for text in stripped]
        if not all(-(2**63) <= value < 2**63 for value in values):
            values = known  # numbers too large to count with: names of things
        elif len(known) < len(texts):
            values = [float(value) for value in values]
    elif all(DECIMAL.fullmatch(text) for text in stripped):
        values = [float(text) for text in stripped]
    else:
        values = known
    found = iter(values)
    return [None if is_missing else next(found) for is_missing in missing]


def read_json(paths, field: str | None = None, encoding: str = "utf-8"):
    """JSON files: one object a line (JSON lines); or an array of objects; or, with `field`, an object that holds such
    an array under this name. A file with a single object is one row.

    A row that lacks a column has None there. Whole numbers among floats become floats.
    """
    rows = []
    for path in as_paths(paths):
        rows += _json_rows(path, field, encoding)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return {name: _numbers_alike(values) for name, values in columns.items()}, {}


def _json_rows(path: Path, field: str | None, encoding: str) -> list[dict]:
    text = read_whole(path, encoding)
    if field is None and not text.lstrip().startswith("["):
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        try:
            first = json.loads(lines[0][1]) if lines else None
        except json.JSONDecodeError:
            first = None  # an object over several lines
        if isinstance(first, dict):
            return [_json_row(path, number, line) for number, line in lines]
        if not lines:
            return []
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: this is no JSON ({error.msg})") from error
    if field is not None:
        if not isinstance(value, dict) or field not in value:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise ValueError(f"{path} has no field {field!r}, only {found}")
        value = value[field]
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"{path}: item {number} is {row!r:.40}, expected an object, one a row")
    return rows


def _json_row(path: Path, number: int, line: str) -> dict:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {number}: this is no JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(row, dict):
        raise ValueError(f"{path}, line {number}: {row!r:.40} is no object, expected one a row")
    return row


def _numbers_alike(values: list) -> list:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return values


def read_text(paths, sample_by: str = "line", keep_linebreaks: bool = False, encoding: str = "utf-8"):
    """Text files as a column "text": each "line" is a row, or each "paragraph" (between blank lines), or the whole file
    ("document")."""
    if sample_by not in ("line", "paragraph", "document"):
        raise ValueError(f"sample_by is {sample_by!r}: expected 'line', 'paragraph' or 'document'")
    texts = []
    for path in as_paths(paths):
        text = read_whole(path, encoding).replace("\r\n", "\n").replace("\r", "\n")
        if sample_by == "document":
            texts.append(text)
        elif sample_by == "paragraph":
            texts += [part.strip("\n") for part in re.split(r"\n{2,}", text) if part.strip("\n")]
        else:
            lines = text.split("\n")
            last = lines.pop()
            texts += [line + "\n" * keep_linebreaks for line in lines] + ([last] if last else [])
    return {"text": texts}, {}


def as_paths(paths) -> list[Path]:
    """One path, or several; a name with * or ? stands for all files that it fits, in the order of their names."""
    found = []
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        path = Path(path).expanduser()
        if re.search(r"[*?\[]", str(path)) and not path.exists():
            # Only the part from the first wildcard on is a pattern.
            parts = path.parts
            start = next(n for n, part in enumerate(parts) if re.search(r"[*?\[]", part))
            matches = sorted(p for p in Path(*parts[:start]).glob(str(Path(*parts[start:]))) if p.is_file())
            if not matches:
                raise FileNotFoundError(f"no file fits {path}")
            found += matches
        elif not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        else:
            found.append(path)
    if not found:
        raise ValueError("data_files is empty: expected at least one path")
    return found


def read_whole(path: Path, encoding: str) -> str:
    """A file's text, without a byte-order mark. Bytes that are no text are an error that names the line."""
    data = path.read_bytes()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: byte {data[error.start]:#04x} is no {encoding} text") from error
    return text.removeprefix("\ufeff")


READERS = {
    "csv": read_csv,
    "json": read_json,
    "text": read_text,
    "imagefolder": read_image_folder,
    "audiofolder": read_audio_folder,
}
