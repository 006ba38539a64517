"""A model small enough to train in a moment, and a task it can learn: is the first token above 25?"""

import numpy as np

from edutransformers import BertConfig, BertForSequenceClassification
from edutransformers.training import Trainer, TrainingArguments


def toy_model(seed=0, dropout=0.1, **config):
    fields = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 16, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout,
    }  # fmt: skip
    return BertForSequenceClassification(BertConfig(**{**fields, **config}), generator=np.random.default_rng(seed))


def toy_data(count, seed=0, length=6):
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(count):
        ids = rng.integers(5, 50, length)
        items.append({"input_ids": ids, "attention_mask": np.ones(length, dtype=int), "label": int(ids[0] > 25)})
    return items


def accuracy(prediction):
    logits, labels = prediction
    return {"accuracy": (logits.argmax(axis=-1) == labels).mean()}


def toy_trainer(folder, model=None, train=None, test=None, trainer_class=Trainer, arguments=None, **parts):
    """A Trainer that prints nothing; `arguments` go to TrainingArguments."""
    defaults = {"per_device_train_batch_size": 4, "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no"}
    return trainer_class(
        model if model is not None or "model_init" in parts else toy_model(),
        TrainingArguments(str(folder), **{**defaults, **(arguments or {})}),
        train_dataset=toy_data(20) if train is None else train,
        eval_dataset=toy_data(10, seed=1) if test is None else test,
        **parts,
    )


def weights_of(model):
    return {name: parameter.data.copy() for name, parameter in model.named_parameters()}


def assert_same_weights(first, second):
    for name, value in weights_of(first).items():
        np.testing.assert_array_equal(value, weights_of(second)[name], err_msg=name)
