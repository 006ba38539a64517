"""What the tables of cases of all architectures share: a case, and how its model and its batch are made.

A case is a class, changes to a small odd config, and a batch. Sizes are all different and none is a round number, so
that swapped axes can't go unnoticed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

import edutransformers

from .seeded import seed_weights, seeded_integers, seeded_normal

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models"
BATCH, TOKENS, CHOICES, SOURCE_TOKENS = 4, 7, 3, 5
LENGTHS = (7, 5, 2, 1)  # real tokens of each text; the rest is padding


def stored_numbers(family: str, name: str) -> dict:
    """The original's numbers for a case, as make_fixtures.py wrote them."""
    return json.loads((FIXTURES / f"{family}_{name}.json").read_text(encoding="utf-8"))


class Case(NamedTuple):
    model: str  # the class's name
    config: dict = {}  # changes to the architecture's TINY config
    inputs: tuple[str, ...] = ("padding", "segments")  # what is passed besides the ids: see `make_batch`
    labels: str | None = None

    @property
    def has_choices(self) -> bool:
        """Several texts an example: ids are (B, C, T)."""
        return "Choice" in self.model or ("DoubleHeads" in self.model and "no_choices" not in self.inputs)


def make_model(case: Case, config, dtype="float64"):
    """The model in evaluation mode, its weights drawn by name."""
    model = getattr(edutransformers, case.model)(config).astype(dtype).eval()
    seed_weights(model)
    return model


def make_batch(case: Case, config, dtype="float64") -> dict[str, np.ndarray]:
    """The inputs and labels by the name of the model's argument. Read-only: a forward pass must not write into them."""
    leading = (BATCH, CHOICES) if case.has_choices else (BATCH,)
    T = 1 if "one_token" in case.inputs else TOKENS
    shape = (*leading, T)
    real = np.broadcast_to(np.arange(T) < np.minimum(LENGTHS, T)[:, None], (BATCH, T))
    real = np.broadcast_to(real.reshape(BATCH, *[1] * (len(leading) - 1), T), shape).copy()
    if len(leading) == 2:
        real[1, 0, 3:] = False  # the choices of one question are not equally long

    batch = {}
    if "embeds" in case.inputs:
        batch["inputs_embeds"] = seeded_normal("inputs_embeds", (*shape, config.hidden_size)).astype(dtype)
    else:
        ids = seeded_integers("input_ids", 1, config.vocab_size, shape)
        ids[0, ..., -1] = ids[0, ..., 0]  # at least one id is there twice, in one text
        batch["input_ids"] = np.where(real, ids, config.pad_token_id or 0)
        batch["input_ids"][0, ..., 0] = config.pad_token_id or 0  # a padding id that is looked at: still no gradient
    if "padding" in case.inputs:
        batch["attention_mask"] = real.astype(np.int64)
    if "holes" in case.inputs:
        batch["attention_mask"] = seeded_integers("holes", 0, 2, shape)
        batch["attention_mask"][..., 2] = 1
    if "matrix" in case.inputs:
        batch["attention_mask"] = seeded_integers("matrix", 0, 2, (*shape, T))
        batch["attention_mask"][..., 0] = 1
    if "segments" in case.inputs:
        batch["token_type_ids"] = seeded_integers(
            "token_type_ids", 0, getattr(config, "type_vocab_size", config.vocab_size), shape
        )
    if "positions" in case.inputs:
        batch["position_ids"] = seeded_integers("position_ids", 0, config.max_position_embeddings, shape)
    if "shared_positions" in case.inputs:
        batch["position_ids"] = seeded_integers("position_ids", 0, config.max_position_embeddings, (1, T))
    if "mc_token_ids" in case.inputs:
        batch["mc_token_ids"] = seeded_integers("mc_token_ids", 0, T, leading)
    if "source" in case.inputs:
        source = seeded_normal("encoder_hidden_states", (BATCH, SOURCE_TOKENS, config.hidden_size))
        batch["encoder_hidden_states"] = source.astype(dtype)
    if "source_padding" in case.inputs:
        seen = np.arange(SOURCE_TOKENS) < np.array([5, 1, 4, 2])[:, None]
        batch["encoder_attention_mask"] = seen.astype(np.int64)
    if "head_mask" in case.inputs:
        batch["head_mask"] = np.array([1.0, 0.0, 0.4], dtype=dtype)
    if "head_mask_of_layers" in case.inputs:
        batch["head_mask"] = np.array([[0.0, 1.0, 0.7], [0.3, 0.0, 1.0]], dtype=dtype)
    batch["output_hidden_states"] = batch["output_attentions"] = True
    batch.update(labels_of_text(case.labels, config, T, real, dtype))
    return sealed(batch)


def sealed(batch: dict) -> dict:
    """The batch, its arrays read-only."""
    for x in batch.values():
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    return batch


def whole(name: str, high: int, shape=(BATCH,)) -> np.ndarray:
    return seeded_integers(f"labels {name}", 0, high, shape)


def labels_of_example(kind: str | None, config, dtype) -> dict[str, np.ndarray]:
    """Labels for a whole example, be it a text, a picture or a sound."""
    return {
        None: dict,
        "classes": lambda: {"labels": whole("classes", config.num_labels)},
        "classes_column": lambda: {"labels": whole("classes", config.num_labels, (BATCH, 1))},
        "number": lambda: {"labels": seeded_normal("number", BATCH).astype(dtype)},
        "number_column": lambda: {"labels": seeded_normal("number", (BATCH, 1)).astype(dtype)},
        "numbers": lambda: {"labels": seeded_normal("numbers", (BATCH, config.num_labels)).astype(dtype)},
        "several": lambda: {"labels": whole("several", 2, (BATCH, config.num_labels)).astype(dtype)},
    }[kind]()


def labels_of_text(kind: str | None, config, T: int, real, dtype) -> dict[str, np.ndarray]:
    """Labels for a text, for its words, or for one of several texts."""
    counted = seeded_integers("counted", 0, 3, (BATCH, T)) > 0
    words = np.where(counted, whole("words", config.vocab_size, (BATCH, T)), -100)
    words_of_choices = whole("words of choices", config.vocab_size, (BATCH, CHOICES, T))
    span = {
        "start_positions": np.array([1, 0, T + 4, -2]),  # cut off, and negative: both occur in real data
        "end_positions": np.array([T - 1, T, 3, 0]),
    }
    labels = {
        "words": lambda: {"labels": words},
        "pretraining": lambda: {"labels": words, "next_sentence_label": whole("next", 2)},
        "pretraining_column": lambda: {"labels": words, "next_sentence_label": whole("next", 2, (BATCH, 1))},
        "binary": lambda: {"labels": whole("next", 2)},
        "binary_column": lambda: {"labels": whole("next", 2, (BATCH, 1))},
        "words_and_choice": lambda: {
            "labels": np.where(seeded_integers("counted", 0, 3, words_of_choices.shape) > 0, words_of_choices, -100),
            "mc_labels": whole("choice", CHOICES),
        },
        "choice": lambda: {"labels": whole("choice", CHOICES)},
        "tokens": lambda: {"labels": np.where(real, whole("tokens", config.num_labels, (BATCH, T)), -100)},
        "span": lambda: span,
        "span_column": lambda: {name: x[:, None] for name, x in span.items()},
    }
    return labels[kind]() if kind in labels else labels_of_example(kind, config, dtype)
