"""The classes with a unigram model and one text layout against transformers': T5, ALBERT, XLNet, XLM-R, DeBERTa-v2.

What transformers 5 does in another way than 4.34, whose way ours is, is set to 4.34's here (`AS_IN_434`): the mask's
blank, token types, the padding's type. DeBERTa's normalizer can't be set, so its stages are run by the library itself.
The comparison with 4.34.1's own classes is in legacy/test_unigram_tokenizers_legacy.py.
"""

import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from hypothesis import given, settings  # noqa: E402

import edutransformers  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import engine_to_json  # noqa: E402
from tests.tokenizers.texts import LONG, PROSE  # noqa: E402

from . import tokenizer_suite as suite  # noqa: E402
from .corpus import corpus  # noqa: E402
from .unigram_models import TRAINING, model_bytes, write_model  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

NAMES = list(TRAINING)
TYPES = ["input_ids", "token_type_ids", "attention_mask"]


MASK = partial(transformers.AddedToken, lstrip=True, normalized=False, special=True)


class AlbertTokenizer(transformers.AlbertTokenizer):
    model_input_names = TYPES

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"mask_token": MASK("[MASK]"), **kwargs})


class XLNetTokenizer(transformers.XLNetTokenizer):
    """Its own constructor sets the padding's type, and what it calls then sets it back."""

    model_input_names = TYPES

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pad_token_type_id = 3


class XLMRobertaTokenizer(transformers.XLMRobertaTokenizer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"mask_token": MASK("<mask>"), **kwargs})


class DebertaV2Tokenizer(transformers.PreTrainedTokenizerFast):
    """Runs the stages that it is given: transformers 5's class puts its own in their place."""

    model_input_names = TYPES


AS_IN_434 = {kind.__name__: kind for kind in (AlbertTokenizer, XLNetTokenizer, XLMRobertaTokenizer)}


def original_of(ours, **options):
    """Theirs with our vocabulary."""
    name = type(ours).__name__
    model = ours._engine.model
    stages = engine_to_json(ours._engine)
    if name == "DebertaV2Tokenizer":
        library = tokenizers.Tokenizer.from_str(json.dumps(stages))
        return DebertaV2Tokenizer(tokenizer_object=library, **ours.special_tokens_map)
    original = AS_IN_434.get(name) or getattr(transformers, name)
    return original(
        vocab=[(token, model.scores[i]) for token, i in model.vocab.items()],
        _spm_precompiled_charsmap=charsmap_of(ours),
        **options,
    )


def charsmap_of(ours):
    normalizer = ours._engine.normalizer
    steps = getattr(normalizer, "normalizers", [normalizer])
    return next((step.map.blob for step in steps if hasattr(step, "map")), None)


def pair_of(name, folder, texts=1500, size=5000, **options):
    path = write_model(folder, name, model_bytes(name, corpus()[:texts], size))
    ours = getattr(edutransformers, name)(path, **options)
    return ours, original_of(ours, **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_class(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_texts(ours, theirs, corpus(500_000), pairs=False)


@pytest.mark.parametrize("name", NAMES)
def test_stages(name, tmp_path):
    """A tokenizer.json of theirs and ours is the same, but for the order in which tokens were added."""
    ours, theirs = pair_of(name, tmp_path)
    mine, other = engine_to_json(ours._engine), json.loads(theirs._tokenizer.to_str())
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert mine[part] == other[part], part
    scores, others = mine["model"].pop("vocab"), other["model"].pop("vocab")
    assert mine["model"] == other["model"]
    assert [token for token, _ in scores] == [token for token, _ in others]
    # The library reads a JSON file's numbers not to the last bit.
    np.testing.assert_allclose([s for _, s in scores], [s for _, s in others], rtol=1e-15, atol=0)
    assert mine["added_tokens"] == sorted(other["added_tokens"], key=lambda token: token["id"])


@pytest.mark.parametrize("name", NAMES)
def test_files(name, tmp_path):
    ours, theirs = pair_of(name, tmp_path)
    suite.assert_same_files(ours, theirs, tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("T5Tokenizer", {"extra_ids": 3}),
        ("T5Tokenizer", {"additional_special_tokens": ["<speaker>"], "extra_ids": 2}),
        ("AlbertTokenizer", {"do_lower_case": False, "keep_accents": True}),
        ("XLNetTokenizer", {"do_lower_case": True, "additional_special_tokens": ["<speaker>"]}),
    ],
)
def test_options(name, options, tmp_path):
    ours, theirs = pair_of(name, tmp_path, **options)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path)
    assert ours.additional_special_tokens == list(map(str, getattr(theirs, "extra_special_tokens", [])))


