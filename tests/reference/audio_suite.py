"""Feature extraction, processors and the speech pipelines against the original's, either version."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from edutransformers import (
    AutoProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Processor,
    pipeline,
)
from tests.pipelines.tiny import assert_same_results
from tests.pipelines.tiny_speech import IDS, noise, small_model, tokenizer

from .common import MAJOR, torch, transformers

NORMS = {"group": {}, "layer": {"feat_extract_norm": "layer", "do_stable_layer_norm": True}}
SETTINGS = [
    {},
    {"return_attention_mask": True},
    {"do_normalize": False},
    {"do_normalize": False, "return_attention_mask": True, "padding_value": 0.5},
    {"padding_value": -3.0, "return_attention_mask": True},
    {"padding_side": "left"},
    {"padding_side": "left", "do_normalize": False, "return_attention_mask": True},
]
CALLS = [
    {},
    {"padding": True},
    {"padding": "longest", "pad_to_multiple_of": 128},
    {"padding": "max_length", "max_length": 1000},
    {"padding": "max_length", "max_length": 700, "truncation": True},
    {"padding": True, "max_length": 700, "truncation": True, "pad_to_multiple_of": 64},
    {"max_length": 700, "truncation": True},
    {"padding": True, "return_attention_mask": True},
    {"padding": True, "return_attention_mask": False},
    {"padding": False, "return_attention_mask": True},
    {"padding": True, "return_tensors": "np"},
]


def recordings() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [(loud * rng.normal(size=n) + shift).astype(np.float32) for loud, shift, n in
            ((0.5, 0.0, 900), (0.01, 0.3, 400), (3.0, -2.0, 733))]  # fmt: skip


def assert_same_batch(ours, theirs) -> None:
    """Value by value to 1e-5, of the rows as they are or as one array."""
    assert set(ours) == set(theirs)
    for name in theirs:
        assert len(ours[name]) == len(theirs[name])
        for mine, expected in zip(ours[name], theirs[name]):
            np.testing.assert_allclose(mine, np.asarray(expected, dtype=np.asarray(mine).dtype), rtol=1e-5, atol=1e-5)


def check_feature_extractor(settings: dict) -> None:
    ours, theirs = Wav2Vec2FeatureExtractor(**settings), transformers.Wav2Vec2FeatureExtractor(**settings)
    several = recordings()
    inputs = [several[0], several, several[0].tolist(), [row.tolist() for row in several], several[0].astype(float)]
    inputs += [np.stack([several[0][:400], several[1]]), [np.zeros(500, np.float32), several[1]]]
    is_left = settings.get("padding_side") == "left" and settings.get("do_normalize", True)
    for sound in inputs:
        for call in CALLS:
            if is_left and call.get("return_attention_mask"):
                continue  # the original normalizes the wrong samples
            assert_same_batch(ours(sound, sampling_rate=16000, **call), theirs(sound, sampling_rate=16000, **call))


def check_padding(settings: dict) -> None:
    ours, theirs = Wav2Vec2FeatureExtractor(**settings), transformers.Wav2Vec2FeatureExtractor(**settings)
    several = recordings()
    forms = [
        lambda kind: {"input_values": [row.copy() for row in several]},
        lambda kind: [{"input_values": row.tolist()} for row in several],
        lambda kind: kind({"input_values": several}),
        lambda kind: {"input_values": several, "attention_mask": [np.ones(len(row), np.int32) for row in several]},
    ]
    for number, form in enumerate(forms):
        for call in CALLS[1:]:
            if call.get("padding") is False or (number == 3 and not call.get("return_attention_mask", True)):
                continue  # there the original makes arrays of objects, or pads the rows and not their masks
            if number == 3 and not settings.get("return_attention_mask") and "return_attention_mask" not in call:
                continue
            if call == {"max_length": 700, "truncation": True}:
                call = {**call, "padding": True}
            original = theirs.pad(form(transformers.BatchFeature), **call)
            assert_same_batch(ours.pad(form(dict), **call), original)


def check_spectrograms() -> None:
    """`feature_size` above 1, by a class with nothing but padding."""
    import edutransformers

    names = ["input_features", "attention_mask"]
    kinds = [
        type("Spectrogram", (module.SequenceFeatureExtractor,), {"model_input_names": names})
        for module in (edutransformers, transformers)
    ]
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 4)).astype(np.float32) for n in (9, 3, 5)]
    for side in ("right", "left"):
        ours, theirs = (
            kind(feature_size=4, sampling_rate=16000, padding_value=1.5, padding_side=side) for kind in kinds
        )
        for call in ({}, {"pad_to_multiple_of": 4}, {"padding": "max_length", "max_length": 7, "truncation": True}):
            data = [{"input_features": rows}, [{"input_features": row} for row in rows]]
            for features in data:
                assert_same_batch(ours.pad(features, **call), theirs.pad(features, **call))


def check_files(tmp_path) -> None:
    """What either side saves, the other one reads."""
    for settings in SETTINGS:
        ours = Wav2Vec2FeatureExtractor(**settings, sampling_rate=8000)
        ours.save_pretrained(tmp_path / "ours")
        theirs = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "ours")
        assert type(theirs).__name__ == "Wav2Vec2FeatureExtractor"
        assert_same_settings(ours, theirs)
        theirs.save_pretrained(tmp_path / "theirs")
        assert Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "theirs").to_dict() == ours.to_dict()


def assert_same_settings(ours, theirs) -> None:
    known = {name: value for name, value in theirs.to_dict().items() if not name.startswith("_")}
    known.pop("processor_class", None)
    mine = ours.to_dict()
    mine.pop("processor_class", None)
    assert mine == known


def processors(tmp_path):
    """(ours, the original's), both from what the original saved."""
    ours = Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=True), Wav2Vec2CTCTokenizer(vocab=IDS))
    ours.save_pretrained(tmp_path / "ours")
    theirs = transformers.AutoProcessor.from_pretrained(tmp_path / "ours")
    assert type(theirs).__name__ == "Wav2Vec2Processor"
    theirs.save_pretrained(tmp_path / "theirs")
    again = AutoProcessor.from_pretrained(tmp_path / "theirs")
    assert type(again) is Wav2Vec2Processor
    assert again.tokenizer.get_vocab() == theirs.tokenizer.get_vocab()
    assert_same_settings(again.feature_extractor, theirs.feature_extractor)
    return again, theirs


