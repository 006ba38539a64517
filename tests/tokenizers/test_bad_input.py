"""What is not as it should be, for every kind of model: one clear sentence or what the original does, never a hang."""

import re

import pytest

from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.tokenizer_json import engine_from_json
from edutransformers.tokenizers.unigram import Unigram
from edutransformers.tokenizers.word_level import WordLevel
from edutransformers.tokenizers.wordpiece import HIGHEST_ID, WordPiece
from tests.tokenizers.engines import PARTS, build

KINDS = list(PARTS)
TOKENIZERS = {name: PreTrainedTokenizer(build(name), unk_token=build(name).model.unk_token) for name in KINDS}
MODELS = {
    "BPE": lambda vocab: BPE(vocab, [], unk_token="<unk>"),
    "WordPiece": lambda vocab: WordPiece(vocab, unk_token="<unk>"),
    "WordLevel": WordLevel,
}


# ----- vocabularies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({}, "The vocabulary is empty"),
        ({"a": 0, "b": 0}, "gives the id 0 to both 'a' and 'b'"),
        ({"a": -1}, "maps 'a' to -1; expected a string and an id of 0 or more"),
        ({"a": HIGHEST_ID + 1}, "maps 'a' to 4294967296; .* up to 4294967295"),
        ({"a": 10**30}, "maps 'a' to 1000000000000"),
        ({"a": 1.0}, "maps 'a' to 1.0"),
        ({"a": True}, "maps 'a' to True"),
        ({"a": None}, "maps 'a' to None"),
        ({3: 0}, "maps 3 to 0"),
        (["a", "b"], "The vocabulary is a list; expected a dictionary"),
        (None, "The vocabulary is a NoneType"),
    ],
)
def test_vocabularies(kind, vocab, message):
    with pytest.raises(ValueError, match=message):
        MODELS[kind](vocab)


@pytest.mark.parametrize(
    ("vocab", "unk_id", "message"),
    [
        ([], None, "The vocabulary is empty"),
        ([("a", 0.0), ("a", -1.0)], None, "has 'a' twice"),
        ([("a", 0.0), ("b",)], None, r"Entry 1 of the vocabulary is \('b',\); expected \(token, log-probability\)"),
        ([("a", float("nan"))], None, r"Entry 0 of the vocabulary is \('a', nan\)"),
        ([("a", float("-inf"))], None, "Entry 0"),
        ([("a", "x")], None, "Entry 0"),
        ([(3, 0.0)], None, "Entry 0"),
        (["a"], None, "Entry 0 of the vocabulary is 'a'"),
        ([("a", 0.0)], 1, "unk_id is 1, but the vocabulary has 1 entries"),
        ([("a", 0.0)], -1, "unk_id is -1"),
        ([("a", 0.0)], True, "unk_id is True"),
        ([("a", 0.0)], "a", "unk_id is 'a'"),
    ],
)
def test_unigram_vocabularies(vocab, unk_id, message):
    with pytest.raises(ValueError, match=message):
        Unigram(vocab, unk_id)


@pytest.mark.parametrize("kind", MODELS)
def test_ids_with_gaps(kind):
    """Ids need not be one behind the other; an added token takes the first id that no count reaches."""
    model = MODELS[kind]({"<unk>": 7, "a": 0, "b": HIGHEST_ID})
    part = {**model.to_json(), "vocab": model.vocab}
    tokenizer = PreTrainedTokenizer(
        engine_from_json({"model": part, "pre_tokenizer": {"type": "Whitespace"}}), unk_token="<unk>"
    )
    assert tokenizer("a b c").input_ids == [0, HIGHEST_ID, 7]
    assert tokenizer.decode([0, HIGHEST_ID, 7]) == "a b <unk>"
    assert len(tokenizer) == 3
    with pytest.raises(ValueError, match="The id 5 is not in the vocabulary"):
        tokenizer.decode([5])


