"""The shipped reader of spelled digits and letters: small enough, complete, and right about the sounds that ship. (Its
character error rate on 300 codes of held-out voices is measured in
tests/extras/test_wav2vec2_small_digits_letters_voices.py, which has the voices.)"""

import json
from pathlib import Path

import numpy as np
import pytest

import edutransformers
from edutransformers import AutoModelForCTC, AutoProcessor, pipeline
from edutransformers.audio import forced_alignment, load_audio
from edutransformers.pretrained.spoken import SYMBOLS, Recording, Utterance, character_error_rate, join_recordings
from edutransformers.pretrained.train_wav2vec2_small_digits_letters import read_aloud
from edutransformers.teaching.spoken_digits import spoken_digits
from edutransformers.teaching.tour.hearing import RECORDING

NAME = "edutransformers/wav2vec2-small-digits-letters"
FOLDER = Path(edutransformers.__file__).parent / "pretrained" / "wav2vec2-small-digits-letters"


@pytest.fixture(scope="module")
def reader():
    return AutoModelForCTC.from_pretrained(NAME), AutoProcessor.from_pretrained(NAME)


def test_files():
    assert 3_000_000 < (FOLDER / "model.safetensors").stat().st_size <= 4_000_000
    names = {path.name for path in FOLDER.iterdir()}
    assert {"config.json", "preprocessor_config.json", "vocab.json", "README.md", RECORDING} <= names
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("Character error rate", "Licence", "asterisk", "CC BY-SA 3.0", "train_wav2vec2_small_digits_letters"):
        assert word in card
    assert set(SYMBOLS) < set(json.loads((FOLDER / "vocab.json").read_text(encoding="utf-8")))
    assert json.loads((FOLDER / "preprocessor_config.json").read_text(encoding="utf-8"))["sampling_rate"] == 8000


def test_the_default_pipeline_reads_the_sample_without_a_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transcribe = pipeline("automatic-speech-recognition")
    found = transcribe(str(FOLDER / RECORDING), return_timestamps="char")
    assert found["text"] == Path(RECORDING).stem
    ends = [time for chunk in found["chunks"] for time in chunk["timestamp"]]
    assert ends == sorted(ends)
    assert ends[-1] < 3.5


def test_it_hears_when_each_symbol_was_spoken(reader):
    """Digits with half a second of silence between them: each is aligned with the stretch in which it was said."""
    model, processor = reader
    spoken = spoken_digits()["m3"]
    pieces, stretches, now = [np.zeros(2000)], [], 2000
    for digit in (3, 1, 4):
        stretches.append((now / 8000, (now + len(spoken[digit])) / 8000))
        pieces += [spoken[digit], np.zeros(4000)]
        now += len(spoken[digit]) + 4000
    inputs = processor(np.concatenate(pieces), sampling_rate=8000, return_tensors="np")
    (logits,) = model(**inputs).logits
    alignment = forced_alignment(logits, processor.tokenizer("314")["input_ids"], blank=model.config.pad_token_id)
    seconds = 160 / 8000
    for span, (start, end) in zip(alignment.spans, stretches, strict=True):
        assert start - 0.1 < span.start * seconds < span.end * seconds < end + 0.15


def test_digits_of_voices(reader):
    digits = spoken_digits()
    recordings = [Recording(str(d), s, voice, "") for voice, spoken in digits.items() for d, s in enumerate(spoken)]
    utterances = join_recordings(recordings, 40, np.random.default_rng(0))
    heard = read_aloud(*reader, utterances)
    assert character_error_rate(heard, [utterance.text for utterance in utterances]) < 0.02  # 0 as it ships


def test_in_a_batch_it_reads_the_same(reader):
    sample = load_audio(FOLDER / RECORDING, 8000)
    parts = [Utterance("", part) for part in (sample, sample[: len(sample) // 2], sample[len(sample) // 3 :])]
    together = read_aloud(*reader, parts)
    assert together == [read_aloud(*reader, [part])[0] for part in parts]
    assert together[0] == Path(RECORDING).stem


def test_one_more_training_step_lowers_its_loss(reader):
    model, processor = AutoModelForCTC.from_pretrained(NAME), reader[1]
    inputs = processor(load_audio(FOLDER / RECORDING, 8000), sampling_rate=8000, return_tensors="np")
    labels = np.array([processor.tokenizer("WRONG")["input_ids"]])
    before, cache = model.forward(**inputs, labels=labels)
    model.backward({"loss": 1.0}, cache)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.data -= 1e-4 * parameter.grad
    assert model(**inputs, labels=labels).loss < before.loss
