"""Sound files of all formats, against soundfile and librosa: the same samples."""

import io
import itertools

import numpy as np
import pytest

NEEDS = ("soundfile", "soxr", "librosa")
pytestmark = pytest.mark.extras

import librosa  # noqa: E402
import soundfile  # noqa: E402

from edutransformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, load_audio, pipeline  # noqa: E402
from edutransformers.audio import read_wav, resample, wav_bytes  # noqa: E402
from tests.audio.test_wav import wav_file  # noqa: E402
from tests.pipelines.tiny_speech import noise, small_model, tokenizer  # noqa: E402

PLAIN = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
COMPRESSED = ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")


@pytest.fixture
def tone():
    """A second of 440 hertz that comes and goes, at 16,000 hertz."""
    time = np.arange(16000) / 16000
    return (0.5 * np.sin(2 * np.pi * 440 * time) * np.hanning(16000)).astype(np.float32)


def written(samples, rate, format, subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate, format=format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("subtype", PLAIN)
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_plain_wav(rng, subtype, format, channels):
    data = written(rng.uniform(-1, 1, (channels, 500)), 11025, format, subtype)
    samples, rate = read_wav(data)
    expected, expected_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert np.array_equal(samples, expected.T)
    assert rate == expected_rate == 11025


def test_what_we_write(rng):
    samples = rng.uniform(-1, 1, (2, 500))
    read, rate = soundfile.read(io.BytesIO(wav_bytes(samples, 22050)), always_2d=True)
    assert rate == 22050
    assert abs(read.T - samples).max() <= 0.5 / 32768 + 1e-9 + (samples.max() > 32767 / 32768) / 32768


def test_a_size_that_was_not_known(rng):
    """soundfile, too, reads to the end where a program could not know the size."""
    sound = rng.integers(-99, 99, 50).astype("<i2")
    data = wav_file(sound.tobytes(), size=0xFFFFFFFF)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert np.array_equal(read_wav(data)[0][0], expected)


@pytest.mark.parametrize(
    ("format", "subtype"),
    [*(("WAV", kind) for kind in COMPRESSED), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", None),
     ("RF64", "PCM_16"), ("AIFF", "PCM_16"), ("W64", "FLOAT")],
)  # fmt: skip
def test_other_formats(tone, format, subtype, tmp_path):
    data = written(tone, 16000, format, subtype)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    path = tmp_path / f"sound.{format.lower()}"
    path.write_bytes(data)
    for source in (data, path, {"bytes": data, "path": None}):
        samples = load_audio(source)
        assert samples.dtype == np.float32
        assert np.array_equal(samples, expected)


def test_two_channels_of_a_compressed_file(tone):
    data = written(np.stack([tone, 0 * tone]), 16000, "FLAC", "PCM_24")
    assert abs(load_audio(data) - tone / 2).max() < 1e-6
    assert load_audio(data, mono=False).shape == (2, 16000)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_another_rate(tone, rate):
    """A pure tone is the same tone at every rate that can hold it."""
    time = np.arange(rate) / rate
    there = 0.5 * np.sin(2 * np.pi * 440 * time) * (0.5 - 0.5 * np.cos(2 * np.pi * time * 16000 / 15999))
    samples = load_audio({"array": there, "sampling_rate": rate})
    assert samples.shape == (16000,)
    assert samples.dtype == np.float32
    assert abs(samples - tone).max() < 2e-3
    expected = librosa.resample(there.astype(np.float32), orig_sr=rate, target_sr=16000)
    assert np.array_equal(samples, expected)
    assert np.array_equal(load_audio(written(there[None], rate, "WAV", "FLOAT")), expected)


def test_what_a_lower_rate_cannot_hold():
    """6,000 hertz are above half of 8,000: they vanish, and don't come back as another pitch."""
    high = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000).astype(np.float32)
    assert abs(resample(high, 16000, 8000)[100:-100]).max() < 1e-3


def test_channels_and_short_sounds_at_another_rate(tone):
    stereo = np.stack([tone, -tone])
    assert abs(load_audio({"array": stereo, "sampling_rate": 8000})).max() < 1e-6
    assert load_audio({"array": stereo, "sampling_rate": 8000}, mono=False).shape == (2, 32000)
    for length, rate in itertools.product((1, 2, 3, 10, 999), (8000, 11025, 44100)):
        samples = load_audio({"array": tone[5000 : 5000 + length], "sampling_rate": rate})
        assert np.array_equal(samples, librosa.resample(tone[5000 : 5000 + length], orig_sr=rate, target_sr=16000))


def test_a_pipeline_brings_recordings_to_the_rate_of_its_model():
    transcribe = pipeline(
        "automatic-speech-recognition", model=small_model(Wav2Vec2ForCTC), tokenizer=tokenizer(),
        feature_extractor=Wav2Vec2FeatureExtractor(),
    )  # fmt: skip
    slow = noise(0.5, rate=8000)
    quick = resample(slow, 8000, 16000)
    expected = transcribe(quick)
    assert transcribe({"raw": slow, "sampling_rate": 8000}) == expected
    assert transcribe(written(slow[None], 8000, "WAV", "FLOAT")) == expected
    part = transcribe({"raw": slow, "sampling_rate": 8000, "stride": (1600, 800)})
    assert part == transcribe({"raw": quick, "sampling_rate": 16000, "stride": (3200, 1600)}) != expected


@pytest.mark.parametrize("data", [b"Dear Sir or Madam,", b"fLaC", b"OggS" + bytes(50), b"<html></html>", b"\0" * 500])
def test_no_sound(data, tmp_path):
    path = tmp_path / "text.wav"
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"text\.wav can't be read as sound: it begins with b'.*'; expected a whole WAV"
    ):
        load_audio(path)


@pytest.mark.parametrize(("format", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "PCM_24")])
def test_cut_off(tone, format, subtype):
    data = written(tone, 16000, format, subtype)
    with pytest.raises(ValueError, match="can't be read as sound|is cut off"):
        load_audio(data[: len(data) // 2])
