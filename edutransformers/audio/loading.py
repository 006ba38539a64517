"""Sound from wherever it is to what models take: one channel of float32 samples at the model's sampling rate.

WAV files are read by `wav.py`, with nothing but NumPy. All other formats are read by soundfile, and another sampling
rate is made by soxr; both come with `pip install "edutransformers[audio]"`. (librosa resamples by soxr too, with the
same numbers, but importing it takes seconds.)
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from importlib import import_module

import numpy as np

from .wav import CodedWavError, is_wav, read_wav

MOST_CHANNELS = 2  # of an array; a file says itself how many it has
# What whole numbers are divided by, after this is subtracted. Those of other sizes are not what sound cards give.
FULL_SCALE = {"uint8": (128.0, 128.0), "int16": (0.0, 2.0**15), "int32": (0.0, 2.0**31)}


def load_audio(source, sampling_rate: int = 16000, mono: bool = True) -> np.ndarray:
    """Sound as float32 samples at `sampling_rate`: (samples,), or (channels, samples) with `mono=False`.

    source   a path; the bytes of a file; a file that is open for reading bytes;
             an array, which is taken to have this sampling rate already; or a dictionary with the rate beside it,
             {"array": …, "sampling_rate": 8000} ("raw" means the same), as the rows of a dataset have it;
             {"bytes": …} and {"path": …} stand for a file

    Several channels become one as their mean. Arrays are (samples,) or (channels, samples); int16, int32 and uint8 are
    scaled to [-1, 1].

    Raises ValueError for what is no sound, is empty, cut off, NaN or infinite; ImportError, with the command that
    helps, where another library is needed; OSError for a file that can't be opened; TypeError for another kind of
    source.
    """
    samples, rate = read_audio(source, check_rate(sampling_rate))
    if mono:
        samples = to_mono(samples)
    samples = resample(samples, rate, sampling_rate)
    return samples if mono else np.atleast_2d(samples)


def read_audio(source, rate: int | None = None) -> tuple[np.ndarray, int | None]:
    """(samples (samples,) or (channels, samples), their sampling rate) of a source as in `load_audio`.

    `rate` is returned for arrays that come without one.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_file(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_audio(bytes(source))
    if isinstance(source, Mapping):
        return _read_dictionary(source)
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes):
            raise TypeError("the file is open for reading text; open it with mode 'rb'")
        return decode_audio(data, str(getattr(source, "name", "the file")))
    if isinstance(source, (list, tuple)) or hasattr(source, "__array__"):
        return to_samples(source), rate
    raise TypeError(
        f"sound can't be read from {type(source).__name__} ({str(source)[:60]!r}); expected a path, bytes, an array, "
        'or a dictionary {"array": …, "sampling_rate": …}'
    )


def decode_audio(data: bytes, name: str = "the sound") -> tuple[np.ndarray, int]:
    """The bytes of a sound file -> (samples (channels, samples), sampling rate). `name` is for messages."""
    if not data:
        raise ValueError(f"{name} is an empty file")
    try:
        samples, rate = read_wav(data, name) if is_wav(data) else _decode_with_soundfile(data, name)
    except CodedWavError:
        samples, rate = _decode_with_soundfile(data, name)
    if samples.size == 0:
        raise ValueError(f"{name} has no samples")
    if not np.isfinite(samples).all():
        raise ValueError(f"{name} has samples that are NaN or infinite; is the recording damaged?")
    return samples, rate