def test_sentinels(tmp_path):
    ours, theirs = pair_of("T5Tokenizer", tmp_path)
    assert theirs.convert_tokens_to_ids(ours.get_sentinel_tokens()) == ours.get_sentinel_token_ids()
    texts = ["Thank <extra_id_0> me<extra_id_1>last week <extra_id_2>.", "<extra_id_0>x", " <extra_id_99> "]
    suite.assert_same_texts(ours, theirs, texts)
    suite.assert_same_decoding(ours, theirs, texts)


def test_masks(tmp_path):
    for name, token in (("AlbertTokenizer", "[MASK]"), ("XLNetTokenizer", "<mask>"), ("XLMRobertaTokenizer", "<mask>")):
        pair = pair_of(name, tmp_path / name)
        texts = [f"a {token} b", f"a{token}b", f"  {token}{token} ", f"{token.upper()} {token.lower()}"]
        suite.assert_same_texts(*pair, texts)
        suite.assert_same_decoding(*pair, texts)


@pytest.mark.parametrize("name", ["T5Tokenizer", "XLMRobertaTokenizer"])
def test_read_from_the_model_file(name, tmp_path):
    """Theirs reads the `.model` by itself. (Of ALBERT's and XLNet's it forgets that "9," is to be cut.)"""
    path = write_model(tmp_path, name, model_bytes(name, corpus()[:1500], 5000))
    theirs = getattr(transformers, name).from_pretrained(str(tmp_path))
    ours = getattr(edutransformers, name)(path)
    assert ours.get_vocab() == theirs.get_vocab()
    suite.assert_same_texts(ours, theirs, [*PROSE, *corpus(500_000)[:200]])


def test_files_of_version_5s_deberta(tmp_path):
    """Ours reads what transformers 5 saves, with its stages; it reads ours with its own, on texts where both agree."""
    ours, _ = pair_of("DebertaV2Tokenizer", tmp_path)
    ours.save_pretrained(tmp_path / "ours")
    by_them = transformers.DebertaV2Tokenizer.from_pretrained(str(tmp_path / "ours"))
    assert by_them.get_vocab() == ours.get_vocab()
    for text in (*PROSE[:2], LONG):
        assert by_them(text).input_ids == ours(text).input_ids
    by_them.save_pretrained(str(tmp_path / "theirs"))
    loaded = edutransformers.DebertaV2Tokenizer.from_pretrained(tmp_path / "theirs")
    suite.assert_same_texts(loaded, by_them)


@pytest.mark.parametrize("name", ["AlbertTokenizer", "XLMRobertaTokenizer", "DebertaV2Tokenizer"])
def test_corpus(name, tmp_path):
    """One class of each distinct pipeline; of one of them all of the corpus."""
    texts = corpus() if name == "XLMRobertaTokenizer" else corpus(1_000_000)
    suite.assert_same_texts(*pair_of(name, tmp_path), texts, pairs=False)


@pytest.mark.parametrize("name", ["AlbertTokenizer", "XLMRobertaTokenizer", "DebertaV2Tokenizer"])
def test_every_assigned_character(name, tmp_path):
    suite.assert_same_texts(*pair_of(name, tmp_path), suite.assigned_characters(), pairs=False)


@pytest.fixture(scope="module")
def small_pairs(tmp_path_factory):
    return [pair_of(name, tmp_path_factory.mktemp(name), 300, 2200) for name in NAMES]


@settings(max_examples=200, deadline=None)
@given(text=suite.ANY_TEXT)
def test_any_text(small_pairs, text):
    for ours, theirs in small_pairs:
        suite.assert_same_texts(ours, theirs, [text, text[::-1]])


@pytest.mark.parametrize("name", NAMES)
def test_sentencepiece_reads_what_ours_makes(name, tmp_path):
    """A `.model` made of a vocabulary: the library loads it, and cuts plain text as the one it was made of."""
    sentencepiece = pytest.importorskip("sentencepiece")
    ours, _ = pair_of(name, tmp_path)
    given_model, made = ours.vocabulary_files().popitem()[1], None
    ours._model_file = None
    made = ours.vocabulary_files().popitem()[1]
    assert made != given_model
    before, after = (sentencepiece.SentencePieceProcessor(model_proto=data) for data in (given_model, made))
    assert [after.id_to_piece(i) for i in range(len(after))] == [before.id_to_piece(i) for i in range(len(before))]
    for text in [text for text in corpus(500_000) if text.isascii() and not any(c.isdigit() for c in text)][:200]:
        assert after.encode(text) == before.encode(text)


def originals():
    """T5's has SentencePiece's map of replacements, which is large; the others have none."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name in NAMES:
            data = model_bytes(name, corpus()[:150], 900, "nmt_nfkc" if name == "T5Tokenizer" else "identity")
            ours = getattr(edutransformers, name)(write_model(Path(folder), name, data))
            found[name.removesuffix("Tokenizer").lower()] = original_of(ours)
    return found