def check_processor(tmp_path) -> None:
    ours, theirs = processors(tmp_path)
    sounds, texts = recordings(), ["HELLO YOU", "A", "IT'S ME"]
    calls = [{"padding": True}, {"padding": True, "return_tensors": "np"}, {}]
    calls += [{"padding": "max_length", "max_length": 800, "truncation": True}]
    if MAJOR >= 5:
        calls.append({"audio_kwargs": {"padding": "max_length", "max_length": 950}, "text_kwargs": {"padding": True}})
        calls.append({"common_kwargs": {"padding": True, "return_tensors": "np"}})
    for call in calls:
        both = (processor(sounds, text=texts, sampling_rate=16000, **call) for processor in (ours, theirs))
        assert_same_batch(*both)
        assert_same_batch(*(processor(sounds, sampling_rate=16000, **call) for processor in (ours, theirs)))
        if "audio_kwargs" not in call:
            assert_same_batch(*(processor(text=texts, **call) for processor in (ours, theirs)))
    rows = [{"input_values": sound} for sound in sounds]
    labels = [{"input_ids": theirs.tokenizer(text).input_ids} for text in texts]
    for call in ({"padding": True}, {"padding": True, "return_tensors": "np"}):
        assert_same_batch(*(processor.pad(rows, labels=labels, **call) for processor in (ours, theirs)))
        assert_same_batch(*(processor.pad(labels=labels, **call) for processor in (ours, theirs)))
        assert_same_batch(*(processor.pad(rows, **call) for processor in (ours, theirs)))
    heard = np.random.default_rng(5).integers(0, len(IDS), (3, 40))
    assert ours.batch_decode(heard) == theirs.batch_decode(heard)
    assert ours.decode(heard[0]) == theirs.decode(heard[0])


# -- pipelines --------------------------------------------------------------------------------------------------------


def both(task: str, tmp_path, norm: str, **fields):
    """(ours, the original's) of one folder."""
    model_class = {
        "automatic-speech-recognition": Wav2Vec2ForCTC,
        "audio-classification": Wav2Vec2ForSequenceClassification,
    }[task]
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=norm == "layer")
    model = small_model(model_class, **NORMS[norm], **fields)
    parts = {"tokenizer": tokenizer()} if model_class is Wav2Vec2ForCTC else {}
    pipeline(task, model=model, feature_extractor=extractor, **parts).save_pretrained(tmp_path)
    options = {} if MAJOR >= 5 else {"framework": "pt"}
    dtype = None
    if model_class is Wav2Vec2ForCTC or MAJOR >= 5:  # of two letters with nearly one score, float32 may find either
        dtype, options["dtype" if MAJOR >= 5 else "torch_dtype"] = "float64", torch.float64
    theirs = transformers.pipeline(task, model=str(tmp_path), device="cpu", **options)
    return pipeline(task, model=tmp_path, dtype=dtype), theirs


LENGTHS = [  # of recordings of 2.5 seconds
    {},
    {"chunk_length_s": 1},
    {"chunk_length_s": 0.7, "stride_length_s": 0.1},
    {"chunk_length_s": 0.7, "stride_length_s": (0.2, 0.05)},
    {"chunk_length_s": 0.7, "stride_length_s": [0, 0.1]},
    {"chunk_length_s": 0.9, "stride_length_s": 0},
    {"chunk_length_s": 9},
    {"chunk_length_s": 0},
]


