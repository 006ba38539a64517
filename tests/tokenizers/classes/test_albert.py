"""ALBERT's tokenizer."""

from edutransformers import AlbertTokenizer, AlbertTokenizerFast

from .pieces import vocabulary, write_model
from .suite import TokenizerSuite

SPECIAL = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


class TestAlbertTokenizer(TokenizerSuite):
    decoded = {"Hello the World": "hello the world", "the Café fox": "the cafe fox"}

    def build(self, **options):
        return AlbertTokenizer(vocab=vocabulary(*SPECIAL), **options)


def build(tmp_path, **options):
    return AlbertTokenizerFast(write_model(tmp_path / "spiece.model", *SPECIAL), **options)


def test_layout(tmp_path):
    encoded = build(tmp_path)("the fox", "hello")
    assert encoded.tokens() == ["[CLS]", "▁the", "▁fox", "[SEP]", "▁hello", "[SEP]"]
    assert encoded.token_type_ids == [0, 0, 0, 0, 1, 1]


def test_numbers_are_cut_before_a_comma(tmp_path):
    text = "9, 99,9"
    assert build(tmp_path).tokenize(text) == ["▁9", ",", "▁9", "9", ",", "9"]
    assert AlbertTokenizer(vocab=vocabulary(*SPECIAL)).tokenize(text) == ["▁", "9,", "▁9", "9,", "9"]


def test_case_and_accents(tmp_path):
    text = "Hello ``cafe\u0301'' Café"
    assert build(tmp_path).tokenize(text) == ["▁hello", "▁", '"', "c", "a", "f", "e", '"', "▁cafe"]
    assert build(tmp_path, do_lower_case=False).tokenize("Hello Café")[:2] == ["▁Hello", "▁"]
    assert build(tmp_path, keep_accents=True).tokenize("Café") == ["▁", "c", "a", "f", "é"]


def test_the_mask_takes_the_blank_before_it(tmp_path):
    tokenizer = build(tmp_path)
    encoded = tokenizer("the [MASK] fox", add_special_tokens=False, return_offsets_mapping=True)
    assert encoded.tokens() == ["▁the", " [MASK]", "▁fox"]
    assert encoded.input_ids[1] == tokenizer.mask_token_id
    assert encoded.offset_mapping[1] == (3, 10)
    assert "[MASK]" not in tokenizer.tokenize("[mask]")  # found in the text as it stands
