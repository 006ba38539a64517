"""Wav2Vec2's feature extractor: mean 0, variance 1, whatever came in; and its file."""

import json

import numpy as np
import pytest

from edutransformers import AutoFeatureExtractor, Wav2Vec2FeatureExtractor


@pytest.fixture
def clips(rng):
    return [(3 + 0.2 * rng.normal(size=n)).astype(np.float32) for n in (900, 500, 1300)]


def extract(*args, **options):
    settings = {key: options.pop(key) for key in ("do_normalize", "return_attention_mask") if key in options}
    return Wav2Vec2FeatureExtractor(**settings)(*args, sampling_rate=16000, **options)


def is_normal(row):
    return abs(row.mean()) < 1e-4 and abs(row.std() - 1) < 1e-3


def test_one_recording_is_a_batch_of_one(clips):
    batch = extract(clips[0], return_tensors="np")
    assert batch.input_values.shape == (1, 900)
    assert batch.input_values.dtype == np.float32
    assert is_normal(batch.input_values[0])
    assert list(batch) == ["input_values"]
    for same in (clips[0].tolist(), tuple(clips[0]), clips[0].astype(np.float64), [clips[0]], clips[0][None]):
        assert np.allclose(extract(same)["input_values"][0], batch.input_values[0], atol=1e-5)


def test_several_recordings(clips):
    batch = extract(clips)
    assert [len(row) for row in batch["input_values"]] == [900, 500, 1300]
    assert all(is_normal(row) and row.dtype == np.float32 for row in batch["input_values"])
    for same in ([clip.tolist() for clip in clips], tuple(clips)):
        again = extract(same)["input_values"]
        assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(again, batch["input_values"]))
    assert extract(np.ones((4, 100)), return_tensors="np").input_values.shape == (4, 100)


def test_with_a_mask_padding_is_no_sound(clips):
    batch = extract(clips, padding=True, return_attention_mask=True, return_tensors="np")
    alone = extract(clips)["input_values"]
    assert batch.attention_mask.sum(axis=1).tolist() == [900, 500, 1300]
    for row, mask, expected in zip(batch.input_values, batch.attention_mask, alone):
        assert np.allclose(row[mask == 1], expected, atol=1e-5)
        assert (row[mask == 0] == 0).all()


def test_without_a_mask_padding_is_sound(clips):
    batch = extract(clips, padding=True, return_tensors="np")
    assert all(is_normal(row) for row in batch.input_values)
    assert not is_normal(batch.input_values[1, :500])


def test_padding_on_the_left(clips):
    """The mask says where the sound is, not only how long it is."""
    extractor = Wav2Vec2FeatureExtractor(padding_side="left", return_attention_mask=True)
    batch = extractor(clips, padding=True, sampling_rate=16000, return_tensors="np")
    for row, expected in zip(batch.input_values, extract(clips)["input_values"]):
        assert np.allclose(row[-len(expected) :], expected, atol=1e-5)
        assert (row[: -len(expected)] == 0).all()


def test_lengths(clips):
    batch = extract(clips, padding="max_length", max_length=1000, truncation=True, return_tensors="np")
    assert batch.input_values.shape == (3, 1000)
    assert extract(clips, padding=True, pad_to_multiple_of=512, return_tensors="np").input_values.shape == (3, 1536)


def test_not_normalized(clips):
    assert np.array_equal(extract(clips[0], do_normalize=False)["input_values"][0], clips[0])
    assert clips[0].mean() > 2  # and what came in is as it was


def test_silence():
    for options in ({}, {"return_attention_mask": True, "padding": "max_length", "max_length": 2000}):
        batch = extract([np.zeros(1000, np.float32)], return_tensors="np", **options)
        assert (batch.input_values == 0).all()
    constant = extract(np.full(1000, 0.25, np.float32))["input_values"][0]
    assert (constant == 0).all()


def test_one_sample():
    assert extract([0.5])["input_values"][0].tolist() == [0]


def test_whole_numbers_of_a_sound_card(clips):
    whole = (clips[0] * 8192).astype(np.int16)
    assert np.allclose(
        extract(whole)["input_values"][0], extract(whole / np.float32(32768))["input_values"][0], atol=1e-6
    )
    raw = extract(whole, do_normalize=False)["input_values"][0]
    assert raw.dtype == np.float32
    assert abs(raw).max() < 1


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.array([0.1, np.nan]), "1 of the 2 samples of the sound are NaN or infinite"),
        ([np.zeros(2), np.array([np.inf, 1, 2])], "1 of the 3 samples of recording 1 of the batch"),
        ([], "the sound is empty"),
        ([np.zeros(3), np.zeros(0)], "recording 1 of the batch is empty"),
        (np.zeros((2, 3, 4)), r"the sound has the shape \(2, 3, 4\); expected one channel"),
        (np.zeros((16000, 2)), r"the sound has the shape \(16000, 2\); expected one channel, as \(samples,\)"),
        ([np.zeros((2, 500))], r"the sound has the shape \(2, 500\); expected one channel, \(samples,\)"),
        (np.zeros(3, np.int64), "numbers of the type int64"),
        (np.float32(0.1), r"shape \(\)"),
    ],
)
def test_what_is_wrong(sound, message):
    with pytest.raises(ValueError, match=message):
        extract(sound)


@pytest.mark.parametrize("sound", ["speech.wav", b"RIFF", {"array": [0.1], "sampling_rate": 16000}])
def test_what_is_still_to_be_read(sound):
    with pytest.raises(TypeError, match=f"the sound is a {type(sound).__name__}, not .* read it first, with"):
        extract(sound)


def test_the_rate(clips, caplog):
    extractor = Wav2Vec2FeatureExtractor()
    with pytest.raises(ValueError, match="a sampling rate of 8000 hertz, but the model takes 16000; resample it, with"):
        extractor(clips[0], sampling_rate=8000)
    assert not caplog.records
    extractor(clips[0])
    assert "was not told the sampling rate of the sound, and takes it to be 16000" in caplog.text


def test_its_file(tmp_path):
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=8000, return_attention_mask=True, do_normalize=False)
    extractor.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert fields == {
        "do_normalize": False,
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": 8000,
    }
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(again) is Wav2Vec2FeatureExtractor
    assert again.to_dict() == extractor.to_dict()
    assert Wav2Vec2FeatureExtractor.from_pretrained(tmp_path, sampling_rate=16000).sampling_rate == 16000


def test_settings_of_an_older_save_are_replaced(tmp_path):
    """transformers 5 keeps them in processor_config.json, beside those of others, and they are read first."""
    older = {"feature_extractor": {"sampling_rate": 8000}, "image_processor": {"size": 5}, "processor_class": "Both"}
    (tmp_path / "processor_config.json").write_text(json.dumps(older))
    assert Wav2Vec2FeatureExtractor.from_pretrained(tmp_path).sampling_rate == 8000
    Wav2Vec2FeatureExtractor(sampling_rate=11025).save_pretrained(tmp_path)
    assert Wav2Vec2FeatureExtractor.from_pretrained(tmp_path).sampling_rate == 11025
    del older["feature_extractor"]
    assert json.loads((tmp_path / "processor_config.json").read_text()) == older
