"""XLM-RoBERTa's tokenizer."""

import pytest

from edutransformers import XLMRobertaTokenizer, XLMRobertaTokenizerFast

from .pieces import vocabulary, write_model
from .suite import PANGRAM, TokenizerSuite

FILE = "sentencepiece.bpe.model"


class TestXLMRobertaTokenizer(TokenizerSuite):
    decoded = {"Hello the World": "Hello the World", "the café fox": "the café fox"}

    def build(self, **options):
        return XLMRobertaTokenizer(vocab=vocabulary("<s>", "<pad>", "</s>", "<unk>", last=("<mask>",)), **options)


def build(tmp_path, **options):
    return XLMRobertaTokenizerFast(write_model(tmp_path / FILE, "<unk>", "<s>", "</s>"), **options)


def test_fairseqs_ids(tmp_path):
    tokenizer = build(tmp_path)
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["<s>", "<pad>", "</s>", "<unk>", "▁the"]
    assert tokenizer.mask_token_id == len(tokenizer) - 1 == len(vocabulary("<unk>", "<s>", "</s>")) + 1
    last = len(tokenizer) - 1
    assert tokenizer.fairseq_tokens_to_ids == {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": last}
    assert tokenizer.fairseq_ids_to_tokens[last] == "<mask>"
    assert tokenizer.encode("好", add_special_tokens=False) == [tokenizer.convert_tokens_to_ids("▁"), 3]


def test_layout(tmp_path):
    tokenizer = build(tmp_path)
    encoded = tokenizer("the <mask>", "hello", return_token_type_ids=True)
    assert encoded.tokens() == ["<s>", "▁the", " <mask>", "</s>", "</s>", "▁hello", "</s>"]
    assert encoded.token_type_ids == [0] * 7


def test_the_file_is_kept_or_made_anew(tmp_path):
    tokenizer = build(tmp_path)
    assert tokenizer.vocabulary_files() == {FILE: (tmp_path / FILE).read_bytes()}
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / FILE).unlink()
    again = XLMRobertaTokenizer.from_pretrained(tmp_path / "saved")
    (tmp_path / "made.model").write_bytes(again.vocabulary_files()[FILE])
    made = XLMRobertaTokenizer(tmp_path / "made.model")
    assert made.get_vocab() == tokenizer.get_vocab()
    assert made._engine.model.scores == tokenizer._engine.model.scores


def test_a_new_vocabularys_file_has_its_ids(tmp_path):
    """Special tokens come first there, <mask> among them."""
    new = build(tmp_path).train_new_from_iterator([PANGRAM] * 20, 100, show_progress=False)
    assert new.mask_token_id == 4
    new.save_vocabulary(tmp_path / "new")
    loaded = XLMRobertaTokenizer(tmp_path / "new" / FILE)
    assert loaded.get_vocab() == new.get_vocab()
    assert loaded.encode(PANGRAM) == new.encode(PANGRAM)


def test_a_vocabulary_in_another_order_has_no_model_file():
    assert XLMRobertaTokenizer(vocab=vocabulary("<pad>", "<s>", "</s>", "<unk>", "<mask>")).vocabulary_files() == {}


def test_the_model_of_another_class(tmp_path):
    path = write_model(tmp_path / FILE, "<pad>", "</s>", "<unk>")
    with pytest.raises(ValueError, match="begins with the pieces '<pad>', '</s>', '<unk>'; expected '<unk>', '<s>'"):
        XLMRobertaTokenizer(path)
