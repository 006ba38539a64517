"""Collators whose labels are padded, masked by words, or permuted. Equal to the original's: tests/reference."""

import numpy as np
import pytest

from edutransformers import BertTokenizer
from edutransformers.training import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForPermutationLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DefaultDataCollator,
)

PIECES = [f"w{n}" for n in range(30)] + [f"##p{n}" for n in range(30)]


def make_tokenizer(**options):
    return BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES], **options)


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def left():
    return make_tokenizer(padding_side="left")


def test_default_collator_remembers_where_arrays_go(fake_cupy):
    assert isinstance(DefaultDataCollator()([{"x": 1}])["x"], np.ndarray)
    assert isinstance(DefaultDataCollator(return_tensors="cp")([{"x": 1}])["x"], fake_cupy.ndarray)
    with pytest.raises(ValueError, match="return_tensors is 'pt'"):
        DefaultDataCollator(return_tensors="pt")([{"x": 1}])


# -- a label for each token -------------------------------------------------------------------------------------------

TAGGED = [
    {"input_ids": [2, 7, 8, 3], "labels": [-100, 1, 0, -100]},
    {"input_ids": [2, 9, 3], "labels": [-100, 4, -100]},
]


def test_token_labels_are_padded(tokenizer, left):
    batch = DataCollatorForTokenClassification(tokenizer)(TAGGED)
    np.testing.assert_array_equal(batch["labels"], [[-100, 1, 0, -100], [-100, 4, -100, -100]])
    np.testing.assert_array_equal(batch["attention_mask"], [[1, 1, 1, 1], [1, 1, 1, 0]])
    assert batch["labels"].dtype == np.int64
    batch = DataCollatorForTokenClassification(left, label_pad_token_id=-1, pad_to_multiple_of=3)(TAGGED)
    np.testing.assert_array_equal(batch["labels"], [[-1, -1, -100, 1, 0, -100], [-1, -1, -1, -100, 4, -100]])
    np.testing.assert_array_equal(batch["input_ids"], [[0, 0, 2, 7, 8, 3], [0, 0, 0, 2, 9, 3]])


def test_token_labels_by_other_names_and_none(tokenizer):
    items = [{"input_ids": np.array([2, 7, 3]), "label": np.array([0, 1, 0])}]
    np.testing.assert_array_equal(DataCollatorForTokenClassification(tokenizer)(items)["labels"], [[0, 1, 0]])
    assert "labels" not in DataCollatorForTokenClassification(tokenizer)([{"input_ids": [2, 3]}])


def test_wrong_number_of_token_labels(tokenizer):
    with pytest.raises(ValueError, match="item 1 has 2 labels for 3 tokens"):
        DataCollatorForTokenClassification(tokenizer)([TAGGED[0], {"input_ids": [2, 9, 3], "labels": [1, 2]}])
    with pytest.raises(ValueError, match="no items"):
        DataCollatorForTokenClassification(tokenizer)([])


# -- multiple choice --------------------------------------------------------------------------------------------------


