"""load_dataset: files of one kind, in splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .dataset import Dataset, concatenate_datasets
from .dataset_dict import DatasetDict
from .folders import SPLITS, split_folders
from .reading import READERS

EXTENSIONS = {"csv": (".csv", ".tsv"), "json": (".json", ".jsonl"), "text": (".txt",)}


def load_dataset(path: str, data_files=None, data_dir=None, split: str | None = None, **options):
    """A DatasetDict of all splits, or with `split` one Dataset. From files on this machine only.

    path        "csv", "json" (JSON lines too), "text", "imagefolder" or "audiofolder"
    data_files  a path, a list of paths, or {split: path or paths}; "*" stands for any name. Without splits: "train"
    data_dir    a folder instead: with subfolders train, validation, test; or with files that have these words in their
                names
    split       "train"; a part of it: "train[:100]", "train[20%:]"; several: "train+test"
    options     of the reader: delimiter, column_names, field, sample_by, drop_labels

    A data set of the Hugging Face hub is loaded with their package `datasets`; the Trainer takes it as it is.
    """
    if path not in READERS:
        raise ValueError(
            f"load_dataset reads {', '.join(READERS)} from files, not {path!r}; for data sets of the hub use the "
            "package datasets, whose data sets the Trainer takes too"
        )
    if path not in EXTENSIONS:
        if data_dir is None or data_files is not None:
            raise ValueError(f"load_dataset({path!r}) needs data_dir, the folder with the files, and no data_files")
        if not Path(data_dir).expanduser().is_dir():
            raise FileNotFoundError(f"there is no folder {data_dir}")
        names = list(split_folders(Path(data_dir).expanduser()))
        make = lambda name: Dataset.from_files(path, data_dir, split=name, **options)  # noqa: E731
    else:
        files = _files_of_splits(path, data_files, data_dir)
        names = list(files)
        make = lambda name: Dataset.from_files(path, files[name], **options)  # noqa: E731
    if split is None:
        return DatasetDict({name: make(name) for name in names})
    parts = [_part(text.strip(), names, make) for text in split.split("+")]
    return parts[0] if len(parts) == 1 else concatenate_datasets(parts)


def _files_of_splits(kind: str, data_files, data_dir) -> dict:
    if data_files is None and data_dir is None:
        raise ValueError(f"load_dataset({kind!r}) needs data_files, the paths, or data_dir, a folder")
    base = Path() if data_dir is None else Path(data_dir).expanduser()
    if data_files is not None:
        below = lambda paths: [base / path for path in ([paths] if isinstance(paths, (str, Path)) else paths)]  # noqa: E731
        if isinstance(data_files, Mapping):
            return {name: below(paths) for name, paths in data_files.items()}
        return {"train": below(data_files)}
    if not base.is_dir():
        raise FileNotFoundError(f"there is no folder {base}")
    files = sorted(path for path in base.rglob("*") if path.suffix.lower() in EXTENSIONS[kind])
    if not files:
        raise FileNotFoundError(f"{base} holds no {' or '.join(EXTENSIONS[kind])} file")
    found: dict[str, list[Path]] = {}
    for path in files:
        words = [*path.relative_to(base).parts[:-1], *re.split(r"[^a-z]+", path.stem.lower())]
        name = next((SPLITS[word.lower()] for word in words if word.lower() in SPLITS), None)
        found.setdefault(name, []).append(path)
    if set(found) == {None}:
        return {"train": files}
    return {name: found[name] for name in ("train", "validation", "test") if name in found}


def _part(text: str, names: list[str], make) -> Dataset:
    """ "train", "train[10:20]" or "train[:5%]" """
    match = re.fullmatch(r"(\w+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?", text)
    if match is None:
        raise ValueError(f"split is {text!r}: expected 'train', 'train[:100]' or 'train[20%:40%]'")
    name, start, stop = match.groups()
    if name not in names:
        raise ValueError(f"there is no split {name!r}, only {', '.join(names)}")
    data = make(name)
    if "[" not in text:
        return data
    place = lambda s: round(int(s[:-1]) / 100 * len(data)) if s.endswith("%") else int(s)  # noqa: E731
    return data.select(
        range(len(data))[slice(None if start is None else place(start), None if stop is None else place(stop))]
    )
