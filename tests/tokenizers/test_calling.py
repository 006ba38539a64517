"""Calling a tokenizer: arguments, arrays, the way back to the text."""

import copy
import logging
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edutransformers.tokenizers import BatchEncoding, BertTokenizer, BertTokenizerFast
from edutransformers.tokenizers.strategies import TruncationStrategy
from edutransformers.tokenizers.truncation import kept_lengths, windows

FIRST, LONGEST = TruncationStrategy.ONLY_FIRST, TruncationStrategy.LONGEST_FIRST


def test_one_text(tokenizer):
    encoded = tokenizer("The dogs, unaffable!", return_offsets_mapping=True, return_special_tokens_mask=True)
    assert encoded == {
        "input_ids": [2, 5, 6, 7, 12, 8, 9, 10, 13, 3],
        "token_type_ids": [0] * 10,
        "attention_mask": [1] * 10,
        "special_tokens_mask": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        "offset_mapping": [(0, 0), (0, 3), (4, 7), (7, 8), (8, 9), (10, 12), (12, 15), (15, 19), (19, 20), (0, 0)],
    }
    assert encoded.tokens()[1:4] == ["the", "dog", "##s"]
    assert encoded.word_ids() == [None, 0, 1, 1, 2, 3, 3, 3, 4, None]


def test_a_pair(tokenizer):
    encoded = tokenizer("the dog", "hello")
    assert encoded.input_ids == [2, 5, 6, 3, 11, 3]
    assert encoded.token_type_ids == [0, 0, 0, 0, 1, 1]
    assert encoded.sequence_ids() == [None, 0, 0, None, 1, None]
    assert tokenizer.build_inputs_with_special_tokens([5, 6], [11]) == encoded.input_ids
    assert tokenizer.create_token_type_ids_from_sequences([5, 6], [11]) == encoded.token_type_ids
    assert tokenizer.get_special_tokens_mask([5, 6], [11]) == [1, 0, 0, 1, 0, 1]
    assert tokenizer.get_special_tokens_mask(encoded.input_ids, already_has_special_tokens=True) == [1, 0, 0, 1, 0, 1]
    assert tokenizer.num_special_tokens_to_add(pair=True) == 3


def test_padding(tokenizer):
    texts = ["the", "the dogs"]
    assert tokenizer(texts).input_ids == [[2, 5, 3], [2, 5, 6, 7, 3]]
    assert tokenizer(texts, padding=True).attention_mask == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert tokenizer(texts, padding="max_length", max_length=6).input_ids[0] == [2, 5, 3, 0, 0, 0]
    assert [len(row) for row in tokenizer(texts, padding=True, pad_to_multiple_of=4).input_ids] == [8, 8]
    assert tokenizer(texts, padding=True, padding_side="left").input_ids[0] == [0, 0, 2, 5, 3]
    tokenizer.padding_side = "left"
    assert tokenizer(texts, padding=True).input_ids[0] == [0, 0, 2, 5, 3]


def test_truncation_and_stride(tokenizer):
    text = "a b c a b"
    options = {"truncation": True, "max_length": 5, "return_overflowing_tokens": True}
    assert tokenizer(text, **options).input_ids == [[2, 20, 21, 22, 3], [2, 20, 21, 3]]
    encoded = tokenizer(["the", text], stride=1, **options)
    assert encoded.input_ids == [[2, 5, 3], [2, 20, 21, 22, 3], [2, 22, 20, 21, 3]]
    assert encoded.overflow_to_sample_mapping == [0, 1, 1]
    tokenizer.truncation_side = "left"
    assert tokenizer(text, truncation=True, max_length=4).input_ids == [2, 20, 21, 3]


@pytest.mark.parametrize(
    ("first", "second", "room", "strategy", "kept"),
    [
        (10, None, 4, LONGEST, (4, 0)),
        (3, 10, 8, LONGEST, (3, 5)),
        (10, 3, 8, LONGEST, (5, 3)),
        (10, 10, 7, LONGEST, (3, 4)),
        (10, 9, 7, LONGEST, (4, 3)),
        (2, 2, 8, LONGEST, (2, 2)),
        (10, 3, 8, FIRST, (5, 3)),
        (3, 10, 8, TruncationStrategy.ONLY_SECOND, (3, 5)),
        (3, 10, 0, FIRST, (0, 0)),
    ],
)
def test_kept_lengths(first, second, room, strategy, kept):
    assert kept_lengths(first, second, room, strategy) == kept


