"""One run of the original's Trainer (4.34.1) that ours repeats: model, data, arguments, and its frozen results.

Gradient accumulation with a rest (11 batches an epoch, 2 a step), warm-up and cosine, decay, clipping, evaluation every
epoch. tests/reference/test_training_reference.py runs the original again and compares; called as a
script in an environment with transformers 4.34 and accelerate it writes original_run.json.
"""

import json
from pathlib import Path

import numpy as np

from edutransformers import BertConfig, BertForSequenceClassification
from edutransformers.training import Trainer
from tests.models.seeded import seed_weights, seeded_integers

FILE = Path(__file__).parent / "original_run.json"
ARGUMENTS = {
    "per_device_train_batch_size": 4, "per_device_eval_batch_size": 4, "gradient_accumulation_steps": 2,
    "num_train_epochs": 3, "learning_rate": 5e-3, "weight_decay": 0.1, "warmup_steps": 3, "logging_steps": 2,
    "save_strategy": "no", "lr_scheduler_type": "cosine", "disable_tqdm": True,
}  # fmt: skip


def original_run_model():
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config).astype("float64")
    seed_weights(model)
    return model


def original_run_items(name: str, count: int, length=8):
    ids = seeded_integers(f"{name} ids", 0, 40, (count, length))
    lengths = seeded_integers(f"{name} lengths", 2, length + 1, count)
    labels = seeded_integers(f"{name} labels", 0, 3, count)
    masks = (np.arange(length) < lengths[:, None]).astype(np.int64)
    return [{"input_ids": i, "attention_mask": m, "labels": y} for i, m, y in zip(ids, masks, labels)]


class InOrder(Trainer):
    """The items in their order, and each batch's loss with all digits."""

    def _get_train_sampler(self):
        return range(len(self.train_dataset))

    def compute_loss(self, model, inputs):
        loss, outputs, cache = super().compute_loss(model, inputs)
        if model.training:
            self.losses = [*getattr(self, "losses", []), float(loss)]
        return loss, outputs, cache


def comparable(history):
    """Logs without times."""
    left_out = ("runtime", "per_second", "total_flos")
    return [{k: v for k, v in log.items() if not k.endswith(left_out)} for log in history]


def fingerprint(weights):
    """(sum, norm) of each array: enough to tell a wrong one."""
    return {name: [float(np.sum(w)), float(np.linalg.norm(w))] for name, w in sorted(weights.items())}


def frozen():
    return json.loads(FILE.read_text())
