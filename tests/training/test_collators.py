"""Collators: padding, labels, and the masks of masked language modelling."""

import numpy as np
import pytest

from edutransformers import BertTokenizer
from edutransformers.training import DataCollatorForLanguageModeling, DataCollatorWithPadding, default_data_collator

WORDS = [f"w{n}" for n in range(45)]


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])


# -- stacking ---------------------------------------------------------------------------------------------------------


def test_default_stacks_and_renames_labels():
    batch = default_data_collator([{"x": [1, 2], "label": 0, "text": "a", "none": None}, {"x": [3, 4], "label": 2}])
    assert sorted(batch) == ["labels", "x"]
    np.testing.assert_array_equal(batch["x"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(batch["labels"], [0, 2])
    assert batch["labels"].dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([1, 0], "int64"), ([0.5, 1.0], "float32"), ([[1.0, 0.0], [0.0, 1.0]], "float32"), ([[1, 2], [3, 4]], "int64")],
)
def test_number_types_of_labels(labels, dtype):
    for name in ("label", "label_ids", "labels"):
        batch = default_data_collator([{name: label} for label in labels])
        assert batch["labels"].dtype == dtype
        np.testing.assert_array_equal(batch["labels"], labels)


def test_arrays_keep_their_type_and_lists_of_floats_are_float32():
    items = [{"pixels": np.ones((2, 2), dtype="float64"), "list": [0.1, 0.2]}] * 3
    batch = default_data_collator(items)
    assert (batch["pixels"].dtype, batch["list"].dtype) == (np.float64, np.float32)
    assert batch["pixels"].shape == (3, 2, 2)


def test_objects_with_attributes_are_items_too():
    class Item:
        def __init__(self, x):
            self.x = x

    np.testing.assert_array_equal(default_data_collator([Item(1), Item(2)])["x"], [1, 2])


def test_what_can_not_be_stacked():
    with pytest.raises(ValueError, match="'x' make no array.*DataCollatorWithPadding"):
        default_data_collator([{"x": [1, 2]}, {"x": [1]}])
    with pytest.raises(ValueError, match="'x' make no array"):
        default_data_collator([{"x": 1}, {}])
    with pytest.raises(ValueError, match="class names must be numbered"):
        default_data_collator([{"label": "good"}, {"label": "bad"}])
    with pytest.raises(ValueError, match="class names must be numbered"):
        default_data_collator([{"label": [1, 2]}, {"label": [1]}])
    with pytest.raises(ValueError, match="no items"):
        default_data_collator([])
    with pytest.raises(TypeError, match="got int"):
        default_data_collator([1, 2])
    with pytest.raises(ValueError, match="expected 'np'"):
        default_data_collator([{"x": 1}], return_tensors="pt")


# -- padding ----------------------------------------------------------------------------------------------------------


def test_pads_to_the_longest(tokenizer):
    items = [dict(tokenizer(text), label=n) for n, text in enumerate(["w1 w2 w3", "w4"])]
    batch = DataCollatorWithPadding(tokenizer)(items)
    np.testing.assert_array_equal(batch["input_ids"], [[2, 6, 7, 8, 3], [2, 9, 3, 0, 0]])
    np.testing.assert_array_equal(batch["attention_mask"], [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [0, 1])
    assert type(batch) is dict
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels"}


def test_padding_options(tokenizer):
    items = [tokenizer(text) for text in ("w1 w2 w3", "w4")]  # the tokenizer's own BatchEncodings
    assert DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8)(items)["input_ids"].shape == (2, 8)
    fixed = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=11)(items)
    assert fixed["attention_mask"].shape == (2, 11)
    assert "labels" not in fixed


def test_items_are_not_changed(tokenizer):
    item = {"input_ids": [2, 3], "label": 1}
    DataCollatorWithPadding(tokenizer)([item, {"input_ids": [2, 9, 3], "label": 0}])
    assert item == {"input_ids": [2, 3], "label": 1}


# -- language modelling -----------------------------------------------------------------------------------------------


def test_masked_language_modelling_in_numbers(tokenizer):
    ids = np.random.default_rng(0).integers(5, 50, (200, 60))
    ids[:, 0], ids[:, -1] = 2, 3
    items = [{"input_ids": row.tolist(), "attention_mask": [1] * 60} for row in ids]
    items.append({"input_ids": [2, 7, 3], "attention_mask": [1] * 3})  # padded
    before = [dict(item) for item in items]
    batch = DataCollatorForLanguageModeling(tokenizer, seed=3)(items)
    assert items == before
    hidden, labels = batch["input_ids"], batch["labels"]
    counted = labels != -100
    original = np.vstack([ids, [2, 7, 3] + [0] * 57])
    np.testing.assert_array_equal(labels[counted], original[counted])
    np.testing.assert_array_equal(hidden[~counted], original[~counted])
    assert not counted[np.isin(original, [0, 2, 3])].any()  # special tokens and padding are never chosen
    ordinary = ~np.isin(original, [0, 2, 3])
    assert counted[ordinary].mean() == pytest.approx(0.15, abs=0.01)
    masked, same = hidden[counted] == 4, hidden[counted] == labels[counted]
    assert masked.mean() == pytest.approx(0.8, abs=0.03)
    assert same.mean() == pytest.approx(0.1 + 0.1 / 50, abs=0.03)  # a random token may be the same one
    assert (~masked & ~same).mean() == pytest.approx(0.1, abs=0.03)


def test_masks_are_the_seeds_alone(tokenizer):
    items = [{"input_ids": list(range(5, 50))}] * 4
    first, second = (
        DataCollatorForLanguageModeling(tokenizer, seed=1),
        DataCollatorForLanguageModeling(tokenizer, generator=np.random.default_rng(1)),
    )
    for _ in range(2):
        one, other = first(items), second(items)
        np.testing.assert_array_equal(one["input_ids"], other["input_ids"])
    assert (first(items)["input_ids"] != first(items)["input_ids"]).any()


def test_a_given_special_tokens_mask_is_used(tokenizer):
    items = [{"input_ids": list(range(5, 50)), "special_tokens_mask": [1] * 44 + [0]}] * 50
    batch = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.99, seed=0)(items)
    assert "special_tokens_mask" not in batch
    assert (batch["labels"][:, :44] == -100).all()
    assert (batch["labels"][:, 44] == 49).mean() > 0.9


def test_causal_labels_are_the_ids(tokenizer):
    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)([[2, 7, 8, 3], [2, 3]])
    np.testing.assert_array_equal(batch["input_ids"], [[2, 7, 8, 3], [2, 3, 0, 0]])
    np.testing.assert_array_equal(batch["labels"], [[2, 7, 8, 3], [2, 3, -100, -100]])


def test_bad_arguments_for_language_modelling(tokenizer):
    class NoMask:
        mask_token_id = None

    with pytest.raises(ValueError, match="mlm=False"):
        DataCollatorForLanguageModeling(NoMask())
    with pytest.raises(ValueError, match="mlm_probability is 1.5"):
        DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.5)


def test_arrays_on_the_device(tokenizer, fake_cupy):
    items = [{"input_ids": [2, 7, 3], "label": 1}, {"input_ids": [2, 3], "label": 0}]
    for collator in (
        DataCollatorWithPadding(tokenizer, return_tensors="cp"),
        DataCollatorForLanguageModeling(tokenizer, seed=0, return_tensors="cp"),
    ):
        assert all(isinstance(array, fake_cupy.ndarray) for array in collator(items).values())
