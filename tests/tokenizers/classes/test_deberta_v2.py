"""The tokenizer of DeBERTa-v2 and -v3."""

from edutransformers import DebertaV2Tokenizer, DebertaV2TokenizerFast

from .pieces import vocabulary, write_model
from .suite import TokenizerSuite

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")


class TestDebertaV2Tokenizer(TokenizerSuite):
    decoded = {"Hello the World": "Hello the World", "the café fox": "the café fox"}

    def build(self, **options):
        return DebertaV2Tokenizer(vocab=vocabulary(*SPECIAL), **options)


def build(tmp_path, **options):
    return DebertaV2TokenizerFast(write_model(tmp_path / "spm.model", *SPECIAL, unknown="[UNK]"), **options)


def test_layout(tmp_path):
    tokenizer = build(tmp_path)
    encoded = tokenizer("the fox", "hello")
    assert encoded.tokens() == ["[CLS]", "▁the", "▁fox", "[SEP]", "▁hello", "[SEP]"]
    assert encoded.token_type_ids == [0, 0, 0, 0, 1, 1]
    assert tokenizer.mask_token_id == tokenizer.vocab_size == len(vocabulary(*SPECIAL))  # the file has no [MASK]
    assert tokenizer.unk_token_id == tokenizer.encode("好")[2] == 3


def test_case(tmp_path):
    assert build(tmp_path).tokenize("Hello fox") == ["▁Hello", "▁fox"]
    assert build(tmp_path, do_lower_case=True).tokenize("Hello fox") == ["▁hello", "▁fox"]


def test_punctuation(tmp_path):
    text = "the fox,b!!"
    assert build(tmp_path).tokenize(text) == ["▁the", "▁fox", ",", "b", "!", "!"]
    assert build(tmp_path, split_by_punct=True).tokenize(text) == ["▁the", "▁fox", "▁,", "▁b", "▁!", "▁!"]


def test_blanks(tmp_path):
    assert build(tmp_path).tokenize("  the   fox \n") == ["▁the", "▁fox"]
    assert build(tmp_path).tokenize("the [MASK] fox") == ["▁the", "[MASK]", "▁fox"]
