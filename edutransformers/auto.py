"""The Auto classes: from a checkpoint's `model_type` to the classes that read it.

    AutoModelForMaskedLM.from_pretrained(name)
        config.json says {"model_type": "bert"}  ->  the row "bert" below  ->  BertForMaskedLM.from_pretrained(name)

ARCHITECTURES is the only table. It holds names, not classes, so that asking for BERT imports BERT and nothing else. A
new architecture is one more row; a class of your own joins with `register`.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from .checkpoints import CheckpointNotFoundError, load_config, read_config_dict, resolve_file
from .checkpoints.config_file import read_json
from .checkpoints.resolve import split_hub_arguments
from .checkpoints.tensors import float_dtype
from .models.configuration import PretrainedConfig
from .tokenizers.model_types import TOKENIZER_OF


class Architecture(NamedTuple):
    """Where an architecture lives, and what it has: {Auto class: its class}. Its tokenizer stands in TOKENIZER_OF."""

    module: str
    config: str
    models: dict[str, str]


ARCHITECTURES: dict[str, Architecture] = {
    "bert": Architecture(
        "models.bert",
        "BertConfig",
        {
            "AutoModel": "BertModel",
            "AutoModelForPreTraining": "BertForPreTraining",
            "AutoModelForMaskedLM": "BertForMaskedLM",
            "AutoModelForCausalLM": "BertLMHeadModel",
            "AutoModelForNextSentencePrediction": "BertForNextSentencePrediction",
            "AutoModelForSequenceClassification": "BertForSequenceClassification",
            "AutoModelForTokenClassification": "BertForTokenClassification",
            "AutoModelForMultipleChoice": "BertForMultipleChoice",
            "AutoModelForQuestionAnswering": "BertForQuestionAnswering",
        },
    ),
    "gpt2": Architecture(
        "models.gpt2",
        "GPT2Config",
        {
            "AutoModel": "GPT2Model",
            "AutoModelForPreTraining": "GPT2LMHeadModel",
            "AutoModelForCausalLM": "GPT2LMHeadModel",
            "AutoModelForSequenceClassification": "GPT2ForSequenceClassification",
            "AutoModelForTokenClassification": "GPT2ForTokenClassification",
            "AutoModelForQuestionAnswering": "GPT2ForQuestionAnswering",
        },
    ),
}

_registered_configs: dict[str, type] = {}  # model type -> config class
_registered_classes: dict[tuple[str, type], type] = {}  # (Auto class, config class) -> model or tokenizer class

# Names that say only "all of it stands in tokenizer.json". (TokenizersBackend is the name in transformers 5.)
_GENERIC_TOKENIZERS = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")
_TOKENIZER_FILE_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")


def model_types(auto_class: str | None = None) -> list[str]:
    """The model types there are; with the name of an Auto class, those that have a class for it."""
    if auto_class is None:
        return sorted({*ARCHITECTURES, *_registered_configs})
    types = {name for name, row in ARCHITECTURES.items() if auto_class in row.models}
    types |= {config.model_type for kind, config in _registered_classes if kind == auto_class}
    return sorted(types)


def auto_classes_of(class_name: str) -> list[str]:
    """The Auto classes that lead to a class: "BertForMaskedLM" -> ["AutoModelForMaskedLM"]. Empty for unknown names."""
    found = [kind for row in ARCHITECTURES.values() for kind, name in row.models.items() if name == class_name]
    return found + [kind for (kind, _), value in _registered_classes.items() if value.__name__ == class_name]


def _load(row: Architecture, name: str) -> type:
    return getattr(import_module(f".{row.module}", __package__), name)


def _config_class(model_type: str) -> type | None:
    if model_type in _registered_configs:
        return _registered_configs[model_type]
    row = ARCHITECTURES.get(model_type)
    return None if row is None else _load(row, row.config)


def _row_of(config_class: type) -> Architecture | None:
    """The table row of a config class; None for a class of somebody else's, even one derived from ours."""
    row = ARCHITECTURES.get(getattr(config_class, "model_type", ""))
    if row is None or (config_class.__module__, config_class.__name__) != (f"{__package__}.{row.module}", row.config):
        return None
    return row


