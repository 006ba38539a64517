"""The one table of architectures, and the classes that users registered.

ARCHITECTURES holds names, not classes, so that asking for BERT imports BERT and nothing else. A new architecture is one
more row.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

PACKAGE = __package__.rpartition(".")[0]


class Architecture(NamedTuple):
    """Where an architecture's config lives, and what it has: {Auto class: its class}. Its tokenizer: TOKENIZER_OF."""

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
    "vit": Architecture(
        "models.vit",
        "ViTConfig",
        {
            "AutoModel": "ViTModel",
            "AutoModelForImageClassification": "ViTForImageClassification",
            "AutoModelForMaskedImageModeling": "ViTForMaskedImageModeling",
        },
    ),
    "wav2vec2": Architecture(
        "models.wav2vec2",
        "Wav2Vec2Config",
        {
            "AutoModel": "Wav2Vec2Model",
            "AutoModelForPreTraining": "Wav2Vec2ForPreTraining",
            "AutoModelForCTC": "Wav2Vec2ForCTC",
            "AutoModelForAudioClassification": "Wav2Vec2ForSequenceClassification",
            "AutoModelForAudioFrameClassification": "Wav2Vec2ForAudioFrameClassification",
            "AutoModelForAudioXVector": "Wav2Vec2ForXVector",
        },
    ),
}

registered_configs: dict[str, type] = {}  # model type -> config class
registered_classes: dict[tuple[str, type], type] = {}  # (Auto class, config class) -> class


def model_types(auto_class: str | None = None) -> list[str]:
    """The model types there are; with the name of an Auto class, those that have a class for it."""
    if auto_class is None:
        return sorted({*ARCHITECTURES, *registered_configs})
    types = {name for name, row in ARCHITECTURES.items() if auto_class in row.models}
    types |= {config.model_type for kind, config in registered_classes if kind == auto_class}
    return sorted(types)


def auto_classes_of(class_name: str) -> list[str]:
    """The Auto classes that lead to a class: "BertForMaskedLM" -> ["AutoModelForMaskedLM"]. Empty for unknown names."""
    found = [kind for row in ARCHITECTURES.values() for kind, name in row.models.items() if name == class_name]
    return found + [kind for (kind, _), value in registered_classes.items() if value.__name__ == class_name]


def load_class(name: str) -> type:
    """A class by its public name: a large architecture's heads have files of their own."""
    return getattr(import_module(PACKAGE), name)


def config_class_for(model_type: str) -> type | None:
    if model_type in registered_configs:
        return registered_configs[model_type]
    row = ARCHITECTURES.get(model_type)
    return None if row is None else load_class(row.config)


def row_of(config_class: type) -> Architecture | None:
    """The table row of a config class; None for a class of somebody else's, even one derived from ours."""
    row = ARCHITECTURES.get(getattr(config_class, "model_type", ""))
    if row is None or (config_class.__module__, config_class.__name__) != (f"{PACKAGE}.{row.module}", row.config):
        return None
    return row


def check_register(auto_class: str, config_class: type, value: type, exist_ok: bool) -> None:
    row = row_of(config_class)
    taken = registered_classes.get((auto_class, config_class)) or (row is not None and row.models.get(auto_class))
    if taken and not exist_ok:
        raise ValueError(
            f"{auto_class} already has {getattr(taken, '__name__', taken)} for {config_class.__name__}; "
            f"to replace it with {value.__name__} pass exist_ok=True"
        )


class NotBuilt:
    """Auto classes have class methods only: the object that they return is of another class."""

    def __init__(self, *args, **kwargs):
        name = type(self).__name__
        ways = f"`{name}.from_pretrained(name)`"
        if hasattr(self, "from_config"):
            ways += f" or `{name}.from_config(config)`"
        raise OSError(f"{name} can't be built directly; use {ways}")


def config_class_of(fields: dict, name) -> type:
    """The config class for the fields of a config.json."""
    model_type = model_type_of(fields, name, model_types())
    config_class = config_class_for(model_type)
    if config_class is None:
        raise ValueError(f"{name}: {unknown_type(repr(model_type))}")
    return config_class


def model_type_of(fields: dict, name, known) -> str:
    """The model type that a config.json says."""
    model_type = fields.get("model_type")
    if model_type is None:
        # Checkpoints from before there was a model_type often say it in their name: bert-base-uncased.
        model_type = next((kind for kind in sorted(known, key=len, reverse=True) if kind in str(name)), None)
    if model_type is None:
        raise ValueError(f"{name}: its config.json says no model_type. {unknown_type('None')}")
    return model_type


def unknown_type(model_type: str) -> str:
    return f"the model type {model_type} is not one of those that exist here: {', '.join(model_types())}"
