"""BERT's normalizer: what it writes, and that each character still knows where it came from."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.normalizers import BertNormalizer
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer, WhitespaceSplit

TEXT = st.text(st.characters(codec="utf-8"))


def spans_of(aligned):
    return [aligned.original_span(i, i + 1) for i in range(len(aligned))]


@pytest.mark.parametrize(
    ("text", "normalized", "spans"),
    [
        ("Ab", "ab", [(0, 1), (1, 2)]),
        ("É!", "e!", [(0, 1), (1, 2)]),
        ("e\u0301x", "ex", [(0, 1), (2, 3)]),
        ("a\x00b", "ab", [(0, 1), (2, 3)]),
        ("a\tb\u3000c", "a b c", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        ("a好", "a 好 ", [(0, 1), (1, 2), (1, 2), (1, 2)]),
        ("İ", "i", [(0, 1)]),
        ("각", "\u1100\u1161\u11a8", [(0, 1)] * 3),
        ("ΑΣ", "ας".replace("ς", "σ"), [(0, 1), (1, 2)]),
        ("\ufffd\u200b", "", []),
    ],
)
def test_uncased(text, normalized, spans):
    aligned = BertNormalizer().normalize(text)
    assert (aligned.text, spans_of(aligned)) == (normalized, spans)


def test_each_switch():
    assert BertNormalizer(lowercase=False).normalize("Éa").text == "Éa"
    assert BertNormalizer(lowercase=False, strip_accents=True).normalize("Éa").text == "Ea"
    assert BertNormalizer(strip_accents=False).normalize("Éa").text == "éa"
    assert BertNormalizer(handle_chinese_chars=False).normalize("a好").text == "a好"
    assert BertNormalizer(clean_text=False).normalize("a\tb\x00").text == "a\tb\x00"


def test_lower_case_that_grows_keeps_the_span():
    aligned = BertNormalizer(strip_accents=False).normalize("xİy")
    assert aligned.text == "xi\u0307y"
    assert spans_of(aligned) == [(0, 1), (1, 2), (1, 2), (2, 3)]


def test_decomposition_sorts_marks():
    aligned = AlignedText("e\u0301\u0323")  # acute (class 230) written before the dot below (220)
    aligned.decompose()
    assert aligned.text == "e\u0323\u0301"


def test_later_unicode_versions_do_not_count():
    """What the reference's tables don't have stays as it is, whatever this Python's tables have."""
    assert BertNormalizer().normalize("\U00011938").text == "\U00011938"  # decomposes since Unicode 13
    assert BertNormalizer().normalize("\u1abf").text == "\u1abf"  # a mark since Unicode 13
    assert BertNormalizer(strip_accents=False).normalize("\U00010d50\u1c89").text == "\U00010d70\u1c8a"  # Unicode 16


@given(TEXT)
def test_spans_point_into_the_text(text):
    for options in ({}, {"lowercase": False}, {"strip_accents": False}, {"clean_text": False}):
        aligned = BertNormalizer(**options).normalize(text)
        spans = spans_of(aligned)
        assert len(spans) == len(aligned.text)
        assert all(0 <= start < stop <= len(text) and stop - start == 1 for start, stop in spans)


@given(TEXT)
def test_normalizing_twice_changes_nothing(text):
    once = BertNormalizer(handle_chinese_chars=False).normalize(text).text
    assert BertNormalizer(handle_chinese_chars=False).normalize(once).text == once


@given(st.text(st.characters(codec="utf-8", max_codepoint=0x24F)))
def test_decomposition_is_unicode_s(text):
    aligned = AlignedText(text)
    aligned.decompose()
    assert aligned.text == unicodedata.normalize("NFD", text)


def test_pre_tokenizers():
    text = "hello, world... don't_x"
    words = [text[start:stop] for start, stop in BertPreTokenizer().split(text)]
    assert words == ["hello", ",", "world", ".", ".", ".", "don", "'", "t", "_", "x"]
    assert [text[a:b] for a, b in WhitespaceSplit().split(text)] == ["hello,", "world...", "don't_x"]


@given(TEXT)
def test_words_cover_all_but_white_space(text):
    covered = "".join(text[start:stop] for start, stop in BertPreTokenizer().split(text))
    dropped = [c for c in text if c not in covered]
    assert all(c.isspace() for c in dropped)
    assert "".join(text[a:b] for a, b in WhitespaceSplit().split(text)) == covered
