"""Text classification: rows {"text", "label"} -> a model that tells the labels of new texts.

    prepare:  rows -> names of the labels -> ids -> Trainer

A label is a name ("spam", "ham") or a whole number. If all labels are numbers with decimals, the model learns to
predict the number (regression).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ...auto import AutoConfig, AutoModelForSequenceClassification
from .. import metrics
from ..arguments import TrainingArguments
from ..collators import DataCollatorWithPadding
from .data import load_splits
from .models import tokenizer_and_model
from .prepared import Prepared
from .settings import DataArguments, ModelArguments

PIPELINE = "text-classification"
DEFAULTS = {
    "learning_rate": 5e-5,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
    "group_by_length": True,
}


@dataclass
class TextClassificationArguments(DataArguments):
    """Texts with one label each."""

    # the data
    label_column_name: str = "label"  # where the labels stand


def prepare(
    model_arguments: ModelArguments, arguments: TextClassificationArguments, training: TrainingArguments
) -> Prepared:
    text, label = arguments.text_column_name, arguments.label_column_name
    flags = ("text_column_name", "label_column_name")
    splits = load_splits(arguments, training.seed, flags, key=lambda row: " ".join(str(row[text]).split()))
    names = label_names([row[label] for row in splits.train], model_arguments.model_name_or_path)
    if names is None:
        fields = {"num_labels": 1, "problem_type": "regression"}
    else:
        fields = {"id2label": dict(enumerate(names)), "label2id": {name: n for n, name in enumerate(names)}}
        check_labels([row[label] for row in splits.evaluation], names, arguments)
    tokenizer, model = tokenizer_and_model(
        AutoModelForSequenceClassification,
        model_arguments,
        arguments.max_seq_length,
        (str(row[text]) for row in splits.train),
        **fields,
    )

    def encode(rows: list[dict]) -> list[dict]:
        encoded = tokenizer([str(row[text]) for row in rows], truncation=True, max_length=arguments.max_seq_length)
        targets = [float(row[label]) if names is None else number_of(row[label], names) for row in rows]
        columns = {**encoded, "labels": targets}
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    return Prepared(
        model=model,
        tokenizer=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=encode(splits.train),
        eval_dataset=encode(splits.evaluation),
        compute_metrics=score_numbers if names is None else score_classes,
        notes=splits.notes,
        example=str(splits.evaluation[0][text]),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------------------------------


def label_names(labels: list, model: str | None = None) -> list[str] | None:
    """The names of the classes in the order of their numbers; None if the labels are numbers to predict.

    Names are in alphabetical order, whole numbers in theirs. A model that knows the same names, or just as many where
    the labels are 0, 1, 2, …, keeps its own order: it goes on with what it has learned.
    """
    if all(isinstance(label, float) for label in labels):
        return None
    names = [str(label) for label in sorted(set(labels), key=lambda label: (isinstance(label, str), label))]
    if len(names) < 2:
        raise ValueError(f"all labels are {names[0]!r}: expected at least two different ones")
    known = [] if model is None else list(AutoConfig.from_pretrained(model).id2label.values())
    numbered = names == [str(number) for number in range(len(known))]
    return known if sorted(known) == sorted(names) or (numbered and not known[0].startswith("LABEL_")) else names


def number_of(label, names: list[str]) -> int:
    """The class that a label in the data means: by its name, or as the number itself."""
    return names.index(str(label)) if str(label) in names else int(label)


def check_labels(labels: list, names: list[str], arguments: DataArguments) -> None:
    """A class that occurs only in the evaluation could never be predicted."""
    for label in labels:
        if str(label) not in names and str(label) not in map(str, range(len(names))):
            raise ValueError(
                f"{arguments.validation_file or arguments.train_file}: the label {label!r} of the evaluation data does "
                f"not occur in the training data, which has {', '.join(names)}"
            )


# ---------------------------------------------------------------------------------------------------------------------
# Metrics
# ---------------------------------------------------------------------------------------------------------------------


def score_classes(prediction) -> dict[str, float]:
    """Accuracy, precision, recall, F1 (of class 1 if there are two, else the mean over all), Matthews' correlation;
    and the accuracy of always saying the most frequent class, for comparison."""
    logits, labels = prediction
    guesses = logits.argmax(axis=-1)
    average = "binary" if logits.shape[-1] == 2 else "macro"
    return {
        "accuracy": metrics.accuracy(labels, guesses),
        **metrics.precision_recall_f1(labels, guesses, average)._asdict(),
        "matthews_correlation": metrics.matthews_correlation(labels, guesses),
        "baseline_accuracy": Counter(labels.tolist()).most_common(1)[0][1] / len(labels),
    }


def score_numbers(prediction) -> dict[str, float]:
    """Both correlations, and the mean squared error."""
    values, labels = prediction.predictions[:, 0], prediction.label_ids
    return {
        "pearson": metrics.pearson_correlation(labels, values),
        "spearman": metrics.spearman_correlation(labels, values),
        "mean_squared_error": float(np.mean((labels - values) ** 2)),
    }