def check_speech_recognition(tmp_path, norm: str) -> None:
    ours, theirs = both("automatic-speech-recognition", tmp_path, norm)
    # None ends where a chunk ends: there 4.34 hears one more, of what it heard already.
    sounds = [noise(2.53, 1), noise(1.83, 2), noise(0.41, 3), np.zeros(8000, np.float32)]
    for sound in sounds:
        for options in LENGTHS:
            for timestamps in ("char", "word") if sound is sounds[1] else (None,):
                expected = theirs(sound, **options, return_timestamps=timestamps)
                assert ours(sound, **options, return_timestamps=timestamps) == expected
                assert len(expected["text"]) > 3 or not sound.any()
    for row in (
        {"raw": sounds[0], "sampling_rate": 16000, "id": 3},
        {"array": sounds[0], "sampling_rate": 16000, "path": "there.wav"},
        {"raw": sounds[0], "sampling_rate": 16000, "path": "there.wav", "stride": (3200, 1600)},
        {"raw": sounds[1], "sampling_rate": 16000, "stride": (0, 777), "speaker": "Ann"},
    ):
        assert ours(dict(row)) == theirs(dict(row))
        if "stride" not in row and MAJOR >= 5:  # 4.34 forgets the other entries when it cuts chunks
            assert ours(dict(row), chunk_length_s=1) == theirs(dict(row), chunk_length_s=1)
    if MAJOR >= 5:
        whole, chunks = noise(2.5, 1), {"chunk_length_s": 1, "stride_length_s": 0.25}  # four of one length
        for batch_size in (1, 3):
            assert ours(whole, batch_size=batch_size, **chunks) == theirs(whole, batch_size=batch_size, **chunks)
    same_length = [noise(0.5, seed) for seed in range(4)]
    for batch_size in (1, 2, 4):
        assert ours(same_length, batch_size=batch_size) == theirs(same_length, batch_size=batch_size)


def check_audio_classification(tmp_path, norm: str) -> None:
    names = {0: "yes", 1: "no", 2: "up", 3: "down"}
    ours, theirs = both("audio-classification", tmp_path / "one", norm, id2label=names)
    sounds = [noise(0.5, seed) for seed in range(3)]
    functions = [{}] + [{"function_to_apply": name} for name in ("softmax", "sigmoid", "none")]
    for options in functions if MAJOR >= 5 else [{}]:  # 4.34 knows only the softmax
        for top_k in ({}, {"top_k": 1}, {"top_k": 3}, {"top_k": 99}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for sound in (sounds[0], {"raw": sounds[1], "sampling_rate": 16000}, np.zeros(8000, np.float32)):
                    given = [dict(sound) if isinstance(sound, dict) else sound for _ in range(2)]
                    assert_same_results(ours(given[0], **options, **top_k), theirs(given[1], **options, **top_k))
                expected = theirs(sounds, batch_size=3, **options, **top_k)
                assert_same_results(ours(sounds, batch_size=3, **options, **top_k), expected)
    if MAJOR >= 5:
        for number, problem in enumerate(("multi_label_classification", "regression")):
            fields = {"problem_type": problem, "num_labels": 3}
            assert_same_results(
                *(pipe(sounds[0]) for pipe in both("audio-classification", tmp_path / str(number), norm, **fields))
            )


def check_what_is_refused(tmp_path) -> None:
    """Where the original refuses, so do we."""
    ours, theirs = both("automatic-speech-recognition", tmp_path, "group")
    for sound, options in (
        (noise(0.5), {"return_timestamps": True}),
        (noise(0.5), {"chunk_length_s": 0.5, "stride_length_s": 0.4}),
        ({"raw": noise(0.5)}, {}),
        ({"raw": noise(0.5), "sampling_rate": 16000, "stride": (8000, 1)}, {}),
        (np.zeros((16000, 3), np.float32), {}),
        (np.zeros((2, 2, 500), np.float32), {}),
        (noise(0.01), {}),
        (None, {}),
    ):
        for pipe in (theirs, ours):
            with pytest.raises((ValueError, TypeError, RuntimeError)):
                pipe(dict(sound) if isinstance(sound, dict) else sound, **options)
    extractors = Wav2Vec2FeatureExtractor(), transformers.Wav2Vec2FeatureExtractor()
    for extract in extractors:
        with pytest.raises(ValueError, match="sampling rate of"):
            extract(noise(0.5), sampling_rate=8000)
        with pytest.raises(ValueError):
            extract(np.zeros((2, 3, 4)), sampling_rate=16000)
        with pytest.raises(ValueError):
            extract(recordings(), sampling_rate=16000, padding="max_length")
        with pytest.raises(ValueError):
            extract(recordings(), sampling_rate=16000, truncation=True)
