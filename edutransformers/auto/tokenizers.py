"""AutoTokenizer: the tokenizer of a checkpoint, whatever its class."""

from __future__ import annotations

from importlib import import_module

from ..checkpoints import CheckpointNotFoundError, read_config_dict, resolve_file
from ..checkpoints.config_file import read_json
from ..checkpoints.resolve import split_hub_arguments
from ..models.configuration import PretrainedConfig
from ..tokenizers.model_types import TOKENIZER_OF
from .architectures import PACKAGE, NotBuilt, config_class_for, model_type_of, model_types, registered_classes, row_of

# Names that say only "all of it stands in tokenizer.json". (TokenizersBackend is the name in transformers 5.)
_GENERIC_TOKENIZERS = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")
_TOKENIZER_FILE_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


class AutoTokenizer(NotBuilt):
    """The tokenizer of a checkpoint, whatever its class: `AutoTokenizer.from_pretrained(name)`."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *inputs, **kwargs):
        """The tokenizer that tokenizer_config.json names in `tokenizer_class`, else the one of the model type.

        `use_fast=False` returns the class without "Fast" in its name; both are one and the same here. `tokenizer_type`
        or `config` decide in place of the files. Other keyword arguments go to the tokenizer.
        """
        config = kwargs.pop("config", None)
        tokenizer_type = kwargs.pop("tokenizer_type", None)
        use_fast = kwargs.pop("use_fast", True)
        kwargs.pop("code_revision", None)
        hub, kwargs = split_hub_arguments(kwargs)
        if tokenizer_type is not None:
            if tokenizer_type not in TOKENIZER_OF:
                raise ValueError(f"tokenizer_type is {tokenizer_type!r}, expected one of {', '.join(TOKENIZER_OF)}")
            tokenizer_class = _tokenizer_named(TOKENIZER_OF[tokenizer_type], use_fast)
        else:
            tokenizer_class = _tokenizer_class(pretrained_model_name_or_path, config, use_fast, hub)
        where = {key: value for key, value in hub.items() if key in _TOKENIZER_FILE_OPTIONS}
        return tokenizer_class.from_pretrained(pretrained_model_name_or_path, *inputs, **where, **kwargs)

    @classmethod
    def register(cls, config_class, slow_tokenizer_class=None, fast_tokenizer_class=None, exist_ok=False) -> None:
        """Let AutoTokenizer return a class for checkpoints whose config is a `config_class`."""
        tokenizer_class = fast_tokenizer_class or slow_tokenizer_class
        if tokenizer_class is None:
            raise ValueError("AutoTokenizer.register needs a slow_tokenizer_class or a fast_tokenizer_class")
        row = row_of(config_class)
        taken = (cls.__name__, config_class) in registered_classes or (row and config_class.model_type in TOKENIZER_OF)
        if taken and not exist_ok:
            raise ValueError(f"{config_class.__name__} has a tokenizer already; to replace it pass exist_ok=True")
        registered_classes[cls.__name__, config_class] = tokenizer_class


def _tokenizer_class(name, config, use_fast: bool, hub: dict) -> type:
    """Asked in this order: tokenizer_config.json, config.json's `tokenizer_class`, config.json's `model_type`."""
    settings = resolve_file(name, "tokenizer_config.json", **hub)
    class_name = None if settings is None else read_json(settings).get("tokenizer_class")
    if class_name in _GENERIC_TOKENIZERS:
        if resolve_file(name, "tokenizer.json", **hub) is not None:
            return _tokenizer_named("PreTrainedTokenizerFast", use_fast)
        class_name = None
    if class_name is not None:
        return _tokenizer_named(class_name, use_fast)
    class_name, model_type, config_class = _ask_config(name, config, hub)
    if class_name is not None and class_name not in _GENERIC_TOKENIZERS:
        return _tokenizer_named(class_name, use_fast)
    if ("AutoTokenizer", config_class) in registered_classes:
        return registered_classes["AutoTokenizer", config_class]
    if model_type not in TOKENIZER_OF:
        what = f"the model type {model_type!r}" if config_class is None else config_class.__name__
        raise ValueError(f"there is no tokenizer for {what}; use AutoTokenizer.register to add one")
    return _tokenizer_named(TOKENIZER_OF[model_type], use_fast)


def _ask_config(name, config, hub: dict) -> tuple[str | None, str | None, type | None]:
    """(tokenizer_class, model type, config class) of a config or of where there is one.

    The model type is None for a config class of somebody else's; the config class is None for a model type that has a
    tokenizer here but no model.
    """
    if isinstance(config, PretrainedConfig):
        is_ours = row_of(type(config)) is not None
        return getattr(config, "tokenizer_class", None), config.model_type if is_ours else None, type(config)
    try:
        fields, _ = read_config_dict(name if config is None else config, **hub)
    except CheckpointNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{name} has neither a tokenizer_config.json that names its tokenizer_class nor a config.json with a "
            "model_type; pass tokenizer_type='bert', or use the tokenizer's own class, BertTokenizer.from_pretrained"
        ) from error
    model_type = model_type_of(fields, name, {*model_types(), *TOKENIZER_OF})
    return fields.get("tokenizer_class"), model_type, config_class_for(model_type)


def _tokenizer_named(class_name: str, use_fast: bool) -> type:
    plain = class_name if class_name == "PreTrainedTokenizerFast" else class_name.removesuffix("Fast")
    for (kind, _), value in registered_classes.items():
        if kind == "AutoTokenizer" and value.__name__ in (class_name, plain):
            return value
    tokenizers = import_module(f"{PACKAGE}.tokenizers")
    known = [name for name in tokenizers.__all__ if name.endswith("Tokenizer")]
    if plain not in (*known, "PreTrainedTokenizerFast"):
        raise ValueError(
            f"the tokenizer class {class_name!r} does not exist here; those that do: {', '.join(known)} "
            "(each with or without 'Fast')"
        )
    return getattr(tokenizers, f"{plain}Fast" if use_fast and f"{plain}Fast" in tokenizers.__all__ else plain)
