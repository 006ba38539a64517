"""mBART's, mBART-50's, NLLB's, Marian's, Llama's and CodeLlama's tokenizers against transformers 4.34.1.

Runs in an environment of its own (transformers 4.34.1, numpy < 2):  pytest tests/reference -m legacy
"""

import json
import tempfile
from pathlib import Path

import pytest

import edutransformers
from edutransformers.tokenizers.tokenizer_json import engine_to_json
from tests.tokenizers.texts import ADVERSARIAL, LONG, OTHER, PROSE

from .. import tokenizer_suite as suite
from ..common import MAJOR, transformers
from ..corpus import corpus
from ..language_models import sentencepiece, write_model

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
]

FILES = {
    "MBartTokenizer": "sentencepiece.bpe.model",
    "MBart50Tokenizer": "sentencepiece.bpe.model",
    "NllbTokenizer": "sentencepiece.bpe.model",
    "LlamaTokenizer": "tokenizer.model",
    "CodeLlamaTokenizer": "tokenizer.model",
}
KINDS = {
    "MBartTokenizer": "unigram",
    "MBart50Tokenizer": "unigram",
    "NllbTokenizer": "bpe",
    "LlamaTokenizer": "llama",
    "CodeLlamaTokenizer": "llama",
}
LANGUAGES = {
    "MBartTokenizer": {"src_lang": "de_DE", "tgt_lang": "ro_RO"},
    "MBart50Tokenizer": {"src_lang": "sl_SI", "tgt_lang": "en_XX"},
    "NllbTokenizer": {"src_lang": "deu_Latn", "tgt_lang": "zho_Hans"},
}


def pair_of(name, folder, kind=None, **options):
    """Ours and theirs from a `.model`."""
    path = write_model(folder / "file" / FILES[name], kind or KINDS[name], corpus()[:1500], 5000)
    flags = {}
    if name == "CodeLlamaTokenizer":
        # Theirs alone finds "<s>" only where a word begins, and the files of the published models say otherwise.
        special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        flags = {key: transformers.AddedToken(token, normalized=False) for key, token in special.items()}
    ours = getattr(edutransformers, name)(path, **options)
    return ours, getattr(transformers, f"{name}Fast")(path, **flags, **options)


@pytest.mark.parametrize("name", FILES)
def test_a_class(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    suite.assert_same_names(ours, theirs)
    for tokenizer in (ours, theirs):
        if tokenizer.pad_token is None:
            tokenizer.pad_token = "</s>"
    suite.assert_same_texts(ours, theirs, pairs=name != "CodeLlamaTokenizer")
    if name != "CodeLlamaTokenizer":  # a pair is a prompt with a gap there; here, as in transformers 5, it is a pair
        suite.assert_same_calls(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs, pairs=name != "CodeLlamaTokenizer")
    suite.assert_same_files(ours, theirs, tmp_path, pairs=name != "CodeLlamaTokenizer")
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)
    if name != "CodeLlamaTokenizer":  # its method adds an int to a list
        for first, second in (([5, 6], None), ([5, 6], [7])):
            assert ours.build_inputs_with_special_tokens(first, second) == (
                theirs.build_inputs_with_special_tokens(first, second)
            )


