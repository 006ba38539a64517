"""What `edutransformers train` asks for beside the TrainingArguments: which model, which data.

Every field is a flag; the comment behind it is what `--help` says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ModelArguments:
    """Which model to train."""

    # the model
    model_name_or_path: str | None = None  # a folder, or a name that from_pretrained takes; a head it lacks is new
    config: list[str] | None = None  # instead: settings of a new model, as hidden_size=128 num_hidden_layers=2
    tokenizer_name: str | None = None  # another tokenizer; a new model without one makes its vocabulary from the data
    threads: int | None = None  # over which each batch is split; None: one for each processor core

    def __post_init__(self):
        if (self.model_name_or_path is None) == (self.config is None):
            raise ValueError(
                "expected either --model_name_or_path, a model to begin with, or --config with settings of a new one"
            )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: expected a whole number from 1 up")


@dataclass
class DataArguments:
    """Which data to train on. `edutransformers train --help` says what files look like."""

    # the data
    train_file: str  # .csv, .tsv, .jsonl, .json, .txt, .conll; package:NAME for data of an installed package
    validation_file: str | None = None  # the same for evaluation; None: a part of the training data
    validation_split_percentage: float = 10  # how large that part is
    text_column_name: str = "text"  # where the texts stand
    max_seq_length: int = 256  # longer texts lose their ends
    max_train_samples: int | None = None  # train on so many, drawn by the seed; None: all
    max_eval_samples: int | None = None  # evaluate on so many; None: all

    def __post_init__(self):
        if not 0 < self.validation_split_percentage < 100:
            raise ValueError(
                f"validation_split_percentage is {self.validation_split_percentage}: expected a number between 0 and "
                "100"
            )
        for name, low in (("max_seq_length", 3), ("max_train_samples", 1), ("max_eval_samples", 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < low):
                raise ValueError(f"{name} is {value!r}: expected a whole number from {low} up")
