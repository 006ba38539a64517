"""GPT-2 in every shape: one table of cases for the reference and legacy tests, the fixtures and the default run."""

from __future__ import annotations

import numpy as np

from edutransformers import GPT2Config

from .cases import Case, make_batch, make_model

TINY = {
    "vocab_size": 31,
    "n_embd": 18,
    "n_layer": 2,
    "n_head": 3,
    "n_positions": 13,
    "bos_token_id": 30,
    "eos_token_id": 30,
    "use_cache": False,
}

GPT2, LM, CLASSIFIER = "GPT2Model", "GPT2LMHeadModel", "GPT2ForSequenceClassification"
CROSS = {"add_cross_attention": True}
SOURCE = ("padding", "source", "source_padding")
PAD = {"pad_token_id": 0}

HEADS = {
    "model": Case(GPT2),
    "lm": Case(LM, labels="words"),
    "double_heads": Case("GPT2DoubleHeadsModel", labels="words_and_choice"),
    "classes": Case(CLASSIFIER, {**PAD, "num_labels": 5}, labels="classes"),
    "one_number": Case(CLASSIFIER, {**PAD, "num_labels": 1}, labels="number"),
    "several_labels": Case(CLASSIFIER, {**PAD, "num_labels": 5}, labels="several"),
    "token_classes": Case("GPT2ForTokenClassification", {"num_labels": 5}, labels="tokens"),
    "question_answering": Case("GPT2ForQuestionAnswering", labels="span"),
}

VARIANTS = {
    "one_layer": Case(GPT2, {"n_layer": 1}),
    "three_layers": Case(LM, {"n_layer": 3}, labels="words"),
    "one_head": Case(GPT2, {"n_head": 1}),
    "inner_width": Case(LM, {"n_inner": 29}, labels="words"),
    **{
        f"act_{name}": Case(LM, {"activation_function": name}, labels="words")
        for name in ("gelu", "relu", "silu", "tanh")
    },
    "unscaled": Case(LM, {"scale_attn_weights": False}, labels="words"),
    "scaled_by_layer": Case(LM, {"scale_attn_by_inverse_layer_idx": True, "n_layer": 3}, labels="words"),
    "large_epsilon": Case(LM, {"layer_norm_epsilon": 1e-3}, labels="words"),
    "untied": Case(LM, {"tie_word_embeddings": False}, labels="words"),
    "no_mask": Case(GPT2, inputs=()),
    "no_segments": Case(LM, inputs=("padding",), labels="words"),
    "positions": Case(GPT2, inputs=("padding", "positions")),
    "shared_positions": Case(GPT2, inputs=("padding", "shared_positions")),
    "embeds": Case(LM, inputs=("padding", "embeds"), labels="words"),
    "embeds_classes": Case(CLASSIFIER, {**PAD, "num_labels": 5}, ("padding", "embeds"), "classes"),
    "cross_attention": Case(GPT2, CROSS, SOURCE),
    "cross_attention_no_masks": Case(GPT2, CROSS, ("source",)),
    "cross_attention_no_source": Case(GPT2, CROSS),
    "cross_attention_lm": Case(LM, CROSS, (*SOURCE, "segments", "embeds"), "words"),
    "one_token": Case(LM, inputs=("one_token",)),
    **{
        f"summary_{name}": Case("GPT2DoubleHeadsModel", change, ("padding", "no_choices"), "words")
        for name, change in {
            "first": {"summary_type": "first"},
            "last": {"summary_type": "last"},
            "mean": {"summary_type": "mean"},
            "tanh": {"summary_activation": "tanh"},
            "wide": {"summary_proj_to_labels": False, "summary_activation": "tanh"},
            "alone": {"summary_use_proj": False},
        }.items()
    },
    "chosen_tokens": Case("GPT2DoubleHeadsModel", inputs=("padding", "mc_token_ids"), labels="words_and_choice"),
}

# What transformers 5.x dropped; 4.34.1 is asked for these.
LEGACY = {
    "head_mask": Case(LM, inputs=("padding", "head_mask"), labels="words"),
    "head_mask_cross": Case(GPT2, CROSS, (*SOURCE, "head_mask_of_layers")),
}

CASES = {**HEADS, **VARIANTS}
STORED = {**CASES, **LEGACY}


def stored_runs(name: str) -> dict[str, tuple[str, ...] | None]:
    """Which backward passes a fixture holds: from the loss for the heads; from random gradients for all cases."""
    if name not in HEADS or not HEADS[name].labels:
        return {"random": None}
    losses = ("loss", "mc_loss") if HEADS[name].labels == "words_and_choice" else ("loss",)
    return {"loss": losses, "random": None}


def config_of(case: Case) -> GPT2Config:
    return GPT2Config(**{**TINY, **case.config})


def model_of(case: Case, dtype="float64"):
    return make_model(case, config_of(case), dtype)


def batch_of(case: Case, dtype="float64") -> dict[str, np.ndarray]:
    return make_batch(case, config_of(case), dtype)
