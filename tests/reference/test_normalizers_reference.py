"""Normalizers against the `tokenizers` library: what each writes, and what of the text each character stands for."""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

from tokenizers import Regex, Tokenizer, models, normalizers  # noqa: E402

from edutransformers.tokenizers.normalizers import normalizer_from_json  # noqa: E402
from tests.tokenizers.test_normalizers import precompiled_blob  # noqa: E402

pytestmark = pytest.mark.reference

CASES = {
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "lowercase": normalizers.Lowercase(),
    "strip accents": normalizers.StripAccents(),
    "strip": normalizers.Strip(),
    "strip left": normalizers.Strip(left=True, right=False),
    "nmt": normalizers.Nmt(),
    "prepend": normalizers.Prepend("▁"),
    "byte level": normalizers.ByteLevel(),
    "replace": normalizers.Replace(" ", "▁"),
    "replace blanks": normalizers.Replace(Regex(" {2,}"), " "),
    "replace by more": normalizers.Replace(Regex("[ab]+é?"), "xyz"),
    "replace letters": normalizers.Replace(Regex(r"[\\p{L}]+\\p{N}"), "_"),
    "XLNet's": normalizers.Sequence([normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents()]),
    "nmt_nfkc": normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
    "precompiled": normalizers.Precompiled(
        precompiled_blob({"ﬁ": "fi", "a": "A", "e\u0301": "é", "\u3000": " ", "①": "", "🏽": "!", "が": "か\u3099"})
    ),
}
POOL = "aAbé\u0301\u0323\u0308ÅÅﬁ½ｶﾞ각\u1100\u1161\u11a8\u0344\u0f73ǖΆ①İß   \t\n\u3000\u200b\ufeff``㍿Ⅳ㌀ﷺ😀🏽がx1²"


def both(name):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = CASES[name]
    part = json.loads(tokenizer.to_str())["normalizer"]
    ours = normalizer_from_json(part)
    assert ours.to_json() == part
    return ours, CASES[name]


@pytest.mark.parametrize("name", CASES)
def test_text_and_spans(name):
    ours, theirs = both(name)
    generator = random.Random(0)
    others = "".join(chr(generator.randrange(0xA0, 0x3000)) for _ in range(60))
    for _ in range(800):
        text = "".join(generator.choices(POOL + others, k=generator.randrange(9)))
        aligned, expected = ours.normalize(text), tokenizers.NormalizedString(text)
        theirs.normalize(expected)
        assert aligned.text == expected.normalized, ascii(text)
        found = [text[slice(*aligned.original_span(i, i + 1))] for i in range(len(aligned))]
        assert found == [expected[i : i + 1].original for i in range(len(aligned))], ascii(text)


@pytest.mark.parametrize(
    "name", ["NFC", "NFD", "NFKC", "NFKD", "lowercase", "strip accents", "strip", "nmt", "byte level"]
)
def test_every_code_point(name):
    ours, theirs = both(name)
    for code in [*range(1, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200)]:
        text = chr(code)
        if ours.normalize(text).text != theirs.normalize_str(text):
            raise AssertionError(f"U+{code:04X}: {ours.normalize(text).text!a}, {theirs.normalize_str(text)!a}")