@pytest.mark.parametrize("merge", [("a", "q"), ("q", "a"), ("b", "a")])
def test_merges_of_unknown_pieces(merge):
    with pytest.raises(ValueError, match="Merge 2 makes .* but the vocabulary has no"):
        BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b"), merge])


def test_a_vocabulary_without_its_unknown_token():
    for model in (BPE({"a": 0}, [], unk_token="?"), WordPiece({"a": 0}, "?"), WordLevel({"a": 0}, "?")):
        assert [token.id for token in model.tokenize("a")] == [0]
        with pytest.raises(ValueError, match="neither is the unknown token '?'"):
            model.tokenize("z")


@pytest.mark.parametrize("kind", [*MODELS, "Unigram"])
def test_an_empty_token_is_never_found(kind):
    if kind == "Unigram":
        model = Unigram([("", 5.0), ("<unk>", 0.0), ("a", -1.0)], 1)
    else:
        model = MODELS[kind]({"": 0, "<unk>": 1, "a": 2})
    assert 0 not in [token.id for word in ("a", "zz") for token in model.tokenize(word)]


# ----- texts ----------------------------------------------------------------------------------------------------------

AWKWARD = [
    "", " ", " \n\t  ", "a\0b\x01\x7f\x85", "\u0301\u0301 a\u0301", "\u200d\u200b\ufeff", "\ufffe\uffff\U0010ffff",
    "<s>", "<s><s> <s>", " <s> ", "lowest low", "▁▁ ▁", "\r\n\r\n", "a" * 300, "\U0001f600" * 50,
]  # fmt: skip


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
@pytest.mark.parametrize("name", KINDS)
def test_awkward_texts(name, text):
    """As many offsets as ids, in order and inside the text; and ids that can be decoded."""
    tokenizer = TOKENIZERS[name]
    encoded = tokenizer(text, return_offsets_mapping=True)
    stops = [0]
    for start, stop in encoded.offset_mapping:
        assert 0 <= start <= stop <= len(text)
        stops.append(stop)
    assert stops == sorted(stops)
    assert len(encoded.offset_mapping) == len(encoded.input_ids) == len(encoded.word_ids())
    assert isinstance(tokenizer.decode(encoded.input_ids), str)
    if text == "":
        assert encoded.input_ids == []


@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_bytes_lose_nothing(name, text):
    tokenizer = TOKENIZERS[name]
    decoded = tokenizer.decode(tokenizer(text).input_ids, clean_up_tokenization_spaces=False)
    if name == "GPT-2" or "<s>" not in text and "▁" not in text and "lowest low" not in text:
        assert decoded == text


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_text(name):
    tokenizer = TOKENIZERS[name]
    for text in ("a\ud83d", "\udcff"):
        for call in (
            tokenizer,
            tokenizer.tokenize,
            lambda text: tokenizer(["a", text]),
            lambda text: tokenizer("a", text),
        ):
            with pytest.raises(ValueError, match="lone surrogate"):
                call(text)
    for text in (b"\xff", [b"\xff"], ["a", None], [["a"], [3]]):
        with pytest.raises(ValueError, match="must be a str|expected"):
            tokenizer(text)


@pytest.mark.parametrize("name", KINDS)
def test_ids_that_are_none(name):
    tokenizer = TOKENIZERS[name]
    for i in (-1, -100, len(tokenizer) + 5, 2**32, 10**30):
        with pytest.raises(ValueError, match=re.escape(f"The id {i} is not in the vocabulary")):
            tokenizer.decode([0, i])
        with pytest.raises(ValueError, match=re.escape(f"The id {i} is not in the vocabulary")):
            tokenizer.convert_ids_to_tokens(i)
    for i in (True, None, "1", 1.5):
        with pytest.raises(ValueError, match="Ids must be whole numbers"):
            tokenizer.decode([i])
    assert tokenizer.decode([]) == ""
