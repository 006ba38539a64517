"""Tiny models for the pipelines' tests: seeded random BERTs, and models whose logits are written by hand."""

from __future__ import annotations

import numpy as np

from edutransformers import BertConfig, BertTokenizer
from edutransformers.models.base import PreTrainedModel
from edutransformers.models.outputs import QuestionAnsweringModelOutput, TokenClassifierOutput
from edutransformers.module import Parameter, keep

WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] the a an is was in and of to i my name live where who what film good bad very
not play ##ing ##er ##s ##ly micro ##soft com ##pany berlin paris wolfgang sarah new york story man ##kind . , ! ? '
""".split()  # noqa: SIM905
IDS = {word: index for index, word in enumerate(WORDS)}


def tokenizer(**options) -> BertTokenizer:
    return BertTokenizer(vocab=WORDS, **options)


def config(**fields) -> BertConfig:
    sizes = {
        "vocab_size": len(WORDS),
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,  # far from uniform scores
    }
    return BertConfig(**{**sizes, **fields})


def model(model_class, seed: int = 0, **fields):
    return model_class(config(**fields), generator=np.random.default_rng(seed)).eval()


def saved(folder, model_class, seed: int = 0, tokenizer_options=None, **fields) -> str:
    """A folder with a model and its tokenizer."""
    model(model_class, seed, **fields).save_pretrained(folder)
    tokenizer(**(tokenizer_options or {})).save_pretrained(folder)
    return str(folder)


class ByToken(PreTrainedModel):
    """Logits that depend on the token alone, looked up in a table (V, labels) that the test writes."""

    config_class = BertConfig
    main_input_name = "input_ids"

    def build(self, config, table=None):
        self.table = Parameter(np.asarray(table, dtype=np.float32))

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        return TokenClassifierOutput(logits=self.table.data[input_ids]), keep()


class SpanByToken(ByToken):
    """Start and end scores by token, from a table (V, 2)."""

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        logits = self.table.data[input_ids]
        return QuestionAnsweringModelOutput(start_logits=logits[..., 0], end_logits=logits[..., 1]), keep()


def by_token(model_class, logits: dict[str, list[float]], width: int, **fields):
    """`logits` by word; all other words get zeros."""
    table = np.zeros((len(WORDS), width))
    for word, values in logits.items():
        table[IDS[word]] = values
    return model_class(config(**fields), table=table)


def assert_same_results(ours, expected, tolerance: float = 1e-5) -> None:
    """Equal in structure, words and spans; numbers within the tolerance."""
    if isinstance(expected, dict):
        assert isinstance(ours, dict)
        assert ours.keys() == expected.keys()
        for key in expected:
            assert_same_results(ours[key], expected[key], tolerance)
    elif isinstance(expected, (list, tuple)):
        assert isinstance(ours, (list, tuple))
        assert len(ours) == len(expected)
        for mine, theirs in zip(ours, expected):
            assert_same_results(mine, theirs, tolerance)
    elif isinstance(expected, (float, np.floating)):
        assert abs(ours - expected) <= tolerance, (ours, expected)
    else:
        assert ours == expected
