"""DatasetDict: the splits of a data set, by name."""

from __future__ import annotations

from .dataset import Dataset
from .features import ClassLabel


def _on_each(name: str):
    """The method `name` of Dataset, called on every split."""
    method = getattr(Dataset, name)

    def call(self, *args, **kwargs):
        return DatasetDict({split: method(data, *args, **kwargs) for split, data in self.items()})

    call.__name__, call.__doc__ = name, f"`Dataset.{name}` of every split."
    return call


class DatasetDict(dict):
    """{"train": Dataset, "test": Dataset}: a dictionary whose methods do to every split what they do to one."""

    map = _on_each("map")
    filter = _on_each("filter")
    select_columns = _on_each("select_columns")
    remove_columns = _on_each("remove_columns")
    rename_column = _on_each("rename_column")
    rename_columns = _on_each("rename_columns")
    cast_column = _on_each("cast_column")
    sort = _on_each("sort")
    shuffle = _on_each("shuffle")
    with_format = _on_each("with_format")
    with_transform = _on_each("with_transform")

    def set_format(self, *args, **kwargs) -> None:
        """`Dataset.set_format` of every split."""
        for data in self.values():
            data.set_format(*args, **kwargs)

    def reset_format(self) -> None:
        """`Dataset.reset_format` of every split."""
        self.set_format()

    def set_transform(self, *args, **kwargs) -> None:
        """`Dataset.set_transform` of every split."""
        for data in self.values():
            data.set_transform(*args, **kwargs)

    def class_encode_column(self, column: str, include_nulls: bool = False) -> DatasetDict:
        """A column's values as classes: the same numbers in every split, also where a split lacks some of them."""
        names = {str(v) for values in self.unique(column).values() for v in values if v is not None or include_nulls}
        label = ClassLabel(names=sorted(names))
        return DatasetDict({split: data._as_classes(column, label, include_nulls) for split, data in self.items()})

    def unique(self, column: str) -> dict[str, list]:
        """{split: the different values of a column}"""
        return {split: data.unique(column) for split, data in self.items()}

    @property
    def column_names(self) -> dict[str, list[str]]:
        return {split: data.column_names for split, data in self.items()}

    @property
    def num_rows(self) -> dict[str, int]:
        return {split: data.num_rows for split, data in self.items()}

    @property
    def shape(self) -> dict[str, tuple[int, int]]:
        return {split: data.shape for split, data in self.items()}

    def __repr__(self):
        parts = "\n".join(f"{split}: {data!r}" for split, data in self.items())
        return "DatasetDict({\n" + "\n".join(f"    {line}" for line in parts.split("\n")) + "\n})"
