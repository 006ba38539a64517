"""XLNet's tokenizer."""

from edutransformers import XLNetTokenizer, XLNetTokenizerFast

from .pieces import vocabulary, write_model
from .suite import TokenizerSuite

SPECIAL = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")


class TestXLNetTokenizer(TokenizerSuite):
    decoded = {"Hello the World": "Hello the World", "the café fox": "the cafe fox"}

    def build(self, **options):
        return XLNetTokenizer(vocab=vocabulary(*SPECIAL), **options)


def build(tmp_path, **options):
    return XLNetTokenizerFast(write_model(tmp_path / "spiece.model", *SPECIAL), **options)


def test_layout_and_padding(tmp_path):
    tokenizer = build(tmp_path)
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_type_id == 3
    assert tokenizer("the fox").token_type_ids == [0, 0, 0, 2]
    encoded = tokenizer([("the fox", "hello"), ("the", "fox")], padding=True)
    assert encoded.tokens(0) == ["▁the", "▁fox", "<sep>", "▁hello", "<sep>", "<cls>"]
    assert encoded.token_type_ids == [[0, 0, 0, 1, 1, 2], [3, 0, 0, 1, 1, 2]]
    assert encoded.attention_mask == [[1] * 6, [0, 1, 1, 1, 1, 1]]


def test_additional_special_tokens(tmp_path):
    assert build(tmp_path).additional_special_tokens == ["<eop>", "<eod>"]
    assert build(tmp_path, additional_special_tokens=["<x>"]).additional_special_tokens == ["<x>"]
    assert build(tmp_path, extra_special_tokens=["<x>"]).additional_special_tokens == ["<x>"]


def test_case_accents_and_numbers(tmp_path):
    assert build(tmp_path).tokenize("Hello Café 9,") == ["▁Hello", "▁", "C", "a", "f", "e", "▁9", ","]
    assert build(tmp_path, do_lower_case=True).tokenize("Hello Café") == ["▁hello", "▁cafe"]
    assert build(tmp_path, keep_accents=True).tokenize("fé") == ["▁", "f", "é"]
    assert build(tmp_path).tokenize("the <mask> fox") == ["▁the", " <mask>", "▁fox"]
