"""What a column's values stand for: a class by its number, a picture or a sound by its file.

Plain values (numbers, texts, lists, arrays) need no feature. Pictures and sounds stay paths in the data set and are
opened when they are looked at, so a folder of a million pictures costs a million paths.
"""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class ClassLabel:
    """Classes as numbers 0 … C − 1, with their names.

    names        the names, in the order of their numbers
    num_classes  instead of names: they are then "0", "1", …
    """

    def __init__(self, num_classes: int | None = None, names: Sequence[str] | None = None):
        if names is None:
            if num_classes is None:
                raise ValueError("ClassLabel needs names, a list of class names, or num_classes, their number")
            names = [str(number) for number in range(num_classes)]
        self.names = [str(name) for name in names]
        if num_classes is not None and num_classes != len(self.names):
            raise ValueError(f"ClassLabel got num_classes={num_classes} and {len(self.names)} names: give only names")
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self._numbers) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"ClassLabel got the name {twice!r} twice: every class needs a name of its own")

    @property
    def num_classes(self) -> int:
        return len(self.names)

    def str2int(self, values):
        """A name -> its number; a list of names -> a list. The text of a number ("2") is accepted too."""
        if not isinstance(values, str):
            return [self.str2int(value) for value in values]
        number = self._numbers.get(values, self._numbers.get(values.strip()))
        if number is None and values.strip().isdigit() and int(values) < len(self.names):
            number = int(values)
        if number is None:
            raise ValueError(f"{values!r} is no class name: expected one of {_some(self.names)}")
        return number

    def int2str(self, values):
        """A number -> its name; a list or array of numbers -> a list."""
        if np.ndim(values):
            return [self.int2str(value) for value in values]
        if not 0 <= values < len(self.names):
            raise ValueError(f"{values} is no class: expected 0 to {len(self.names) - 1}")
        return self.names[int(values)]

    def encode(self, value):
        """A name or a number -> a number; None stays None."""
        if value is None:
            return None
        if isinstance(value, str):
            return self.str2int(value)
        number = int(value)
        if number != value or not -1 <= number < len(self.names):
            raise ValueError(f"{value!r} is no class: expected 0 to {len(self.names) - 1} (or −1 for no class)")
        return number

    def __eq__(self, other):
        return isinstance(other, ClassLabel) and self.names == other.names

    def __repr__(self):
        return f"ClassLabel(names={self.names})"


@dataclass
class Image:
    """A picture: stored as a path (or as bytes, or a pillow image), looked at as a pillow image.

    mode  convert to this mode, such as "RGB"; None leaves the file's own
    """

    mode: str | None = None

    def decode(self, value):
        """The opened picture, turned as its EXIF data says. None stays None."""
        from PIL import Image as pillow
        from PIL import ImageOps

        if value is None:
            return None
        if isinstance(value, dict):  # {"path": …, "bytes": …}, as Hugging Face's data sets store pictures
            value = value["path"] if value.get("bytes") is None else value["bytes"]
        if isinstance(value, (str, Path)):
            with pillow.open(value) as file:
                file.load()
                picture = file
        elif isinstance(value, bytes):
            picture = pillow.open(io.BytesIO(value))
            picture.load()
        elif isinstance(value, np.ndarray):
            picture = pillow.fromarray(value)
        else:
            picture = value
        if picture.getexif().get(0x0112, 1) != 1:  # the orientation
            picture = ImageOps.exif_transpose(picture)
        return picture if self.mode in (None, picture.mode) else picture.convert(self.mode)


@dataclass
class Audio:
    """A sound: stored as a path, looked at as {"path", "array": float32 (samples,), "sampling_rate"}.

    sampling_rate  resample to this many samples a second; None leaves the file's own rate
    mono           the mean of the channels; otherwise the array is (channels, samples)

    .wav files are read by Python alone; for other formats soundfile is needed, for resampling librosa (the extra
    `audio` installs both).
    """

    sampling_rate: int | None = None
    mono: bool = True

    def decode(self, value):
        """The sound as a dictionary. None stays None."""
        if value is None or (isinstance(value, dict) and "array" in value):
            return value
        path = str(value["path"] if isinstance(value, dict) else value)
        samples, rate = _read_wav(path) if path.lower().endswith(".wav") else (None, None)
        if samples is None:
            samples, rate = _read_with_soundfile(path)
        if self.mono:
            samples = samples.mean(axis=0)
        if self.sampling_rate is not None and rate != self.sampling_rate:
            librosa = _optional("librosa", f"resampling {path} from {rate} to {self.sampling_rate} samples a second")
            samples = librosa.resample(samples, orig_sr=rate, target_sr=self.sampling_rate)
            rate = self.sampling_rate
        return {"path": path, "array": samples, "sampling_rate": rate}


def _read_wav(path: str):
    """((channels, samples) float32 from −1 to 1, rate) of a .wav of whole numbers; (None, None) for other kinds."""
    try:
        with wave.open(path, "rb") as file:
            channels, width, rate, count = file.getparams()[:4]
            data = file.readframes(count)
    except wave.Error:  # compressed, or floating point
        return None, None
    except EOFError as error:
        raise ValueError(f"{path} is no .wav file: it ends too early") from error
    if width == 1:  # 8 bits are unsigned
        whole = np.frombuffer(data, dtype=np.uint8).astype(np.int32) - 128
    elif width == 3:  # 24 bits: into the upper three bytes of 32
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8)[: len(padded) * 3].reshape(-1, 3)
        whole = padded.reshape(-1).view("<i4") >> 8
    else:
        whole = np.frombuffer(data, dtype={2: "<i2", 4: "<i4"}[width])
    samples = whole.astype(np.float64) * math.ldexp(1.0, 1 - 8 * width)
    return samples.astype(np.float32).reshape(-1, channels).T, rate


def _read_with_soundfile(path: str):
    soundfile = _optional("soundfile", f"reading {path}")
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.T, rate


def _optional(package: str, purpose: str):
    try:
        return __import__(package)
    except ImportError as error:
        raise ImportError(f"{purpose} needs {package}: pip install 'edutransformers[audio]'") from error


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")
