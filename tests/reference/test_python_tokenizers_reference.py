"""GPT's, CTRL's, XLM's and Wav2Vec2's tokenizers against transformers' classes, most of which are in Python alone."""

import json
import re
import sys
import tempfile
import types
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

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
    suite.assert_same_texts(*gpt, corpus(1_000_000), pairs=False)


def test_openai_gpt_every_assigned_character(gpt):
    suite.assert_same_texts(*gpt, suite.assigned_characters(), pairs=False)


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_openai_gpt_any_text(gpt, text):
    suite.assert_same_texts(*gpt, [text, text[::-1]])


def assert_each_loads_the_others(ours, theirs, tmp_path):
    """What the one has saved, the other loads. (`assert_same_files` compares names of inputs too, which differ.)"""
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    suite.assert_same_texts(ours, type(theirs).from_pretrained(str(tmp_path / "ours")), is_fast=False)
    suite.assert_same_texts(edutransformers.AutoTokenizer.from_pretrained(tmp_path / "theirs"), theirs, is_fast=False)


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
    assert_each_loads_the_others(ours, theirs, tmp_path)
    assert ours.control_codes == theirs.control_codes
    for tokenizer in ctrl:
        tokenizer.add_special_tokens({"pad_token": "<pad>"})
    suite.assert_same_calls(ours, theirs, is_fast=False)


def test_ctrl_corpus(ctrl):
    suite.assert_same_texts(*ctrl, corpus(1_000_000), is_fast=False, pairs=False)


def test_ctrl_every_assigned_character(ctrl):
    suite.assert_same_texts(*ctrl, suite.assigned_characters(), is_fast=False, pairs=False)


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_ctrl_any_text(ctrl, text):
    suite.assert_same_texts(*ctrl, [text, text[::-1]], is_fast=False, pairs=False)


# -- Wav2Vec2 ---------------------------------------------------------------------------------------------------------

LETTERS = [*"|ABCDEFGHIJKLMNOPQRSTUVWXYZ'ÄÖÜßÉabcdefghijklmnopqrstuvwxyz.,!-0123456789", "CH", "SCH", "EAU"]
SPOKEN = ["<pad>", "<s>", "</s>", "<unk>", *LETTERS]
# Of one size: where the next one is smaller, the original leaves tokens of the one before, with ids behind its end.
RUSSIAN = "|абвгдежзийклмнопрстуфхцчшщъыьэюяАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ012345678"
LANGUAGES = {"deu": SPOKEN, "rus": ["<unk>", "<pad>", *RUSSIAN, "<s>", "</s>", "ДЖ", "CH"]}


def wav2vec2_pair(folder, vocab, **options):
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    return tuple(
        library.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **options)
        for library in (edutransformers, transformers)
    )


def ids_of(tokens):
    return {token: i for i, token in enumerate(tokens)}


@pytest.fixture(scope="module", params=[False, True])
def wav2vec2(request, tmp_path_factory):
    return wav2vec2_pair(tmp_path_factory.mktemp("wav2vec2"), ids_of(SPOKEN), do_lower_case=request.param)


def test_wav2vec2(wav2vec2, tmp_path):
    ours, theirs = wav2vec2
    # Transformers 5 takes the word delimiter for a special token, too.
    assert set(theirs.all_special_tokens) - set(ours.all_special_tokens) == {"|"}
    theirs._special_tokens_map.pop("word_delimiter_token", None)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    texts = [*corpus(500_000), *suite.assigned_characters()] if ours.do_lower_case else corpus(1_000_000)
    suite.assert_same_texts(ours, theirs, texts, is_fast=False, pairs=False)
    suite.assert_same_calls(ours, theirs, is_fast=False)
    suite.assert_same_methods(ours, theirs)
    texts = ["THE CH EAU  <pad>  <s>B", "SCHCHE</s> x<unk>y", "ßaßCHch <pad>|a|"]
    suite.assert_same_texts(ours, theirs, texts, is_fast=False)
    for text in texts:
        assert ours.tokenize(text) == theirs.tokenize(text)
    assert_each_loads_the_others(ours, theirs, tmp_path)


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_wav2vec2_any_text(wav2vec2, text):
    suite.assert_same_texts(*wav2vec2, [text, text[::-1]], is_fast=False)


