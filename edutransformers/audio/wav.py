"""WAV files, read and written with nothing but NumPy.

A WAV file is a list of chunks, each a name of four letters, a size, and that many bytes:

    RIFF <size> WAVE | fmt  16 <how samples are coded> | LIST … | data <size> <the samples>

The samples of all channels at one moment stand beside each other; together they are a frame.
Python's own `wave` module reads whole numbers only; many tools write floats.

Source: Microsoft and IBM 1991, "Multimedia Programming Interface and Data Specifications 1.0"; for
WAVE_FORMAT_EXTENSIBLE: Microsoft 2001, "Multiple Channel Audio Data and WAVE Files".
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
NAMES = {0x0002: "Microsoft ADPCM", 0x0006: "A-law", 0x0007: "µ-law", 0x0011: "IMA ADPCM", 0x0031: "GSM", 0x0055: "MP3"}
# In place of a size that a program did not know while it was still writing: ffmpeg's and sox's.
UNKNOWN_SIZE = 0x7FFF0000


class WavFormat(NamedTuple):
    """How the samples of a WAV file are coded: what its "fmt " chunk says."""

    code: int  # PCM, FLOAT, or one of many others
    channels: int
    sampling_rate: int
    frame_bytes: int
    bits: int

    @property
    def sample_bytes(self) -> int:
        return self.frame_bytes // self.channels


class CodedWavError(ValueError):
    """A WAV file whose samples are compressed; another library may read it."""


def is_wav(data: bytes) -> bool:
    """Whether bytes begin as a WAV file does, even if they end soon."""
    return data[:4] == b"RIFF" and b"WAVE".startswith(data[8:12])


def read_wav(data: bytes, name: str = "the WAV file") -> tuple[np.ndarray, int]:
    """The bytes of a WAV file -> (samples (channels, frames) in float32, sampling rate in hertz).

    Whole numbers of 8, 16, 24 and 32 bits are scaled to [-1, 1); floats of 32 and 64 bits stay as they are. `name`
    stands for the file in messages.

    Raises ValueError for what is no WAV file, is cut off or contradicts itself; `CodedWavError` (a ValueError) for
    samples that are compressed.
    """
    if not is_wav(data):
        raise ValueError(f"{name} is no WAV file: it begins with {bytes(data[:12])!r}, not with b'RIFF....WAVE'")
    wav, position = None, 12
    while position + 8 <= len(data):
        chunk, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if chunk == b"fmt ":
            wav = _read_format(data[position : position + size], name)
        elif chunk == b"data":
            if wav is None:
                raise ValueError(f"{name} has its samples before the chunk that says how they are coded; it is damaged")
            return _decode(_sound(data, position, size, wav, name), wav), wav.sampling_rate
        position += size + size % 2  # chunks begin at even places
    raise ValueError(f"{name} has no {'data' if wav else 'fmt'} chunk; it is cut off or damaged")


def _read_format(chunk: bytes, name: str) -> WavFormat:
    if len(chunk) < 16:
        raise ValueError(f"{name} is cut off: its fmt chunk has {len(chunk)} bytes of at least 16")
    code, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if code == EXTENSIBLE and len(chunk) >= 26:
        (code,) = struct.unpack_from("<H", chunk, 24)  # the first two bytes of the format's long name
    if channels == 0:
        raise ValueError(f"{name} says that it has 0 channels; it is damaged")
    if rate == 0:
        raise ValueError(f"{name} says that its sampling rate is 0 hertz; it is damaged")
    if code not in (PCM, FLOAT):
        coding = NAMES.get(code, "an unknown format")
        raise CodedWavError(f"{name} is coded as {coding} (format 0x{code:04X}), not as plain samples")
    wav = WavFormat(code, channels, rate, frame_bytes, bits)
    possible = (1, 2, 3, 4) if code == PCM else (4, 8)
    if frame_bytes != channels * -(-bits // 8) or wav.sample_bytes not in possible:
        raise ValueError(
            f"{name} says that its frames have {frame_bytes} bytes, with {channels} channels of {bits} bits each; "
            "it is damaged"
        )
    return wav


def _sound(data: bytes, start: int, size: int, wav: WavFormat, name: str) -> bytes:
    """The bytes of the samples: whole frames, `size` bytes or, where that was not known, all that follow."""
    there = len(data) - start
    if size > there and size < UNKNOWN_SIZE:
        raise ValueError(
            f"{name} is cut off: it says that it has {size} bytes of sound, and {there} are there; fetch it again"
        )
    frames = min(size, there) // wav.frame_bytes
    if frames == 0:
        raise ValueError(f"{name} has no samples")
    return data[start : start + frames * wav.frame_bytes]


def _decode(sound: bytes, wav: WavFormat) -> np.ndarray:
    """Bytes -> (channels, frames) in float32."""
    if wav.code == FLOAT:
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
            samples = np.frombuffer(sound, f"<f{wav.sample_bytes}").astype(np.float32)
    elif wav.sample_bytes == 1:  # the only ones without a sign
        samples = (np.frombuffer(sound, np.uint8).astype(np.float32) - 128) / 128
    elif wav.sample_bytes == 3:  # the three upper bytes of a number of four
        wide = np.zeros((len(sound) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(sound, np.uint8).reshape(-1, 3)
        samples = wide.reshape(-1).view("<i4").astype(np.float32) / 2.0**31
    else:
        samples = np.frombuffer(sound, f"<i{wav.sample_bytes}").astype(np.float32) / 2.0 ** (8 * wav.sample_bytes - 1)
    return np.ascontiguousarray(samples.reshape(-1, wav.channels).T)


def wav_bytes(samples: np.ndarray, sampling_rate: int) -> bytes:
    """Samples (frames,) or (channels, frames) in [-1, 1] -> the bytes of a WAV file of 16 bits; louder ones are cut.

    Arrays of int16 are written as they are.
    """
    samples = np.atleast_2d(np.asarray(samples))
    if samples.ndim != 2 or samples.dtype.kind not in "fi" or (samples.dtype.kind == "i" and samples.dtype != np.int16):
        raise ValueError(
            f"samples of the shape {samples.shape} and the type {samples.dtype} can't be written; expected (frames,) "
            "or (channels, frames) of floats in [-1, 1] or of int16"
        )
    if samples.dtype != np.int16:
        if not np.isfinite(samples).all():
            raise ValueError("samples that are NaN or infinite can't be written")
        samples = np.clip(np.rint(samples * 32768.0), -32768, 32767)
    sound = samples.T.astype("<i2").tobytes()
    channels = len(samples)
    rate = int(sampling_rate)
    described = struct.pack("<HHIIHH", PCM, channels, rate, 2 * channels * rate, 2 * channels, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + described + b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def write_wav(file, samples: np.ndarray, sampling_rate: int) -> None:
    """`wav_bytes` into a file: a path, or a file that is open for writing bytes."""
    data = wav_bytes(samples, sampling_rate)
    if hasattr(file, "write"):
        file.write(data)
        return
    with open(file, "wb") as opened:
        opened.write(data)
