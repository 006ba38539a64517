"""The tokenizers with languages (mBART, mBART-50, NLLB, Marian) and Llama's against transformers 5.

transformers 5 makes other stages of a `.model` than 4.34 did, whose stages ours are: of mBART's it leaves the map of
replacements out, of Llama's it takes those of `legacy=False`. So mBART's are run by the library itself here, and
Llama's are compared with that setting. All against 4.34.1: legacy/test_language_tokenizers_434_legacy.py.
"""

import json
import tempfile
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from hypothesis import given, settings  # noqa: E402

import edutransformers  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import engine_to_json  # noqa: E402
from tests.tokenizers.texts import ADVERSARIAL, LONG, OTHER, PROSE  # noqa: E402

from . import tokenizer_suite as suite  # noqa: E402
from .corpus import corpus  # noqa: E402
from .language_models import model_bytes, sentencepiece, write_model  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

NAMES = {"MBartTokenizer": "unigram", "MBart50Tokenizer": "unigram", "NllbTokenizer": "bpe", "LlamaTokenizer": "llama"}


def by_the_library(ours):
    """Our stages, run by `tokenizers`."""
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(json.dumps(engine_to_json(ours._engine))),
        model_input_names=ours.model_input_names,
        padding_side=ours.padding_side,
        **ours.special_tokens_map,
    )
    model = ours._engine.model
    if hasattr(model, "scores"):  # which it reads from JSON not to the last bit, and equally good cuts depend on that
        vocab = [(token, model.scores[i]) for token, i in model.vocab.items()]
        theirs._tokenizer.model = tokenizers.models.Unigram(vocab, model.unk_id)
    return theirs


def original_of(ours):
    """Theirs with our vocabulary; mBART's with our stages."""
    name, model = type(ours).__name__, ours._engine.model
    if name == "MBartTokenizer":
        return by_the_library(ours)
    mask = {"mask_token": transformers.AddedToken("<mask>", lstrip=True, normalized=True, special=True)}
    if name == "MBart50Tokenizer":
        vocab = [(token, model.scores[i]) for token, i in model.vocab.items()]
        return transformers.MBart50Tokenizer(vocab=vocab, _spm_precompiled_charsmap=charsmap_of(ours), **mask)
    options = {"vocab": model.vocab, "merges": model.merge_list()}
    if name == "NllbTokenizer":
        return transformers.NllbTokenizer(**options, _spm_precompiled_charsmap=charsmap_of(ours))
    return getattr(transformers, name)(**options, add_bos_token=True)


def charsmap_of(ours):
    return next(step.map.blob for step in ours._engine.normalizer.normalizers if hasattr(step, "map"))


def pair_of(name, folder, texts=1500, size=5000):
    path = write_model(folder / "x.model", NAMES[name], corpus()[:texts], size)
    options = {"legacy": False} if name == "LlamaTokenizer" else {}
    ours = getattr(edutransformers, name)(path, **options)
    return ours, original_of(ours)


@pytest.mark.parametrize("name", NAMES)
def test_a_class(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    for tokenizer in (ours, theirs):
        if tokenizer.pad_token is None:
            tokenizer.pad_token = "</s>"
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)


