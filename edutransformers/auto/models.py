"""The Auto classes of models: one for each task."""

from __future__ import annotations

from ..checkpoints import read_config_dict
from ..checkpoints.resolve import split_hub_arguments
from ..checkpoints.tensors import float_dtype
from ..models.configuration import PretrainedConfig
from .architectures import (
    NotBuilt,
    check_register,
    config_class_of,
    load_class,
    model_types,
    registered_classes,
    row_of,
)


class _AutoModel(NotBuilt):
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
            config_class = config_class_of(fields, where)
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
        check_register(cls.__name__, config_class, model_class, exist_ok)
        registered_classes[cls.__name__, config_class] = model_class

    @classmethod
    def _model_class(cls, config_class: type) -> type:
        registered = registered_classes.get((cls.__name__, config_class))
        if registered is not None:
            return registered
        row = row_of(config_class)
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
        return load_class(row.models[cls.__name__])


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


class AutoModelForImageClassification(_AutoModel):
    """The model that classifies pictures."""


class AutoModelForMaskedImageModeling(_AutoModel):
    """The model that paints hidden patches of a picture."""


class AutoModelForCTC(_AutoModel):
    """The model that finds a letter for each frame of speech."""


class AutoModelForAudioClassification(_AutoModel):
    """The model that classifies recordings."""


class AutoModelForAudioFrameClassification(_AutoModel):
    """The model that classifies each frame of a recording."""


class AutoModelForAudioXVector(_AutoModel):
    """The model that finds a vector for the speaker of a recording."""
