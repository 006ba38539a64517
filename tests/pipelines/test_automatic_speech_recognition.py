"""Speech recognition: what is heard, when, and in chunks the same as in one piece."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers import (
    BertForMaskedLM,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Processor,
    pipeline,
)
from edutransformers.audio import wav_bytes, write_wav
from edutransformers.pipelines import AutomaticSpeechRecognitionPipeline, KeyDataset
from edutransformers.pipelines.automatic_speech_recognition import Stride, chunks_of

from . import tiny
from .tiny_speech import (
    FRAME,
    IDS,
    RATE,
    listener,
    listening_extractor,
    noise,
    small_model,
    spoken,
    tokenizer,
)

TASK = "automatic-speech-recognition"
TEXT = "THE CAT SAT ON THE MAT AND THE BALL FELL"


def transcriber(edge: int = 0):
    """Reads what `spoken` writes; needs so many frames of context."""
    return pipeline(TASK, model=listener(edge), tokenizer=tokenizer(), feature_extractor=listening_extractor())


def small(**fields):
    """A seeded random Wav2Vec2, which hears nonsense."""
    return pipeline(
        TASK, model=small_model(Wav2Vec2ForCTC, **fields), tokenizer=tokenizer(),
        feature_extractor=Wav2Vec2FeatureExtractor(),
    )  # fmt: skip


LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


# -- what is heard ----------------------------------------------------------------------------------------------------


def test_a_text():
    transcribe = transcriber()
    assert transcribe(spoken(TEXT)) == {"text": TEXT}
    assert transcribe(spoken(TEXT), ignore_warning=True) == {"text": TEXT}
    assert transcribe(0 * spoken("A")) == {"text": ""}


def test_when_letters_and_words_are_heard():
    transcribe = transcriber()
    result = transcribe(spoken("ALL IN"), return_timestamps="char")
    assert result == {
        "text": "ALL IN",
        "chunks": [
            {"text": letter, "timestamp": (3 * place / 100, (3 * place + 2) / 100)}
            for place, letter in enumerate("ALL IN")
        ],
    }
    words = transcribe(spoken("ALL IN"), return_timestamps="word")
    assert words["chunks"] == [
        {"text": "ALL", "timestamp": (0.0, 0.08)},
        {"text": "IN", "timestamp": (0.12, 0.17)},
    ]
    assert transcribe(0 * spoken("A"), return_timestamps="word") == {"text": "", "chunks": []}
    json.dumps(words)


def test_settings_of_the_pipeline_and_of_a_call():
    transcribe = AutomaticSpeechRecognitionPipeline(
        listener(), tokenizer(), listening_extractor(), return_timestamps="word", task=TASK
    )
    assert len(transcribe(spoken("A B"))["chunks"]) == 2
    assert len(transcribe(spoken("A B"), return_timestamps="char")["chunks"]) == 3


# -- recordings -------------------------------------------------------------------------------------------------------


def test_what_a_recording_may_be(tmp_path):
    transcribe = small()
    samples = np.clip(noise(0.5) / 5, -1, 1 - 2**-15)
    expected = transcribe(samples)
    assert len(expected["text"]) > 3
    path = tmp_path / "speech.wav"
    whole = np.rint(samples * 2**15).astype(np.int16)
    write_wav(path, whole, 16000)
    from_file = transcribe(path)
    for same in (str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), whole, whole / np.float32(2**15)):
        assert transcribe(same) == from_file
    for same in (
        samples.astype(np.float64),
        samples[None],
        np.stack([samples, samples]),
        {"raw": samples, "sampling_rate": 16000},
        {"array": samples, "sampling_rate": 16000, "path": "somewhere.wav"},
    ):
        assert transcribe(same) == expected
    stereo = wav_bytes(np.stack([whole, whole]), 16000)
    assert transcribe(stereo) == from_file
    with open(path, "rb") as file:
        assert transcribe(file) == from_file


def test_several_recordings():
    transcribe = transcriber()
    texts = ["ONE", "TWENTY TWO", "", "B"]
    sounds = [spoken(text) if text else np.zeros(8, np.float32) for text in texts]
    expected = [{"text": text} for text in texts]
    for batch_size in (1, 2, 3, 4):
        assert transcribe(sounds, batch_size=batch_size) == expected
    lazily = transcribe((sound for sound in sounds), batch_size=2)
    assert next(lazily) == expected[0]
    assert list(lazily) == expected[1:]
    rows = [{"audio": {"array": sound, "sampling_rate": RATE}, "id": 3} for sound in sounds]
    assert list(transcribe(KeyDataset(rows, "audio"))) == expected
    assert rows[0]["audio"].keys() == {"array", "sampling_rate"}  # and nobody took anything out of them


def test_what_else_a_dictionary_holds():
    transcribe = transcriber()
    row = {"raw": spoken(TEXT), "sampling_rate": RATE, "id": 7, "speaker": "Ann"}
    assert transcribe(row) == {"text": TEXT, "id": [7], "speaker": ["Ann"]}
    parts = len(list(chunks_of(spoken(TEXT), RATE // 2, 80, 80)))
    in_chunks = transcribe(row, chunk_length_s=0.5, stride_length_s=0.2, batch_size=2)
    assert in_chunks == {"text": TEXT, "id": [7] * parts, "speaker": ["Ann"] * parts}
    assert list(row) == ["raw", "sampling_rate", "id", "speaker"]
    # In the rows of datasets "path" is where "array" is from; beside "raw" it is the caller's own.
    assert transcribe({"raw": spoken("A"), "sampling_rate": RATE, "path": "a.wav"}) == {"text": "A", "path": ["a.wav"]}
    assert transcribe({"array": spoken("A"), "sampling_rate": RATE, "path": "a.wav"}) == {"text": "A"}


def test_context_that_a_recording_brings_along():
    transcribe = transcriber(edge=3)
    samples = spoken("ABCDEF")
    row = {"raw": samples, "sampling_rate": RATE, "stride": (3 * FRAME, 6 * FRAME)}
    assert transcribe(row)["text"] == "BCD"
    assert transcribe(samples)["text"] == "<unk>BCDE<unk>"


# -- chunks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [0, 1, 4])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(
    ("length", "stride"), [(0.5, 0.04), (0.31, (0.05, 0.09)), (1.0, None), (0.25, 0.1), (9.0, 1.0), (1.2, 0.04)]
)
def test_chunks_with_enough_context_give_the_whole(edge, batch_size, length, stride):
    """A chunk's middle begins where the one before ended, so letters at a border are neither lost nor doubled."""
    transcribe = transcriber(edge)
    sounds = [spoken(TEXT), spoken("HELLO " * 9 + "A")]
    options = {"chunk_length_s": length, "stride_length_s": stride, "return_timestamps": "char"}
    expected = transcribe(sounds, return_timestamps="char")
    assert transcribe(sounds, batch_size=batch_size, **options) == expected