HEARD = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 31, 70, 71, 72]), st.integers(1, 3)), max_size=12
)


@settings(max_examples=300, deadline=None)
@given(runs=HEARD, options=st.lists(st.booleans(), min_size=6, max_size=6))
def test_wav2vec2_decoding(wav2vec2, runs, options):
    names = ["skip_special_tokens", "clean_up_tokenization_spaces", "output_char_offsets", "output_word_offsets"]
    names += ["group_tokens", "spaces_between_special_tokens"]
    options = dict(zip(names, options))
    ids = [i for i, length in runs for _ in range(length)]
    assert_same_decoded(*(tokenizer.decode(ids, **options) for tokenizer in wav2vec2))
    rows = [[5, *ids], ids, []]  # not empty first: then the original answers in another form
    assert_same_decoded(*(tokenizer.batch_decode(rows, **options) for tokenizer in wav2vec2))
    for tokenizer in wav2vec2:
        tokens = tokenizer.convert_ids_to_tokens(ids)
        del tokens[3:4]
    calls = [(t.convert_tokens_to_string(tokens, output_word_offsets=True, output_char_offsets=True)) for t in wav2vec2]
    assert calls[0] == calls[1]


def assert_same_decoded(mine, other):
    assert type(mine).__name__ == type(other).__name__
    assert mine == other if isinstance(mine, (str, list)) else dict(mine) == dict(other)


def test_wav2vec2_languages(tmp_path):
    vocab = {language: ids_of(tokens) for language, tokens in LANGUAGES.items()}
    pair = wav2vec2_pair(tmp_path, vocab, target_lang="deu")
    assert pair[0].vocab == pair[1].vocab
    for language in ("deu", "rus", "deu"):
        for tokenizer in pair:
            tokenizer.set_target_lang(language)
        # (No "SCH": where it is no entry any more, the original still cuts texts at it.)
        suite.assert_same_texts(*pair, ["ДЖа CH", "ачCHач", *suite.ADVERSARIAL], is_fast=False)
        assert pair[0].unk_token_id == pair[1].unk_token_id
        pair[0].save_pretrained(tmp_path / language)
        theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / language))
        suite.assert_same_texts(pair[0], theirs, is_fast=False)
    for tokenizer in pair:
        with pytest.raises(ValueError, match="deu, rus"):
            tokenizer.set_target_lang("eng")


# -- XLM --------------------------------------------------------------------------------------------------------------


def xlm_pair(folder, texts, size, limit=None, **options):
    """Ours, trained on the texts; the original from its files."""
    first = edutransformers.XLMTokenizer(vocab={"<unk>": 0}, merges=[])
    order = ["<s>", "</s>", "<pad>", "<unk>"]  # before the others, as in the published vocabularies
    training = {"special_tokens": order, "limit_alphabet": limit, "show_progress": False}
    new = first.train_new_from_iterator(texts, size, **training)
    new.save_vocabulary(folder)
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    return tuple(library.XLMTokenizer(*files, **options) for library in (edutransformers, transformers))


@pytest.fixture(scope="module")
def xlm(tmp_path_factory):
    return xlm_pair(tmp_path_factory.mktemp("xlm"), corpus()[:2000], 4000)


def test_xlm(xlm, tmp_path):
    ours, theirs = xlm
    assert ours.model_input_names == ["input_ids", "token_type_ids", "attention_mask"]  # transformers 5 has no types
    ours.model_input_names = theirs.model_input_names
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    suite.assert_same_calls(ours, theirs, is_fast=False)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    pair = (suite.LONG, suite.OTHER)
    assert ours(*pair, return_token_type_ids=True) == theirs(*pair, return_token_type_ids=True)
    assert_each_loads_the_others(ours, theirs, tmp_path)
    texts = ["the</s> fox<special3>and <unk>", "Mr. Smith's U.S. etc. and No. 5, p. 7.", "<s><pad> a<pad>"]
    suite.assert_same_texts(ours, theirs, texts, is_fast=False)
    pair = xlm_pair(tmp_path, corpus()[:20], 300)
    for tokenizer in pair:
        tokenizer.add_tokens(["new", "word"])  # in lower case: the original lower-cases them, and not the texts
    suite.assert_same_texts(*pair, ["a New words new. wordnew new", *texts], is_fast=False)


