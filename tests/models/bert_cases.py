"""BERT in every shape: one table of cases for the reference tests, the legacy tests, the fixtures and the default run.

A case is a class, changes to a small odd config, and a batch. Sizes are all different and none is a round number, so
that swapped axes can't go unnoticed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

import edutransformers
from edutransformers import BertConfig

from .seeded import seed_weights, seeded_integers, seeded_normal

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models"

TINY = {
    "vocab_size": 31,
    "hidden_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
    "max_position_embeddings": 13,
    "type_vocab_size": 3,
    "use_cache": False,
}
BATCH, TOKENS, CHOICES, SOURCE_TOKENS = 4, 7, 3, 5
LENGTHS = (7, 5, 2, 1)  # real tokens of each text; the rest is padding


class Case(NamedTuple):
    model: str  # the class's name
    config: dict = {}  # changes to TINY
    inputs: tuple[str, ...] = ("padding", "segments")  # what is passed besides the ids: see `batch_of`
    labels: str | None = None


BERT = "BertModel"
CLASSIFIER = "BertForSequenceClassification"
DECODER = {"is_decoder": True}
CROSS = {"is_decoder": True, "add_cross_attention": True}
SOURCE = ("padding", "source", "source_padding")

HEADS = {
    "model": Case(BERT),
    "pretraining": Case("BertForPreTraining", labels="pretraining"),
    "masked_lm": Case("BertForMaskedLM", labels="words"),
    "causal_lm": Case("BertLMHeadModel", DECODER, labels="words"),
    "lm_head_sees_all": Case("BertLMHeadModel", labels="words"),
    "next_sentence": Case("BertForNextSentencePrediction", labels="binary"),
    "classes": Case(CLASSIFIER, {"num_labels": 5}, labels="classes"),
    "classes_named": Case(
        CLASSIFIER, {"num_labels": 5, "problem_type": "single_label_classification"}, labels="classes"
    ),
    "one_number": Case(CLASSIFIER, {"num_labels": 1}, labels="number"),
    "numbers": Case(CLASSIFIER, {"num_labels": 5, "problem_type": "regression"}, labels="numbers"),
    "several_labels": Case(CLASSIFIER, {"num_labels": 5}, labels="several"),
    "multiple_choice": Case("BertForMultipleChoice", labels="choice"),
    "token_classes": Case("BertForTokenClassification", {"num_labels": 5}, labels="tokens"),
    "question_answering": Case("BertForQuestionAnswering", labels="span"),
}

ACTIVATIONS = ("relu", "silu", "swish", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "quick_gelu",
               "tanh", "sigmoid", "linear")  # fmt: skip

VARIANTS = {
    "one_layer": Case(BERT, {"num_hidden_layers": 1}),
    "three_layers": Case(BERT, {"num_hidden_layers": 3}),
    "one_head": Case(BERT, {"num_attention_heads": 1}),
    **{f"act_{name}": Case("BertForMaskedLM", {"hidden_act": name}, labels="words") for name in ACTIVATIONS},
    "pad_id_5": Case("BertForMaskedLM", {"pad_token_id": 5}, labels="words"),
    "no_pad_id": Case("BertForMaskedLM", {"pad_token_id": None}, labels="words"),
    "one_segment": Case(BERT, {"type_vocab_size": 1}, ("padding",)),
    "large_epsilon": Case("BertForMaskedLM", {"layer_norm_eps": 1e-3}, labels="words"),
    "untied": Case("BertForMaskedLM", {"tie_word_embeddings": False}, labels="words"),
    "untied_pretraining": Case("BertForPreTraining", {"tie_word_embeddings": False}, labels="pretraining"),
    "no_mask": Case(BERT, inputs=()),
    "mask_with_holes": Case(BERT, inputs=("holes",)),
    "matrix_mask": Case(BERT, inputs=("matrix", "segments")),
    "matrix_mask_decoder": Case(BERT, DECODER, ("matrix",)),
    "positions": Case(BERT, inputs=("padding", "positions")),
    "shared_positions": Case(BERT, inputs=("padding", "shared_positions")),
    "embeds": Case("BertForPreTraining", inputs=("padding", "embeds"), labels="pretraining"),
    "embeds_classes": Case(CLASSIFIER, {"num_labels": 5}, ("padding", "embeds"), "classes"),
    "embeds_choices": Case("BertForMultipleChoice", inputs=("padding", "embeds"), labels="choice"),
    "positions_choices": Case("BertForMultipleChoice", inputs=("padding", "positions"), labels="choice"),
    "decoder": Case(BERT, DECODER),
    "cross_attention": Case(BERT, CROSS, SOURCE),
    "cross_attention_no_masks": Case(BERT, CROSS, ("source",)),
    "cross_attention_no_source": Case(BERT, CROSS),
    "cross_attention_lm": Case("BertLMHeadModel", CROSS, (*SOURCE, "segments", "embeds"), "words"),
    "cross_attention_masked_lm": Case("BertForMaskedLM", CROSS, SOURCE, "words"),
    "chunks": Case(BERT, {"chunk_size_feed_forward": 1}),
    "one_token": Case("BertForMaskedLM", inputs=("one_token",), labels="words"),
    "number_column": Case(CLASSIFIER, {"num_labels": 1}, labels="number_column"),
    "single_and_column": Case(CLASSIFIER, {"num_labels": 5}, labels="classes_column"),
    "next_sentence_column": Case("BertForNextSentencePrediction", labels="binary_column"),
    "pretraining_column": Case("BertForPreTraining", labels="pretraining_column"),
    "span_column": Case("BertForQuestionAnswering", labels="span_column"),
}

# What transformers 5.x dropped; 4.34.1 is asked for these.
RELATIVE = {"relative_key": {"position_embedding_type": "relative_key"},
            "relative_key_query": {"position_embedding_type": "relative_key_query"}}  # fmt: skip
LEGACY = {
    **{kind: Case("BertForMaskedLM", change, labels="words") for kind, change in RELATIVE.items()},
    **{f"{kind}_no_mask": Case(BERT, change, ()) for kind, change in RELATIVE.items()},
    **{f"{kind}_decoder": Case(BERT, {**change, **DECODER}) for kind, change in RELATIVE.items()},
    **{f"{kind}_cross": Case(BERT, {**change, **CROSS}, SOURCE) for kind, change in RELATIVE.items()},
    **{
        f"{kind}_all_positions": Case(BERT, {**change, "max_position_embeddings": TOKENS})
        for kind, change in RELATIVE.items()
    },
    "head_mask": Case(CLASSIFIER, {"num_labels": 5}, ("padding", "head_mask"), "classes"),
    "head_mask_of_layers": Case(BERT, inputs=("padding", "head_mask_of_layers")),
    "head_mask_cross": Case(BERT, CROSS, (*SOURCE, "head_mask_of_layers")),
    "head_mask_relative": Case(BERT, RELATIVE["relative_key_query"], ("padding", "head_mask")),
}

CASES = {**HEADS, **VARIANTS}

# What the default run proves from stored numbers. (The label columns only have to equal the plain labels, and the other
# activations have tests of their own; the reference tests ask the original about all of them.)
LEFT_OUT = {name for name in VARIANTS if name.endswith("column")}
LEFT_OUT |= {f"act_{name}" for name in ("swish", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "linear", "sigmoid")}
STORED = {name: case for name, case in {**CASES, **LEGACY}.items() if name not in LEFT_OUT}


def stored_runs(name: str) -> dict[str, tuple[str, ...] | None]:
    """Which backward passes a fixture holds: from the loss for the heads; from random gradients for all cases."""
    with_loss = name in HEADS and HEADS[name].labels
    return {"loss": ("loss",), "random": None} if with_loss else {"random": None}


def config_of(case: Case) -> BertConfig:
    return BertConfig(**{**TINY, **case.config})


def model_of(case: Case, dtype="float64"):
    """The model in evaluation mode, its weights drawn by name."""
    model = getattr(edutransformers, case.model)(config_of(case)).astype(dtype).eval()
    seed_weights(model)
    return model


def batch_of(case: Case, dtype="float64") -> dict[str, np.ndarray]:
    """The inputs and labels by the name of the model's argument. Read-only: a forward pass must not write into them."""
    config = config_of(case)
    leading = (BATCH, CHOICES) if "Choice" in case.model else (BATCH,)
    T = 1 if "one_token" in case.inputs else TOKENS
    shape = (*leading, T)
    real = np.broadcast_to(np.arange(T) < np.minimum(LENGTHS, T)[:, None], (BATCH, T))
    real = np.broadcast_to(real.reshape(BATCH, *[1] * (len(leading) - 1), T), shape).copy()
    if len(leading) == 2:
        real[1, 0, 3:] = False  # the choices of one question are not equally long

    batch = {}
    if "embeds" in case.inputs:
        batch["inputs_embeds"] = seeded_normal("inputs_embeds", (*shape, config.hidden_size)).astype(dtype)
    else:
        ids = seeded_integers("input_ids", 1, config.vocab_size, shape)
        ids[0, ..., -1] = ids[0, ..., 0]  # at least one id is there twice, in one text
        batch["input_ids"] = np.where(real, ids, config.pad_token_id or 0)
        batch["input_ids"][0, ..., 0] = config.pad_token_id or 0  # a padding id that is looked at: still no gradient
    if "padding" in case.inputs:
        batch["attention_mask"] = real.astype(np.int64)
    if "holes" in case.inputs:
        batch["attention_mask"] = seeded_integers("holes", 0, 2, shape)
        batch["attention_mask"][..., 2] = 1
    if "matrix" in case.inputs:
        batch["attention_mask"] = seeded_integers("matrix", 0, 2, (*shape, T))
        batch["attention_mask"][..., 0] = 1
    if "segments" in case.inputs:
        batch["token_type_ids"] = seeded_integers("token_type_ids", 0, config.type_vocab_size, shape)
    if "positions" in case.inputs:
        batch["position_ids"] = seeded_integers("position_ids", 0, config.max_position_embeddings, shape)
    if "shared_positions" in case.inputs:
        batch["position_ids"] = seeded_integers("position_ids", 0, config.max_position_embeddings, (1, T))
    if "source" in case.inputs:
        source = seeded_normal("encoder_hidden_states", (BATCH, SOURCE_TOKENS, config.hidden_size))
        batch["encoder_hidden_states"] = source.astype(dtype)
    if "source_padding" in case.inputs:
        seen = np.arange(SOURCE_TOKENS) < np.array([5, 1, 4, 2])[:, None]
        batch["encoder_attention_mask"] = seen.astype(np.int64)
    if "head_mask" in case.inputs:
        batch["head_mask"] = np.array([1.0, 0.0, 0.4], dtype=dtype)
    if "head_mask_of_layers" in case.inputs:
        batch["head_mask"] = np.array([[0.0, 1.0, 0.7], [0.3, 0.0, 1.0]], dtype=dtype)
    batch["output_hidden_states"] = batch["output_attentions"] = True
    batch.update(labels_of(case, config, T, real, dtype))
    for x in batch.values():
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    return batch


