"""CTRL's tokenizer and the first GPT's against transformers 4.34.1: token types, added tokens in decoding, files.

Transformers 5 gives CTRL no token types, and joins added tokens to the text around them.
"""

import itertools

import pytest

import edutransformers

from .. import tokenizer_suite as suite
from ..common import MAJOR, transformers
from ..corpus import corpus

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.skipif(MAJOR != 4, reason="needs transformers 4.34.1"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def ctrl(tmp_path_factory):
    return ctrl_pair(tmp_path_factory.mktemp("ctrl"), corpus(500_000), 2000)


def ctrl_pair(folder, texts, size, **options):
    """Ours, trained on the texts; the original from its files."""
    first = edutransformers.CTRLTokenizer(vocab={"<unk>": 0}, merges=[])
    first.train_new_from_iterator(texts, size, show_progress=False, **options).save_vocabulary(folder)
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    return edutransformers.CTRLTokenizer(*files), transformers.CTRLTokenizer(*files)


def test_ctrl(ctrl, tmp_path):
    ours, theirs = ctrl
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, is_fast=False)
    suite.assert_same_texts(ours, theirs, corpus(500_000), is_fast=False)
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_methods(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path, is_fast=False)


def test_own_files_byte_for_byte(ctrl, tmp_path):
    for tokenizer, name in zip(ctrl, ("ours", "theirs")):
        (tmp_path / name).mkdir()
        tokenizer.save_vocabulary(str(tmp_path / name))
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_added_tokens(tmp_path):
    """Found in texts, counted, and set apart in decoding, with and without blanks."""
    pair = ctrl_pair(tmp_path, corpus(500_000)[:100], 400)
    for tokenizer in pair:
        tokenizer.add_tokens(["newword", "<x>"])
        tokenizer.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<user>"]})
    ours, theirs = pair
    suite.assert_same_names(ours, theirs)
    suite.assert_same_calls(ours, theirs, is_fast=False)
    texts = ["the newword<x> fox<user>the <pad><pad> a newwords", "newword", "<user> <user>", "a<pad>"]
    suite.assert_same_texts(ours, theirs, texts, is_fast=False)
    for ids in ours(texts).input_ids:
        for skip, between in itertools.product([False, True], repeat=2):
            options = {"skip_special_tokens": skip, "spaces_between_special_tokens": between}
            assert ours.decode(ids, **options) == theirs.decode(ids, **options), (ids, options)


def test_openai_gpt(tmp_path):
    from edutransformers.tokenizers import BertNormalizer, BertPreTokenizer, train_bpe

    vocab, merges = train_bpe(
        corpus(500_000),
        2000,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        normalizer=BertNormalizer(),
        pre_tokenizer=BertPreTokenizer(),
        show_progress=False,
    )
    ours = edutransformers.OpenAIGPTTokenizer(vocab=vocab, merges=merges)
    ours.save_vocabulary(tmp_path / "own")
    files = [str(tmp_path / "own" / name) for name in ("vocab.json", "merges.txt")]
    theirs, slow = transformers.OpenAIGPTTokenizerFast(*files), transformers.OpenAIGPTTokenizer(*files)
    (tmp_path / "slow").mkdir()
    for mine, other in zip(files, slow.save_vocabulary(str(tmp_path / "slow"))):
        with open(mine, "rb") as mine, open(other, "rb") as other:
            assert mine.read() == other.read()
    suite.assert_same_names(ours, theirs)
    suite.assert_same_texts(ours, theirs, [*suite.ADVERSARIAL, *corpus(500_000)])
    suite.assert_same_decoding(ours, theirs)
    suite.assert_same_files(ours, theirs, tmp_path)


def originals():
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        _, theirs = ctrl_pair(Path(folder), corpus(500_000)[:200], 600, limit_alphabet=150)
    theirs.add_special_tokens({"pad_token": "<pad>"})
    return {"ctrl": theirs}
