"""WAV files: every way to code plain samples, and every way in which a file can be wrong."""

import io
import struct
import wave

import numpy as np
import pytest

from edutransformers.audio.wav import CodedWavError, is_wav, read_wav, wav_bytes, write_wav


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav_file(sound, code=1, channels=1, rate=8000, bits=16, frame_bytes=None, extra=b"", before=b"", size=None):
    """A WAV file, byte by byte."""
    frame_bytes = channels * -(-bits // 8) if frame_bytes is None else frame_bytes
    described = struct.pack("<HHIIHH", code, channels, rate, rate * frame_bytes, frame_bytes, bits) + extra
    data = chunk(b"data", sound)
    if size is not None:
        data = b"data" + struct.pack("<I", size) + data[8:]
    body = b"WAVE" + before + chunk(b"fmt ", described) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


CODINGS = [
    # code, bits, bytes of four samples, what they are
    (1, 8, bytes([0, 64, 128, 255]), [-1, -0.5, 0, 127 / 128]),
    (1, 16, struct.pack("<4h", -32768, -1, 0, 16384), [-1, -(2.0**-15), 0, 0.5]),
    (1, 24, b"\x00\x00\x80" + b"\xff\xff\xff" + b"\0\0\0" + b"\x00\x00\x40", [-1, -(2.0**-23), 0, 0.5]),
    (1, 32, struct.pack("<4i", -(2**31), -1, 0, 2**30), [-1, -(2.0**-31), 0, 0.5]),
    (3, 32, struct.pack("<4f", -1, 1.5, 0, 0.25), [-1, 1.5, 0, 0.25]),
    (3, 64, struct.pack("<4d", -1, 1.5, 0, 0.25), [-1, 1.5, 0, 0.25]),
]


@pytest.mark.parametrize(("code", "bits", "sound", "expected"), CODINGS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("extensible", [False, True])
def test_samples(code, bits, sound, expected, channels, extensible):
    if extensible:  # the real code comes later, as the beginning of 16 bytes
        extra = struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", code) + bytes(14)
        data = wav_file(sound, 0xFFFE, channels, bits=bits, extra=extra)
    else:
        data = wav_file(sound, code, channels, bits=bits)
    samples, rate = read_wav(data)
    assert rate == 8000
    assert samples.dtype == np.float32
    assert np.array_equal(samples, np.array(expected, np.float32).reshape(-1, channels).T)


def test_other_chunks_are_passed_over():
    odd = chunk(b"LIST", b"abc")  # three bytes and one to make them even
    data = wav_file(struct.pack("<2h", 1, 2), before=odd) + chunk(b"id3 ", b"a title")
    assert np.array_equal(read_wav(data)[0] * 2**15, [[1, 2]])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_was_not_known(size):
    """What a program writes that sends sound on while it comes in; a last frame may then be half there."""
    sound = struct.pack("<2f", 1, 2) + b"half"[:2]
    assert np.array_equal(read_wav(wav_file(sound, code=3, bits=32, size=size))[0], [[1, 2]])


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(7,), (1, 7), (2, 7)])
def test_written_and_read(rng, dtype, shape, tmp_path):
    whole = rng.integers(-32768, 32768, shape).astype(np.int16)
    samples = whole if dtype == "int16" else (whole / 32768).astype(dtype)
    write_wav(tmp_path / "sound.wav", samples, 22050)
    data = (tmp_path / "sound.wav").read_bytes()
    read, rate = read_wav(data)
    assert rate == 22050
    assert np.array_equal(read, np.atleast_2d(whole) / np.float32(32768))
    opened = io.BytesIO()
    write_wav(opened, samples, 22050)
    assert opened.getvalue() == data == wav_bytes(samples, 22050)


def test_python_reads_what_is_written():
    with wave.open(io.BytesIO(wav_bytes(np.array([[0.5, -1.0, 2.0], [0.0, 1.0, -2.0]]), 16000))) as file:
        assert file.getparams()[:4] == (2, 2, 16000, 3)
        frames = np.frombuffer(file.readframes(3), "<i2").reshape(3, 2)
    assert frames.tolist() == [[16384, 0], [-32768, 32767], [32767, -32768]]  # what is too loud is cut


@pytest.mark.parametrize("samples", [np.zeros(3, np.int32), np.zeros((1, 1, 3)), np.zeros(3, complex), np.array(["a"])])
def test_what_cannot_be_written(samples):
    with pytest.raises(ValueError, match="can't be written; expected"):
        wav_bytes(samples, 8000)


def test_nan_is_not_written():
    with pytest.raises(ValueError, match="NaN or infinite"):
        wav_bytes(np.array([0.0, np.nan]), 8000)


GOOD = wav_file(struct.pack("<4h", 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.wav is no WAV file: it begins with b''"),
        (b"Dear Sir or Madam,", "x.wav is no WAV file: it begins with b'Dear Sir or ', not with"),
        (GOOD[:-3], "x.wav is cut off: it says that it has 8 bytes of sound, and 5 are there"),
        (GOOD[:30], "its fmt chunk has 10 bytes of at least 16"),
        (GOOD[:36], "x.wav has no data chunk; it is cut off"),
        (GOOD[:16], "x.wav has no fmt chunk; it is cut off"),
        (GOOD[:12] + GOOD[36:], "samples before the chunk that says how they are coded"),
        (wav_file(b""), "x.wav has no samples"),
        (wav_file(b"a"), "x.wav has no samples"),
        (wav_file(bytes(8), channels=0, frame_bytes=2), "0 channels"),
        (wav_file(bytes(8), rate=0), "sampling rate is 0 hertz"),
        (wav_file(bytes(8), frame_bytes=3), "its frames have 3 bytes, with 1 channels of 16 bits each"),
        (wav_file(bytes(8), frame_bytes=0), "its frames have 0 bytes"),
        (wav_file(bytes(8), bits=0), "1 channels of 0 bits"),
        (wav_file(bytes(16), bits=64), "1 channels of 64 bits"),
        (wav_file(bytes(16), code=3, bits=16), "1 channels of 16 bits"),
    ],
)
def test_what_is_wrong(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_wav(data, "x.wav")
    assert not isinstance(caught.value, CodedWavError)


@pytest.mark.parametrize(("code", "name"), [(2, "Microsoft ADPCM"), (6, "A-law"), (7, "µ-law"), (0x92, "unknown")])
def test_compressed_samples(code, name):
    with pytest.raises(CodedWavError, match=f"is coded as .*{name}.*0x00"):
        read_wav(wav_file(bytes(8), code, bits=8))


def test_every_beginning_of_a_file_is_refused():
    for end in range(len(GOOD)):
        with pytest.raises(ValueError):
            read_wav(GOOD[:end])


def test_any_byte_may_be_wrong(rng):
    """A damaged header gives samples or one ValueError, and never an array that is larger than the file."""
    for _ in range(2000):
        damaged = bytearray(GOOD)
        for place in rng.integers(0, 44, rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        try:
            samples, rate = read_wav(bytes(damaged))
        except ValueError:
            continue
        assert 0 < samples.size <= 8
        assert rate > 0


def test_is_wav():
    assert is_wav(GOOD)
    assert not is_wav(b"RIFF\0\0\0\0AVI ")
