"""config.json: reading it, making a config object of it, and writing it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..logging import get_logger
from .errors import CheckpointFormatError, CheckpointNotFoundError, explain_wrong_file
from .resolve import commit_of, resolve_file, split_hub_arguments
from .sharing import check_not_pushed
from .write import write_files

logger = get_logger(__name__)

CONFIG_NAME = "config.json"


def read_config_dict(name: str | os.PathLike, **kwargs) -> tuple[dict, dict]:
    """(the fields of a checkpoint's config.json, those of `kwargs` that don't say how to find files).

    `name` is what `resolve_file` finds, or the path of a JSON file. The dictionary gets `_commit_hash` when the file
    came from the hub, so that the weights can be asked for from the same commit.

    Raises `CheckpointNotFoundError` when there is none, `CheckpointFormatError` when it is no JSON object.
    """
    hub, rest = split_hub_arguments(kwargs)
    filename = rest.pop("_configuration_file", CONFIG_NAME)
    path = Path(name) if os.path.isfile(name) else resolve_file(name, filename, **hub)
    if path is None:
        where = f"the folder {os.path.abspath(name)}" if os.path.isdir(name) else str(name)
        raise CheckpointNotFoundError(
            f"{where} has no {filename}, which says what kind of model it is and how large; expected the folder or "
            "repository of a saved model"
        )
    fields = read_json(path)
    commit = commit_of(path) or hub.get("_commit_hash")
    if commit is not None:
        fields["_commit_hash"] = commit
    return fields, rest


def read_json(path: Path) -> dict:
    """A JSON file that holds an object. Raises `CheckpointFormatError` for anything else."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        why = explain_wrong_file(path) or f"it is not valid JSON ({error})"
        raise CheckpointFormatError(f"{path} can't be read: {why}") from error
    if not isinstance(fields, dict):
        raise CheckpointFormatError(f"{path} holds a JSON {type(fields).__name__}; expected an object of fields")
    return fields


def load_config(config_class, name: str | os.PathLike, *, return_unused_kwargs: bool = False, **kwargs):
    """A config of `config_class` from a checkpoint. Keyword arguments that are fields of the config replace its values.

    With `return_unused_kwargs` returns (config, the arguments that are no field); without it they are ignored, as in
    the original.
    """
    fields, rest = read_config_dict(name, **kwargs)
    found, expected = fields.get("model_type"), config_class.model_type
    if found and expected and found != expected:
        logger.warning(
            "You are using a model of type %s to instantiate a model of type %s. This is not supported for all "
            "configurations of models and can yield errors.", found, expected,
        )  # fmt: skip
    commit = fields.get("_commit_hash")
    config = config_class.from_dict(fields)
    overrides = {key: value for key, value in rest.items() if hasattr(config, key)}
    if overrides:
        config = config_class.from_dict(fields, **overrides)
    config.name_or_path = str(name)
    if not return_unused_kwargs:
        return config
    unused = {key: value for key, value in rest.items() if key not in overrides}
    return config, ({**unused, "_commit_hash": commit} if commit is not None else unused)


def save_config(config, folder: str | os.PathLike, **kwargs) -> None:
    """Write config.json into a folder, which is made if need be. An interrupted save leaves the old file."""
    check_not_pushed(kwargs.pop("push_to_hub", False))
    write_files(folder, {CONFIG_NAME: lambda file: file.write(config_text(config))})


def config_text(config, **replaced) -> bytes:
    """The text of config.json; `replaced` fields are written with other values than the config has."""
    fields = {**json.loads(config.to_json_string()), **replaced}
    return (json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
