"""The tokenizer and the model of a recipe: those of a checkpoint, or new ones."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ... import auto
from ...tokenizers import BertTokenizer
from .settings import ModelArguments

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = 8000  # tokens of a new vocabulary, unless --config says vocab_size


def tokenizer_and_model(auto_class, arguments: ModelArguments, max_seq_length: int, texts: Iterable[str], **labels):
    """-> (tokenizer, model), as `arguments` ask for.

    auto_class      AutoModelFor…: what head the model has
    max_seq_length  written into the tokenizer, so that a pipeline with truncation=True reads as much as training did
    texts           what a new vocabulary is made from; not looked at if there is a tokenizer
    labels          id2label, label2id, problem_type: fields of the config

    A head that the checkpoint lacks, or has for other labels, is drawn anew (the loader warns of it). Raises
    `ValueError` for settings that the architecture doesn't have and for a length that the model has no positions for.
    """
    if arguments.config is not None:
        tokenizer, model = _new_ones(auto_class, arguments, texts, labels)
    else:
        name = arguments.model_name_or_path
        config = auto.AutoConfig.from_pretrained(name, **labels)
        tokenizer = auto.AutoTokenizer.from_pretrained(arguments.tokenizer_name or name)
        if len(tokenizer) > config.vocab_size:
            raise ValueError(
                f"the tokenizer {arguments.tokenizer_name or name} has {len(tokenizer)} tokens, but the model {name} "
                f"only {config.vocab_size}: expected the tokenizer that the model was trained with"
            )
        model = auto_class.from_pretrained(name, config=config, ignore_mismatched_sizes=True)
    positions = getattr(model.config, "max_position_embeddings", max_seq_length)
    if max_seq_length > positions:
        raise ValueError(
            f"max_seq_length is {max_seq_length}, but the model has {positions} positions: expected at most"
        )
    tokenizer.model_max_length = max_seq_length
    return tokenizer, model


def _new_ones(auto_class, arguments: ModelArguments, texts: Iterable[str], labels: dict):
    """A model with the settings of --config, and a vocabulary of its own if no tokenizer is named."""
    settings = dict(_setting(word) for word in arguments.config)
    model_type = settings.pop("model_type", "bert")
    known = auto.AutoConfig.for_model(model_type)
    for name in settings:
        if not hasattr(known, name):
            raise ValueError(
                f"--config {name}={settings[name]}: the architecture {model_type!r} has no setting {name!r}"
            )
    if arguments.tokenizer_name is not None:
        tokenizer = auto.AutoTokenizer.from_pretrained(arguments.tokenizer_name)
    else:
        start = BertTokenizer(vocab=SPECIAL_TOKENS)
        size = settings.get("vocab_size", VOCABULARY)
        tokenizer = start.train_new_from_iterator(texts, size, limit_alphabet=100)
    settings["vocab_size"] = len(tokenizer)
    return tokenizer, auto_class.from_config(auto.AutoConfig.for_model(model_type, **settings, **labels))


def _setting(word: str) -> tuple[str, object]:
    """ "hidden_size=128" -> ("hidden_size", 128)"""
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise ValueError(f"--config {word}: expected name=value, as hidden_size=128")
    try:
        return name, json.loads(text)
    except json.JSONDecodeError:
        return name, text