@pytest.mark.parametrize("name", ["MBart50Tokenizer", "NllbTokenizer", "LlamaTokenizer"])
def test_files(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    for tokenizer in (ours, theirs):
        if tokenizer.pad_token is None:
            tokenizer.pad_token = "</s>"
    suite.assert_same_files(ours, theirs, tmp_path)


def test_mbarts_files(tmp_path):
    """Ours follows the stages that theirs saves; theirs has its own whatever ours says, on texts where both agree."""
    ours, _ = pair_of("MBartTokenizer", tmp_path)
    model = ours._engine.model
    theirs = transformers.MBartTokenizer(vocab=[(token, model.scores[i]) for token, i in model.vocab.items()])
    theirs.save_pretrained(str(tmp_path / "theirs"))
    loaded = edutransformers.MBartTokenizer.from_pretrained(tmp_path / "theirs")
    suite.assert_same_names(loaded, theirs)
    suite.assert_same_texts(loaded, theirs)
    ours.save_pretrained(tmp_path / "ours")
    by_them = transformers.MBartTokenizer.from_pretrained(str(tmp_path / "ours"))
    assert by_them.get_vocab() == ours.get_vocab()
    for text in (*PROSE[:2], LONG):
        assert by_them(text).input_ids == ours(text).input_ids


@pytest.mark.parametrize("name", ["MBart50Tokenizer", "NllbTokenizer"])
def test_languages(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    languages = {"src_lang": ours.languages[7], "tgt_lang": ours.languages[3]}
    for tokenizer in (ours, theirs):
        tokenizer.src_lang, tokenizer.tgt_lang = languages.values()
    assert dict(ours(LONG, text_target=OTHER)) == dict(theirs(LONG, text_target=OTHER))
    assert ours(LONG).input_ids == theirs(LONG).input_ids
    mine = ours._build_translation_inputs(LONG, None, **languages)
    assert dict(mine) == dict(theirs._build_translation_inputs(LONG, None, **languages))


def test_legacy_llama(tmp_path):
    """The stages of 4.34, run by the library of today."""
    ours = edutransformers.LlamaTokenizer(write_model(tmp_path / "x.model", "llama", corpus()[:1500], 5000))
    theirs = by_the_library(ours)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_llama(legacy, tmp_path):
    """A text with a gap: what is before it begins with a blank. (What is behind it does so in transformers 5 alone.)"""
    path = write_model(tmp_path / "x.model", "llama", corpus()[:1500], 5000)
    ours = edutransformers.CodeLlamaTokenizer(path, legacy=legacy)
    model = ours._engine.model
    options = {"vocab": model.vocab, "merges": model.merge_list(), "add_bos_token": True}
    theirs = transformers.CodeLlamaTokenizer(**options)
    for name in ("prefix", "middle", "suffix", "eot"):
        assert getattr(ours, f"{name}_id") == getattr(theirs, f"{name}_id")
    for before, behind in (("def f(x):", "▁\n  return x"), ("", "▁abc"), ("好 é", "▁\u0301 的"), (LONG, f"▁{OTHER}")):
        for first in (False, True):
            theirs = transformers.CodeLlamaTokenizer(**options)  # a gap changes its stages for good
            assert ours(before, suffix=behind, suffix_first=first).input_ids == (
                theirs(before, suffix=behind, suffix_first=first).input_ids
            )
    if not legacy:
        theirs = transformers.CodeLlamaTokenizer(**options)
        suite.assert_same_texts(ours, theirs)
        theirs.save_pretrained(str(tmp_path / "theirs"))
        loaded = edutransformers.CodeLlamaTokenizer.from_pretrained(tmp_path / "theirs")
        suite.assert_same_texts(loaded, theirs)
        assert loaded.prefix_id == theirs.prefix_id


@pytest.mark.parametrize("name", NAMES)
def test_corpus(name, tmp_path):
    texts = corpus() if name == "LlamaTokenizer" else corpus(1_000_000)
    suite.assert_same_texts(*pair_of(name, tmp_path), texts, pairs=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_assigned_character(name, tmp_path):
    suite.assert_same_texts(*pair_of(name, tmp_path), suite.assigned_characters(), pairs=False)


@pytest.fixture(scope="module")
def small_pairs(tmp_path_factory):
    return [pair_of(name, tmp_path_factory.mktemp(name), 300, 3500) for name in NAMES]


@settings(max_examples=200, deadline=None)
@given(text=suite.ANY_TEXT)
def test_any_text(small_pairs, text):
    for ours, theirs in small_pairs:
        suite.assert_same_texts(ours, theirs, [text, text[::-1]])


# ---------------------------------------------------------------------------------------------------------------------
# Marian: in Python alone
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def marians(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marian")
    files = [
        write_model(folder / f"{name}.spm", kind, corpus()[:1500], 5000)
        for name, kind in (("source", "unigram"), ("target", "bpe"))
    ]
    pieces = []
    for path in files:
        model = sentencepiece.SentencePieceProcessor(model_file=path)
        pieces += [model.id_to_piece(i) for i in range(3, len(model)) if i % 7]  # some are not in vocab.json
    tokens = dict.fromkeys(["</s>", "<unk>", "<pad>", *pieces, ">>fr<<", ">>zho_Hans<<"])
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    files.append(str(folder / "vocab.json"))
    return [kind.MarianTokenizer(*files) for kind in (edutransformers, transformers)]


def test_marian(marians, tmp_path):
    ours, theirs = marians
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    suite.assert_same_calls(ours, theirs, is_fast=False)
    suite.assert_same_files(ours, theirs, tmp_path, is_fast=False)
    texts = [*ADVERSARIAL, ">>fr<< Hello", ">>zho_Hans<<the", ">>xx<< a<<b", "a >>fr<< b", "a</s>b </s> c", "<unk> b"]
    for text in texts:
        assert ours.tokenize(text) == theirs.tokenize(text), ascii(text)
        both = ours(text, text_target=text)
        assert dict(both) == dict(theirs(text, text_target=text)), ascii(text)
        for source in (False, True):
            for skip in (False, True):
                options = {"skip_special_tokens": skip, "use_source_tokenizer": source}
                options["clean_up_tokenization_spaces"] = False
                assert ours.decode(both.labels, **options) == theirs.decode(both.labels, **options), ascii(text)


def test_marian_corpus(marians):
    ours, theirs = marians
    for text in corpus(500_000):
        assert ours(text).input_ids == theirs(text).input_ids, ascii(text)


def test_marian_every_assigned_character(marians):
    ours, theirs = marians
    for text in suite.assigned_characters():
        assert ours(text).input_ids == theirs(text).input_ids, ascii(text)


@settings(max_examples=200, deadline=None)
@given(text=suite.ANY_TEXT)
def test_marian_any_text(marians, text):
    ours, theirs = marians
    both = ours(text, text_target=text, return_offsets_mapping=True)
    other = theirs(text, text_target=text)
    assert (both.input_ids, both.labels) == (other.input_ids, other.labels)
    assert all(0 <= start <= stop <= len(text) for start, stop in both.offset_mapping)


def test_sentencepiece_reads_what_ours_makes(tmp_path):
    """A `.model` made of a vocabulary."""
    for name, kind in NAMES.items():
        data = model_bytes(kind, corpus()[:1500], 5000)
        ours = getattr(edutransformers, name)(write_model(tmp_path / "x.model", kind, corpus()[:1500], 5000))
        ours._model_file = None
        (made,) = ours.vocabulary_files().values()
        before, after = (sentencepiece.SentencePieceProcessor(model_proto=given) for given in (data, made))
        assert made != data
        for text in corpus(500_000)[:200]:
            assert after.encode(text) == before.encode(text), (name, text)


def originals():
    """Of the others, those of 4.34 are frozen (legacy/test_language_tokenizers_434_legacy.py)."""
    texts = tuple([text for text in corpus()[:600] if text.isascii()])
    with tempfile.TemporaryDirectory() as folder:
        ours = edutransformers.CodeLlamaTokenizer(write_model(Path(folder) / "x.model", "small llama", texts, 450))
    model = ours._engine.model
    options = {
        "vocab": model.vocab,
        "merges": model.merge_list(),
        "pad_token": "</s>",
        "add_bos_token": True,
        "legacy": False,
    }
    return {"codellama": transformers.CodeLlamaTokenizer(**options)}