def test_chunks_without_context_do_not():
    assert "<unk>" in transcriber(2)(spoken(TEXT), chunk_length_s=0.5, stride_length_s=0)["text"][5:-5]
    assert transcriber(0)(spoken(TEXT), chunk_length_s=0.5, stride_length_s=0)["text"] == TEXT


def test_a_sixth_is_context_if_nothing_is_said():
    transcribe, sound = small(), noise(2)
    expected = transcribe(sound, chunk_length_s=0.6, stride_length_s=0.1)
    assert transcribe(sound, chunk_length_s=0.6) == expected
    assert transcribe(sound, chunk_length_s=0.6, stride_length_s=0.14) != expected
    assert transcribe(sound, chunk_length_s=0) == transcribe(sound) != expected


def test_an_end_that_is_too_short_for_a_frame():
    transcribe = transcriber()
    sound = np.concatenate([spoken("ABCD"), np.ones(FRAME - 1, np.float32)])
    assert len(spoken("ABCD")) == 48
    assert transcribe(sound, chunk_length_s=0.06, stride_length_s=0)["text"] == "ABCD"


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 20), st.integers(0, 20))
def test_the_middles_are_the_whole(count, step, left, right):
    samples = np.arange(count)
    chunks = list(chunks_of(samples, step + left + right, left, right))
    middles = [chunk[stride.left : stride.length - stride.right] for chunk, stride in chunks]
    assert np.concatenate(middles).tolist() == samples.tolist()
    assert all(len(chunk) == stride.length <= step + left + right for chunk, stride in chunks)
    assert chunks[0][1].left == chunks[-1][1].right == 0