@given(st.integers(0, 40), st.integers(1, 12), st.integers(0, 11), st.sampled_from(["right", "left"]))
def test_windows_cover_everything_with_the_stride(length, size, stride, side):
    if stride >= size and size < length:
        with pytest.raises(ValueError, match="stride"):
            windows(length, size, stride, side)
        return
    found = windows(length, size, stride, side)
    assert {i for start, stop in found for i in range(start, stop)} == set(range(length))
    assert all(stop - start <= size for start, stop in found)
    for (start, stop), (next_start, next_stop) in zip(found, found[1:]):
        assert (stop - next_start if side == "right" else next_stop - start) == stride


def test_words(tokenizer):
    encoded = tokenizer(["the", "dogs!", ""], is_split_into_words=True, return_offsets_mapping=True)
    assert encoded.tokens() == ["[CLS]", "the", "dog", "##s", "!", "[SEP]"]
    assert encoded.word_ids() == [None, 0, 1, 1, 1, None]
    assert encoded.offset_mapping == [(0, 0), (0, 3), (0, 3), (3, 4), (4, 5), (0, 0)]
    assert tokenizer([["the"], ["dogs"]], is_split_into_words=True).input_ids == [[2, 5, 3], [2, 6, 7, 3]]


def test_the_way_back(tokenizer):
    encoded = tokenizer("the dogs", "hello dogs")
    assert encoded.char_to_token(4) == 2
    assert encoded.char_to_token(3) is None
    assert encoded.char_to_token(0, 6, sequence_index=1) == 6
    assert encoded.token_to_chars(3) == (7, 8)
    assert encoded.token_to_chars(3).end == 8
    assert encoded.token_to_chars(0) is None
    assert encoded.word_to_tokens(1) == (2, 4)
    assert encoded.word_to_tokens(1, sequence_index=1).start == 6
    assert encoded.word_to_tokens(7) is None
    assert encoded.word_to_chars(1) == (4, 8)
    assert encoded.char_to_word(5) == 1
    assert encoded.token_to_word(-2) == 1
    assert encoded.token_to_sequence(6) == 1
    assert encoded[0].tokens == encoded.tokens()
    assert len(encoded.encodings[0]) == 9
    assert encoded.n_sequences == 2
    assert repr(encoded[0]).startswith("Encoding(9 tokens: [CLS] the dog ##s")


def test_arrays(tokenizer):
    encoded = tokenizer(["the", "the dogs"], padding=True, return_tensors="np", return_offsets_mapping=True)
    assert encoded.input_ids.dtype == np.int64
    assert encoded.input_ids.shape == (2, 5)
    assert encoded.offset_mapping.shape == (2, 5, 2)
    assert tokenizer("the", return_tensors="np").input_ids.shape == (1, 3)
    assert encoded[0:1]["input_ids"].shape == (1, 5)
    assert encoded.to("cpu").input_ids.shape == (2, 5)


def test_cupy_arrays(tokenizer, fake_cupy):
    encoded = tokenizer(["the", "the dogs"], padding=True, return_tensors="cp")
    assert isinstance(encoded.input_ids, fake_cupy.ndarray)
    assert isinstance(encoded.to("cpu").input_ids, np.ndarray)
    assert isinstance(encoded.to("cuda").input_ids, fake_cupy.ndarray)


def test_pad(tokenizer):
    rows = [tokenizer("the"), tokenizer("the dogs")]
    padded = tokenizer.pad(rows, return_tensors="np")
    assert padded.input_ids.tolist() == [[2, 5, 3, 0, 0], [2, 5, 6, 7, 3]]
    assert padded.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    one = tokenizer.pad({"input_ids": [5, 6]}, padding="max_length", max_length=4, padding_side="left")
    assert one == {"input_ids": [0, 0, 5, 6], "attention_mask": [0, 0, 1, 1]}
    arrays = tokenizer.pad([{"input_ids": np.array([5])}, {"input_ids": np.array([5, 6])}])
    assert arrays.input_ids.tolist() == [[5, 0], [5, 6]]
    assert tokenizer.pad({"input_ids": [[5], [6, 7]], "labels": [1, 0]})["labels"] == [1, 0]


def test_other_ways_to_call(tokenizer):
    assert tokenizer.encode("the dog") == [2, 5, 6, 3]
    assert tokenizer.encode("the dog", add_special_tokens=False) == [5, 6]
    assert tokenizer.encode_plus("the", "dog").token_type_ids == [0, 0, 0, 1, 1]
    assert tokenizer.batch_encode_plus([("the", "dog"), ("a", "b")]).input_ids[1] == [2, 20, 3, 21, 3]
    assert tokenizer.tokenize("dogs") == ["dog", "##s"]
    assert tokenizer("the", text_target="dog")["labels"] == [2, 6, 3]
    assert tokenizer("the", return_length=True).length == [3]
    assert set(tokenizer("the", return_token_type_ids=False, return_attention_mask=False)) == {"input_ids"}