def to_samples(array, name: str = "the sound") -> np.ndarray:
    """An array or list of samples as float32, (samples,) or (channels, samples), checked. `name` is for messages.

    Whole numbers of an array are what a sound card gives, so they are scaled to [-1, 1]: int16 by 2^15, int32 by 2^31,
    uint8 by 128 around 128. Numbers of a list, and floats, are taken as they are.

    Raises ValueError for numbers that are no samples (NaN, infinite, complex, int64), for none at all, and for an array
    whose first axis can't be channels.
    """
    is_list = isinstance(array, (list, tuple))
    try:
        array = np.asarray(array)
    except ValueError:
        raise ValueError(f"{name} is a list of lists of different lengths; expected samples of one channel") from None
    kind = str(array.dtype)
    if array.dtype.kind not in "fiu" or (array.dtype.kind in "iu" and not is_list and kind not in FULL_SCALE):
        raise ValueError(
            f"{name} has numbers of the type {kind}; expected floats, or int16, int32 or uint8, whose full scale is "
            "known"
        )
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has the shape {array.shape}; expected (samples,) or (channels, samples)")
    if array.size == 0:
        raise ValueError(f"{name} is empty: it has the shape {array.shape}")
    if array.ndim == 2 and len(array) > MOST_CHANNELS:
        raise ValueError(
            f"{name} has the shape {array.shape}, which read as (channels, samples) has {len(array)} channels; if it "
            "is (samples, channels) transpose it, and mix more than two channels yourself"
        )
    if kind in FULL_SCALE and not is_list:
        zero, full = FULL_SCALE[kind]
        return (array.astype(np.float32) - zero) / np.float32(full)
    with np.errstate(over="ignore"):  # too large a number becomes infinite, and is refused as such
        samples = array.astype(np.float32)
    if not np.isfinite(samples).all():
        count = int(samples.size - np.isfinite(samples).sum())
        raise ValueError(
            f"{count} of the {samples.size} samples of {name} are NaN or infinite; is the recording damaged?"
        )
    return samples


def to_mono(samples: np.ndarray) -> np.ndarray:
    """(channels, samples) -> (samples,), the mean of the channels."""
    return samples if samples.ndim == 1 else samples.mean(axis=0)


def resample(samples: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """Samples (T,) or (channels, T) taken `rate` times a second -> the same sound with `to_rate` samples a second.

    It has ⌈T · to_rate / rate⌉ samples; what lies above half of the lower rate, and can't be heard at it, is gone.
    Raises ImportError when the rates differ and soxr is missing.
    """
    rate, to_rate = check_rate(rate), check_rate(to_rate)
    if rate == to_rate:
        return samples
    soxr = _optional("soxr", f"making {to_rate} samples a second of {rate}")
    rows = np.atleast_2d(samples)
    resampled = np.zeros((len(rows), -(-rows.shape[1] * to_rate // rate)), np.float32)
    for row, new in zip(rows, resampled):
        sound = soxr.resample(row, rate, to_rate, quality="HQ")[: len(new)]
        new[: len(sound)] = sound  # soxr rounds the length down
    return resampled.reshape(*samples.shape[:-1], -1)


def check_rate(rate) -> int:
    """A sampling rate as int. Raises ValueError for what is none."""
    is_number = isinstance(rate, (int, float, np.integer, np.floating)) and not isinstance(rate, bool)
    if not is_number or not math.isfinite(rate) or rate <= 0 or rate != int(rate):
        raise ValueError(f"the sampling rate is {rate!r}; expected samples a second, such as 16000")
    return int(rate)


def _read_file(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    if str(path).startswith(("http://", "https://")):
        raise ValueError(f"{path} is an address on the web; fetch the file first, and pass its path or bytes")
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no sound file {path}")
    with open(path, "rb") as file:
        return decode_audio(file.read(), os.fspath(path))


def _read_dictionary(source: Mapping) -> tuple[np.ndarray, int]:
    for key in ("raw", "array"):
        if source.get(key) is not None:
            if source.get("sampling_rate") is None:
                raise ValueError(f'{{"{key}": …}} comes without "sampling_rate", the number of samples a second')
            return to_samples(source[key]), check_rate(source["sampling_rate"])
    for key in ("bytes", "path"):
        if source.get(key) is not None:
            return read_audio(source[key])
    raise ValueError(
        f'a dictionary of sound needs "array" (or "raw") and "sampling_rate", or "bytes" or "path"; this one has '
        f"{', '.join(map(repr, source)) or 'nothing'}"
    )


def _decode_with_soundfile(data: bytes, name: str) -> tuple[np.ndarray, int]:
    what = "which is no plain WAV" if not is_wav(data) else "a WAV of compressed samples"
    soundfile = _optional("soundfile", f"reading {name}, {what} (it begins with {data[:8]!r})")
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"{name} can't be read as sound: it begins with {data[:12]!r}; expected a whole WAV, FLAC, OGG or MP3"
        ) from error
    return samples.T, rate


def _optional(package: str, what: str):
    try:
        return import_module(package)
    except (ImportError, OSError) as error:  # OSError: soundfile without its C library
        raise ImportError(f'{what} needs {package}: pip install "edutransformers[audio]"') from error
