"""ViT in every shape: one table of cases for the reference and legacy tests, the fixtures and the default run."""

from __future__ import annotations

import numpy as np

from edutransformers import ViTConfig
from edutransformers.layers.patch_embedding import pair

from .cases import BATCH, Case, labels_of_example, make_model, sealed
from .seeded import seeded_integers, seeded_normal

TINY = {
    "hidden_size": 18,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 29,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "image_size": 12,
    "patch_size": 4,
    "num_channels": 2,
    "encoder_stride": 4,
}

VIT, CLASSIFIER, MASKED = "ViTModel", "ViTForImageClassification", "ViTForMaskedImageModeling"
FIVE = {"num_labels": 5}
HIDDEN = ("hidden",)

HEADS = {
    "model": Case(VIT, inputs=()),
    "classes": Case(CLASSIFIER, FIVE, (), "classes"),
    "one_number": Case(CLASSIFIER, {"num_labels": 1}, (), "number"),
    "numbers": Case(CLASSIFIER, {**FIVE, "problem_type": "regression"}, (), "numbers"),
    "several_labels": Case(CLASSIFIER, FIVE, (), "several"),
    "masked_image": Case(MASKED, inputs=HIDDEN, labels="hidden"),
}

# Sizes of pictures that differ from the model's are inputs: "16x24" is 16 pixels high and 24 wide.
VARIANTS = {
    "one_layer": Case(VIT, {"num_hidden_layers": 1}, ()),
    "three_layers": Case(CLASSIFIER, {**FIVE, "num_hidden_layers": 3}, (), "classes"),
    "one_head": Case(VIT, {"num_attention_heads": 1}, ()),
    "no_qkv_bias": Case(CLASSIFIER, {**FIVE, "qkv_bias": False}, (), "classes"),
    **{
        f"act_{name}": Case(CLASSIFIER, {**FIVE, "hidden_act": name}, (), "classes")
        for name in ("relu", "silu", "gelu_new", "quick_gelu")
    },
    "large_epsilon": Case(CLASSIFIER, {**FIVE, "layer_norm_eps": 1e-3}, (), "classes"),
    "one_channel": Case(MASKED, {"num_channels": 1}, HIDDEN, "hidden"),
    "one_patch": Case(CLASSIFIER, {**FIVE, "image_size": 4}, (), "classes"),
    "small_patches": Case(MASKED, {"patch_size": 2, "encoder_stride": 2}, HIDDEN, "hidden"),
    "a_rest_of_pixels": Case(VIT, {"image_size": 15}, ()),
    "wide_pictures": Case(CLASSIFIER, {**FIVE, "image_size": [8, 12]}, (), "classes"),
    "wide_patches": Case(CLASSIFIER, {**FIVE, "image_size": [12, 10], "patch_size": [3, 5]}, (), "classes"),
    "nothing_hidden": Case(MASKED, inputs=()),
    "larger_strides": Case(MASKED, {"encoder_stride": 5}, ()),
    "larger_pictures": Case(VIT, inputs=("16x24",)),
    "smaller_pictures": Case(CLASSIFIER, FIVE, ("8x4",), "classes"),
    "longer_pictures": Case(CLASSIFIER, FIVE, ("36x4",), "classes"),  # as many patches, arranged in another way
    "the_same_size_interpolated": Case(CLASSIFIER, FIVE, ("12x12",), "classes"),
    "larger_with_a_rest": Case(VIT, inputs=("17x22",)),
}

# What transformers 5.x has and 4.34.1 has not.
POOLERS = {
    "wide_pooler": Case(VIT, {"pooler_output_size": 7}, ()),
    "relu_pooler": Case(VIT, {"pooler_act": "relu"}, ()),
}

# What transformers 5.x dropped; 4.34.1 is asked for these.
LEGACY = {
    "head_mask": Case(CLASSIFIER, FIVE, ("head_mask",), "classes"),
    "head_mask_of_layers": Case(MASKED, inputs=("hidden", "head_mask_of_layers"), labels="hidden"),
}

CASES = {**HEADS, **VARIANTS, **POOLERS}
STORED = {**CASES, **LEGACY}


def stored_runs(name: str) -> dict[str, tuple[str, ...] | None]:
    """Which backward passes a fixture holds: from the loss for the heads; from random gradients for all cases."""
    with_loss = name in HEADS and HEADS[name].labels
    return {"loss": ("loss",), "random": None} if with_loss else {"random": None}


def config_of(case: Case) -> ViTConfig:
    return ViTConfig(**{**TINY, **case.config})


def model_of(case: Case, dtype="float64"):
    return make_model(case, config_of(case), dtype)


def batch_of(case: Case, dtype="float64") -> dict[str, np.ndarray]:
    """Pictures, which patches are hidden, and labels, by the name of the model's argument. Read-only."""
    config = config_of(case)
    other_size = next((entry for entry in case.inputs if entry[0].isdigit()), None)
    height, width = map(int, other_size.split("x")) if other_size else pair(config.image_size)
    shape = (BATCH, config.num_channels, height, width)
    batch = {"pixel_values": seeded_normal("pixel_values", shape).astype(dtype)}
    if other_size:
        batch["interpolate_pos_encoding"] = True
    if "hidden" in case.inputs:
        P, Q = pair(config.patch_size)
        batch["bool_masked_pos"] = seeded_integers("hidden", 0, 2, (BATCH, (height // P) * (width // Q))) == 1
    if "head_mask" in case.inputs:
        batch["head_mask"] = np.array([1.0, 0.0, 0.4], dtype=dtype)
    if "head_mask_of_layers" in case.inputs:
        batch["head_mask"] = np.array([[0.0, 1.0, 0.7], [0.3, 0.0, 1.0]], dtype=dtype)
    batch["output_hidden_states"] = batch["output_attentions"] = True
    if case.labels != "hidden":
        batch.update(labels_of_example(case.labels, config, dtype))
    return sealed(batch)
