"""Wav2Vec2 in every shape: one table of cases for the reference and legacy tests, the fixtures and the default run."""

from __future__ import annotations

import numpy as np

from edutransformers import Wav2Vec2Config

from .cases import BATCH, Case, labels_of_example, make_model, sealed, whole
from .seeded import seeded_integers, seeded_normal

SAMPLES, FRAMES = 100, 7
LENGTHS = (100, 76, 64, 41)  # real samples of each recording; the rest is padding
FRAME_LENGTHS = (7, 5, 4, 3)  # what the tiny convolutions make of them
NEGATIVES = 5

TINY = {
    "vocab_size": 11,
    "hidden_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
    "conv_dim": [6, 7, 8],
    "conv_stride": [3, 2, 2],
    "conv_kernel": [5, 3, 2],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 3,
    "mask_time_prob": 0.0,
    "mask_time_length": 2,
    "mask_feature_length": 3,
    "classifier_proj_size": 13,
    "num_codevectors_per_group": 7,
    "codevector_dim": 10,
    "proj_codevector_dim": 9,
    "num_negatives": NEGATIVES,
    "tdnn_dim": [16, 15],
    "tdnn_kernel": [2, 1],
    "tdnn_dilation": [2, 1],
    "xvector_output_dim": 14,
}

BASE, CTC, CLASSIFIER = "Wav2Vec2Model", "Wav2Vec2ForCTC", "Wav2Vec2ForSequenceClassification"
FRAME, XVECTOR, PRETRAINING = "Wav2Vec2ForAudioFrameClassification", "Wav2Vec2ForXVector", "Wav2Vec2ForPreTraining"
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
HIDES = {"mask_time_prob": 0.3}
FIVE = {"num_labels": 5}
HIDDEN = ("padding", "hidden")

HEADS = {
    "model": Case(BASE),
    "large": Case(BASE, LARGE),
    "ctc": Case(CTC, labels="letters"),
    "ctc_large": Case(CTC, LARGE, labels="letters"),
    "classes": Case(CLASSIFIER, FIVE, labels="classes"),
    "frame_classes": Case(FRAME, FIVE, labels="frames"),
    "xvector": Case(XVECTOR, FIVE, labels="classes"),
    "pretraining": Case(PRETRAINING, HIDES, HIDDEN, labels="negatives"),
}

VARIANTS = {
    "no_mask": Case(BASE, inputs=()),
    "large_no_mask": Case(BASE, LARGE, ()),
    "group_norm_stable": Case(BASE, {"do_stable_layer_norm": True}),
    "layer_norm_post": Case(BASE, {"feat_extract_norm": "layer"}),
    "one_layer": Case(BASE, {"num_hidden_layers": 1}),
    "three_layers": Case(CTC, {"num_hidden_layers": 3}, labels="letters"),
    "one_head": Case(BASE, {"num_attention_heads": 1}),
    "other_activations": Case(CTC, {"hidden_act": "gelu_new", "feat_extract_activation": "relu"}, labels="letters"),
    "large_epsilon": Case(CTC, {"layer_norm_eps": 1e-3}, labels="letters"),
    "biases": Case(BASE, {"conv_bias": True}),
    "odd_positions": Case(BASE, {"num_conv_pos_embeddings": 5, "num_conv_pos_embedding_groups": 2}),
    "one_convolution": Case(BASE, {"conv_dim": [6], "conv_stride": [13], "conv_kernel": [17]}),
    "hidden": Case(CTC, HIDES, HIDDEN, "letters"),
    "hidden_large": Case(CTC, {**LARGE, **HIDES}, ("hidden",), "letters"),
    "no_spec_augment": Case(BASE, {**HIDES, "apply_spec_augment": False}, HIDDEN),
    "adapter": Case(BASE, {"add_adapter": True, "num_adapter_layers": 1, "layerdrop": 0.0}),
    "adapter_of_another_width": Case(
        CTC, {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 10, **LARGE}, (), "one_letter"
    ),
    "adapter_odd": Case(
        BASE, {"add_adapter": True, "num_adapter_layers": 1, "adapter_kernel_size": 5, "adapter_stride": 3}, ()
    ),
    "attention_adapter": Case(CTC, {**LARGE, "adapter_attn_dim": 4}, labels="letters"),
    "ctc_no_mask": Case(CTC, inputs=(), labels="letters"),
    "ctc_mean": Case(CTC, {"ctc_loss_reduction": "mean"}, labels="letters"),
    "ctc_blank_4": Case(CTC, {"pad_token_id": 4}, labels="letters"),
    "ctc_too_long": Case(CTC, {"ctc_zero_infinity": True}, labels="too_many_letters"),
    "ctc_holes": Case(CTC, labels="letters_with_holes"),
    "classes_mix": Case(CLASSIFIER, {**FIVE, "use_weighted_layer_sum": True}, labels="classes"),
    "classes_mix_large": Case(CLASSIFIER, {**FIVE, **LARGE, "use_weighted_layer_sum": True}, labels="classes"),
    "classes_no_mask": Case(CLASSIFIER, FIVE, (), "classes"),
    "frame_classes_mix": Case(FRAME, {**FIVE, "use_weighted_layer_sum": True}, (), "frames"),
    "xvector_no_mask": Case(XVECTOR, {**FIVE, **LARGE}, (), "classes"),
    "xvector_mix": Case(
        XVECTOR, {**FIVE, "use_weighted_layer_sum": True, "tdnn_dim": [15, 12, 17], "tdnn_kernel": [3, 1, 2],
                  "tdnn_dilation": [1, 2, 1]}, (), "classes"
    ),
    "pretraining_no_mask": Case(PRETRAINING, {**HIDES, **LARGE}, ("hidden",), "negatives"),
    "pretraining_three_groups": Case(
        PRETRAINING, {**HIDES, "num_codevector_groups": 3, "codevector_dim": 12, "contrastive_logits_temperature": 0.5,
                      "diversity_loss_weight": 0.7}, HIDDEN, "negatives"
    ),
}  # fmt: skip

