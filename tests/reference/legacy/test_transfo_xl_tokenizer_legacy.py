"""Transformer-XL's tokenizer against transformers 4.34.1: transformers 5 has none."""

import pickle
import re
from collections import Counter

import pytest
from hypothesis import given, settings

import edutransformers
from edutransformers.tokenizers.vocabulary_pickle import read_vocabulary_pickle

from .. import tokenizer_suite as suite
from ..common import MAJOR, transformers
from ..corpus import corpus

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
    pytest.mark.filterwarnings("ignore"),
]

TEXTS = [
    "5,000.25 people-like 3.5 1,2,3 a,b well-known--x -- @-@ @,@",
    "Mr. Smith's U.S. etc. No. 5 can't DOTMULTI ... .. .",
    "the <eos> fox<eos><formula>x <unk>",
    "“Quoted”, «guillemets» …",
]


def transfo_xl_pair(folder, texts, size, **options):
    """Both from one vocab.txt of words, the most frequent in the texts."""
    first = edutransformers.TransfoXLTokenizer()
    new = first.train_new_from_iterator(texts, size, show_progress=False)
    new.save_vocabulary(folder)
    options = {"vocab_file": str(folder / "vocab.txt"), **options}
    return edutransformers.TransfoXLTokenizer(**options), transformers.TransfoXLTokenizer(**options)


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lower"])
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfo_xl")
    return transfo_xl_pair(folder, corpus(500_000), 6000, lower_case=request.param)


def test_transfo_xl(pair, tmp_path):
    ours, theirs = pair
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, [*suite.ADVERSARIAL, *TEXTS], is_fast=False)
    suite.assert_same_decoding(ours, theirs, [*suite.ADVERSARIAL, *TEXTS])
    suite.assert_same_methods(ours, theirs)
    assert ours.sym2idx == theirs.sym2idx
    assert ours.idx2sym == theirs.idx2sym
    for text in [*TEXTS, *suite.ADVERSARIAL]:
        assert ours.tokenize(text) == theirs.tokenize(text)
        assert ours.moses_pipeline(text) == theirs.moses_pipeline(text)
        assert ours._tokenize(text, add_eos=True) == theirs._tokenize(text, add_eos=True)
    # Each loads what the other saved. (Of its own file alone the original reads no idx2sym, and can't decode.)
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(str(tmp_path / "theirs"))
    loaded = edutransformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    suite.assert_same_texts(loaded, theirs, is_fast=False)
    suite.assert_same_names(loaded, theirs)
    loaded = transformers.TransfoXLTokenizer.from_pretrained(str(tmp_path / "ours"))
    suite.assert_same_texts(ours, loaded, is_fast=False)
    suite.assert_same_decoding(ours, loaded)
    alone = transformers.TransfoXLTokenizer(pretrained_vocab_file=str(tmp_path / "ours" / "vocab.pkl"))
    assert alone("the fox zzzz") == transformers.TransfoXLTokenizer.from_pretrained(
        str(tmp_path / "ours"), lower_case=False
    )("the fox zzzz")


def test_corpus(pair):
    ours, theirs = pair
    # sacremoses takes a second for 20 KB, so not all of the corpus; offsets of a part.
    texts = suite.assigned_characters() if ours.lower_case else corpus(1_000_000)
    suite.assert_same_texts(ours, theirs, texts, is_fast=False, pairs=False)
    for text in texts[::5]:
        encoded = ours(text, return_offsets_mapping=True)
        done = 0
        for token, (start, stop) in zip(encoded.tokens(), encoded.offset_mapping):
            assert done <= start <= stop <= len(text), ascii(text)
            done = start
            if token.isascii() and token.isalnum() and text.isascii() and "MULTI" not in text:
                found = re.sub("[\0-\x1f]", "", text[start:stop])
                assert token in (found, found.lower()), ascii(text)


@settings(max_examples=200, deadline=None)
@given(text=suite.ANY_TEXT)
def test_any_text(pair, text):
    suite.assert_same_texts(*pair, [text, text[::-1]], is_fast=False)


def test_calls(tmp_path):
    pair = transfo_xl_pair(tmp_path, corpus(500_000)[:100], 800)
    for tokenizer in pair:
        tokenizer.add_tokens(["newword"])  # first: moved, it makes room for one word more before those added
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
        tokenizer.add_tokens(["<x>"])
    suite.assert_same_calls(*pair, is_fast=False)
    texts = ["the newword<x> fox <pad> a newwords", "<x>"]
    suite.assert_same_texts(*pair, texts, is_fast=False)
    suite.assert_same_decoding(*pair, texts)
    for tokenizer in pair:
        tokenizer.move_added_token("newword", 7)
    suite.assert_same_texts(*pair, texts, is_fast=False)
    assert pair[0].idx2sym == pair[1].idx2sym


def test_characters(tmp_path):
    suite.assert_same_texts(*transfo_xl_pair(tmp_path, ["a b c", "d e"], 40, delimiter=""), is_fast=False)


def test_counting(tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"{text[:200]}\n" for text in corpus(500_000)[:50]), encoding="utf-8")
    tokenizers = [
        library.TransfoXLTokenizer(special=["<unk>", "<eos>", "<formula>"], min_freq=2, max_size=300)
        for library in (edutransformers, transformers)
    ]
    sentences = [tokenizer.count_file(str(tmp_path / "text.txt")) for tokenizer in tokenizers]
    assert sentences[0] == sentences[1]
    for tokenizer in tokenizers:
        tokenizer.count_sents([["a", "fox"]])
        tokenizer.build_vocab()
    ours, theirs = tokenizers
    assert ours.counter == theirs.counter
    assert ours.idx2sym == theirs.idx2sym
    encoded = [t.encode_file(str(tmp_path / "text.txt"), ordered=True, add_eos=False) for t in tokenizers]
    assert encoded[0].tolist() == encoded[1].tolist()


def test_the_originals_own_file(pair, tmp_path):
    """A pickle of the whole tokenizer object, with Moses' tokenizer and patterns in it."""
    (path,) = pair[1].save_vocabulary(str(tmp_path))
    assert read_vocabulary_pickle(path) == pair[1].sym2idx
    with open(path, "rb") as file:
        assert isinstance(pickle.load(file)["counter"], Counter)


def originals():
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        _, theirs = transfo_xl_pair(Path(folder), corpus(500_000)[:100], 500)
    theirs.add_special_tokens({"pad_token": "<pad>"})
    theirs.vocab_file = theirs.init_kwargs["vocab_file"] = "vocab.txt"  # its pickle holds both: not this folder
    return {"transfo_xl": theirs}
