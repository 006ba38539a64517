"""Audio classification: which labels, in which order, for whatever stands for a recording."""

import json

import numpy as np
import pytest

from edutransformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification, pipeline
from edutransformers.audio import write_wav
from edutransformers.pipelines import AudioClassificationPipeline, KeyDataset

from .tiny import assert_same_results
from .tiny_speech import noise, small_model, tokenizer

TASK = "audio-classification"
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def classifier(labels: int = 7, **fields):
    return pipeline(
        TASK, model=small_model(Wav2Vec2ForSequenceClassification, num_labels=labels, **fields),
        feature_extractor=Wav2Vec2FeatureExtractor(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def classify():
    return classifier(id2label=dict(enumerate(["yes", "no", "up", "down", "left", "right", "stop"])))


def logits_of(classify, sound) -> np.ndarray:
    batch = classify.feature_extractor(sound, sampling_rate=16000, return_tensors="np")
    return classify.model(**batch).logits[0]


def test_labels_with_scores_best_first(classify):
    logits = logits_of(classify, noise(0.3))
    scores = np.exp(logits - logits.max())
    scores /= scores.sum()
    order = np.argsort(-scores)
    result = classify(noise(0.3))
    assert [label["label"] for label in result] == [classify.model.config.id2label[int(i)] for i in order[:5]]
    np.testing.assert_allclose([label["score"] for label in result], scores[order[:5]], atol=1e-6)
    json.dumps(result)


def test_top_k(classify):
    everything = classify(noise(0.3), top_k=None)
    assert len(everything) == 7
    assert len(classify(noise(0.3))) == 5
    assert classify(noise(0.3), top_k=2) == everything[:2]
    assert classify(noise(0.3), top_k=np.int64(99)) == everything
    of_the_pipeline = AudioClassificationPipeline(
        classify.model, feature_extractor=classify.feature_extractor, top_k=1, task=TASK
    )
    assert of_the_pipeline(noise(0.3)) == everything[:1]
    assert of_the_pipeline(noise(0.3), top_k=None) == everything


def scores_by_label(classify, **options):
    return {label["label"]: label["score"] for label in classify(noise(0.3), top_k=None, **options)}


def test_functions(classify):
    logits = dict(zip(classify.model.config.id2label.values(), logits_of(classify, noise(0.3)).tolist()))
    plain = scores_by_label(classify, function_to_apply="none")
    assert plain == pytest.approx(logits, abs=1e-5)
    each = scores_by_label(classify, function_to_apply="sigmoid")
    assert each == pytest.approx({label: 1 / (1 + np.exp(-x)) for label, x in logits.items()}, abs=1e-5)
    assert sum(scores_by_label(classify, function_to_apply="softmax").values()) == pytest.approx(1)
    assert scores_by_label(classify, function_to_apply="default") == scores_by_label(classify)


def test_the_function_follows_from_the_model():
    several, one, number = (
        classifier(3, problem_type="multi_label_classification"),
        classifier(1),
        classifier(1, problem_type="regression"),
    )
    assert scores_by_label(several) == scores_by_label(several, function_to_apply="sigmoid")
    assert scores_by_label(one) == {"LABEL_0": 1.0}
    assert scores_by_label(number) == scores_by_label(number, function_to_apply="none")


def test_what_a_recording_may_be(classify, tmp_path):
    samples = np.clip(noise(0.3) / 5, -1, 1 - 2**-15)
    expected = classify(samples)
    path = tmp_path / "sound.wav"
    write_wav(path, samples, 16000)
    for same in (path, str(path), path.read_bytes()):
        assert_same_results(classify(same), expected, 1e-3)
    for same in (
        samples.astype(np.float64),
        {"raw": samples, "sampling_rate": 16000},
        {"array": samples, "sampling_rate": 16000, "path": "somewhere.wav"},
        np.stack([samples, samples]),
    ):
        assert classify(same) == expected
    with open(path, "rb") as file:
        assert classify(file) == classify(path)


def test_several_recordings():
    classify = classifier(**LARGE)
    sounds = [noise(0.3, 1), noise(0.5, 2), noise(0.2, 3)]
    expected = [classify(sound) for sound in sounds]
    assert expected[0] != expected[1]
    for batch_size in (1, 2, 3):
        assert_same_results(classify(sounds, batch_size=batch_size), expected)
    assert_same_results(list(classify((sound for sound in sounds), batch_size=2)), expected)
    assert_same_results(list(classify(KeyDataset([{"audio": sound} for sound in sounds], "audio"))), expected)


def test_from_a_folder(classify, tmp_path):
    classify.save_pretrained(tmp_path)
    again = pipeline(model=str(tmp_path))
    assert type(again) is AudioClassificationPipeline
    assert again(noise(0.3)) == classify(noise(0.3))


def test_the_same_on_a_gpu(classify, fake_cupy):
    sounds = [noise(0.2, 1), noise(0.3, 2)]
    expected = [classify(sounds, batch_size=size) for size in (1, 2)]
    on_gpu = classifier(id2label=classify.model.config.id2label)
    on_gpu.model.to("cuda")
    for size in (1, 2):
        assert_same_results(on_gpu(sounds, batch_size=size), expected[size - 1])


def test_silence(classify):
    scores = [label["score"] for label in classify(np.zeros(8000, np.float32), top_k=None)]
    assert sum(scores) == pytest.approx(1)


@pytest.mark.parametrize(
    ("sound", "options", "message"),
    [
        (noise(0.01), {}, "160 samples, but this model's convolutions need at least 400"),
        (np.zeros(0), {}, "is empty"),
        (np.full(999, np.inf), {}, "999 of the 999 samples of the sound are NaN or infinite"),
        (noise(0.3), {"top_k": 0}, "top_k is 0; expected a whole number from 1 on, or None"),
        (noise(0.3), {"top_k": 1.5}, "top_k is 1.5"),
        (noise(0.3), {"function_to_apply": "tanh"}, "function_to_apply is 'tanh'"),
    ],
)
def test_bad_input(classify, sound, options, message):
    with pytest.raises(ValueError, match=message):
        classify(sound, **options)


def test_a_model_for_another_task():
    with pytest.raises(ValueError, match="Wav2Vec2ForCTC is a model for automatic-speech-recognition, not for audio"):
        pipeline(TASK, model=small_model(Wav2Vec2ForCTC), feature_extractor=Wav2Vec2FeatureExtractor())
    with pytest.raises(ValueError, match="AudioClassificationPipeline needs a feature extractor"):
        pipeline(TASK, model=small_model(Wav2Vec2ForSequenceClassification), tokenizer=tokenizer())
