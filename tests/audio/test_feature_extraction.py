"""Padding, cutting and masks of rows of sound."""

import numpy as np
import pytest

from edutransformers import BatchFeature, SequenceFeatureExtractor


class Spectrogram(SequenceFeatureExtractor):
    """Rows of the shape (moments, features)."""

    model_input_names = ["input_features", "attention_mask"]


class Samples(SequenceFeatureExtractor):
    """Rows of samples."""

    model_input_names = ["input_values", "attention_mask"]


def rows(*lengths, features=None):
    return [np.arange(1, 1 + n, dtype=np.float32) if features is None else np.ones((n, features)) for n in lengths]


@pytest.fixture
def extractor():
    return Samples(feature_size=1, sampling_rate=16000, padding_value=-1.0)


def test_longest(extractor):
    batch = extractor.pad({"input_values": rows(3, 1)})
    assert isinstance(batch, BatchFeature)
    assert batch.input_values.tolist() == [[1, 2, 3], [1, -1, -1]]
    assert batch.input_values.dtype == np.float32
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.attention_mask.dtype == np.int32
    assert np.array_equal(extractor.pad({"input_values": rows(3, 1)}, "longest").input_values, batch.input_values)


def test_left():
    extractor = Samples(feature_size=1, sampling_rate=16000, padding_value=0.0, padding_side="left")
    batch = extractor.pad({"input_values": rows(3, 1)})
    assert batch.input_values.tolist() == [[1, 2, 3], [0, 0, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({"padding": False}, [3, 1]),
        ({"padding": "do_not_pad"}, [3, 1]),
        ({"padding": "max_length", "max_length": 5}, [5, 5]),
        ({"padding": "max_length", "max_length": 2}, [3, 2]),
        ({"padding": "max_length", "max_length": 2, "truncation": True}, [2, 2]),
        ({"padding": True, "max_length": 2, "truncation": True}, [2, 2]),
        ({"padding": True, "max_length": 9}, [3, 3]),
        ({"padding": False, "max_length": 2, "truncation": True}, [2, 1]),
        ({"pad_to_multiple_of": 4}, [4, 4]),
        ({"pad_to_multiple_of": 3}, [3, 3]),
        ({"padding": "max_length", "max_length": 5, "pad_to_multiple_of": 4}, [8, 8]),
        ({"padding": "max_length", "max_length": 1, "pad_to_multiple_of": 2, "truncation": True}, [2, 2]),
    ],
)
@pytest.mark.parametrize("mask", [True, False])
def test_lengths(extractor, options, lengths, mask):
    batch = extractor.pad({"input_values": rows(3, 1)}, return_attention_mask=mask, **options)
    assert [len(row) for row in batch["input_values"]] == lengths
    assert isinstance(batch["input_values"], np.ndarray) == (len(set(lengths)) == 1)
    assert ("attention_mask" in batch) == mask
    if mask:
        kept = [min(n, length) for n, length in zip((3, 1), lengths)]
        assert [row.tolist() for row in batch["attention_mask"]] == [
            [1] * n + [0] * (length - n) for n, length in zip(kept, lengths)
        ]


def test_spectrograms():
    extractor = Spectrogram(feature_size=2, sampling_rate=16000, padding_value=7.0)
    batch = extractor.pad([{"input_features": row} for row in rows(1, 3, features=2)], return_tensors="np")
    assert batch.input_features.shape == (2, 3, 2)
    assert batch.input_features[0].tolist() == [[1, 1], [7, 7], [7, 7]]
    assert batch.attention_mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    with pytest.raises(ValueError, match=r"row 0 of 'input_features' has the shape \(3,\) .* \(moments, 2\)"):
        extractor.pad({"input_features": rows(3)})


def test_a_mask_that_is_there_is_kept(extractor):
    data = {"input_values": rows(3, 2), "attention_mask": [[1, 0, 1], [0, 1]], "labels": [[4], [5, 6]]}
    batch = extractor.pad(data, return_attention_mask=False)
    assert batch.attention_mask.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert batch.labels == [[4], [5, 6]]
    assert data["attention_mask"] == [[1, 0, 1], [0, 1]]
    batch = extractor.pad(data, max_length=1, truncation=True)
    assert batch.attention_mask.tolist() == [[1], [0]]


def test_a_list_of_dictionaries(extractor):
    features = [{"input_values": row, "labels": number} for number, row in enumerate(rows(3, 1))]
    batch = extractor.pad(features, return_tensors="np")
    assert batch.input_values.shape == (2, 3)
    assert batch.labels.tolist() == [0, 1]
    again = extractor.pad([BatchFeature({"input_values": row.tolist()}) for row in rows(3, 1)])
    assert np.array_equal(again.input_values, batch.input_values)


def test_no_rows(extractor):
    batch = extractor.pad({"input_values": []})
    assert list(batch["input_values"]) == list(batch["attention_mask"]) == []


def test_on_a_gpu(extractor, fake_cupy):
    batch = extractor.pad({"input_values": rows(3, 1)}, return_tensors="cp")
    assert all(isinstance(value, fake_cupy.ndarray) for value in batch.values())


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        ({"input_ids": [[1]]}, {}, "needs a dictionary with 'input_values', .* got 'input_ids'"),
        ([], {}, "or a list of such; got list"),
        ([{"input_values": [1.0]}, {"labels": 3}], {}, "row 1 has labels, but row 0 has input_values"),
        ({"input_values": rows(3, 1), "labels": [1]}, {}, "'labels' has 1 rows, but 'input_values' has 2"),
        ({"input_values": [1.0, 2.0]}, {}, r"row 0 of 'input_values' has the shape \(\)"),
        ({"input_values": [["a"]]}, {}, "the type <U1"),
        ({"input_values": rows(3)}, {"padding": "long"}, "padding='long' is not a strategy; use True, False or one of"),
        ({"input_values": rows(3)}, {"padding": "max_length"}, "padding='max_length' needs max_length"),
        ({"input_values": rows(3)}, {"truncation": True}, "truncation=True needs max_length"),
        ({"input_values": rows(3, 1)}, {"padding": False, "return_tensors": "np"}, "different lengths"),
        ({"input_values": rows(3)}, {"return_tensors": "pt"}, "needs a framework that edutransformers does without"),
    ],
)
def test_what_is_wrong(extractor, features, options, message):
    with pytest.raises(ValueError, match=message):
        extractor.pad(features, **options)


def test_settings_that_cannot_pad(extractor):
    extractor.padding_value = None
    with pytest.raises(ValueError, match="has no padding_value, so it can't pad"):
        extractor.pad({"input_values": rows(3, 1)})
    assert len(extractor.pad({"input_values": rows(3, 1)}, padding=False).input_values) == 2
    wrong = Samples(feature_size=1, sampling_rate=16000, padding_value=0.0, padding_side="middle")
    with pytest.raises(ValueError, match="padding_side is 'middle'; expected 'right' or 'left'"):
        wrong.pad({"input_values": rows(3, 1)})
