"""A BERT and its vocabulary learn from nothing, on sentences that every Python brings along."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from .. import plots
from ..docstrings import docstring_sentences
from .section import section

EPOCHS = 4


def train_from_nothing(folder: Path) -> str:
    """Training from nothing: which part of Python's standard library is a sentence about?"""
    from ... import (
        BertConfig,
        BertForSequenceClassification,
        BertTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )
    from ...training import ProgressCallback

    class Progress(ProgressCallback):
        """The progress bar, with one short line an epoch instead of every log."""

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "eval_accuracy" in logs:
                line = f"   epoch {logs['epoch']:.0f}: held-out sentences right {logs['eval_accuracy']:.1%}"
                self.training_bar.write(line)

    train, test, names = docstring_sentences()
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = tokenizer.train_new_from_iterator((row["text"] for row in train), vocab_size=2000, show_progress=False)
    print(f"   {len(train):,} docstring sentences to learn from, {len(test):,} held out; subjects: {', '.join(names)}")
    encoded = [
        [{**tokenizer(row["text"], truncation=True, max_length=48), "labels": row["label"]} for row in part]
        for part in (train, test)
    ]
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=48,
        hidden_dropout_prob=0.2,
        num_labels=len(names),
    )
    model = BertForSequenceClassification(config, generator=np.random.default_rng(0))
    steps_per_epoch = -(-len(train) // 32)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            learning_rate=2e-3,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            num_train_epochs=EPOCHS,
            warmup_ratio=0.1,
            weight_decay=0.01,
            evaluation_strategy="epoch",
            save_strategy="no",
            logging_steps=max(1, steps_per_epoch // 6),
            group_by_length=True,
            seed=0,
        )
        trainer = Trainer(
            model,
            arguments,
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=encoded[0],
            eval_dataset=encoded[1],
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
        )
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(Progress)
        trainer.train()
    logs = trainer.state.log_history
    losses = [(row["step"], row["loss"]) for row in logs if "loss" in row]
    evaluations = [(row["step"], row["eval_loss"], row["eval_accuracy"]) for row in logs if "eval_loss" in row]
    accuracy = evaluations[-1][2]
    print(f"   right on held-out sentences: {accuracy:.1%} (guessing: {1 / len(names):.0%})")
    figure = plots.loss_curve(
        [step for step, _ in losses],
        [loss for _, loss in losses],
        [step for step, *_ in evaluations],
        [loss for _, loss, _ in evaluations],
        title="A BERT learns to sort docstrings",
    )
    plots.save(figure, folder / "loss.png")
    print("   wrote loss.png")
    return section(
        "training",
        examples=f"{len(train):,}",
        held_out=f"{len(test):,}",
        subjects=", ".join(names),
        accuracy=f"{accuracy:.1%}",
        guessing=f"{1 / len(names):.0%}",
        trained_parameters=f"{model.num_parameters():,}",
    )