def _check_register(auto_class: str, config_class: type, value: type, exist_ok: bool) -> None:
    row = _row_of(config_class)
    taken = _registered_classes.get((auto_class, config_class)) or (row is not None and row.models.get(auto_class))
    if taken and not exist_ok:
        raise ValueError(
            f"{auto_class} already has {getattr(taken, '__name__', taken)} for {config_class.__name__}; "
            f"to replace it with {value.__name__} pass exist_ok=True"
        )


class _NotBuilt:
    """Auto classes have class methods only: the object that they return is of another class."""

    def __init__(self, *args, **kwargs):
        name = type(self).__name__
        ways = f"`{name}.from_pretrained(name)`"
        if hasattr(self, "from_config"):
            ways += f" or `{name}.from_config(config)`"
        raise OSError(f"{name} can't be built directly; use {ways}")


class AutoConfig(_NotBuilt):
    """The config of a checkpoint, whatever its architecture: `AutoConfig.from_pretrained(name)`."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):
        """Read config.json and return the config of its `model_type`; keyword arguments replace its fields.

        With `return_unused_kwargs=True` returns (config, those arguments that are no field). Raises ValueError for a
        model type that doesn't exist here, OSError when there is no config.json.
        """
        name = pretrained_model_name_or_path
        kwargs.pop("code_revision", None)
        fields, _ = read_config_dict(name, **kwargs)
        return load_config(_config_class_of(fields, name), name, **kwargs)

    @classmethod
    def for_model(cls, model_type: str, *args, **kwargs):
        """A new config by model type: `AutoConfig.for_model("bert", num_hidden_layers=2)`."""
        config_class = _config_class(model_type)
        if config_class is None:
            raise ValueError(_unknown_type(repr(model_type)))
        return config_class(*args, **kwargs)

    @classmethod
    def register(cls, model_type: str, config: type, exist_ok: bool = False) -> None:
        """Let AutoConfig return `config` for checkpoints of this model type."""
        if getattr(config, "model_type", None) != model_type:
            raise ValueError(
                f"{config.__name__}.model_type is {getattr(config, 'model_type', None)!r}, but it is registered as "
                f"{model_type!r}; they must be the same"
            )
        if model_type in model_types() and not exist_ok:
            raise ValueError(f"the model type {model_type!r} exists already; to replace it pass exist_ok=True")
        _registered_configs[model_type] = config


def _config_class_of(fields: dict, name) -> type:
    """The config class for the fields of a config.json."""
    model_type = _model_type_of(fields, name, model_types())
    config_class = _config_class(model_type)
    if config_class is None:
        raise ValueError(f"{name}: {_unknown_type(repr(model_type))}")
    return config_class


def _model_type_of(fields: dict, name, known) -> str:
    """The model type that a config.json says."""
    model_type = fields.get("model_type")
    if model_type is None:
        # Checkpoints from before there was a model_type often say it in their name: bert-base-uncased.
        model_type = next((kind for kind in sorted(known, key=len, reverse=True) if kind in str(name)), None)
    if model_type is None:
        raise ValueError(f"{name}: its config.json says no model_type. {_unknown_type('None')}")
    return model_type


def _unknown_type(model_type: str) -> str:
    return f"the model type {model_type} is not one of those that exist here: {', '.join(model_types())}"


class AutoTokenizer(_NotBuilt):
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
        row = _row_of(config_class)
        taken = (cls.__name__, config_class) in _registered_classes or (row and config_class.model_type in TOKENIZER_OF)
        if taken and not exist_ok:
            raise ValueError(f"{config_class.__name__} has a tokenizer already; to replace it pass exist_ok=True")
        _registered_classes[cls.__name__, config_class] = tokenizer_class


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
    if ("AutoTokenizer", config_class) in _registered_classes:
        return _registered_classes["AutoTokenizer", config_class]
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
        is_ours = _row_of(type(config)) is not None
        return getattr(config, "tokenizer_class", None), config.model_type if is_ours else None, type(config)
    try:
        fields, _ = read_config_dict(name if config is None else config, **hub)
    except CheckpointNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{name} has neither a tokenizer_config.json that names its tokenizer_class nor a config.json with a "
            "model_type; pass tokenizer_type='bert', or use the tokenizer's own class, BertTokenizer.from_pretrained"
        ) from error
    model_type = _model_type_of(fields, name, {*model_types(), *TOKENIZER_OF})
    return fields.get("tokenizer_class"), model_type, _config_class(model_type)


def _tokenizer_named(class_name: str, use_fast: bool) -> type:
    plain = class_name if class_name == "PreTrainedTokenizerFast" else class_name.removesuffix("Fast")
    for (kind, _), value in _registered_classes.items():
        if kind == "AutoTokenizer" and value.__name__ in (class_name, plain):
            return value
    tokenizers = import_module(".tokenizers", __package__)
    known = [name for name in tokenizers.__all__ if name.endswith("Tokenizer")]
    if plain not in (*known, "PreTrainedTokenizerFast"):
        raise ValueError(
            f"the tokenizer class {class_name!r} does not exist here; those that do: {', '.join(known)} "
            "(each with or without 'Fast')"
        )
    return getattr(tokenizers, f"{plain}Fast" if use_fast and f"{plain}Fast" in tokenizers.__all__ else plain)


class _AutoModel(_NotBuilt):
    """What all Auto models do: find the class for a config, and let it load."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, **kwargs):
        """A model of the checkpoint's architecture with this head, weights loaded, in evaluation mode.

        `config` is a config object or where to read one. All other arguments are those of the class's own
        `from_pretrained`: fields of the config, `dtype`, `device`, `revision`, `output_loading_info`, …
        """
        kwargs.pop("code_revision", None)
        config = kwargs.get("config")
        if isinstance(config, PretrainedConfig):
            config_class = type(config)
        else:
            where = pretrained_model_name_or_path if config is None else config
            hub, _ = split_hub_arguments(kwargs)
            fields, _ = read_config_dict(where, **hub)
            config_class = _config_class_of(fields, where)
            if config is None and "_commit_hash" in fields:
                kwargs["_commit_hash"] = fields["_commit_hash"]  # the weights of the same commit, whatever comes next
        return cls._model_class(config_class).from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)

    @classmethod
    def from_config(cls, config, **kwargs):
        """A model of the config's architecture with freshly drawn weights. `dtype` is the number type to compute in."""
        dtype, torch_dtype = kwargs.pop("dtype", None), kwargs.pop("torch_dtype", None)
        dtype = torch_dtype if dtype is None else dtype
        kwargs.pop("trust_remote_code", None)
        model = cls._model_class(type(config))(config, **kwargs)
        return model if dtype is None else model.astype(float_dtype(dtype))

    @classmethod
    def register(cls, config_class: type, model_class: type, exist_ok: bool = False) -> None:
        """Let this Auto class return `model_class` for configs of exactly `config_class`."""
        expected = getattr(model_class, "config_class", config_class)
        if expected is not config_class:
            raise ValueError(
                f"{model_class.__name__}.config_class is {expected.__name__}, but it is registered for "
                f"{config_class.__name__}; they must be the same"
            )
        _check_register(cls.__name__, config_class, model_class, exist_ok)
        _registered_classes[cls.__name__, config_class] = model_class

    @classmethod
    def _model_class(cls, config_class: type) -> type:
        registered = _registered_classes.get((cls.__name__, config_class))
        if registered is not None:
            return registered
        row = _row_of(config_class)
        if row is None:
            raise ValueError(
                f"{cls.__name__} does not know {config_class.__name__}; expected the config of one of these model "
                f"types: {', '.join(model_types(cls.__name__))} (or register a class for it)"
            )
        if cls.__name__ not in row.models:
            raise ValueError(
                f"the architecture {config_class.model_type!r} has no class for {cls.__name__}, it has "
                f"{', '.join(sorted(row.models))}; {cls.__name__} exists for "
                f"{', '.join(model_types(cls.__name__)) or 'no architecture yet'}"
            )
        return _load(row, row.models[cls.__name__])


class AutoModel(_AutoModel):
    """The model without a head."""


class AutoModelForPreTraining(_AutoModel):
    """The model with the heads it was pre-trained with."""


class AutoModelForMaskedLM(_AutoModel):
    """The model that finds masked words."""


class AutoModelForCausalLM(_AutoModel):
    """The model that finds the next word."""


class AutoModelForNextSentencePrediction(_AutoModel):
    """The model that tells whether one sentence follows another."""


class AutoModelForSequenceClassification(_AutoModel):
    """The model that classifies texts."""


class AutoModelForTokenClassification(_AutoModel):
    """The model that classifies each token of a text."""


class AutoModelForMultipleChoice(_AutoModel):
    """The model that picks one of several continuations."""


class AutoModelForQuestionAnswering(_AutoModel):
    """The model that finds the answer to a question within a text."""
