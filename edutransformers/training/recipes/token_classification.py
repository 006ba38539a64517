"""Token classification: rows {"tokens", "tags"} -> a model that tags the words of new texts (names, parts of speech).

The model sees pieces of words; the data has a tag for each word. The first piece of a word carries its tag, all others
−100, which the loss leaves out (`align_labels_with_tokens`).

Names in a text are tagged in the BIO scheme: B-person I-person O.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...auto import AutoModelForTokenClassification
from .. import metrics
from ..arguments import TrainingArguments
from ..collators import DataCollatorForTokenClassification
from .data import load_splits
from .models import tokenizer_and_model
from .prepared import Prepared
from .settings import DataArguments, ModelArguments

PIPELINE = "token-classification"
DEFAULTS = {
    "learning_rate": 1e-4,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
    "group_by_length": True,
}
IGNORED = -100


@dataclass
class TokenClassificationArguments(DataArguments):
    """Texts with a tag for each word."""

    # the data
    text_column_name: str = "tokens"  # where the words stand: a list, or a text with blanks between them
    label_column_name: str = "tags"  # where their tags stand, as many
    max_seq_length: int = 128  # longer texts lose their ends, tags and all


def prepare(
    model_arguments: ModelArguments, arguments: TokenClassificationArguments, training: TrainingArguments
) -> Prepared:
    text, label = arguments.text_column_name, arguments.label_column_name
    flags = ("text_column_name", "label_column_name")
    key = lambda row: " ".join(_words(row[text]))  # noqa: E731
    splits = load_splits(arguments, training.seed, flags, key, of_words=True)
    rows = {"train": splits.train, "evaluation": splits.evaluation}
    for name, part in rows.items():
        rows[name] = [(_words(row[text]), _words(row[label])) for row in part]
        for words, tags in rows[name]:
            if len(words) != len(tags):
                raise ValueError(
                    f"{arguments.train_file}: the text {' '.join(words)!r:.60} has {len(words)} words, but {len(tags)} "
                    "tags: expected one a word"
                )
    names = tag_names(tags for _, tags in rows["train"])
    for _, tags in rows["evaluation"]:
        for tag in set(tags) - set(names):
            raise ValueError(f"the tag {tag!r} of the evaluation data does not occur in the training data")
    tokenizer, model = tokenizer_and_model(
        AutoModelForTokenClassification,
        model_arguments,
        arguments.max_seq_length,
        (" ".join(words) for words, _ in rows["train"]),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )

    def encode(pairs: list[tuple]) -> list[dict]:
        encoded = tokenizer(
            [words for words, _ in pairs],
            is_split_into_words=True,
            truncation=True,
            max_length=arguments.max_seq_length,
        )
        labels = [
            align_labels_with_tokens([names.index(tag) for tag in tags], encoded.word_ids(number))
            for number, (_, tags) in enumerate(pairs)
        ]
        columns = {**encoded, "labels": labels}
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    baseline = lookup_scores(rows["train"], rows["evaluation"])
    return Prepared(
        model=model,
        tokenizer=tokenizer,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        train_dataset=encode(rows["train"]),
        eval_dataset=encode(rows["evaluation"]),
        compute_metrics=lambda prediction: {**score_tags(prediction, names), **baseline},
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(axis=-1),  # all that scoring needs
        notes=splits.notes,
        example=" ".join(rows["evaluation"][0][0]),
    )


def _words(value) -> list[str]:
    return value.split() if isinstance(value, str) else [str(word) for word in value]


# ---------------------------------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------------------------------


def tag_names(rows) -> list[str]:
    """All tags that occur: "O" first, then by kind, "B-" before "I-"."""
    tags = {tag for tags in rows for tag in tags}
    return sorted(tags, key=lambda tag: (tag != "O", tag.partition("-")[2], tag))


def align_labels_with_tokens(labels: Sequence[int], word_ids: Sequence[int | None]) -> list[int]:
    """A label for each word -> one for each token: the word's for its first piece, −100 for all else.

        words     Chloe        is         labels  3, 0
        tokens    [CLS] ch ##loe is [SEP]
        word_ids  None  0  0     1  None
        ->        −100  3  −100  0  −100

    To label every piece would count long words several times, and a name's second piece could begin a name of its own.
    """
    aligned, previous = [], None
    for word in word_ids:
        aligned.append(IGNORED if word is None or word == previous else labels[word])
        previous = word
    return aligned


# ---------------------------------------------------------------------------------------------------------------------
# Metrics
# ---------------------------------------------------------------------------------------------------------------------


def score_tags(prediction, names: list[str]) -> dict[str, float]:
    """The share of right tags; of BIO tags also precision, recall and F1 of whole entities, all and of each kind."""
    guesses, labels = prediction
    rows = [(label[label != IGNORED], guess[label != IGNORED]) for label, guess in zip(labels, guesses)]
    true, found = ([[names[number] for number in row[side]] for row in rows] for side in (0, 1))
    return _scores(true, found)


def lookup_scores(train: list[tuple], evaluation: list[tuple]) -> dict[str, float]:
    """What a table reaches: each word gets the tag that it has most often in the training data, a new word the most
    frequent one. A model that has learned anything about names is better."""
    seen: dict[str, Counter] = defaultdict(Counter)
    for words, tags in train:
        for word, tag in zip(words, tags):
            seen[word.lower()][tag] += 1
    usual = sum(seen.values(), Counter()).most_common(1)[0][0]
    best = {word: counts.most_common(1)[0][0] for word, counts in seen.items()}
    found = [[best.get(word.lower(), usual) for word in words] for words, _ in evaluation]
    scores = _scores([tags for _, tags in evaluation], found)
    return {f"baseline_{name}": scores[name] for name in ("accuracy", "f1") if name in scores}


def _scores(true: list[list[str]], found: list[list[str]]) -> dict[str, float]:
    together = [np.array([tag for tags in side for tag in tags]) for side in (true, found)]
    result = {"accuracy": metrics.accuracy(*together)}
    if all(re.fullmatch(r"O|[BI]-.+", tag) for tag in set(together[0]) | set(together[1])):
        scores = metrics.entity_scores(true, found)
        result |= scores.pop("all")._asdict()
        result |= {f"f1_{kind}": score.f1 for kind, score in scores.items()}
    return result