def test_a_stride_in_frames():
    assert Stride(160_000, 16_000, 8_000).in_frames(320) == (500, 50, 25)
    assert Stride(161, 0, 0).in_frames(320) == (1, 0, 0)


def test_a_batch_of_a_real_model_is_its_recordings():
    """Where a mask keeps padding out; a group norm takes its mean over padding, too, as in the original."""
    transcribe = small(**LARGE)
    sounds = [noise(0.3, 1), noise(0.5, 2), noise(0.26, 3)]
    expected = [transcribe(sound, return_timestamps="char") for sound in sounds]
    assert len({result["text"] for result in expected}) == 3
    assert transcribe(sounds, batch_size=3, return_timestamps="char") == expected


# -- files, devices, number types -------------------------------------------------------------------------------------


def test_from_a_folder(tmp_path):
    transcribe = small()
    transcribe.save_pretrained(tmp_path)
    again = pipeline(model=str(tmp_path))
    assert type(again) is AutomaticSpeechRecognitionPipeline
    assert again.task == TASK
    assert again(noise(0.3)) == transcribe(noise(0.3))


def test_from_a_folder_of_the_first_checkpoints(tmp_path):
    """Those of 2020 name neither the feature extractor's class nor the tokenizer's; the model type leads to both."""
    transcribe = small()
    transcribe.model.save_pretrained(tmp_path)
    files = {
        "vocab.json": IDS,
        "preprocessor_config.json": {
            "do_normalize": True, "feature_size": 1, "padding_side": "right", "padding_value": 0.0,
            "return_attention_mask": False, "sampling_rate": 16000,
        },
        "tokenizer_config.json": {
            "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "do_lower_case": False,
            "return_attention_mask": False, "do_normalize": True,
        },
        "special_tokens_map.json": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    }  # fmt: skip
    for name, fields in files.items():
        (tmp_path / name).write_text(json.dumps(fields))
    again = pipeline(model=tmp_path)
    assert again(noise(0.3)) == transcribe(noise(0.3))
    processor = Wav2Vec2Processor.from_pretrained(tmp_path)
    assert processor.decode([5, 5, 0, 5, 6]) == "AAB"
    assert processor.feature_extractor.to_dict() == transcribe.feature_extractor.to_dict()


def test_models_for_other_tasks(tmp_path):
    with pytest.raises(ValueError, match="Wav2Vec2ForSequenceClassification is a model for audio-classification, not"):
        pipeline(
            TASK, model=small_model(Wav2Vec2ForSequenceClassification), tokenizer=tokenizer(),
            feature_extractor=Wav2Vec2FeatureExtractor(),
        )  # fmt: skip
    with pytest.raises(ValueError, match="BertForMaskedLM is a model for fill-mask, not for automatic-speech"):
        pipeline(
            TASK, model=tiny.model(BertForMaskedLM), tokenizer=tokenizer(),
            feature_extractor=Wav2Vec2FeatureExtractor(),
        )  # fmt: skip
    with pytest.raises(RuntimeError, match="the task can't be told from the model"):
        pipeline(model=small_model(Wav2Vec2ForPreTraining))


def test_what_it_needs():
    with pytest.raises(ValueError, match="needs a feature extractor; pass feature_extractor=AutoFeatureExtractor"):
        pipeline(TASK, model=listener(), tokenizer=tokenizer())
    with pytest.raises(ValueError, match="needs a tokenizer; pass tokenizer=AutoTokenizer"):
        pipeline(TASK, model=listener(), feature_extractor=listening_extractor())


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_number_types(dtype):
    transcribe = small()
    expected = transcribe(noise(0.3))["text"]
    transcribe.model.astype(dtype)
    assert transcribe.model.dtype == dtype
    heard = transcribe(noise(0.3))["text"]
    assert heard == expected or dtype == "float16"
    assert heard