CASES = {**HEADS, **VARIANTS}
LEGACY: dict[str, Case] = {}

LEFT_OUT = {"three_layers", "one_head", "large_epsilon", "ctc_holes", "biases"}
STORED = {name: case for name, case in CASES.items() if name not in LEFT_OUT}


def stored_runs(name: str) -> dict[str, tuple[str, ...] | None]:
    """Which backward passes a fixture holds: from the loss where there is one; from random gradients for all cases."""
    return {"loss": losses_of(CASES[name]), "random": None} if CASES[name].labels else {"random": None}


def losses_of(case: Case) -> tuple[str, ...]:
    return ("loss", "contrastive_loss", "diversity_loss") if case.labels == "negatives" else ("loss",)


def config_of(case: Case) -> Wav2Vec2Config:
    return Wav2Vec2Config(**{**TINY, **case.config})


def model_of(case: Case, dtype="float64"):
    return make_model(case, config_of(case), dtype)


def batch_of(case: Case, dtype="float64") -> dict[str, np.ndarray]:
    config = config_of(case)
    real = np.arange(SAMPLES) < np.array(LENGTHS)[:, None]
    batch = {"input_values": seeded_normal("input_values", (BATCH, SAMPLES)).astype(dtype)}
    if "padding" in case.inputs:
        batch["input_values"] *= real
        batch["attention_mask"] = real.astype(np.int64)
    if "hidden" in case.inputs:
        batch["mask_time_indices"] = hidden_frames()
    batch["output_hidden_states"] = batch["output_attentions"] = True
    batch.update(labels_of(case, config, dtype))
    return sealed(batch)


def hidden_frames() -> np.ndarray:
    """(B, T): two hidden frames or more a recording, none of them padding."""
    hidden = seeded_integers("hidden frames", 0, 2, (BATCH, FRAMES)) == 1
    hidden[:, :2] = True
    return hidden & (np.arange(FRAMES) < np.array(FRAME_LENGTHS)[:, None])


def labels_of(case: Case, config, dtype) -> dict[str, np.ndarray]:
    letters = np.array(
        [[5, 2, 2, 7, 10], [3, 3, -100, -100, -100], [9, 1, -100, -100, -100], [6, -100, -100, -100, -100]]
    )
    kinds = {
        "letters": lambda: {"labels": letters},
        "one_letter": lambda: {"labels": letters[:, :1]},
        "too_many_letters": lambda: {"labels": np.where(letters < 0, 8, letters)},
        "letters_with_holes": lambda: {"labels": np.where(letters == 2, -100, np.where(letters == 3, 0, letters))},
        "frames": lambda: {"labels": np.eye(config.num_labels, dtype=dtype)[
            whole("frames", config.num_labels, (BATCH, FRAMES))
        ]},
        "negatives": lambda: {
            "sampled_negative_indices": seeded_integers("negatives", 0, BATCH * FRAMES, (BATCH, FRAMES, NEGATIVES))
        },
    }  # fmt: skip
    return kinds[case.labels]() if case.labels in kinds else labels_of_example(case.labels, config, dtype)
