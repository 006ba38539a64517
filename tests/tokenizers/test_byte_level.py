"""Byte-level: every byte has a character, words by GPT-2's pattern, offsets that point to whole characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.byte_level import (
    BYTES,
    CHARACTERS,
    WORDS,
    ByteLevel,
    ByteLevelDecoder,
    ByteLevelProcessor,
    to_characters,
    without_blanks,
)
from edutransformers.tokenizers.engine import Engine

TEXT = st.text(st.characters(codec="utf-8"))


def engine(add_prefix_space=False, merges=(), post_processor=None):
    vocab = {character: byte for byte, character in enumerate(CHARACTERS)}
    for left, right in merges:
        vocab[left + right] = len(vocab)
    return Engine(BPE(vocab, list(merges)), None, ByteLevel(add_prefix_space), post_processor, ByteLevelDecoder())


def encoding_of(engine, text):
    (row,) = engine.encode(engine.tokenize(text))
    return row


def test_characters():
    assert to_characters(" é\n") == "ĠÃ©Ċ"
    assert len(set(CHARACTERS)) == 256 == len(BYTES)
    assert not any(character.isspace() for character in CHARACTERS)
    assert ByteLevel.alphabet() == sorted(CHARACTERS)


@given(TEXT)
def test_there_and_back(text):
    assert ByteLevelDecoder().decode([to_characters(text)]) == text
    row = encoding_of(engine(), text)
    assert ByteLevelDecoder().decode(row.tokens) == text


@given(TEXT)
def test_words_cover_the_text(text):
    assert "".join(WORDS.findall(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello world", ["Hello", " world"]),
        ("it's 3am.  Now", ["it", "'s", " 3", "am", ".", " ", " Now"]),
        ("a\n\n b ", ["a", "\n\n", " b", " "]),
        ("x² ٣", ["x", "²", " ٣"]),
        ("IT'S", ["IT", "'", "S"]),
    ],
)
def test_pattern(text, words):
    assert WORDS.findall(text) == words


@pytest.mark.parametrize("add_prefix_space", [False, True])
@given(text=TEXT)
def test_stretch_by_stretch_is_all_at_once(add_prefix_space, text):
    """What comes out of the cache is what the whole text gives."""
    quick = engine(add_prefix_space)
    whole = quick._tokenize_whole(text)
    row = quick.tokenize(text)
    assert (row.ids, row.tokens, row.offsets) == (list(whole.ids), list(whole.tokens), list(whole.offsets))
    assert row.word_ids == list(whole.words)


def test_offsets_point_to_whole_characters():
    row = encoding_of(engine(), "a é😀")
    assert row.tokens == ["a", "Ġ", "Ã", "©", "ð", "Ł", "ĺ", "Ģ"]
    assert row.offsets == [(0, 1), (1, 2), (2, 3), (2, 3), (3, 4), (3, 4), (3, 4), (3, 4)]
    assert row.word_ids == [0, 1, 1, 1, 2, 2, 2, 2]


def test_prefix_space():
    merges = [("Ġ", "a"), ("b", "c")]
    assert encoding_of(engine(True, merges), "abc a").tokens == ["Ġa", "bc", "Ġa"]
    assert encoding_of(engine(True, merges), "abc a").offsets == [(0, 1), (1, 3), (3, 5)]
    assert encoding_of(engine(True, merges), " abc").offsets == [(0, 2), (2, 4)]
    assert encoding_of(engine(True), "").tokens == []
    # A blank in front of white space joins it, so its first word can't be looked up alone.
    assert encoding_of(engine(True), "\na").word_ids == [0, 1, 2]


def test_trimmed_offsets():
    merges = [("Ġ", "a"), ("a", "Ġ")]
    processor = ByteLevelProcessor(add_prefix_space=False)
    assert encoding_of(engine(False, merges, processor), "a a").offsets == [(0, 1), (2, 3)]
    added = ByteLevelProcessor(add_prefix_space=True)
    assert encoding_of(engine(True, merges, added), "a a").offsets == [(0, 1), (2, 3)]
    assert without_blanks(["aĠ", "ĠĠ"], [(3, 5), (5, 7)], False) == [(3, 4), (7, 7)]
    assert without_blanks(["Ġa", "Ġa"], [(0, 1), (1, 3)], True) == [(0, 1), (2, 3)]
    assert without_blanks(["ĠĠ", "Ġ"], [(0, 2), (2, 3)], True) == [(2, 2), (3, 3)]  # two blanks: none was added
    kept = ByteLevelProcessor(trim_offsets=False)
    assert encoding_of(engine(False, merges, kept), "a a").offsets == [(0, 1), (1, 3)]


def test_only_writing_as_bytes():
    words = ByteLevel(False, use_regex=False).pre_tokenize(AlignedText("a b"))
    assert [word.text for word in words] == ["aĠb"]


def test_tokens_of_other_characters_decode_to_themselves():
    assert ByteLevelDecoder().decode(["Ġa", "日本", "Ã"]) == " a日本\ufffd"


def test_json_round_trip():
    for stage in (ByteLevel(False, False, False), ByteLevelProcessor(False, False), ByteLevelDecoder()):
        assert type(stage).from_json(stage.to_json()).to_json() == stage.to_json()
