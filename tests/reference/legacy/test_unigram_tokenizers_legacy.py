"""The classes with a unigram model and one text layout against transformers 4.34.1, its fast and its Python tokenizers.

Runs in an environment of its own (transformers 4.34.1, numpy < 2):  pytest tests/reference -m legacy
"""

import json
import re

import pytest

import edutransformers
from tests.tokenizers.texts import LONG, OTHER, PROSE

from .. import tokenizer_suite as suite
from ..common import MAJOR, transformers
from ..corpus import corpus
from ..unigram_models import TRAINING, model_bytes, write_model

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
]

NAMES = list(TRAINING)


def build(name, folder, **options):
    """Ours, and the path of its `.model`."""
    path = write_model(folder, name, model_bytes(name, corpus()[:800], 4000))
    return getattr(edutransformers, name)(path, **options), str(path)


def fast(name):
    return getattr(transformers, f"{name}Fast")


@pytest.mark.parametrize("name", NAMES)
def test_a_class(name, tmp_path):
    """Theirs reads the stages that ours saves."""
    ours, _ = build(name, tmp_path)
    ours.save_pretrained(tmp_path / "ours")
    theirs = fast(name).from_pretrained(str(tmp_path / "ours"))
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path / "again")
    suite.assert_same_texts(ours, theirs, corpus(500_000)[::4], pairs=False)
    for first, second in (([5, 6], None), ([5, 6], [7])):
        assert ours.build_inputs_with_special_tokens(first, second) == (
            theirs.build_inputs_with_special_tokens(first, second)
        )
        assert ours.create_token_type_ids_from_sequences(first, second) == (
            theirs.create_token_type_ids_from_sequences(first, second)
        )


@pytest.mark.parametrize("name", NAMES)
def test_its_own_stages(name, tmp_path):
    """Ours reads what theirs makes of a `.model`: stages that keep a blank at a text's end."""
    _, path = build(name, tmp_path)
    theirs = fast(name)(path)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    ours = getattr(edutransformers, name).from_pretrained(tmp_path / "theirs")
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    assert ours.vocabulary_files().popitem()[1] == (tmp_path / "theirs" / TRAINING[name][0]).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_from_the_model_file(name, tmp_path):
    """Both make their stages of the `.model`: the same ids where no white space is left over."""
    ours, path = build(name, tmp_path)
    theirs = fast(name)(path)
    assert ours.get_vocab() == theirs.get_vocab()
    assert (ours.vocab_size, ours.all_special_tokens) == (theirs.vocab_size, theirs.all_special_tokens)
    texts = [*PROSE, LONG, *(text.strip() for text in corpus(500_000)[:500])]
    same_white_space = re.compile(r"(\S| (?!$))*")  # blanks alone, and none at the end
    texts = [text for text in texts if same_white_space.fullmatch(ours._engine.normalizer.plain(text))]
    assert len(texts) > 200
    for text in texts:
        assert ours(text).input_ids == theirs(text)["input_ids"], ascii(text)


@pytest.mark.parametrize("options", [{}, {"do_lower_case": True}, {"split_by_punct": True}])
def test_debertas_stages(options, tmp_path):
    """DeBERTa's are all 4.34's, so every text gives the same."""
    ours, path = build("DebertaV2Tokenizer", tmp_path, **options)
    theirs = transformers.DebertaV2TokenizerFast(path, **options)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000)[::2], pairs=False)
    suite.assert_same_texts(ours, theirs, suite.assigned_characters()[::20], pairs=False)
    ours.save_pretrained(tmp_path / "ours")
    mine = json.loads((tmp_path / "ours" / "tokenizer.json").read_text(encoding="utf-8"))
    other = json.loads(theirs._tokenizer.to_str())
    assert mine["normalizer"] == other["normalizer"]
    assert len(mine["pre_tokenizer"]["pretokenizers"]) == len(other["pre_tokenizer"]["pretokenizers"])
    assert mine["post_processor"] == other["post_processor"]


@pytest.mark.parametrize("name", NAMES)
def test_the_python_tokenizers(name, tmp_path):
    """SentencePiece itself: the same ids for plain text."""
    ours, path = build(name, tmp_path)
    theirs = getattr(transformers, name)(path)
    texts = [text for text in (*PROSE[:2], LONG, *corpus(500_000)) if text.isascii() and text.isprintable()][:300]
    assert len(texts) > 100
    for text in texts:
        if "****" in text:
            continue  # "*", "**", "**" and "**", "*", "**" are equally probable, and each library takes another one
        assert ours(text).input_ids == theirs(text)["input_ids"], text
    assert ours(LONG, OTHER).input_ids == theirs(LONG, OTHER)["input_ids"]
    assert ours.get_special_tokens_mask([5, 6], [7]) == theirs.get_special_tokens_mask([5, 6], [7])
    theirs.save_pretrained(str(tmp_path / "theirs"))
    loaded = getattr(edutransformers, name).from_pretrained(tmp_path / "theirs")
    assert loaded.get_vocab() == ours.get_vocab()
    assert ours.vocabulary_files() == {
        path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir() if path.suffix == ".model"
    }


def test_sentinels(tmp_path):
    ours, path = build("T5Tokenizer", tmp_path)
    theirs = transformers.T5TokenizerFast(path)
    assert sorted(ours.get_sentinel_tokens()) == sorted(theirs.get_sentinel_tokens())
    assert sorted(ours.get_sentinel_token_ids()) == sorted(theirs.get_sentinel_token_ids())


def test_not_legacy(tmp_path):
    """The Python tokenizer swallows white space around a sentinel, so another special token takes its place here."""
    ours, path = build("T5Tokenizer", tmp_path, legacy=False)
    theirs = transformers.T5Tokenizer(path, legacy=False)
    for text in ("Hello </s>. And </s>more", "Hello</s>. And</s> more", "</s>Hello", LONG):
        assert ours(text).input_ids[:-1] == theirs.convert_tokens_to_ids(theirs.tokenize(text)), text
    old, old_theirs = (kind(path, legacy=True) for kind in (edutransformers.T5Tokenizer, transformers.T5Tokenizer))
    text = "Hello </s>. And </s>more"
    assert ours.tokenize(text) != old.tokenize(text) == old_theirs.tokenize(text)
