"""What a column's values stand for: a class by its number, a picture or a sound by its file.

Plain values (numbers, texts, lists, arrays) need no feature. Pictures and sounds stay paths in the data set and are
opened when they are looked at, so a folder of a million pictures costs a million paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...audio import read_audio, resample, to_mono


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
        from ...images.loading import open_image

        if value is None:
            return None
        if isinstance(value, dict):  # {"path": …, "bytes": …}, as Hugging Face's data sets store pictures
            value = value["path"] if value.get("bytes") is None else value["bytes"]
        picture = open_image(value)
        return picture if self.mode in (None, picture.mode) else picture.convert(self.mode)


@dataclass
class Audio:
    """A sound: stored as a path, looked at as {"path", "array": float32 (samples,), "sampling_rate"}.

    sampling_rate  resample to this many samples a second; None leaves the file's own rate
    mono           the mean of the channels; otherwise the array is (channels, samples)

    .wav files need no further package; other formats and another rate need the extra `audio`: see
    `edutransformers.audio.load_audio`.
    """

    sampling_rate: int | None = None
    mono: bool = True

    def decode(self, value):
        """The sound as a dictionary. None stays None."""
        if value is None or (isinstance(value, dict) and "array" in value):
            return value
        path = value.get("path") if isinstance(value, dict) else value
        samples, rate = read_audio(value)
        if self.mono:
            samples = to_mono(samples)
        if self.sampling_rate is not None:
            samples, rate = resample(samples, rate, self.sampling_rate), self.sampling_rate
        return {"path": None if path is None else str(path), "array": samples, "sampling_rate": rate}


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")