@pytest.mark.parametrize("kind", ["unigram", "bpe", "llama"])
@pytest.mark.parametrize("name", FILES)
def test_stages(name, kind, tmp_path):
    """The tokenizer.json of both is the same, but for names that came after tokenizers 0.14."""
    if kind == "llama" and name not in ("LlamaTokenizer", "CodeLlamaTokenizer"):
        kind = "bpe"
    ours, theirs = pair_of(name, tmp_path, kind)
    mine, other = engine_to_json(ours._engine), json.loads(theirs._tokenizer.to_str())
    for part in ("pre_tokenizer", "decoder"):
        if (mine[part] or {}).get("type") == "Metaspace":
            assert mine[part] == {
                "type": "Metaspace",
                "replacement": "▁",
                "prepend_scheme": "always",
                "split": True,
            }
            assert other[part] == {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
        else:
            assert mine[part] == other[part]
    for part in ("normalizer", "post_processor", "added_tokens"):
        assert mine[part] == other[part], part
    mine["model"].pop("ignore_merges", None)
    if "merges" in other["model"]:
        other["model"]["merges"] = [merge.split(" ") for merge in other["model"]["merges"]]
    else:
        mine["model"].pop("byte_fallback")
        other["model"].pop("byte_fallback", None)
    assert mine["model"] == other["model"]


@pytest.mark.parametrize("name", LANGUAGES)
def test_languages(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    assert ours.lang_code_to_id == theirs.lang_code_to_id
    path = tmp_path / "file" / FILES[name]
    for options in [{}, {"legacy_behaviour": True}] if name == "NllbTokenizer" else [{}]:
        ours = getattr(edutransformers, name)(path, **options)
        theirs = getattr(transformers, f"{name}Fast")(str(path), **options)
        for tokenizer in (ours, theirs):
            tokenizer.src_lang, tokenizer.tgt_lang = LANGUAGES[name].values()
        assert dict(ours(LONG, text_target=OTHER)) == dict(theirs(LONG, text_target=OTHER))
        assert ours(LONG).input_ids == theirs(LONG)["input_ids"]
        mine = ours._build_translation_inputs(LONG, None, **LANGUAGES[name])
        assert dict(mine) == dict(theirs._build_translation_inputs(LONG, None, **LANGUAGES[name]))
        batch = {"src_texts": [LONG, OTHER], "tgt_texts": [OTHER, LONG], "max_length": 9, "max_target_length": 7}
        assert dict(ours.prepare_seq2seq_batch(**batch)) == dict(theirs.prepare_seq2seq_batch(**batch))
        with ours.as_target_tokenizer(), theirs.as_target_tokenizer():
            assert ours(LONG).input_ids == theirs(LONG)["input_ids"]
    ours, theirs = (kind(str(path), **LANGUAGES[name]) for kind in (type(ours), type(theirs)))
    assert ours(LONG, text_target=OTHER).labels == theirs(LONG, text_target=OTHER)["labels"]
    suite.assert_same_files(ours, theirs, tmp_path)


@pytest.mark.parametrize("name", LANGUAGES)
def test_ids_of_the_python_tokenizers(name, tmp_path):
    ours, _ = pair_of(name, tmp_path)
    theirs = getattr(transformers, name)(str(tmp_path / "file" / FILES[name]))
    assert ours.fairseq_tokens_to_ids == theirs.fairseq_tokens_to_ids
    assert ours.fairseq_ids_to_tokens == theirs.fairseq_ids_to_tokens
    assert ours.id_to_lang_code == theirs.id_to_lang_code
    assert (ours.fairseq_offset, ours.vocab_size) == (theirs.fairseq_offset, theirs.vocab_size)
    assert ours.get_vocab() == theirs.get_vocab()
    for text in [text for text in (*PROSE[:2], LONG, *corpus(500_000)) if text.isascii() and text.isprintable()][:200]:
        assert ours(text.strip()).input_ids == theirs(text.strip())["input_ids"], text
    theirs.save_pretrained(str(tmp_path / "theirs"))
    ours.save_vocabulary(tmp_path / "ours")
    file = FILES[name]
    assert (tmp_path / "theirs" / file).read_bytes() == (tmp_path / "ours" / file).read_bytes()
    suite.assert_same_texts(getattr(edutransformers, name).from_pretrained(tmp_path / "theirs"), ours)


@pytest.mark.parametrize(
    "options", [{"add_eos_token": True}, {"add_bos_token": False}, {"add_bos_token": False, "add_eos_token": True}]
)
def test_begin_and_end(options, tmp_path):
    ours, theirs = pair_of("LlamaTokenizer", tmp_path, **options)
    suite.assert_same_texts(ours, theirs)
    for tokenizer in (ours, theirs):
        tokenizer.add_bos_token, tokenizer.add_eos_token = True, False
    suite.assert_same_texts(ours, theirs, PROSE)
    for tokenizer in (ours, theirs):
        tokenizer.bos_token = "</s>"
        tokenizer.update_post_processor()
    suite.assert_same_texts(ours, theirs, PROSE)


def test_llamas_python_tokenizer(tmp_path):
    """SentencePiece cuts the text as Llama's stages do, with `legacy` and without."""
    for legacy in (True, False):
        ours, _ = pair_of("LlamaTokenizer", tmp_path, legacy=legacy)
        theirs = transformers.LlamaTokenizer(str(tmp_path / "file" / "tokenizer.model"), legacy=legacy)
        texts = [*PROSE, "the</s>fox", "a<s>b", *corpus(500_000)[:300]]
        # legacy=False writes every "▁" of the text as a blank, and of blanks in front keeps one less.
        for text in [text for text in texts if "▁" not in text and not text.startswith((" ", "\u3000"))]:
            assert ours(text).input_ids == theirs(text)["input_ids"], text


GAPS = [
    ("def f(x):", "\n  return x"),
    ("", "abc"),
    ("  a ", " b "),
    ("▁a", "▁b"),
    ("好 é", "\u0301 的"),
    (LONG, OTHER),
]


@pytest.mark.parametrize("options", [{}, {"add_eos_token": True}, {"add_bos_token": False}])
def test_gaps(options, tmp_path):
    ours, theirs = pair_of("CodeLlamaTokenizer", tmp_path, **options)
    names = ("prefix", "middle", "suffix", "eot")
    for name in names:
        assert getattr(ours, f"{name}_id") == getattr(theirs, f"{name}_id")
    for before, behind in GAPS:
        text = f"{before}<FILL_ME>{behind}"
        assert ours(text).input_ids == theirs(text)["input_ids"], text
        assert ours(before, suffix=behind).input_ids == theirs.encode_plus(before, suffix=behind)["input_ids"]
        assert ours.encode(text, add_special_tokens=False) == theirs.encode(text, add_special_tokens=False)
        short = {"truncation": True, "max_length": 12}
        assert ours(text, **short).input_ids == theirs(text, **short)["input_ids"]
        slow = transformers.CodeLlamaTokenizer(str(tmp_path / "file" / "tokenizer.model"))
        # Its fast tokenizer puts the two the wrong way round here, its Python tokenizer doesn't.
        for first in (False, True):
            assert (
                ours.tokenize(before, behind, suffix_first=first) == (slow.tokenize(before, behind, suffix_first=first))
                or not before
            ), text
    assert ours("abc<FILL_ME>").input_ids == theirs("abc<FILL_ME>")["input_ids"]


def marian_files(folder, source="unigram", target="bpe", separate=False, texts=None, size=5000):
    paths = [
        write_model(folder / f"{name}.spm", kind, texts or corpus()[:1500], size)
        for name, kind in (("source", source), ("target", target))
    ]
    pieces = []
    for path in paths:
        model = sentencepiece.SentencePieceProcessor(model_file=path)
        # Some pieces are not in vocab.json.
        pieces.append([model.id_to_piece(i) for i in range(3, len(model)) if i % 7])
    for name, group in (
        [("vocab", pieces[0]), ("target_vocab", pieces[1])] if separate else [("vocab", sum(pieces, []))]
    ):
        tokens = dict.fromkeys(["</s>", "<unk>", "<pad>", *group, ">>fr<<", ">>zho_Hans<<"])
        (folder / f"{name}.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}, indent=2))
        paths.append(str(folder / f"{name}.json"))
    return paths


@pytest.mark.parametrize("separate", [False, True])
def test_marian(separate, tmp_path):
    files = marian_files(tmp_path, separate=separate)
    options = {"separate_vocabs": separate, "source_lang": "en", "target_lang": "fr"}
    ours, theirs = (kind.MarianTokenizer(*files, **options) for kind in (edutransformers, transformers))
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    texts = [*ADVERSARIAL, ">>fr<< Hello", ">>zho_Hans<<the", ">>xx<< a", "a</s>b </s> c", "a <unk> b <pad>"]
    suite.assert_same_calls(ours, theirs, is_fast=False)
    assert ours.supported_language_codes == theirs.supported_language_codes
    for text in texts:
        assert ours.tokenize(text) == theirs.tokenize(text), ascii(text)
        mine, other = ours(text, text_target=text), theirs(text, text_target=text)
        assert dict(mine) == dict(other), ascii(text)
        ids = mine.labels if separate else mine.input_ids
        for skip in (False, True):
            assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(ids, skip_special_tokens=skip)
            if not separate:
                both = {"skip_special_tokens": skip, "use_source_tokenizer": True}
                assert ours.decode(ids, **both) == theirs.decode(ids, **both)
    for text in corpus(500_000)[:700]:
        assert ours(text).input_ids == theirs(text)["input_ids"], ascii(text)
    suite.assert_same_files(ours, theirs, tmp_path, is_fast=False)
    for path in (tmp_path / "theirs").iterdir():
        if path.suffix == ".spm" or "vocab" in path.name:
            assert path.read_bytes() == (tmp_path / "ours" / path.name).read_bytes()


def test_marian_with_bytes(tmp_path):
    files = marian_files(tmp_path, "llama", "llama")
    ours, theirs = (kind.MarianTokenizer(*files) for kind in (edutransformers, transformers))
    suite.assert_same_texts(ours, theirs, is_fast=False)
    suite.assert_same_decoding(ours, theirs)


def originals():
    """Small, without SentencePiece's map of replacements."""
    folder = Path(tempfile.mkdtemp())
    texts = tuple([text for text in corpus()[:600] if text.isascii()])
    found = {}
    for name, file in FILES.items():
        if name == "CodeLlamaTokenizer":
            continue  # in transformers 5 a pair is a pair, as here: test_language_tokenizers_reference.py
        path = write_model(folder / name / file, f"small {KINDS[name]}", texts, 450 if "Llama" in name else 300)
        found[name.removesuffix("Tokenizer").lower()] = getattr(transformers, f"{name}Fast")(path)
    found["llama"].pad_token = "</s>"
    files = marian_files(folder, "small unigram", "small bpe", texts=texts, size=300)
    return {**found, "marian": transformers.MarianTokenizer(*files)}
