"""Added tokens: each flag by hand."""

import pytest

from edutransformers.tokenizers import AddedToken, BertTokenizer


@pytest.mark.parametrize(
    ("flags", "text", "tokens"),
    [
        ({}, "a foo b", ["a", "foo", "b"]),
        ({}, "aFOOb", ["a", "foo", "b"]),  # normalized: found in the lower-cased text
        ({"normalized": False}, "afoo aFOO", ["a", "foo", "[UNK]"]),
        ({"single_word": True}, "foob foo!", ["foo", "##b", "foo", "!"]),
        ({"lstrip": True}, "a  foo b", ["a", "  foo", "b"]),
        ({"rstrip": True}, "a foo  b", ["a", "foo  ", "b"]),
        ({"lstrip": True, "rstrip": True}, "foo foo", ["foo ", "foo"]),
    ],
)
def test_flags(tokenizer, flags, text, tokens):
    tokenizer.add_tokens([AddedToken("foo", **flags)])
    assert tokenizer.tokenize(text) == tokens


def test_offsets_and_words(tokenizer):
    tokenizer.add_tokens([AddedToken("<x>", lstrip=True)])
    encoded = tokenizer("the  <x>dogs", return_offsets_mapping=True, add_special_tokens=False)
    assert encoded.tokens() == ["the", "  <x>", "dog", "##s"]
    assert encoded.offset_mapping == [(0, 3), (3, 8), (8, 11), (11, 12)]
    assert encoded.word_ids() == [0, 1, 2, 2]


def test_the_longest_wins(tokenizer):
    tokenizer.add_tokens(["new", "new york"])
    assert tokenizer.tokenize("New York new") == ["new york", "new"]


def test_ids(tokenizer):
    assert len(tokenizer) == tokenizer.vocab_size == 27
    assert tokenizer.add_tokens(["dog", "zebra", "zebra", ""]) == 2  # dog keeps its id
    assert tokenizer.convert_tokens_to_ids(["dog", "zebra"]) == [6, 27]
    assert (len(tokenizer), tokenizer.vocab_size) == (28, 27)
    assert tokenizer.get_added_vocab()["zebra"] == 27
    assert tokenizer.add_tokens("yak") == 1
    assert tokenizer.get_vocab()["yak"] == 28


def test_adding_a_token_clears_what_was_cached(tokenizer):
    assert tokenizer.tokenize("zebra") == ["[UNK]"]
    tokenizer.add_tokens(["zebra"])
    assert tokenizer.tokenize("zebra") == ["zebra"]


def test_special_tokens_by_name(tokenizer):
    assert (tokenizer.cls_token, tokenizer.cls_token_id) == ("[CLS]", 2)
    assert tokenizer.bos_token is None
    assert tokenizer.bos_token_id is None
    assert tokenizer.add_special_tokens({"bos_token": "<s>", "additional_special_tokens": ["<u>", "<b>"]}) == 3
    assert tokenizer.bos_token_id == 27
    assert tokenizer.additional_special_tokens_ids == [28, 29]
    assert tokenizer.all_special_tokens[-2:] == ["<u>", "<b>"]
    tokenizer.pad_token_id = 6
    assert tokenizer.pad_token == "dog"
    tokenizer.mask_token = None
    assert "mask_token" not in tokenizer.special_tokens_map
    tokenizer.add_special_tokens({"additional_special_tokens": ["<v>"]}, replace_additional_special_tokens=False)
    assert tokenizer.additional_special_tokens == ["<u>", "<b>", "<v>"]


def test_split_special_tokens():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "cls", "]"]
    assert BertTokenizer(vocab=tokens).tokenize("[CLS]") == ["[CLS]"]
    assert BertTokenizer(vocab=tokens, split_special_tokens=True).tokenize("[CLS]") == ["[", "cls", "]"]


def test_errors(tokenizer):
    with pytest.raises(TypeError, match="must be a string, not int"):
        AddedToken(3)
    with pytest.raises(ValueError, match="no special token's name"):
        tokenizer.add_special_tokens({"classifier": "[CLS]"})
    with pytest.raises(ValueError, match="cls_token must be a string or an AddedToken"):
        tokenizer.cls_token = 3
    with pytest.raises(ValueError, match="must hold strings"):
        tokenizer.additional_special_tokens = [3]