def test_decode(tokenizer):
    ids = tokenizer("Hello, the dogs don't!").input_ids
    assert tokenizer.decode(ids) == "[CLS] hello, the dogs don't! [SEP]"
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hello, the dogs don't!"
    unclean = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert unclean == "hello, the dogs don ' t!"
    assert tokenizer.decode(np.array(ids)) == tokenizer.decode(ids)
    assert tokenizer.decode(5) == "the"
    assert tokenizer.batch_decode([[5, 6], [11]]) == ["the dog", "hello"]
    assert tokenizer.convert_tokens_to_string(["dog", "##s"]) == "dogs"
    assert tokenizer.convert_ids_to_tokens(np.array([2, 5]), skip_special_tokens=True) == ["the"]


def test_never_split():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A.B", "a", "b", "."]
    tokenizer = BertTokenizer(vocab=tokens, never_split=["A.B", "C.D"])
    assert tokenizer.tokenize("a A.B A.B. C.D") == ["a", "A.B", "a", ".", "b", ".", "[UNK]"]
    tokenizer.add_tokens(["b"])  # a normalized added token sends texts another way
    assert tokenizer.tokenize("a A.B A.B. C.D") == ["a", "A.B", "a", ".", "b", ".", "[UNK]"]


def test_do_basic_tokenize():
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "##.", "a"]
    tokenizer = BertTokenizer(vocab=tokens, do_basic_tokenize=False)
    assert tokenizer.tokenize("A. a A") == ["A", "##.", "a", "A"]


def test_the_two_names_are_one():
    assert issubclass(BertTokenizerFast, BertTokenizer)
    assert BertTokenizerFast(vocab=["[UNK]", "a"]).tokenize("a b") == ["a", "[UNK]"]


def test_copies(tokenizer):
    tokenizer("the dogs")
    for other in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert other("the dogs!").input_ids == tokenizer("the dogs!").input_ids
        other.add_tokens(["zebra"])
        assert len(tokenizer) == 27
    encoded = pickle.loads(pickle.dumps(tokenizer("the dogs")))
    assert encoded.tokens() == ["[CLS]", "the", "dog", "##s", "[SEP]"]
    assert encoded.word_ids() == [None, 0, 1, 1, None]


def test_the_cache_is_bounded(tokenizer, monkeypatch):
    monkeypatch.setattr("edutransformers.tokenizers.cache.CACHE_ENTRIES", 8)
    words = [f"{a}{b}" for a in "abcd" for b in "abcdef"]
    expected = [tokenizer.tokenize(word) for word in words]
    for _ in range(3):
        assert tokenizer.tokenize(" ".join(words)) == [token for tokens in expected for token in tokens]
        cache = tokenizer._engine._stretches
        assert len(cache) + len(cache.older) <= 8
    long = "ab" * 40
    tokenizer.tokenize(long)
    assert long not in tokenizer._engine._stretches


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from("the dogs,!éÉ\u0301好\t\x00 [CLS]")), min_size=1, max_size=4))
def test_a_text_is_the_same_alone_and_in_a_batch(tokenizer, texts):
    batch = tokenizer(texts, return_offsets_mapping=True)
    for i, text in enumerate(texts):
        alone = tokenizer(text, return_offsets_mapping=True)
        assert {key: value[i] for key, value in batch.items()} == dict(alone)
        # Each stretch between blanks is cached by itself; all at once must give the same.
        whole = tokenizer._engine._tokenize_whole(text) if "[" not in text else None
        if whole is not None:
            assert [2, *whole.ids, 3] == alone.input_ids
            assert list(whole.offsets) == alone.offset_mapping[1:-1]


def test_too_long_text_warns_once(tokenizer, caplog):
    tokenizer.model_max_length = 3
    with caplog.at_level(logging.WARNING):
        tokenizer("the dog hello")
        tokenizer("the dog hello")
    assert len(caplog.records) == 1
    assert "longer than the specified maximum sequence length for this model (5 > 3)" in caplog.text
    assert tokenizer("the dog hello", truncation=True).input_ids == [2, 5, 3]


def test_max_length_alone_truncates_and_warns(tokenizer, monkeypatch):
    monkeypatch.setattr("edutransformers.tokenizers.strategies._warned", set())
    with pytest.warns(UserWarning, match="without truncation"):
        assert tokenizer("the dog hello", max_length=3).input_ids == [2, 5, 3]
    with pytest.warns(UserWarning, match="does nothing"):
        assert len(tokenizer("the dog hello", max_length=3, padding=True).input_ids) == 5


def test_a_batch_encoding_of_other_origin():
    encoded = BatchEncoding({"input_ids": [[1, 2]]})
    assert not encoded.is_fast
    with pytest.raises(ValueError, match="doesn't know where"):
        encoded.tokens()
    with pytest.raises(AttributeError, match="has no 'labels'"):
        _ = encoded.labels
