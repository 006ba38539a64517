"""Memory and work of a training step on pictures: predicted as measured, and as counted by hand."""

import numpy as np
import pytest

from edutransformers import (
    AdamW,
    ViTConfig,
    ViTForImageClassification,
    ViTForMaskedImageModeling,
    flops_report,
    memory_report,
)

CONFIG = {
    "image_size": 64, "patch_size": 8, "encoder_stride": 8, "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 128, "num_labels": 3,
}  # fmt: skip


def classifier(height=64, width=64):
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((8, 3, height, width), dtype=np.float32)
    batch = {"pixel_values": pixels, "labels": np.arange(8) % 3}
    if (height, width) != (64, 64):
        batch["interpolate_pos_encoding"] = True
    return ViTForImageClassification(ViTConfig(**CONFIG), generator=rng), batch


def painter():
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((8, 3, 64, 64), dtype=np.float32)
    batch = {"pixel_values": pixels, "bool_masked_pos": rng.random((8, 64)) < 0.5}
    return ViTForMaskedImageModeling(ViTConfig(**CONFIG), generator=rng), batch


@pytest.mark.parametrize("make", [classifier, painter, lambda: classifier(80, 40)], ids=["classes", "painting", "wide"])
def test_the_prediction_is_what_is_measured(make):
    model, batch = make()
    report = memory_report(model, batch, AdamW(model, lr=1e-3), measure=True)
    assert report.peak == pytest.approx(report.measured, rel=0.03)
    assert report.predict(batch_size=16).peak > 1.4 * report.peak


def test_the_work_of_a_batch():
    model, batch = classifier()
    report = flops_report(model, batch)
    B, N, D, F, pixels = 8, 64, 64, 128, 3 * 8 * 8
    T = N + 1
    patches = 2 * B * N * D * pixels
    layer = 2 * B * T * (4 * D * D + 2 * D * F) + 4 * B * T * T * D
    assert report.of("forward") == patches + 2 * layer + 2 * B * D * 3
    assert report.of("backward") == 2 * report.of("forward")
