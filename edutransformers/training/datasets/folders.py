"""Folders of pictures or sounds: labels from the names of subfolders, or columns from a metadata file.

photos/train/cat/1.png                photos/metadata.csv       file_name,caption
photos/train/dog/2.png                                          1.png,a cat on a mat
photos/test/cat/3.png                 photos/1.png

columns image, label                  columns image, caption
"""

from __future__ import annotations

from pathlib import Path

from .features import Audio, ClassLabel, Image

IMAGES = frozenset(
    [".apng", ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
     ".ppm", ".tga", ".tif", ".tiff", ".webp"]
)  # fmt: skip
SOUNDS = frozenset([".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"])
SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
METADATA = ("metadata.csv", "metadata.jsonl")


def read_image_folder(folder, split: str | None = None, drop_labels: bool | None = None):
    """The pictures of a folder as a column "image". `split`, `drop_labels` and the other columns: `read_folder`."""
    return read_folder(folder, "image", Image(), IMAGES, split, drop_labels)


def read_audio_folder(folder, split: str | None = None, drop_labels: bool | None = None):
    """The sounds of a folder as a column "audio". `split`, `drop_labels` and the other columns: `read_folder`."""
    return read_folder(folder, "audio", Audio(), SOUNDS, split, drop_labels)


def read_folder(folder, name: str, feature, extensions: frozenset, split: str | None, drop_labels: bool | None):
    """The files of one split, and a column "label" with the name of the folder that each lies in, as a ClassLabel.

    split        "train", "validation" or "test": what lies below the subfolder of this name (or of one of its other
                 names, see `SPLITS`); a folder without such subfolders is all "train"
    drop_labels  True: no labels. None: labels if there are at least two classes and all files lie equally deep

    With a metadata file (metadata.csv or metadata.jsonl, with a column file_name) its rows and columns are taken
    instead, in its order; files that it doesn't name are left out. Class numbers are the same in every split.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    homes = split_folders(folder)
    if split is None:
        if list(homes) != ["train"]:
            raise ValueError(f"{folder} holds the splits {', '.join(homes)}: say which one with split=")
        split = "train"
    if split not in homes:
        raise ValueError(f"{folder} has no split {split!r}, only {', '.join(homes)}")

    metadata = [path for home in homes[split] for path in _files(home) if path.name in METADATA]
    if metadata:
        return _with_metadata(metadata, name, feature)
    here = [(home, path) for home in homes[split] for path in _files(home) if path.suffix.lower() in extensions]
    everywhere = [(h, p) for hs in homes.values() for h in hs for p in _files(h) if p.suffix.lower() in extensions]
    if not here:
        raise ValueError(f"{folder} holds no file of this kind for {split!r}: expected {', '.join(sorted(extensions))}")
    columns, features = {name: [str(path) for _, path in here]}, {name: feature}
    depths = {len(path.relative_to(home).parts) for home, path in everywhere}
    names = sorted({path.parent.name for home, path in everywhere if path.parent != home})
    has_labels = drop_labels is False or (drop_labels is None and len(names) > 1 and len(depths) == 1)
    if has_labels:
        label = ClassLabel(names=names)
        columns["label"] = [None if path.parent == home else label.str2int(path.parent.name) for home, path in here]
        features["label"] = label
    return columns, features


def split_folders(folder: Path) -> dict[str, list[Path]]:
    """{split: the folders that hold it}, training first. Without folders for splits, all is "train"."""
    found: dict[str, list[Path]] = {}
    for name in ("train", "validation", "test"):
        homes = [p for p in sorted(folder.iterdir()) if p.is_dir() and SPLITS.get(p.name.lower()) == name]
        if homes:
            found[name] = homes
    return found or {"train": [folder]}


def _files(folder: Path) -> list[Path]:
    hidden = lambda path: any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)  # noqa: E731
    return sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(path))


def _with_metadata(metadata: list[Path], name: str, feature):
    from .reading import read_csv, read_json

    paths, columns = [], {}
    for file in metadata:
        more, _ = (read_csv if file.suffix == ".csv" else read_json)(file)
        if "file_name" not in more:
            raise ValueError(f"{file} has no column file_name, only {', '.join(more)}")
        if columns and list(columns) != [other for other in more if other != "file_name"]:
            raise ValueError(f"{file} has other columns than {metadata[0]}")
        root = file.parent.resolve()
        for number, file_name in enumerate(more.pop("file_name"), start=1):
            path = (root / str(file_name)).resolve()
            if not path.is_relative_to(root):
                raise ValueError(f"{file}, row {number}: {file_name!r} leads out of the folder")
            if not path.is_file():
                raise FileNotFoundError(f"{file}, row {number}: there is no file {file.parent / str(file_name)}")
            paths.append(str(file.parent / str(file_name)))
        for other, values in more.items():
            columns.setdefault(other, []).extend(values)
    if name in columns:
        raise ValueError(f"{metadata[0]} has a column {name!r}, which is the name of the files' own column")
    return {name: paths, **columns}, {name: feature}
