"""Masked language modeling: plain texts -> a model that fills in hidden words.

Texts are joined and cut into blocks of one length, so that no place is wasted on padding; or, line by line, each is an
item of its own. Which words are hidden, the collator draws anew for each batch; in the evaluation always the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...auto import AutoModelForMaskedLM
from ..arguments import TrainingArguments
from ..collators import DataCollatorForLanguageModeling
from ..trainer import Trainer
from .data import load_splits
from .models import tokenizer_and_model
from .prepared import Prepared
from .settings import DataArguments, ModelArguments

PIPELINE = "fill-mask"
DEFAULTS = {
    "learning_rate": 1e-4,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
    "prediction_loss_only": True,  # a score for each word of the vocabulary at each place would fill the memory
}


@dataclass
class MaskedLanguageModelArguments(DataArguments):
    """Plain texts, and how to hide words in them."""

    # the data
    max_seq_length: int = 128  # the length of a block; with --line_by_line longer texts lose their ends
    mlm_probability: float = 0.15  # the share of words that are hidden
    line_by_line: bool = False  # each text by itself, instead of blocks of joined texts


class HidingCollator(DataCollatorForLanguageModeling):
    """Hides words, and draws again where chance hid none: in a batch of few short texts that happens, and the mean loss
    over no words would be nan."""

    def collate(self, features: list, generator: np.random.Generator) -> dict:
        for _ in range(1000):  # not for ever: a batch of empty texts has nothing to hide
            batch = super().collate(features, generator)
            if (batch["labels"] != -100).any():
                break
        return batch


class MaskedLanguageTrainer(Trainer):
    """A Trainer that hides the same words in each evaluation, so that losses can be compared."""

    def get_eval_dataloader(self, eval_dataset=None):
        training = self.data_collator
        self.data_collator = HidingCollator(
            self.tokenizer, mlm_probability=training.mlm_probability, seed=self.args.seed
        )
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training


def prepare(
    model_arguments: ModelArguments, arguments: MaskedLanguageModelArguments, training: TrainingArguments
) -> Prepared:
    text = arguments.text_column_name
    splits = load_splits(arguments, training.seed, ("text_column_name",), key=lambda row: str(row[text]))
    texts = [[str(row[text]) for row in rows] for rows in (splits.train, splits.evaluation)]
    tokenizer, model = tokenizer_and_model(AutoModelForMaskedLM, model_arguments, arguments.max_seq_length, texts[0])

    def encode(texts: list[str]) -> list[dict]:
        if arguments.line_by_line:
            encoded = tokenizer(texts, truncation=True, max_length=arguments.max_seq_length)
            return [dict(zip(encoded, values)) for values in zip(*encoded.values())]
        return blocks(tokenizer(texts, verbose=False), arguments.max_seq_length)

    collator = HidingCollator(tokenizer, mlm_probability=arguments.mlm_probability, seed=training.seed)
    train, evaluation = (encode(part) for part in texts)
    words = texts[1][0].split()[:20]
    words[len(words) // 2] = tokenizer.mask_token
    return Prepared(
        model=model,
        tokenizer=tokenizer,
        data_collator=collator,
        train_dataset=train,
        eval_dataset=evaluation,
        compute_metrics=None,
        notes=[*splits.notes, f"{len(train)} and {len(evaluation)} blocks of up to {arguments.max_seq_length} tokens"],
        example=" ".join(words),
        trainer_class=MaskedLanguageTrainer,
    )


def blocks(encoded: dict, length: int) -> list[dict]:
    """{"input_ids": [[...], [...], …], …} -> items of exactly `length` tokens: all texts one after the other, cut.

    What is left over at the end is dropped; if there is less than one block in all, it is one shorter item.
    """
    joined = {name: np.concatenate([np.asarray(row) for row in rows]) for name, rows in encoded.items()}
    total = len(next(iter(joined.values())))
    starts = range(0, max(total - length, 0) + 1, length)
    return [{name: row[start : start + length] for name, row in joined.items()} for start in starts]
