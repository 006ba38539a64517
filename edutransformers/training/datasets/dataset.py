"""Dataset: a table of columns, with the names and the meaning of Hugging Face's `datasets`.

    data = load_dataset("csv", data_files="reviews.csv", split="train")
    data = data.map(lambda batch: tokenizer(batch["text"], truncation=True), batched=True)
    parts = data.train_test_split(test_size=0.1, seed=0)

A column is a list or an array. `select`, `shuffle`, `sort`, `filter` and splits make new tables that see the same
columns through indices: no value is copied. No method changes the table itself, except those that begin with `set_`.
Nothing is written to disk. The order of methods below: making, looking, columns, rows, splitting, formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...backend import default_generator
from .columns import Column, as_column, check_lengths, select_rows
from .features import Audio, ClassLabel, Image
from .formats import Format
from .looking import Looking
from .mapping import filter_rows, map_rows
from .reading import READERS
from .splitting import split_sizes, stratified_split


class Dataset(Looking):
    """A table: `data[3]` is a row, `data[2:5]` several as a dictionary of lists, `data["text"]` a column.

    Make one with `from_dict`, `from_list`, `from_generator`, or from files: `from_csv`, `from_json`, `from_text`,
    `from_image_folder`, `from_audio_folder`, `load_dataset`.

    features  {column: ClassLabel, Image or Audio} for the columns that are one of these; the others hold plain values
    """

    def __init__(self, columns: Mapping[str, Column], features: Mapping | None = None, format: Format | None = None):
        self._columns = dict(columns)
        self._length = check_lengths(self._columns)
        self.features = {name: feature for name, feature in (features or {}).items() if name in self._columns}
        self._format = Format() if format is None else format

    # -- making -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, mapping: Mapping, features: Mapping | None = None) -> Dataset:
        """{"text": [...], "label": [...]}: lists or arrays of one length. With a ClassLabel in `features`, the column
        may hold names."""
        data = cls({str(name): as_column(name, values) for name, values in mapping.items()})
        for name, feature in (features or {}).items():
            data = data.cast_column(name, feature)
        return data

    @classmethod
    def from_list(cls, rows: Sequence[Mapping], features: Mapping | None = None) -> Dataset:
        """[{"text": …, "label": …}, …]. A row that lacks a column has None there."""
        names = dict.fromkeys(name for row in rows for name in row)
        return cls.from_dict({name: [row.get(name) for row in rows] for name in names}, features)

    @classmethod
    def from_generator(cls, generator: Callable[..., Iterable[Mapping]], gen_kwargs=None, features=None) -> Dataset:
        """All rows that a generator function yields, now. For more than the memory holds: `IterableDataset`."""
        if not callable(generator):
            raise TypeError(f"from_generator takes the function that yields rows, got {type(generator).__name__}")
        return cls.from_list(list(generator(**(gen_kwargs or {}))), features)

    @classmethod
    def from_csv(cls, path_or_paths, **options) -> Dataset:
        """Rows of CSV files. Options and types: `read_csv`."""
        return cls.from_files("csv", path_or_paths, **options)

    @classmethod
    def from_json(cls, path_or_paths, **options) -> Dataset:
        """Rows of JSON or JSON-lines files. Options: `read_json`."""
        return cls.from_files("json", path_or_paths, **options)

    @classmethod
    def from_text(cls, path_or_paths, **options) -> Dataset:
        """A column "text" with the lines of text files. Options: `read_text`."""
        return cls.from_files("text", path_or_paths, **options)

    @classmethod
    def from_image_folder(cls, folder, **options) -> Dataset:
        """The pictures of a folder, with labels from its subfolders, or with what its metadata file says."""
        return cls.from_files("imagefolder", folder, **options)

    @classmethod
    def from_audio_folder(cls, folder, **options) -> Dataset:
        """The sounds of a folder, with labels from its subfolders, or with what its metadata file says."""
        return cls.from_files("audiofolder", folder, **options)

    @classmethod
    def from_files(cls, kind: str, paths, **options) -> Dataset:
        """The rows of files of a kind that `load_dataset` knows."""
        columns, features = READERS[kind](paths, **options)
        return cls({name: as_column(name, values) for name, values in columns.items()}, features)

    def _with(self, columns=None, features=None, format=None) -> Dataset:
        """A new table that differs in these."""
        return Dataset(
            self._columns if columns is None else columns,
            self.features if features is None else features,
            self._format if format is None else format,
        )

    # -- columns ------------------------------------------------------------------------------------------------------

    def select_columns(self, column_names: str | Sequence[str]) -> Dataset:
        """Only these columns, in this order."""
        names = self._check_columns(column_names)
        return self._with({name: self._columns[name] for name in names}, format=self._format_without(names, keep=True))

    def remove_columns(self, column_names: str | Sequence[str]) -> Dataset:
        """All but these columns."""
        names = self._check_columns(column_names)
        kept = {name: column for name, column in self._columns.items() if name not in names}
        return self._with(kept, format=self._format_without(names))

    def rename_column(self, original_column_name: str, new_column_name: str) -> Dataset:
        """The same table with another name for a column, in its place."""
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping: Mapping[str, str]) -> Dataset:
        """{old name: new name}"""
        self._check_columns(list(column_mapping))
        names = [column_mapping.get(name, name) for name in self._columns]
        for name in column_mapping.values():
            if not name or names.count(name) > 1:
                raise ValueError(f"a column can't be renamed {name!r}: there is one of that name already")
        chosen = self._format.columns
        chosen = None if chosen is None else tuple(column_mapping.get(name, name) for name in chosen)
        features = {column_mapping.get(name, name): feature for name, feature in self.features.items()}
        return self._with(dict(zip(names, self._columns.values())), features, replace(self._format, columns=chosen))

    def add_column(self, name: str, column, feature=None) -> Dataset:
        """One more column, at the end."""
        if name in self._columns:
            raise ValueError(f"there is a column {name!r} already: remove it first, or overwrite it with map")
        added = as_column(name, column)
        if self._columns and len(added) != self._length:
            raise ValueError(f"column {name!r} has {len(added)} values, but the data set has {self._length} rows")
        chosen = self._format.columns
        shown = self._format if chosen is None else replace(self._format, columns=(*chosen, name))
        data = self._with({**self._columns, name: added}, format=shown)
        return data if feature is None else data.cast_column(name, feature)

    def cast_column(self, column: str, feature) -> Dataset:
        """Say what a column is: ClassLabel (names become numbers), Image, or Audio (also with another rate)."""
        self._check_columns([column])
        columns = dict(self._columns)
        if isinstance(feature, ClassLabel):
            columns[column] = Column([feature.encode(value) for value in columns[column]])
        elif not isinstance(feature, (Image, Audio)):
            raise TypeError(f"a column is cast to ClassLabel, Image or Audio, not to {feature!r}")
        return self._with(columns, {**self.features, column: feature})

    def class_encode_column(self, column: str, include_nulls: bool = False) -> Dataset:
        """A column of names (or of any values) as classes, numbered in the order of their sorted names.

        None stays None, or becomes the class "None" with `include_nulls`.
        """
        names = {str(value) for value in self.unique(column) if value is not None or include_nulls}
        return self._as_classes(column, ClassLabel(names=sorted(names)), include_nulls)

    def _as_classes(self, column: str, label: ClassLabel, include_nulls: bool) -> Dataset:
        values = self._columns[column].take(None)
        numbers = [None if v is None and not include_nulls else label.str2int(str(v)) for v in values]
        return self._with({**self._columns, column: Column(numbers)}, {**self.features, column: label})

    def _check_columns(self, names: str | Sequence[str]) -> list[str]:
        names = [names] if isinstance(names, str) else list(names)
        for name in names:
            if name not in self._columns:
                raise KeyError(f"there is no column {name!r}, only {', '.join(map(repr, self._columns)) or 'none'}")
        return names

    def _format_without(self, names, keep: bool = False) -> Format:
        """The format when the columns `names` go (or, with `keep`, when only they stay)."""
        if self._format.columns is None:
            return self._format
        return replace(self._format, columns=tuple(n for n in self._format.columns if (n in names) == keep))

    # -- rows ---------------------------------------------------------------------------------------------------------

    def select(self, indices: Iterable[int]) -> Dataset:
        """These rows, in this order; a row may come several times."""
        return self._with(select_rows(self._columns, self._rows(indices)))

    def skip(self, n: int) -> Dataset:
        """All but the first n rows."""
        return self.select(range(min(n, self._length), self._length))

    def take(self, n: int) -> Dataset:
        """The first n rows."""
        return self.select(range(min(n, self._length)))

    def shuffle(self, seed: int | None = None, generator: np.random.Generator | None = None) -> Dataset:
        """The rows in a random order: that of a seed is the same as in `datasets`."""
        return self.select(_generator(seed, generator).permutation(self._length))

    def sort(self, column_names: str | Sequence[str], reverse: bool | Sequence[bool] = False, null_placement="at_end"):
        """Rows by the values of a column, or of several (the first counts most). Equal ones keep their order."""
        names = self._check_columns(column_names)
        falling = [reverse] * len(names) if isinstance(reverse, bool) else list(reverse)
        if len(falling) != len(names):
            raise ValueError(f"reverse has {len(falling)} values for {len(names)} columns: expected one for each")
        if null_placement not in ("at_end", "at_start"):
            raise ValueError(f"null_placement is {null_placement!r}: expected 'at_end' or 'at_start'")
        order = list(range(self._length))
        for name, down in reversed(list(zip(names, falling))):  # stable: the last key first
            values = self._columns[name].take(None)
            known = sorted((row for row in order if values[row] is not None), key=values.__getitem__, reverse=down)
            unknown = [row for row in order if values[row] is None]
            order = known + unknown if null_placement == "at_end" else unknown + known
        return self.select(order)

    def filter(self, function: Callable, with_indices=False, input_columns=None, batched=False, batch_size=1000,
               fn_kwargs=None) -> Dataset:  # fmt: skip
        """The rows for which `function` is true. It is called as by `map`; with `batched`, it returns a list."""
        return self.select(filter_rows(self, function, with_indices, input_columns, batched, batch_size, fn_kwargs))

    def map(self, function: Callable, with_indices=False, input_columns=None, batched=False, batch_size=1000,
            drop_last_batch=False, remove_columns=None, fn_kwargs=None) -> Dataset:  # fmt: skip
        """What `function` makes of each row, or with `batched` of `batch_size` rows at once, as columns.

        function        row -> dictionary of the columns to add or to overwrite; with batched, dictionary of lists ->
                        dictionary of lists. None: the data set stays as it is
        with_indices    call function(row, n), or function(batch, [n, …])
        input_columns   call function(value, …) with these columns' values instead of the whole row
        remove_columns  leave these out of the result (the function still sees them)
        fn_kwargs       more arguments of the function

        A batched function may return another number of rows than it was given, if all columns that it doesn't return
        are removed. Columns keep their places, new ones come after them.
        """
        removed = [] if remove_columns is None else self._check_columns(remove_columns)
        return map_rows(
            self, function, with_indices, input_columns, batched, batch_size, drop_last_batch, removed, fn_kwargs
        )

    # -- splitting ----------------------------------------------------------------------------------------------------

    def train_test_split(self, test_size=None, train_size=None, shuffle: bool = True, seed: int | None = None,
                         generator=None, stratify_by_column: str | None = None):  # fmt: skip
        """A DatasetDict with "train" and "test".

        test_size, train_size  a share (below 1) or a number of rows; the other gets the rest. Default: 0.25 for test
        shuffle                in random order; otherwise the first rows are for training, the last ones for the test
        stratify_by_column     a ClassLabel column whose classes have the same shares in both parts

        With a seed the rows are those of `datasets` (where nothing is stratified).
        """
        from .dataset_dict import DatasetDict

        train, test = split_sizes(self._length, test_size, train_size)
        if stratify_by_column is not None:
            if not shuffle:
                raise ValueError("stratify_by_column draws rows at random: it needs shuffle=True")
            self._check_columns([stratify_by_column])
            if not isinstance(self.features.get(stratify_by_column), ClassLabel):
                raise ValueError(
                    f"stratify_by_column is {stratify_by_column!r}, which is no ClassLabel: "
                    f"use class_encode_column({stratify_by_column!r}) first"
                )
            classes = self._columns[stratify_by_column].take(None)
            parts = stratified_split(classes, train, test, _generator(seed, generator))
        elif shuffle:
            order = _generator(seed, generator).permutation(self._length)
            parts = order[test : test + train], order[:test]
        else:
            parts = np.arange(train), np.arange(train, train + test)
        return DatasetDict({name: self.select(rows) for name, rows in zip(("train", "test"), parts)})

    def shard(self, num_shards: int, index: int, contiguous: bool = True) -> Dataset:
        """Part `index` of `num_shards`: neighbouring rows, or with contiguous=False every num_shards-th row."""
        if not 0 <= index < num_shards:
            raise ValueError(f"shard {index} of {num_shards}: expected an index from 0 to {num_shards - 1}")
        if not contiguous:
            return self.select(range(index, self._length, num_shards))
        size, longer = divmod(self._length, num_shards)
        start = index * size + min(index, longer)
        return self.select(range(start, start + size + (index < longer)))


def concatenate_datasets(datasets: Sequence[Dataset], axis: int = 0) -> Dataset:
    """One table below the other (axis 0; what a table lacks is None there), or side by side (axis 1)."""
    if not datasets:
        raise ValueError("concatenate_datasets got no data set")
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}: expected 0 (more rows) or 1 (more columns)")
    features = {name: feature for data in reversed(datasets) for name, feature in data.features.items()}
    if axis == 1:
        names = [name for data in datasets for name in data.column_names]
        if len(set(names)) < len(names):
            raise ValueError(f"side by side, each column needs a name of its own, but there are {names}")
        return Dataset({name: column for data in datasets for name, column in data._columns.items()}, features)
    for data in datasets:
        for name, feature in data.features.items():
            if feature != features[name]:
                raise ValueError(f"column {name!r} is {features[name]} in one data set and {feature} in another")
    names = dict.fromkeys(name for data in datasets for name in data.column_names)
    joined = {name: [] for name in names}
    for data in datasets:
        for name, values in joined.items():
            values += data._columns[name].take(None) if name in data._columns else [None] * len(data)
    return Dataset({name: Column(values) for name, values in joined.items()}, features)


def _generator(seed, generator) -> np.random.Generator:
    if seed is not None:
        return np.random.default_rng(seed)
    return default_generator() if generator is None else generator
