"""Normalizers: what they write, and that each character still knows where it came from."""

import struct
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.characters import LATE
from edutransformers.tokenizers.normalizers import (
    NFC,
    NFD,
    NFKC,
    NFKD,
    BertNormalizer,
    Lowercase,
    Nmt,
    Normalizer,
    NormalizerSequence,
    Precompiled,
    Prepend,
    Replace,
    Strip,
    StripAccents,
    normalizer_from_json,
)
from edutransformers.tokenizers.patterns import Pattern
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


# -- the others -------------------------------------------------------------------------------------------------------


def precompiled_blob(table):
    """A map as SentencePiece compiles it: a double array over the keys' bytes, then the replacements."""
    replacements, places = b"", {}
    for key, value in table.items():
        places[key.encode()] = len(replacements)
        replacements += value.encode() + b"\0"
    units = [0] * 16384
    used = {0}

    def put(prefix, node):  # the children of the node at `node` go to base ^ byte
        labels = sorted({key[len(prefix)] for key in places if key.startswith(prefix) and len(key) > len(prefix)})
        ends = prefix in places
        base = next(b for b in range(256, 16384, 256) if not ({b ^ label for label in labels} | {b}) & used)
        offset = base ^ node
        units[node] |= offset << 10 | (1 << 8 if ends else 0)
        used.add(base)
        if ends:
            units[base] = places[prefix] | 1 << 31
        for label in labels:
            used.add(base ^ label)
            units[base ^ label] = label
        for label in labels:
            put(prefix + bytes([label]), base ^ label)

    put(b"", 0)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + replacements


@pytest.mark.parametrize(
    ("normalizer", "text", "normalized", "spans"),
    [
        (NFD(), "é", "e\u0301", [(0, 1), (0, 1)]),
        (NFC(), "e\u0301x", "éx", [(0, 1), (2, 3)]),
        (NFC(), "a\u0323\u0307", "ạ\u0307", [(0, 1), (2, 3)]),
        (NFKC(), "ﬁ①", "fi1", [(0, 1), (0, 1), (1, 2)]),
        (NFKD(), "½é", "1\u20442e\u0301", [(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)]),
        (Lowercase(), "AİB", "ai\u0307b", [(0, 1), (1, 2), (1, 2), (2, 3)]),
        (StripAccents(), "e\u0301é", "eé", [(0, 1), (2, 3)]),
        (Strip(), " \ta b\u3000", "a b", [(2, 3), (3, 4), (4, 5)]),
        (Strip(strip_left=False), " a ", " a", [(0, 1), (1, 2)]),
        (Replace(Pattern(" {2,}", is_regex=True), "▁"), "a   b", "a▁b", [(0, 1), (3, 4), (4, 5)]),
        (Replace("``", '"'), "``a", '"a', [(1, 2), (2, 3)]),
        (Prepend("▁"), "ab", "▁ab", [(0, 1), (0, 1), (1, 2)]),
        (Prepend("▁"), "", "", []),
        (Nmt(), "a\x01\tb\u200bc", "a b c", [(0, 1), (2, 3), (3, 4), (4, 5), (5, 6)]),
        (NormalizerSequence([NFD(), StripAccents(), Lowercase()]), "É", "e", [(0, 1)]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Normalizer) else None,
)
def test_each_normalizer(normalizer, text, normalized, spans):
    aligned = normalizer.normalize(text)
    assert (aligned.text, spans_of(aligned)) == (normalized, spans)
    assert normalizer_from_json(normalizer.to_json()).to_json() == normalizer.to_json()
    moved = normalizer.normalize(text, first=10)
    assert spans_of(moved) == [(start + 10, stop + 10) for start, stop in spans]


@pytest.mark.parametrize("form", [NFC, NFD, NFKC, NFKD])
@given(
    text=st.text(st.characters(codec="utf-8", max_codepoint=0x3000) | st.sampled_from("e\u0301\u0323각\u1100\u1161"))
)
def test_normal_forms_are_unicodes(form, text):
    """Python's own, for what was assigned before Unicode 12."""
    assume(not LATE.search(text))
    assert form().normalize(text).text == unicodedata.normalize(form.__name__, text)


def test_precompiled_map():
    table = {"ﬁ": "fi", "a": "A", "e\u0301": "é", "\u3000": " ", "①": "1"}
    normalizer = Precompiled(precompiled_blob(table))
    aligned = normalizer.normalize("ﬁa\u3000e\u0301b①")
    assert aligned.text == "fiA éb1"
    assert spans_of(aligned) == [(0, 1), (0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7)]
    assert Precompiled.from_json(normalizer.to_json()).normalize("a").text == "A"
    assert Precompiled(b"").normalize("a").text == "a"
    for blob in (b"\1", b"\xff\0\0\0abcd", b"\3\0\0\0abcd"):
        with pytest.raises(ValueError, match="the precompiled map"):
            Precompiled(blob)


def test_patterns():
    assert Pattern(r"\p{L}+|[^\p{N}\s]", is_regex=True).compiled.findall("aé1 !²b") == ["aé", "!", "b"]
    assert Pattern("a.b").compiled.findall("a.b axb") == ["a.b"]
    assert Pattern(r"\\p{L}", is_regex=True).compiled.findall(r"\p{L}") == [r"\p{L}"]  # an escaped backslash
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        Pattern("(", is_regex=True)
    with pytest.raises(ValueError, match="a pattern is of kind 'Glob'"):
        Pattern.from_json({"Glob": "*"})
    with pytest.raises(ValueError, match="the normalizer is of type 'Other'"):
        normalizer_from_json({"type": "Other"})


AWKWARD = st.text(
    st.characters(codec="utf-8")
    | st.sampled_from(" \n\t\0aA'sÉe\u0301\u0323\u1aca\u0f71각\u1100ﬁ①\u3000\u200d\U00011935\U00011930好")
)
ALL_KINDS = [
    BertNormalizer(), BertNormalizer(False, True, False, False), NFC(), NFD(), NFKC(), NFKD(), Lowercase(), Nmt(),
    StripAccents(), Strip(), Prepend("▁"),Replace(" ", "▁"), Replace("a", ""), Replace("", "x"), Replace("e", "\\1e"),
    Replace(Pattern(r"\s*", True), "_"),
    Precompiled(precompiled_blob({"ﬁ": "fi", "e\u0301": "é", "\t": " ", "好": ""})),
]  # fmt: skip


@pytest.mark.parametrize("normalizer", [*ALL_KINDS, NormalizerSequence(ALL_KINDS[3:])], ids=lambda n: type(n).__name__)
@given(text=AWKWARD)
def test_plain_text_is_rewritten_alike(normalizer, text):
    """Without spans there are quicker ways; they must give the same text."""
    assert normalizer.plain(text) == normalizer.normalize(text).text