def test_the_same_on_a_gpu(fake_cupy):
    sounds = [noise(0.2, 1), noise(0.3, 2)]
    options = {"chunk_length_s": 0.2, "return_timestamps": "word"}
    expected = small()(sounds, **options)
    transcribe = small()
    transcribe.model.to("cuda")
    for batch_size in (1, 2):
        assert transcribe(sounds, batch_size=batch_size, **options) == small()(sounds, batch_size=batch_size, **options)
    json.dumps(expected)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, LARGE], ids=["group", "layer"])
def test_silence(fields):
    """Its variance is 0. What a random model hears in it is its own affair, but it is no NaN and no warning."""
    transcribe = small(**fields)
    logits = transcribe.model(np.zeros((1, 8000), np.float32)).logits
    assert np.isfinite(logits).all()
    assert set(transcribe(np.zeros(8000, np.float32))) == {"text"}
    assert set(transcribe(np.full(8000, 0.5, np.float32))) == {"text"}


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (noise(0.01), ValueError, "160 samples, but this model's convolutions need at least 400"),
        ([noise(0.5), noise(0.01)], ValueError, "160 samples, but .* at least 400"),
        (np.zeros(0, np.float32), ValueError, "is empty"),
        (np.array([0.1] * 999 + [np.nan]), ValueError, "1 of the 1000 samples of the sound are NaN or infinite"),
        (np.zeros((8000, 2)), ValueError, r"if it is \(samples, channels\) transpose it"),
        (np.zeros(8000, np.int64), ValueError, "numbers of the type int64"),
        ({"array": noise(0.5)}, ValueError, 'comes without "sampling_rate"'),
        ({"sampling_rate": 16000}, ValueError, 'needs "array"'),
        ({"array": noise(0.5), "sampling_rate": -8000}, ValueError, "the sampling rate is -8000"),
        ({"raw": noise(0.5), "sampling_rate": 16000, "stride": (4000, 4000)}, ValueError, r"leaves nothing of .* 8000"),
        ({"raw": noise(0.5), "sampling_rate": 16000, "stride": (-1, 0)}, ValueError, r"stride is \(-1, 0\)"),
        ({"raw": noise(0.5), "sampling_rate": 16000, "stride": 5}, ValueError, r"stride is 5; expected \(samples left"),
        ("missing.wav", FileNotFoundError, "there is no sound file"),
        (b"Dear Sir", (ValueError, ImportError), "Dear Sir"),
        (wav_bytes(noise(0.5), 16000)[:-9], ValueError, "is cut off"),
        (0.5, TypeError, "can't be read from float"),
        ([0.5, 0.25], TypeError, "can't be read from float"),
        (None, TypeError, "can't be read from NoneType"),
    ],
)  # fmt: skip
def test_bad_recordings(sound, error, message):
    with pytest.raises(error, match=message):
        small()(sound, batch_size=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_timestamps": True}, "return_timestamps is True; a CTC model knows .* expected 'char' or 'word'"),
        ({"return_timestamps": "letters"}, "return_timestamps is 'letters'"),
        ({"chunk_length_s": -1}, "chunk_length_s is -1; expected seconds, 0 or more"),
        ({"chunk_length_s": "long"}, "chunk_length_s is 'long'"),
        ({"chunk_length_s": np.inf}, "chunk_length_s is inf"),
        ({"chunk_length_s": 1, "stride_length_s": -0.5}, "stride_length_s is -0.5"),
        ({"chunk_length_s": 1, "stride_length_s": (1, 2, 3)}, r"stride_length_s is \(1, 2, 3\); expected seconds, or"),
        ({"chunk_length_s": 1, "stride_length_s": 0.5}, "nothing between a left and a right stride of 0.5 and 0.5"),
        ({"chunk_length_s": 0.5, "stride_length_s": (0.4, 0.2)}, "nothing between"),
        ({"chunk_length_s": 0.001, "stride_length_s": 0}, "nothing between"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        small()(noise(2), **options)


def test_two_strides():
    with pytest.raises(ValueError, match="the recording's own stride and chunk_length_s contradict each other"):
        small()({"raw": noise(0.5), "sampling_rate": 16000, "stride": (0, 0)}, chunk_length_s=1)
