"""GPT's, CTRL's, XLM's and Wav2Vec2's tokenizers against transformers' classes, most of which are in Python alone."""

import json

import pytest

transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402

import edutransformers  # noqa: E402
from edutransformers.tokenizers import BertNormalizer, BertPreTokenizer, train_bpe  # noqa: E402

from . import tokenizer_suite as suite  # noqa: E402
from .corpus import corpus  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]


def gpt_vocabulary(texts, size, limit=None):
    return train_bpe(
        texts,
        size,
        limit_alphabet=limit,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        normalizer=BertNormalizer(),
        pre_tokenizer=BertPreTokenizer(),
        show_progress=False,
    )


@pytest.fixture(scope="module")
def gpt():
    vocab, merges = gpt_vocabulary(corpus()[:2000], 4000)
    theirs = transformers.OpenAIGPTTokenizer(vocab=vocab, merges=merges)
    return edutransformers.OpenAIGPTTokenizer(vocab=vocab, merges=merges), theirs


def test_openai_gpt(gpt, tmp_path):
    ours, theirs = gpt
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path)
    for tokenizer in gpt:
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
    suite.assert_same_calls(ours, theirs)


def test_openai_gpt_stages(gpt, tmp_path):
    mine, other = (json.loads(path.read_text(encoding="utf-8")) for path in saved_stages(gpt, tmp_path))
    for name in ("normalizer", "pre_tokenizer", "decoder"):
        assert mine[name] == other[name], name
    # No prefix is null in 4.34's, and the empty string in 5.x's.
    assert {**mine["model"], "continuing_subword_prefix": ""} == other["model"]


def saved_stages(pair, tmp_path):
    for tokenizer, name in zip(pair, ("ours", "theirs")):
        tokenizer.save_pretrained(str(tmp_path / name))
        yield tmp_path / name / "tokenizer.json"


def test_openai_gpt_corpus(gpt):
    suite.assert_same_texts(*gpt, corpus(), pairs=False)


def test_openai_gpt_every_assigned_character(gpt):
    suite.assert_same_texts(*gpt, suite.assigned_characters(), pairs=False)


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_openai_gpt_any_text(gpt, text):
    suite.assert_same_texts(*gpt, [text, text[::-1]])


# -- CTRL -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ctrl(tmp_path_factory):
    return ctrl_pair(tmp_path_factory.mktemp("ctrl"), corpus()[:2000], 4000)


def ctrl_pair(folder, texts, size):
    """Ours, trained on the texts; the original from its files."""
    first = edutransformers.CTRLTokenizer(vocab={"<unk>": 0}, merges=[])
    ours = first.train_new_from_iterator(texts, size, show_progress=False)
    ours.save_vocabulary(folder)
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    return edutransformers.CTRLTokenizer(*files), transformers.CTRLTokenizer(*files)


def test_ctrl(ctrl, tmp_path):
    """Token types are at v4.34 as with us (legacy/test_python_tokenizers_legacy.py); transformers 5 has none."""
    ours, theirs = ctrl
    assert ours.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]
    assert theirs.model_input_names == ["input_ids", "attention_mask"]
    ours.model_input_names = theirs.model_input_names
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    suite.assert_same_texts(ours, type(theirs).from_pretrained(str(tmp_path / "ours")), is_fast=False)
    suite.assert_same_texts(edutransformers.AutoTokenizer.from_pretrained(tmp_path / "theirs"), theirs, is_fast=False)
    assert ours.control_codes == theirs.control_codes
    for tokenizer in ctrl:
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
    suite.assert_same_calls(ours, theirs, is_fast=False)


def test_ctrl_corpus(ctrl):
    suite.assert_same_texts(*ctrl, corpus(), is_fast=False, pairs=False)


def test_ctrl_every_assigned_character(ctrl):
    suite.assert_same_texts(*ctrl, suite.assigned_characters(), is_fast=False, pairs=False)


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_ctrl_any_text(ctrl, text):
    suite.assert_same_texts(*ctrl, [text, text[::-1]], is_fast=False, pairs=False)


def originals():
    vocab, merges = gpt_vocabulary(corpus()[:300], 700, limit=300)
    gpt = transformers.OpenAIGPTTokenizer(vocab=vocab, merges=merges)
    gpt.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True  # as 4.34 does
    return {"openai_gpt": gpt}
