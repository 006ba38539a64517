"""The Trainer on items that are pictures: batches, losses, predictions."""

import numpy as np

from edutransformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, ViTForMaskedImageModeling

CONFIG = ViTConfig(
    image_size=16, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=32, encoder_stride=4,
)  # fmt: skip


def pictures(count):
    """Dark ones and light ones in noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    return [{"pixel_values": rng.normal(k, 0.2, (1, 16, 16)).astype("float32"), "labels": int(k)} for k in labels]


def arguments(folder, **more):
    return TrainingArguments(
        str(folder), num_train_epochs=3, per_device_train_batch_size=8, learning_rate=5e-3, save_strategy="no",
        report_to=[], disable_tqdm=True, **more,
    )  # fmt: skip


def test_a_classifier(tmp_path):
    items = pictures(40)
    trainer = Trainer(
        ViTForImageClassification(CONFIG, generator=np.random.default_rng(1)),
        arguments(tmp_path),
        train_dataset=items,
        eval_dataset=items[:20],
        compute_metrics=lambda p: {"accuracy": (p.predictions.argmax(axis=-1) == p.label_ids).mean()},
    )
    trainer.train()
    found = trainer.evaluate()
    assert found["eval_accuracy"] == 1
    assert trainer.predict(items[:20]).predictions.shape == (20, 2)


def test_painting_hidden_patches(tmp_path):
    """What is hidden stands for the label: without a label's name, evaluation must be told."""
    rng = np.random.default_rng(2)
    items = [{"pixel_values": x["pixel_values"], "bool_masked_pos": rng.random(16) < 0.5} for x in pictures(40)]
    model = ViTForMaskedImageModeling(CONFIG, generator=np.random.default_rng(1))
    trainer = Trainer(
        model, arguments(tmp_path, label_names=["bool_masked_pos"]), train_dataset=items, eval_dataset=items[:20]
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.8 * before
