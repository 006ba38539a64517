"""The WordPiece algorithm against hand-made cases and a naive version of it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers.wordpiece import WordPiece

VOCAB = {token: i for i, token in enumerate(["[UNK]", "un", "##aff", "##able", "##a", "a", "aff", "##b", "unaf"])}


def naive(vocab, word, unk):
    """The definition: always the longest piece that fits."""
    pieces, start = [], 0
    while start < len(word):
        fitting = [
            stop for stop in range(start + 1, len(word) + 1) if ("##" if start else "") + word[start:stop] in vocab
        ]
        if not fitting:
            return [(unk, 0, len(word))]
        pieces.append((vocab[("##" if start else "") + word[start : fitting[-1]]], start, fitting[-1]))
        start = fitting[-1]
    return pieces


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("un", [(1, 0, 2)]),
        ("unaffable", [(0, 0, 9)]),  # greedy: "unaf" fits first, and nothing fits behind it
        ("affable", [(6, 0, 3), (3, 3, 7)]),
        ("abba", [(5, 0, 1), (7, 1, 2), (7, 2, 3), (4, 3, 4)]),
        ("xyz", [(0, 0, 3)]),
        ("a" * 100, [(5, 0, 1), *((4, i, i + 1) for i in range(1, 100))]),
        ("a" * 101, [(0, 0, 101)]),
    ],
)
def test_by_hand(word, pieces):
    assert [token[:3] for token in WordPiece(VOCAB).tokenize(word)] == pieces


@given(
    pieces=st.lists(st.text("abc", min_size=1, max_size=4), max_size=12),
    inside=st.lists(st.text("abc", min_size=1, max_size=4), max_size=12),
    word=st.text("abcd", min_size=1, max_size=12),
)
def test_equals_the_naive_version(pieces, inside, word):
    tokens = dict.fromkeys(["[UNK]", *pieces, *("##" + piece for piece in inside)])
    vocab = {token: i for i, token in enumerate(tokens)}
    assert [token[:3] for token in WordPiece(vocab).tokenize(word)] == naive(vocab, word, 0)


def test_a_long_word_takes_time_in_proportion():
    model = WordPiece({"[UNK]": 0, "a": 1, "##a": 2}, max_input_chars_per_word=10**9)
    start = time.perf_counter()
    assert len(model.tokenize("a" * 50_000)) == 50_000
    assert time.perf_counter() - start < 5  # quadratic would take minutes


def test_errors():
    with pytest.raises(ValueError, match="empty"):
        WordPiece({})
    with pytest.raises(ValueError, match=r"id 0 to both 'a' and 'b'"):
        WordPiece({"a": 0, "b": 0})
    with pytest.raises(ValueError, match=r"maps 'a' to -1"):
        WordPiece({"a": -1})
    with pytest.raises(ValueError, match=r"unknown token '\[UNK\]'"):
        WordPiece({"a": 0}).tokenize("b")
