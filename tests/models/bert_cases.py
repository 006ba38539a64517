"""BERT in every shape: one table of cases for the reference and legacy tests, the fixtures and the default run."""

from __future__ import annotations

import numpy as np

from edutransformers import BertConfig

from .cases import TOKENS, Case, make_batch, make_model

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
    return make_model(case, config_of(case), dtype)


def batch_of(case: Case, dtype="float64") -> dict[str, np.ndarray]:
    return make_batch(case, config_of(case), dtype)