def test_xlm_corpus(xlm):
    """sacremoses takes a second for 20 KB, so not all of the corpus; offsets of a part."""
    texts = corpus(1_000_000)
    suite.assert_same_texts(*xlm, texts, is_fast=False, pairs=False)
    assert_same_and_in_place(*xlm, texts[:500])


def test_xlm_every_assigned_character(xlm):
    assert_same_and_in_place(*xlm, suite.assigned_characters())


@settings(max_examples=300, deadline=None)
@given(text=suite.ANY_TEXT)
def test_xlm_any_text(xlm, text):
    assert_same_and_in_place(*xlm, [text, text[::-1]])


def assert_same_and_in_place(ours, theirs, texts):
    """The original knows no offsets; ours are in order, and a word's letters stand where its offsets say."""
    texts = list(texts)
    suite.assert_same_texts(ours, theirs, texts, is_fast=False, pairs=False)
    for text in texts:
        encoded = ours(text, return_offsets_mapping=True, add_special_tokens=False)
        done = 0
        for token, (start, stop) in zip(encoded.tokens(), encoded.offset_mapping):
            assert done <= start <= stop <= len(text), ascii(text)
            done = start
            letters = token.removesuffix("</w>")
            if letters.isascii() and letters.isalnum() and text.isascii() and "MULTI" not in text:
                assert letters == re.sub("[\0-\x1f\x7f]", "", text[start:stop]).lower(), ascii(text)


@pytest.mark.parametrize("lang", ["en", "fr", "de", "ro", "cs", "ru", "zh", "th"])
@pytest.mark.parametrize("lower", [True, False])
def test_xlm_languages(lang, lower, tmp_path, monkeypatch):
    def cut(text):
        return [text[i : i + 3] for i in range(0, len(text), 3)]

    for name, function in {"jieba": "cut", "rjieba": "cut", "pythainlp": "word_tokenize"}.items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**{function: cut}))
    ours, theirs = xlm_pair(tmp_path, corpus()[:100], 600, do_lowercase_and_remove_accent=lower)
    ours.lang = lang
    texts = [*suite.ADVERSARIAL, *corpus(500_000)[:300]]
    if lang == "th" and not lower:  # where blanks are two unknown tokens each
        texts = [text for text in (re.sub(r"\s", "", text) for text in texts) if " " not in moses(theirs, text, lang)]
    for text in texts:
        expected = theirs._tokenize(text, lang=lang)
        assert ours._tokenize(text, lang=lang) == expected, ascii(text)
        assert theirs._tokenize(text, bypass_tokenizer=True) == ours._tokenize(text, bypass_tokenizer=True)
        assert ours(text, add_special_tokens=False).input_ids == theirs.convert_tokens_to_ids(expected), ascii(text)
        offsets = ours(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
        assert [start for start, _ in offsets] == sorted(start for start, _ in offsets), ascii(text)


def moses(theirs, text, lang):
    return theirs.moses_pipeline(text, lang=lang)


def originals():
    vocab, merges = gpt_vocabulary(corpus()[:300], 700, limit=300)
    gpt = transformers.OpenAIGPTTokenizer(vocab=vocab, merges=merges)
    gpt.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output = True  # as 4.34 does
    with tempfile.TemporaryDirectory() as folder:
        spoken = wav2vec2_pair(Path(folder), ids_of(SPOKEN), do_lower_case=True)[1]
        xlm = xlm_pair(Path(folder), corpus()[:300], 900, limit=300)[1]
    xlm.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as at v4.34
    return {"openai_gpt": gpt, "wav2vec2_ctc": spoken, "xlm": xlm}
