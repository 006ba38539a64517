"""A tiny ViT with random weights, for the pipelines' tests."""

from __future__ import annotations

import numpy as np

from edutransformers import ViTConfig, ViTImageProcessor
from edutransformers.models.base import PreTrainedModel
from edutransformers.models.outputs import ImageClassifierOutput
from edutransformers.module import Parameter, keep

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 8,
    "patch_size": 4,
    "initializer_range": 0.3,  # far from uniform scores
}


def tiny_vit(model_class, seed: int = 0, **fields):
    return model_class(ViTConfig(**{**SIZES, **fields}), generator=np.random.default_rng(seed)).eval()


def processor(**settings) -> ViTImageProcessor:
    return ViTImageProcessor(**{"size": 8, **settings})


class MeanColour(PreTrainedModel):
    """Logits: the mean of each channel of pixel_values, times `scale`."""

    config_class = ViTConfig
    main_input_name = "pixel_values"

    def build(self, config):
        self.scale = Parameter(np.float32([10.0]))

    def forward(self, pixel_values):
        assert pixel_values.dtype == self.dtype
        return ImageClassifierOutput(logits=self.scale.data * pixel_values.mean(axis=(2, 3))), keep()


def mean_colour(**fields) -> MeanColour:
    return MeanColour(ViTConfig(**{"id2label": {0: "red", 1: "green", 2: "blue"}, **fields})).eval()