def test_multiple_choice(tokenizer):
    items = [dict(tokenizer(["w1 w2 w3", "w4"]), label=1), dict(tokenizer(["w5", "w6 w7"]), label=0)]
    batch = DataCollatorForMultipleChoice(tokenizer)(items)
    assert {name: array.shape for name, array in batch.items()} == {
        "input_ids": (2, 2, 5), "token_type_ids": (2, 2, 5), "attention_mask": (2, 2, 5), "labels": (2,),
    }  # fmt: skip
    np.testing.assert_array_equal(batch["input_ids"][0], [[2, 6, 7, 8, 3], [2, 9, 3, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [1, 0])
    assert "label" in items[0]  # items are not changed
    with pytest.raises(ValueError, match="2 and 3 choices"):
        DataCollatorForMultipleChoice(tokenizer)([items[0], dict(tokenizer(["w1", "w2", "w3"]), label=0)])


# -- sequence to sequence ---------------------------------------------------------------------------------------------

PAIRS = [{"input_ids": [2, 7, 8, 3], "labels": [9, 3]}, {"input_ids": [2, 3], "labels": [5, 6, 7, 8, 3]}]


class Shifting:
    """What a model with a decoder has."""

    def prepare_decoder_input_ids_from_labels(self, labels):
        shifted = np.roll(labels, 1, axis=1)
        shifted[:, 0] = 2
        return np.where(shifted == -100, 0, shifted)


def test_labels_have_a_length_of_their_own(tokenizer, left):
    batch = DataCollatorForSeq2Seq(tokenizer, Shifting())(PAIRS)
    np.testing.assert_array_equal(batch["input_ids"], [[2, 7, 8, 3], [2, 3, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [[9, 3, -100, -100, -100], [5, 6, 7, 8, 3]])
    np.testing.assert_array_equal(batch["decoder_input_ids"], [[2, 9, 3, 0, 0], [2, 5, 6, 7, 8]])
    assert "decoder_input_ids" not in DataCollatorForSeq2Seq(tokenizer, object())(PAIRS)
    np.testing.assert_array_equal(DataCollatorForSeq2Seq(left)(PAIRS)["labels"][0], [-100, -100, -100, 9, 3])
    assert DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=4)(PAIRS)["labels"].shape == (2, 8)
    fixed = DataCollatorForSeq2Seq(tokenizer, padding="max_length", max_length=7)(PAIRS)
    assert fixed["input_ids"].shape == fixed["labels"].shape == (2, 7)
    assert set(DataCollatorForSeq2Seq(tokenizer, Shifting())([{"input_ids": [2, 3]}])) == {
        "input_ids",
        "attention_mask",
    }


def test_labels_that_do_not_fit(tokenizer):
    same = [{"input_ids": [2, 3], "labels": [5, 3]}, {"input_ids": [2, 3], "labels": [3]}]
    with pytest.raises(ValueError, match="labels of 1 and of 2 tokens"):
        DataCollatorForSeq2Seq(tokenizer, padding=False)(same)
    assert DataCollatorForSeq2Seq(tokenizer, padding=False)(same[:1])["labels"].shape == (1, 2)
    with pytest.raises(ValueError, match="a label of 5 tokens is longer than max_length=4"):
        DataCollatorForSeq2Seq(tokenizer, padding="max_length", max_length=4)(PAIRS)


# -- shares of what becomes of a token --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mask", "random"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.4), (0.0, 0.0)])
def test_shares_of_masks_and_random_tokens(tokenizer, mask, random):
    items = [{"input_ids": [2, *range(5, 65), 3]}] * 60
    collator = DataCollatorForLanguageModeling(
        tokenizer, seed=0, mlm_probability=0.5, mask_replace_prob=mask, random_replace_prob=random
    )
    batch = collator(items)
    chosen = batch["labels"] != -100
    is_mask, is_same = batch["input_ids"][chosen] == 4, batch["input_ids"][chosen] == batch["labels"][chosen]
    assert chosen[:, 1:-1].mean() == pytest.approx(0.5, abs=0.03)
    assert is_mask.mean() == pytest.approx(mask, abs=0.04)
    assert is_same.mean() == pytest.approx(1 - mask - random, abs=0.04)


def test_bad_shares(tokenizer):
    with pytest.raises(ValueError, match="more than 1 together"):
        DataCollatorForLanguageModeling(tokenizer, mask_replace_prob=0.8, random_replace_prob=0.3)
    for name in ("mask_replace_prob", "random_replace_prob"):
        with pytest.raises(ValueError, match=f"{name} is -0.1: expected a number from 0 up to 1"):
            DataCollatorForLanguageModeling(tokenizer, **{name: -0.1})
    with pytest.raises(ValueError, match="mlm_probability is 0"):
        DataCollatorForLanguageModeling(tokenizer, mlm_probability=0)
    with pytest.raises(ValueError, match="whole_word_mask=True hides words"):
        DataCollatorForLanguageModeling(tokenizer, mlm=False, whole_word_mask=True)
    with pytest.raises(ValueError, match="mlm=False is not for it"):
        DataCollatorForWholeWordMask(tokenizer, mlm=False)


# -- whole words ------------------------------------------------------------------------------------------------------

FIRST, PIECE = 5, 35  # the ids of w0 and of ##p0
WORDS = [2, 5, 35, 36, 6, 7, 37, 8, 9, 3]  # [CLS] w0##p0##p1 w1 w2##p2 w3 w4 [SEP]
OF_WORDS = [[1, 2, 3], [4], [5, 6], [7], [8]]
SHORT = [2, 5, 35, 3]


def chosen_words(labels, words):
    """Which words are chosen; each one wholly or not at all."""
    found = []
    for number, places in enumerate(words):
        counted = (labels[places] != -100).tolist()
        assert len(set(counted)) == 1, f"word {number} is chosen in part"
        found.append(counted[0])
    return found


@pytest.mark.parametrize("side", ["right", "left"])
def test_words_are_chosen_as_a_whole(tokenizer, left, side):
    collator = DataCollatorForLanguageModeling(
        tokenizer if side == "right" else left, seed=1, whole_word_mask=True, mlm_probability=0.3
    )
    batch = collator([{"input_ids": WORDS}, {"input_ids": SHORT}] * 400)
    chosen = np.array([chosen_words(row, OF_WORDS) for row in batch["labels"][::2]])
    np.testing.assert_allclose(chosen.mean(axis=0), 0.3, atol=0.07)  # each word with the probability, long or short
    assert abs(np.corrcoef(chosen[:, 0], chosen[:, 1])[0, 1]) < 0.15  # independently
    shift = 0 if side == "right" else 6
    short = [chosen_words(row, [[1 + shift, 2 + shift]]) for row in batch["labels"][1::2]]
    assert np.mean(short) == pytest.approx(0.3, abs=0.07)
    padding_and_special = np.delete(batch["labels"][1::2], [1 + shift, 2 + shift], axis=1)
    assert (padding_and_special == -100).all()
    assert (batch["attention_mask"][1] == (np.arange(10) < 4 if side == "right" else np.arange(10) >= 6)).all()


def test_words_by_their_places_in_the_text(tokenizer):
    """Pieces that touch are one word, whatever they are called."""
    offsets = [(0, 0), (0, 2), (2, 5), (6, 8), (9, 11), (11, 12), (0, 0), (0, 3), (0, 0)]
    items = [{"input_ids": [2, 5, 6, 7, 8, 9, 3, 10, 3], "offset_mapping": offsets}] * 300
    batch = DataCollatorForLanguageModeling(tokenizer, seed=0, whole_word_mask=True, mlm_probability=0.4)(items)
    assert "offset_mapping" not in batch
    chosen = np.array([chosen_words(row, [[1, 2], [3], [4, 5], [7]]) for row in batch["labels"]])
    np.testing.assert_allclose(chosen.mean(axis=0), 0.4, atol=0.08)
    assert (batch["labels"][:, [0, 6, 8]] == -100).all()


@pytest.mark.parametrize(("probability", "count"), [(0.15, 2), (0.2, 2), (0.3, 3), (0.01, 1)])
def test_a_fixed_number_of_tokens_in_whole_words(tokenizer, probability, count):
    batch = DataCollatorForWholeWordMask(tokenizer, seed=2, mlm_probability=probability)([{"input_ids": WORDS}] * 300)
    chosen = np.array([chosen_words(row, OF_WORDS) for row in batch["labels"]])
    lengths = chosen @ [len(word) for word in OF_WORDS]
    assert set(lengths) == {count}  # of 10 tokens; there are enough words of one token to fill every rest
    assert (chosen.any(axis=0) == [len(word) <= count for word in OF_WORDS]).all()
    assert "attention_mask" in batch


def test_at_most_so_many_predictions(tokenizer):
    items = [{"input_ids": [2, *([5, 6, 7] * 300), 3]}]
    batch = DataCollatorForWholeWordMask(tokenizer, seed=0, mlm_probability=0.9)(items)
    assert (batch["labels"] != -100).sum() == 512


def test_chinese_words(tokenizer):
    """Each sign is a token; `chinese_ref` says which ones go on with a word."""
    items = [{"input_ids": [2, 5, 6, 7, 8, 3], "chinese_ref": [2, 4]}] * 200
    batch = DataCollatorForWholeWordMask(tokenizer, seed=0, mlm_probability=0.3)(items)
    words = np.array([chosen_words(row, [[1, 2], [3, 4]]) for row in batch["labels"]])
    assert (words.sum(axis=1) == 1).all()
    assert words.any(axis=0).all()


# -- permutation language modelling -----------------------------------------------------------------------------------


def test_permutations(tokenizer):
    text = [2, *range(5, 43), 3]
    batch = DataCollatorForPermutationLanguageModeling(tokenizer, seed=0)([{"input_ids": text}] * 100)
    ids, labels, perm, target = (batch[n] for n in ("input_ids", "labels", "perm_mask", "target_mapping"))
    assert (perm.shape, perm.dtype, target.dtype) == ((100, 40, 40), np.float32, np.float32)
    np.testing.assert_array_equal(target, np.broadcast_to(np.eye(40), target.shape))
    chosen = labels != -100
    assert not chosen[:, [0, -1]].any()
    assert (ids[chosen] == 4).all()
    np.testing.assert_array_equal(np.where(chosen, labels, ids), np.tile(text, (100, 1)))
    assert chosen.mean() == pytest.approx(1 / 6, abs=0.02)
    runs = np.diff(np.concatenate([np.zeros((100, 1)), chosen, np.zeros((100, 1))], axis=1), axis=1)
    assert 1 < chosen.sum() / (runs == 1).sum() <= 5  # spans of several tokens
    for mask, hidden in zip(perm, chosen):
        assert not mask[:, ~hidden].any()  # what is not chosen is seen by all
        ordinary = ~hidden & (np.arange(40) % 39 > 0)
        assert mask[np.ix_(ordinary, hidden)].all()  # and sees no chosen token
        inner = mask[np.ix_(hidden, hidden)]
        assert inner.diagonal().all()  # no token sees itself
        assert ((inner + inner.T) >= 1).all()  # of two, at most one sees the other,
        halves = np.flatnonzero(hidden) >= 20
        assert (mask[np.ix_(np.flatnonzero(hidden)[~halves], np.flatnonzero(hidden)[halves])] == 1).all()
    assert len({mask.tobytes() for mask in perm}) > 90


def test_permutations_of_padded_texts(tokenizer):
    items = [[2, 7, 8, 9, 10, 11, 12, 3], {"input_ids": [2, 7, 8, 3]}] * 50
    batch = DataCollatorForPermutationLanguageModeling(tokenizer, seed=0, plm_probability=0.5)(items)
    assert (batch["labels"][1::2, 3:] == -100).all()
    assert (batch["input_ids"][1::2, 4:] == 0).all()
    with pytest.raises(ValueError, match="texts of 3 tokens: expected an even number"):
        DataCollatorForPermutationLanguageModeling(tokenizer)([[2, 7, 3]])
    with pytest.raises(ValueError, match="max_span_length is 0"):
        DataCollatorForPermutationLanguageModeling(tokenizer, max_span_length=0)
    with pytest.raises(ValueError, match="plm_probability is 2"):
        DataCollatorForPermutationLanguageModeling(tokenizer, plm_probability=2)

    class NoMask:
        mask_token_id = None

    with pytest.raises(ValueError, match="needs a tokenizer with a mask token"):
        DataCollatorForPermutationLanguageModeling(NoMask())


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [DataCollatorForLanguageModeling, DataCollatorForWholeWordMask, DataCollatorForPermutationLanguageModeling]
)
def test_draws_are_the_generators_alone(tokenizer, kind):
    items = [{"input_ids": WORDS}] * 8
    collator = kind(tokenizer, seed=3)
    first, second = collator(items), collator(items)
    again = kind(tokenizer, generator=np.random.default_rng(3))
    for expected in (first, second):
        for name, array in again(items).items():
            np.testing.assert_array_equal(array, expected[name])
    assert (first["input_ids"] != second["input_ids"]).any()
    one, other = (collator.collate(items, np.random.default_rng([1, 2])) for _ in range(2))
    np.testing.assert_array_equal(one["input_ids"], other["input_ids"])
    assert collator.generator.random() == again.generator.random()  # a generator that is given is the only one used


def test_arrays_on_the_device(tokenizer, fake_cupy):
    for collator, items in (
        (DataCollatorForTokenClassification(tokenizer, return_tensors="cp"), TAGGED),
        (DataCollatorForSeq2Seq(tokenizer, Shifting(), return_tensors="cp"), PAIRS),
        (
            DataCollatorForMultipleChoice(tokenizer, return_tensors="cp"),
            [{"input_ids": [[2, 3], [2, 5, 3]], "label": 1}],
        ),
        (DataCollatorForWholeWordMask(tokenizer, return_tensors="cp"), [{"input_ids": WORDS}]),
        (DataCollatorForPermutationLanguageModeling(tokenizer, return_tensors="cp"), [{"input_ids": WORDS}]),
    ):
        assert all(isinstance(array, fake_cupy.ndarray) for array in collator(items).values())
