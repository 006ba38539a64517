"""What image processors and feature extractors share: their settings as attributes, and their file.

preprocessor_config.json   all settings, with the class's name as `image_processor_type` or `feature_extractor_type`
processor_config.json      transformers 5: the same settings, under "image_processor" or "feature_extractor", beside
                           those of the processor that they belong to
"""

from __future__ import annotations

import copy
import json
import os
from functools import partial
from pathlib import Path

import numpy as np

from .batch_feature import BatchFeature
from .checkpoints import CheckpointNotFoundError, resolve_file
from .checkpoints.config_file import read_json
from .checkpoints.resolve import split_hub_arguments
from .checkpoints.sharing import PushToHub, check_not_pushed
from .checkpoints.write import write_files

__all__ = ["PREPROCESSOR_FILE", "PROCESSOR_FILE", "BatchFeature", "Preprocessor", "read_preprocessor"]

PREPROCESSOR_FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"


def read_preprocessor(name: str | os.PathLike, kind: str, **hub) -> dict:
    """The settings of a checkpoint's "image_processor" or "feature_extractor" (`kind`). `name` may be a JSON file.

    Raises `CheckpointNotFoundError` when the checkpoint has none.
    """
    if os.path.isfile(name):
        return read_json(Path(name))
    processor = resolve_file(name, PROCESSOR_FILE, **hub)
    settings = None if processor is None else read_json(processor).get(kind)
    if settings is not None:
        return settings
    path = resolve_file(name, PREPROCESSOR_FILE, **hub)
    if path is None:
        where = f"the folder {os.path.abspath(name)}" if os.path.isdir(name) else str(name)
        raise CheckpointNotFoundError(
            f"{where} has no {PREPROCESSOR_FILE}, which says how inputs are prepared; expected the folder or "
            f"repository of a model with {'an' if kind[0] in 'aeiou' else 'a'} {kind.replace('_', ' ')}"
        )
    return read_json(path)


class Preprocessor(PushToHub):
    """Base of image processors and feature extractors: settings are attributes, and come back from a file unchanged.

    A subclass names its `kind`, takes its settings as keyword arguments and gives the rest to `super().__init__`, which
    keeps unknown ones as attributes, so that files of other versions survive being read and saved.
    """

    kind: str  # "image_processor" or "feature_extractor"
    model_input_names: list[str]

    def __init__(self, **kwargs):
        for name in (f"{self.kind}_type", "feature_extractor_type"):
            kwargs.pop(name, None)
        self._processor_class = kwargs.pop("processor_class", None)
        for name, value in kwargs.items():
            setattr(self, name, value)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *, return_unused_kwargs: bool = False, **kwargs):
        """Read the settings of a checkpoint (name or folder) or a JSON file; keyword arguments replace settings.

        With `return_unused_kwargs` returns (preprocessor, the arguments that are no setting). Raises OSError when the
        checkpoint has none.
        """
        hub, replaced = split_hub_arguments(kwargs)
        settings = read_preprocessor(pretrained_model_name_or_path, cls.kind, **hub)
        return cls.from_dict(settings, return_unused_kwargs=return_unused_kwargs, **replaced)

    @classmethod
    def from_dict(cls, settings: dict, *, return_unused_kwargs: bool = False, **kwargs):
        """From settings as `to_dict` gives them; keyword arguments that are settings replace them."""
        default = cls(**settings)
        replaced = {key: value for key, value in kwargs.items() if hasattr(default, key)}
        preprocessor = cls(**{**settings, **replaced}) if replaced else default
        if not return_unused_kwargs:
            return preprocessor
        return preprocessor, {key: value for key, value in kwargs.items() if key not in replaced}

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike):
        """From a JSON file of settings."""
        return cls(**read_json(Path(json_file)))

    def to_dict(self) -> dict:
        """All settings, and the class's name."""
        settings = {name: copy.deepcopy(value) for name, value in vars(self).items() if not name.startswith("_")}
        if self._processor_class is not None:
            settings["processor_class"] = self._processor_class
        settings[f"{self.kind}_type"] = type(self).__name__
        return settings

    def to_json_string(self) -> str:
        settings = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.to_dict().items()}
        return json.dumps(settings, indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike) -> None:
        Path(json_file_path).write_text(self.to_json_string(), encoding="utf-8")

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs) -> list[str]:
        """Write preprocessor_config.json into a folder, which is made if need be; returns its path in a list."""
        check_not_pushed(push_to_hub)
        if os.path.isfile(save_directory):
            raise NotADirectoryError(f"{save_directory} is a file; expected a folder to save into")
        files = {PREPROCESSOR_FILE: self.to_json_string()}
        processor = Path(save_directory, PROCESSOR_FILE)
        settings = read_json(processor) if processor.exists() else {}
        if settings.pop(self.kind, None) is not None:  # of an older save by transformers 5; it would be read first
            files[PROCESSOR_FILE] = json.dumps(settings, indent=2, sort_keys=True) + "\n"
        write_files(save_directory, {name: partial(_write_text, text) for name, text in files.items()})
        return [os.path.join(save_directory, PREPROCESSOR_FILE)]

    def __repr__(self):
        return f"{type(self).__name__} {self.to_json_string()}"


def _write_text(text: str, file) -> None:
    file.write(text.encode())