def labels_of(case: Case, config, T: int, real, dtype) -> dict[str, np.ndarray]:
    kind = case.labels
    whole = lambda name, high, shape=(BATCH,): seeded_integers(f"labels {name}", 0, high, shape)  # noqa: E731
    counted = seeded_integers("counted", 0, 3, (BATCH, T)) > 0
    words = np.where(counted, whole("words", config.vocab_size, (BATCH, T)), -100)
    span = {
        "start_positions": np.array([1, 0, T + 4, -2]),  # cut off, and negative: both occur in real data
        "end_positions": np.array([T - 1, T, 3, 0]),
    }
    return {
        None: dict,
        "words": lambda: {"labels": words},
        "pretraining": lambda: {"labels": words, "next_sentence_label": whole("next", 2)},
        "pretraining_column": lambda: {"labels": words, "next_sentence_label": whole("next", 2, (BATCH, 1))},
        "binary": lambda: {"labels": whole("next", 2)},
        "binary_column": lambda: {"labels": whole("next", 2, (BATCH, 1))},
        "classes": lambda: {"labels": whole("classes", config.num_labels)},
        "classes_column": lambda: {"labels": whole("classes", config.num_labels, (BATCH, 1))},
        "number": lambda: {"labels": seeded_normal("number", BATCH).astype(dtype)},
        "number_column": lambda: {"labels": seeded_normal("number", (BATCH, 1)).astype(dtype)},
        "numbers": lambda: {"labels": seeded_normal("numbers", (BATCH, config.num_labels)).astype(dtype)},
        "several": lambda: {"labels": whole("several", 2, (BATCH, config.num_labels)).astype(dtype)},
        "choice": lambda: {"labels": whole("choice", CHOICES)},
        "tokens": lambda: {"labels": np.where(real, whole("tokens", config.num_labels, (BATCH, T)), -100)},
        "span": lambda: span,
        "span_column": lambda: {name: x[:, None] for name, x in span.items()},
    }[kind]()
