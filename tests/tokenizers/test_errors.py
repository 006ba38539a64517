"""Bad input: one clear sentence each."""

import pytest

from edutransformers.tokenizers import BertTokenizer


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None,), {}, "nothing to tokenize"),
        (([],), {}, "empty list"),
        ((3,), {}, r"text must be a str .* got int \(3\)"),
        ((b"abc",), {}, "got bytes"),
        (([1, 2],), {}, r"text of sample 0 is int \(1\)"),
        ((["a", None],), {}, "text of sample 1 is NoneType"),
        (([["a", "b", "c"]],), {}, "is_split_into_words=True"),
        (("a b",), {"is_split_into_words": True}, r"needs a list of words; use text.split\(\)"),
        ((["a", 3],), {"is_split_into_words": True}, "word 1 of text is int"),
        (("a", 3), {}, "text_pair must be a str"),
        ((["a", "b"], ["c"]), {}, "text has 2 entries and text_pair 1"),
        (("a\ud83d",), {}, r"lone surrogate \(U\+D83D at character 1\)"),
        (("a",), {"return_tensors": "pt"}, "use 'np' for NumPy arrays"),
        (("a",), {"return_tensors": "tf"}, "use 'np'"),
        (("a",), {"return_tensors": "xyz"}, "return_tensors='xyz' is unknown"),
        ((["a", "a b"],), {"return_tensors": "np"}, "padding=True"),
        (("a",), {"padding": "longer"}, "padding='longer' is not a strategy; use True, False or one of 'longest'"),
        (("a",), {"truncation": "both"}, "truncation='both' is not a strategy"),
        (("a",), {"truncation": True, "max_length": 1}, "leaves no room beside 2 special tokens"),
        (("a",), {"truncation": True, "max_length": -1}, "must not be negative"),
        (("a b c",), {"truncation": True, "max_length": 4, "stride": 2}, "stride=2 must be smaller than the 2"),
        (("a",), {"truncation": True, "max_length": 4, "stride": 5}, "stride=5 must be smaller than the 2"),
        (("a b c",), {"truncation": "only_second", "max_length": 4}, "needs a text_pair"),
        (("a", "a b c d"), {"truncation": "only_first", "max_length": 5}, "only_first' can't cut 3 tokens"),
        (("a",), {"truncation": True, "padding": True, "max_length": 5, "pad_to_multiple_of": 4}, "multiple of 4"),
        (("a",), {"padding": True, "padding_side": "top"}, "must be 'right' or 'left'"),
    ],
)
def test_calls(tokenizer, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(*arguments, **options)


def test_types(tokenizer):
    with pytest.raises(TypeError, match="text is a batch, so text_pair must be a list"):
        tokenizer(["a", "b"], "c")
    with pytest.raises(TypeError, match="needs a list of texts"):
        tokenizer.batch_encode_plus("a")


def test_padding_without_a_padding_token(tokenizer):
    tokenizer.pad_token = None
    assert tokenizer("the").input_ids == [2, 5, 3]
    with pytest.raises(ValueError, match="needs a padding token"):
        tokenizer("the", padding=True)


def test_cupy_that_is_not_there(tokenizer, monkeypatch):
    monkeypatch.setattr(
        "edutransformers.backend.cupy_usable",
        lambda: type("No", (), {"__bool__": lambda s: False, "reason": "no GPU"})(),
    )
    with pytest.raises(RuntimeError, match="no GPU"):
        tokenizer("the", return_tensors="cp")


def test_decoding(tokenizer):
    with pytest.raises(ValueError, match="id 999 is not in the vocabulary, which has 27 entries"):
        tokenizer.decode([5, 999])
    with pytest.raises(ValueError, match="id -100 .* -100 must be replaced"):
        tokenizer.decode([5, -100])
    with pytest.raises(ValueError, match="use batch_decode"):
        tokenizer.decode([[5], [6]])
    with pytest.raises(ValueError, match="whole numbers, but one is float"):
        tokenizer.decode([1.5])


def test_padding_rows(tokenizer):
    with pytest.raises(ValueError, match="list of rows is empty"):
        tokenizer.pad([])
    with pytest.raises(ValueError, match="needs 'input_ids', but there is only 'labels'"):
        tokenizer.pad({"labels": [1]})
    with pytest.raises(ValueError, match="'labels' has 1 rows, but 'input_ids' has 2"):
        tokenizer.pad({"input_ids": [[1], [2]], "labels": [1]})


def test_vocabularies(tmp_path):
    with pytest.raises(ValueError, match="'a' twice, as entries 0 and 2"):
        BertTokenizer(vocab=["a", "b", "a"])
    with pytest.raises(ValueError, match="empty"):
        BertTokenizer(vocab=[])
    with pytest.raises(OSError, match="no vocabulary file"):
        BertTokenizer(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_text("")
    with pytest.raises(ValueError, match=r"vocab\.txt: the vocabulary is empty"):
        BertTokenizer(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_text("a\nb\na\n")
    with pytest.raises(ValueError, match=r"vocab\.txt: the vocabulary has 'a' twice"):
        BertTokenizer(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        BertTokenizer(tmp_path / "vocab.txt")
