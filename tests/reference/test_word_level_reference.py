"""Word-level models against the `tokenizers` library: the same tokens, and the same vocabulary when trained."""

import json

import pytest

tokenizers = pytest.importorskip("tokenizers")

from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json  # noqa: E402
from edutransformers.tokenizers.training import train_word_level  # noqa: E402
from edutransformers.tokenizers.word_level import split_characters  # noqa: E402
from tests.reference.test_tokenizers_reference import ADVERSARIAL, CORPUS  # noqa: E402

pytestmark = pytest.mark.reference

SPLITS = {
    "words": pre_tokenizers.Whitespace(),
    "between blanks": pre_tokenizers.WhitespaceSplit(),
    "characters": pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_word_level(name):
    words = dict.fromkeys(["[UNK]", "hello", "world", "CLS", "我", "ー", *map(chr, range(32, 300))])
    theirs = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    theirs.pre_tokenizer = SPLITS[name]
    ours = engine_from_json(json.loads(theirs.to_str()))
    assert engine_to_json(ours) == json.loads(theirs.to_str())
    for text in [*ADVERSARIAL, "hello, world!"]:
        encoding, (row,) = theirs.encode(text), ours.encode(ours.tokenize(text))
        assert (row.ids, row.tokens) == (encoding.ids, encoding.tokens), ascii(text)
        assert (row.offsets, row.word_ids) == (encoding.offsets, encoding.word_ids), ascii(text)


def test_the_helper_is_that_split():
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.pre_tokenizer = SPLITS["characters"]
    assert json.loads(tokenizer.to_str())["pre_tokenizer"] == split_characters().to_json()


@pytest.mark.parametrize(
    "options", [{}, {"vocab_size": 40}, {"min_frequency": 3, "special_tokens": ["<a>", "<b>"]}], ids=str
)
@pytest.mark.parametrize("name", SPLITS)
def test_training(name, options):
    theirs = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    theirs.pre_tokenizer = SPLITS[name]
    ours = engine_from_json({**json.loads(theirs.to_str()), "model": {"type": "WordLevel", "vocab": {"a": 0}}})
    theirs.train_from_iterator([*CORPUS, *ADVERSARIAL], trainers.WordLevelTrainer(show_progress=False, **options))
    found = train_word_level([*CORPUS, *ADVERSARIAL], show_progress=False, pre_tokenizer=ours.pre_tokenizer, **options)
    assert found == theirs.get_vocab()
