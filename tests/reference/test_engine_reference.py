"""Whole tokenizers, as models have them, against the `tokenizers` library: whichever cache a text takes.

Stretches, words, independent parts of words; each text twice, so that the second time everything is in a cache.
"""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers  # noqa: E402

from edutransformers.tokenizers.tokenizer_json import engine_from_json  # noqa: E402
from tests.reference.test_stages_reference import GPT4  # noqa: E402
from tests.reference.test_tokenizers_reference import ADVERSARIAL  # noqa: E402
from tests.tokenizers.test_normalizers import precompiled_blob  # noqa: E402

pytestmark = pytest.mark.reference

WORDS = (
    "the then these there don't low lower lowest  newer new\n\nIT'S it's 1234 x=f(a,b)[1:2]; naïve café ﬁne 日本語 "
    "ภาษาไทย 👩\u200d👩\u200d👧 Straße"
)
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
MAP = precompiled_blob({"ﬁ": "fi", "e\u0301": "é", "\u3000": " ", "\t": " ", "\n": " ", "\u200b": "", "①": "1"})


def byte_level(split=None, normalizer=None, **options):
    last = pre_tokenizers.ByteLevel(add_prefix_space=options.pop("prefix", False), use_regex=split is None)
    if options.get("end_of_word_suffix"):
        last = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs = Tokenizer(models.BPE(**options))
    theirs.pre_tokenizer = last if split is None else pre_tokenizers.Sequence([split, last])
    theirs.normalizer = normalizer
    suffix = {"end_of_word_suffix": "</w>"} if options.get("end_of_word_suffix") else {}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False, **suffix
    )
    theirs.train_from_iterator([WORDS, *ADVERSARIAL] * 4, trainer)
    return theirs


def llama(normalizer, pre_tokenizer, **options):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<unk>", *BYTES], limit_alphabet=60, show_progress=False
    )
    trained.train_from_iterator([WORDS] * 4, trainer)
    model = json.loads(trained.to_str())["model"]
    options = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, **options}
    theirs = Tokenizer(models.BPE(model["vocab"], [tuple(merge) for merge in model["merges"]], **options))
    theirs.normalizer, theirs.pre_tokenizer = normalizer, pre_tokenizer
    return theirs


def unigram(normalizer, pre_tokenizer):
    theirs = Tokenizer(models.Unigram())
    theirs.normalizer, theirs.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    theirs.train_from_iterator([WORDS] * 4, trainer)
    return theirs


def build():
    N, P = normalizers, pre_tokenizers
    prepend = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    albert = [N.Replace("``", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), N.Precompiled(MAP)]
    yield "GPT-2", byte_level()
    yield "RoBERTa", byte_level(prefix=True)
    yield "Llama 3", byte_level(P.Split(Regex(GPT4), "isolated"), ignore_merges=True)
    yield "Qwen", byte_level(P.Split(Regex(GPT4), "isolated"), N.NFC())
    yield (
        "CLIP",
        byte_level(
            P.Split(Regex(CLIP), "removed", invert=True),
            N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()]),
            unk_token="<|endoftext|>",
            end_of_word_suffix="</w>",
        ),
    )
    yield "lower-case, byte level", byte_level(normalizer=N.Lowercase())
    yield "words cut", byte_level(P.Split(Regex(r"\w+"), "isolated"))
    yield "groups", byte_level(P.Split(Regex(r"(\w)\w*|[^\w]"), "isolated"))
    yield "Llama", llama(prepend, None)
    yield "Llama, Metaspace", llama(None, P.Metaspace("▁", "first", split=False))
    yield "Llama, unfused", llama(prepend, None, fuse_unk=False, byte_fallback=False)
    yield "Llama, fused", llama(prepend, None, byte_fallback=False)
    yield "Llama, no unknown token", llama(prepend, None, unk_token=None, byte_fallback=False)
    yield "Gemma", llama(N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"))
    yield "T5", unigram(N.Sequence([N.Precompiled(MAP), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace())
    yield "T5, first", unigram(N.Sequence([N.Strip(False, True), N.Precompiled(MAP)]), P.Metaspace("▁", "first"))
    yield "ALBERT", unigram(N.Sequence([*albert, N.Replace(Regex(" {2,}"), " ")]), P.Metaspace())
    yield "XLM-R", unigram(N.Precompiled(MAP), P.Sequence([P.WhitespaceSplit(), P.Metaspace()]))
    yield "characters", unigram(N.NFKC(), P.Split(Regex(r"[\s\S]"), "isolated"))


THEIRS = dict(build())
OURS = {}
for name, theirs in THEIRS.items():
    theirs.add_special_tokens(["<s>", AddedToken("<m>", lstrip=True, rstrip=True)])
    if name in ("CLIP", "Llama", "T5", "GPT-2", "ALBERT", "Llama, Metaspace"):
        theirs.add_tokens(["low er", AddedToken("News", single_word=True), AddedToken("É", normalized=True)])
    OURS[name] = engine_from_json(json.loads(theirs.to_str()))

LONG = " ".join(random.Random(0).choices(WORDS.split(), k=60))
TEXTS = [
    *ADVERSARIAL,
    WORDS,
    WORDS.upper(),
    LONG,
    LONG.replace(" ", ""),
    "<s> the<s>then  <m> new",
    "low er LOW ER News newS É e\u0301 É1",
    " ▁▁ the▁ ▁",
    "IT'S 'S 'ſ",
    "the\n\n  \n then\t\tnew   ",
    "\u200b\u200bthe",
    "①\u3000②",
    "abc" * 60,
    "日本" * 60 + " 語",
    "lo€west the€re €€n€ew" * 5,  # unknown characters in long words: fused, left out, as bytes
    "t€he" * 20,
]
POOL = st.sampled_from(
    list(" \n\t▁the'SLOWlow1é\u0301ﬁ日①\u200b\u3000É") + ["<s>", "<m>", "low er", "News", "don't", "  "]
)


def assert_same(name, text):
    theirs, ours = THEIRS[name], OURS[name]
    encoding = theirs.encode(text)
    for _ in range(2):
        (row,) = ours.encode(ours.tokenize(text))
        assert row.ids == encoding.ids, ascii(text)
        assert row.tokens == encoding.tokens, ascii(text)
        if name != "Llama, no unknown token":  # there the original counts as if what is unknown weren't in the text
            assert row.offsets == encoding.offsets, ascii(text)
        assert row.word_ids == encoding.word_ids, ascii(text)


@pytest.mark.parametrize("name", THEIRS)
def test_texts(name):
    for text in TEXTS:
        assert_same(name, text)


@pytest.mark.parametrize("name", THEIRS)
@settings(deadline=None, max_examples=120)
@given(
    text=st.lists(POOL, max_size=14).map("".join).flatmap(lambda s: st.sampled_from([s, 4 * s]))
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
def test_made_up_texts(name, text):
    assert_same(name, text)
