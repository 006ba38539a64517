"""T5's tokenizer."""

import pytest

from edutransformers import AddedToken, T5Tokenizer, T5TokenizerFast

from .pieces import vocabulary, write_model
from .suite import TokenizerSuite

SPECIAL = ("<pad>", "</s>", "<unk>")
SIZE = len(vocabulary(*SPECIAL))


class TestT5Tokenizer(TokenizerSuite):
    decoded = {"Hello the World foxes": "Hello the World foxes", "the café": "the café"}

    def build(self, **options):
        # The suite replaces additional_special_tokens; when loaded again, T5 has its sentinels again.
        return T5Tokenizer(vocab=vocabulary(*SPECIAL), extra_ids=0, **options)


@pytest.fixture
def path(tmp_path):
    return write_model(tmp_path / "spiece.model", *SPECIAL)


def test_a_text_and_a_pair_end_with_eos(path):
    tokenizer = T5Tokenizer(path)
    assert tokenizer("the fox", "hello").tokens() == ["▁the", "▁fox", "</s>", "▁hello", "</s>"]
    assert list(tokenizer("the fox")) == ["input_ids", "attention_mask"]
    assert tokenizer.create_token_type_ids_from_sequences([5], [6]) == [0, 0, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 100])
def test_sentinels_have_the_last_ids(path, count):
    tokenizer = T5TokenizerFast(path, extra_ids=count)
    assert len(tokenizer) == tokenizer.vocab_size == SIZE + count
    assert tokenizer.get_sentinel_tokens() == [f"<extra_id_{i}>" for i in range(count)]
    assert tokenizer.get_sentinel_token_ids() == [SIZE + count - 1 - i for i in range(count)]
    assert tokenizer.additional_special_tokens == tokenizer.get_sentinel_tokens()


def test_sentinels_in_a_text(path):
    tokenizer = T5Tokenizer(path)
    assert tokenizer.tokenize("the <extra_id_0>fox <extra_id_1> b") == (
        ["▁the", "<extra_id_0>", "▁fox", "<extra_id_1>", "▁b"]
    )
    ids = tokenizer.encode("the <extra_id_0> fox")
    assert tokenizer.decode(ids) == "the<extra_id_0> fox</s>"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "the fox"


def test_not_legacy(path):
    """What follows a sentinel begins with a blank only if there is one."""
    text = "the <extra_id_0>fox <extra_id_1> b"
    assert T5Tokenizer(path, legacy=True).tokenize(text) == T5Tokenizer(path).tokenize(text)
    tokenizer = T5Tokenizer(path, legacy=False)
    assert tokenizer.tokenize(text) == ["▁the", "<extra_id_0>", "f", "o", "x", "<extra_id_1>", "▁b"]
    assert tokenizer.tokenize("  the  quick fox  ") == ["▁the", "▁quick", "▁fox"]
    assert tokenizer.init_kwargs["legacy"] is False


def test_own_special_tokens_beside_sentinels(path):
    tokenizer = T5Tokenizer(path, extra_ids=2, additional_special_tokens=["<a>", AddedToken("<b>", lstrip=True)])
    assert tokenizer.additional_special_tokens == ["<a>", "<b>", "<extra_id_0>", "<extra_id_1>"]
    assert tokenizer.get_sentinel_tokens() == ["<extra_id_0>", "<extra_id_1>"]
    assert tokenizer.convert_tokens_to_ids(["<extra_id_1>", "<extra_id_0>", "<a>", "<b>"]) == (
        [SIZE, SIZE + 1, SIZE + 2, SIZE + 3]
    )


def test_sentinels_that_do_not_fit(path):
    with pytest.raises(ValueError, match="holds 1 sentinels <extra_id_…>, but extra_ids is 100; pass extra_ids=1"):
        T5Tokenizer(path, additional_special_tokens=["<extra_id_0>"])
    assert T5Tokenizer(path, additional_special_tokens=["<extra_id_0>"], extra_ids=1).get_sentinel_tokens()


def test_sentinels_that_are_added_tokens(tmp_path):
    """A vocabulary that lacks them, as transformers 5 takes it, gets them behind it in the order of their names."""
    tokenizer = T5Tokenizer(vocab=vocabulary(*SPECIAL), extra_ids=3)
    assert tokenizer.get_sentinel_token_ids() == [SIZE, SIZE + 1, SIZE + 2]
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    loaded = T5Tokenizer.from_pretrained(tmp_path)
    assert (loaded.vocab_size, loaded.get_vocab()) == (SIZE, tokenizer.get_vocab())


def test_saved_with_a_number_of_sentinels(path, tmp_path):
    tokenizer = T5Tokenizer(path, extra_ids=5)
    tokenizer.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "spiece.model").read_bytes() == path.read_bytes()
    for name in ("spiece.model", "tokenizer.json"):
        loaded = T5Tokenizer.from_pretrained(tmp_path / "saved")
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.encode("the <extra_id_4> fox") == tokenizer.encode("the <extra_id_4> fox")
        (tmp_path / "saved" / name).unlink()


def test_special_tokens_by_the_name_of_transformers_5(path):
    tokenizer = T5Tokenizer(path, extra_ids=2, extra_special_tokens=["<a>", "<extra_id_0>", "<extra_id_1>"])
    assert tokenizer.additional_special_tokens == ["<a>", "<extra_id_0>", "<extra_id_1>"]
