"""BERT's family of tokenizers against transformers' classes. (test_tokenizers_reference.py has more of BERT.)"""

import pytest

transformers = pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402

import edutransformers  # noqa: E402
from edutransformers.tokenizers import train_wordpiece  # noqa: E402

from . import tokenizer_suite as suite  # noqa: E402
from .corpus import corpus  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

NAMES = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer"]


@pytest.fixture(scope="module")
def vocab():
    return train_wordpiece(corpus()[:2000], 3000, show_progress=False)


def pair_of(name, vocab):
    return getattr(edutransformers, name)(vocab=vocab), getattr(transformers, name)(vocab=vocab)


@pytest.mark.parametrize("name", NAMES)
def test_a_class(name, vocab, tmp_path):
    ours, theirs = pair_of(name, vocab)
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs)
    suite.assert_same_calls(ours, theirs)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path)


def test_corpus(vocab):
    suite.assert_same_texts(*pair_of("BertTokenizer", vocab), corpus(), pairs=False)


def test_every_assigned_character(vocab):
    suite.assert_same_texts(*pair_of("BertTokenizer", vocab), suite.assigned_characters(), pairs=False)


@settings(max_examples=300, deadline=None)
@given(suite.ANY_TEXT)
def test_any_text(text):
    suite.assert_same_texts(*ANY, [text, text[::-1]])


def originals():
    vocab = train_wordpiece(corpus()[:300], 700, limit_alphabet=300, show_progress=False)
    return {name.removesuffix("Tokenizer").lower(): getattr(transformers, name)(vocab=vocab) for name in NAMES}


ANY = pair_of("BertTokenizer", train_wordpiece(corpus()[:300], 700, show_progress=False))
