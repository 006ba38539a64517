"""Unigram: best, n best and drawn cuts against the list of all cuts; unknown characters; JSON."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.tokenizers.tokenizer_json import read_fraction
from edutransformers.tokenizers.unigram import Unigram

VOCAB = [("<unk>", 0.0), ("h", -3.0), ("e", -3.1), ("l", -2.9), ("o", -3.3), ("he", -3.4), ("ll", -4.0), ("llo", -4.2)]


def tokens(model, word):
    return [token.text or model.id_to_token[token.id] for token in model.tokenize(word)]


def score_of(cut):
    return sum(edge.score for edge in cut)


@st.composite
def random_model(draw):
    pieces = draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=12, unique=True))
    scores = draw(st.lists(st.floats(-9, 0), min_size=len(pieces), max_size=len(pieces)))
    return Unigram([("<unk>", 0.0), *zip(pieces, scores)], unk_id=0)


@settings(deadline=None)
@given(random_model(), st.text("abcd", min_size=1, max_size=7), st.integers(1, 6))
def test_the_best_cuts_are_the_best_of_all(model, word, n):
    scores = sorted((score_of(cut) for cut in model.cuts(word)), reverse=True)
    assert score_of(model.best_cut(word)) == pytest.approx(scores[0], abs=1e-9)
    found = model.n_best_cuts(word, n)
    assert [score for score, _ in found] == pytest.approx(scores[:n], abs=1e-9)
    assert len({tuple(cut) for _, cut in found}) == len(found)
    for score, cut in found:
        assert score == pytest.approx(score_of(cut), abs=1e-9)
        assert "".join(word[edge.start : edge.stop] for edge in cut) == word


def test_tokens():
    model = Unigram(VOCAB, unk_id=0)
    assert tokens(model, "hello") == ["he", "llo"]
    assert [(token.start, token.stop) for token in model.tokenize("hello")] == [(0, 2), (2, 5)]
    assert model.tokenize("") == []


def test_drawn_cuts_follow_the_distribution():
    model = Unigram(VOCAB, unk_id=0)
    generator, alpha, draws = random.Random(0), 0.3, 4000
    cuts = [tuple(cut) for cut in model.cuts("hello")]
    weights = [math.exp(alpha * score_of(cut)) for cut in cuts]
    drawn = Counter(tuple(model.draw_cut("hello", alpha, generator)) for _ in range(draws))
    assert set(drawn) == set(cuts)
    for cut, weight in zip(cuts, weights):
        p = weight / sum(weights)
        assert abs(drawn[cut] - draws * p) < 5 * math.sqrt(draws * p * (1 - p))


def test_sampling_from_the_n_best():
    model, generator = Unigram(VOCAB, unk_id=0), random.Random(0)
    best_two = {tuple(edge.id for edge in cut) for _, cut in model.n_best_cuts("hello", 2)}
    drawn = {tuple(token.id for token in model.sample("hello", 2, 0.5, generator)) for _ in range(100)}
    assert drawn == best_two
    assert model.sample("hello", 1, 0.5, generator) == model.tokenize("hello")
    assert model.sample("hello", -1, 1000.0, generator) == model.tokenize(
        "hello"
    )  # so cold that only the best is drawn


def test_unknown_characters():
    model = Unigram(VOCAB, unk_id=0)
    assert tokens(model, "hexyllo") == ["he", "xy", "llo"]  # shown as they are, as the original does
    assert [token.id for token in model.tokenize("hexyllo")] == [5, 0, 7]
    with pytest.raises(ValueError, match="The character 'x' of 'hex' is not in the vocabulary"):
        Unigram(VOCAB[1:]).tokenize("hex")


def test_unknown_characters_as_bytes():
    model = Unigram([*VOCAB, ("<0xC3>", -9.0), ("<0xA9>", -9.0)], unk_id=0, byte_fallback=True)
    assert tokens(model, "heé") == ["he", "<0xC3>", "<0xA9>"]
    assert [(token.start, token.stop) for token in model.tokenize("heé")] == [(0, 2), (2, 3), (2, 3)]
    assert tokens(model, "heñ") == ["he", "ñ"]


def test_a_long_word_takes_linear_time():
    word = "hello" * 20_000
    assert tokens(Unigram(VOCAB, unk_id=0), word) == ["he", "llo"] * 20_000


def test_json_round_trip():
    model = Unigram(VOCAB, unk_id=0, byte_fallback=True)
    assert Unigram.from_json(model.to_json()).to_json() == model.to_json()
    assert model.unk_token == "<unk>"
    assert Unigram(VOCAB).unk_token is None


def test_errors():
    with pytest.raises(ValueError, match="The vocabulary is empty"):
        Unigram([])
    with pytest.raises(ValueError, match="The vocabulary has 'h' twice"):
        Unigram([("h", -1.0), ("o", -1.0), ("h", -2.0)])
    with pytest.raises(ValueError, match="unk_id is 9, but the vocabulary has 8 entries"):
        Unigram(VOCAB, unk_id=9)
    with pytest.raises(ValueError, match="n is 0"):
        Unigram(VOCAB, unk_id=0).n_best_cuts("he", 0)


def test_numbers_are_read_as_the_original_reads_them():
    assert read_fraction("-7.3956882154496215") == -7.395688215449621  # the nearest float is one higher
    assert read_fraction("-7.6298469691368265") == -7.629846969136827
    assert [read_fraction(text) for text in ("0.5", "-2.0", "1e3", "1.5E+2", "25e-1")] == [
        0.5,
        -2.0,
        1000.0,
        150.0,
        2.5,
    ]
    assert read_fraction("1.234567890123456789012345") == 1.234567890123456789
    assert read_fraction("5e-320") == pytest.approx(5e-320)
    assert read_fraction("0.0e-999") == 0.0
