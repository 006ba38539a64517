"""Sound from every kind of source comes out the same; what is no sound is refused in one sentence."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest

from edutransformers import load_audio
from edutransformers.audio import resample, to_mono, to_samples, wav_bytes
from tests.audio.test_wav import wav_file

SAMPLES = np.array([0.5, -0.25, 0.0, 2 / 32768], np.float32)
FILE = wav_bytes(SAMPLES, 16000)


@pytest.fixture
def nothing_optional(monkeypatch):
    """As if the extra `audio` were not installed."""
    for package in ("soundfile", "soxr"):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(
    "source",
    [
        FILE,
        bytearray(FILE),
        memoryview(FILE),
        SAMPLES,
        SAMPLES.astype(np.float64),
        (SAMPLES * 32768).astype(np.int16),
        SAMPLES.tolist(),
        tuple(SAMPLES),
        SAMPLES[None],
        np.stack([SAMPLES + 0.1, SAMPLES - 0.1]),
        {"array": SAMPLES, "sampling_rate": 16000},
        {"raw": SAMPLES.tolist(), "sampling_rate": 16000.0, "id": 5},
        {"path": "somewhere/else.wav", "array": SAMPLES, "sampling_rate": np.int64(16000)},
        {"bytes": FILE, "path": None},
    ],
    ids=lambda source: type(source).__name__,
)
def test_sources(source, nothing_optional):
    samples = load_audio(source)
    assert samples.dtype == np.float32
    assert samples.shape == (4,)
    assert np.allclose(samples, SAMPLES, atol=1e-7)


def test_files(tmp_path, nothing_optional, monkeypatch):
    path = tmp_path / "sound.wav"
    path.write_bytes(FILE)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (path, str(path), {"bytes": None, "path": str(path)}, io.BytesIO(FILE), "~/sound.wav"):
        assert np.array_equal(load_audio(source), SAMPLES)
    with open(path, "rb") as file:
        assert np.array_equal(load_audio(file), SAMPLES)
    with open(path, encoding="latin-1") as file, pytest.raises(TypeError, match="open it with mode 'rb'"):
        load_audio(file)


def test_channels(nothing_optional):
    stereo = np.stack([SAMPLES, -SAMPLES / 2])
    assert np.array_equal(load_audio(wav_bytes(stereo, 16000)), to_mono(stereo))
    assert np.allclose(to_mono(stereo), SAMPLES / 4)
    assert load_audio(SAMPLES, mono=False).shape == (1, 4)
    assert np.array_equal(load_audio(stereo, mono=False), stereo)
    four = wav_bytes(np.stack([SAMPLES] * 4), 16000)  # a file says that these are channels
    assert load_audio(four, mono=False).shape == (4, 4)
    assert to_mono(SAMPLES) is SAMPLES


def test_the_source_is_left_alone():
    samples = SAMPLES.copy()
    samples.flags.writeable = False
    load_audio({"array": samples, "sampling_rate": 16000})
    load_audio(samples)


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("int16", [-32768, 16384], [-1, 0.5]),
        ("int32", [-(2**31), 2**30], [-1, 0.5]),
        ("uint8", [0, 192], [-1, 0.5]),
        ("float16", [-3, 0.5], [-3, 0.5]),
        ("float64", [-3, 0.5], [-3, 0.5]),
    ],
)
def test_number_types(dtype, given, expected):
    samples = to_samples(np.array(given, dtype))
    assert samples.dtype == np.float32
    assert samples.tolist() == expected


def test_whole_numbers_of_a_list_are_samples():
    assert to_samples([0, 1, -1]).tolist() == [0, 1, -1]


@pytest.mark.parametrize("count", [1, 2])
def test_not_finite(count):
    wrong = np.zeros(5)
    wrong[:count] = [np.nan, np.inf][:count]
    with pytest.raises(ValueError, match=f"{count} of the 5 samples of the sound are NaN or infinite"):
        load_audio(wrong)
    with pytest.raises(ValueError, match="samples that are NaN or infinite"):
        load_audio(wav_file(wrong.astype("<f4").tobytes(), code=3, bits=32))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.zeros((16000, 2)), ValueError, r"\(16000, 2\), which read as \(channels, samples\) has 16000 channels; if"),
        (np.zeros((1, 2, 3)), ValueError, r"the shape \(1, 2, 3\); expected \(samples,\) or"),
        (np.float32(1), ValueError, r"the shape \(\)"),
        (np.zeros(0), ValueError, r"is empty: it has the shape \(0,\)"),
        (np.zeros((2, 0)), ValueError, "is empty"),
        ([], ValueError, "is empty"),
        ([[0.1], [0.1, 0.2]], ValueError, "a list of lists of different lengths"),
        (np.zeros(3, np.int64), ValueError, "numbers of the type int64; expected floats, or int16"),
        (np.zeros(3, bool), ValueError, "numbers of the type bool"),
        (np.zeros(3, complex), ValueError, "numbers of the type complex128"),
        (np.array(["a"]), ValueError, "numbers of the type <U1"),
        ([0.1, 1e300], ValueError, "1 of the 2 samples"),
        (b"", ValueError, "is an empty file"),
        (wav_file(b""), ValueError, "has no samples"),
        ("https://example.org/a.wav", ValueError, "fetch the file first"),
        ("no-such-file.wav", FileNotFoundError, "there is no sound file no-such-file.wav"),
        (3.5, TypeError, r"can't be read from float \('3.5'\); expected a path"),
        (None, TypeError, "can't be read from NoneType"),
        ({}, ValueError, 'needs "array" .* this one has nothing'),
        ({"sampling_rate": 8000, "text": "a"}, ValueError, "this one has 'sampling_rate', 'text'"),
        ({"array": SAMPLES}, ValueError, '"array": …} comes without "sampling_rate"'),
        ({"array": SAMPLES, "sampling_rate": 0}, ValueError, "the sampling rate is 0; expected samples a second"),
        ({"array": SAMPLES, "sampling_rate": -1}, ValueError, "the sampling rate is -1"),
        ({"array": SAMPLES, "sampling_rate": "16k"}, ValueError, "the sampling rate is '16k'"),
        ({"array": SAMPLES, "sampling_rate": np.nan}, ValueError, "the sampling rate is nan"),
        ({"array": SAMPLES, "sampling_rate": 16000.5}, ValueError, "the sampling rate is 16000.5"),
        ({"array": SAMPLES, "sampling_rate": True}, ValueError, "the sampling rate is True"),
    ],
)
def test_what_is_wrong(source, error, message):
    with pytest.raises(error, match=message):
        load_audio(source)


def test_a_wrong_file_is_named(tmp_path):
    path = tmp_path / "sound.wav"
    path.write_bytes(FILE[:-3])
    with pytest.raises(ValueError, match=r"sound\.wav is cut off: it says that it has 8 bytes"):
        load_audio(path)


def test_a_wrong_rate_to_read_at():
    with pytest.raises(ValueError, match="the sampling rate is 0"):
        load_audio(SAMPLES, sampling_rate=0)


def test_what_needs_a_library_says_which(nothing_optional, tmp_path):
    path = tmp_path / "song.flac"
    path.write_bytes(b"fLaC1234")
    with pytest.raises(ImportError, match=r"song.flac, which is no plain WAV.*soundfile: pip install \"edutrans"):
        load_audio(path)
    with pytest.raises(ImportError, match="a WAV of compressed samples .* needs soundfile"):
        load_audio(wav_file(bytes(8), code=7, bits=8))
    with pytest.raises(ImportError, match="making 16000 samples a second of 8000 needs soxr: pip install"):
        load_audio(wav_bytes(SAMPLES, 8000))
    assert resample(SAMPLES, 8000, 8000) is SAMPLES


def test_nothing_heavy_is_imported():
    code = """
import struct, sys
from edutransformers import load_audio, Wav2Vec2FeatureExtractor
from edutransformers.audio import wav_bytes
Wav2Vec2FeatureExtractor()(load_audio(wav_bytes([0.1, 0.2], 16000)), sampling_rate=16000)
assert not {"librosa", "soundfile", "soxr", "scipy", "PIL", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_float_wav_is_read():
    """Python's own `wave` refuses these."""
    data = wav_file(struct.pack("<2f", 0.5, -2.0), code=3, rate=16000, bits=32)
    assert load_audio(data).tolist() == [0.5, -2.0]
