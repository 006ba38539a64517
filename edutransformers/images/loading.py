"""`load_image`: whatever stands for a picture -> a Pillow image in red, green and blue, the right way up."""

from __future__ import annotations

import base64
import binascii
import io
import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .conversion import to_eight_bits, to_pil_image

LARGEST_DOWNLOAD = 256 * 2**20  # bytes
PROGRAMS = ("EPS", "WMF")  # formats that Pillow hands to another program, which would run what stands in them


class ImageFileError(OSError, ValueError):
    """A picture can't be read: not there, not a picture, damaged, or too large. The message says which."""


class ImageNotFoundError(ImageFileError, FileNotFoundError):
    """There is no such file."""


def load_image(image, timeout: float | None = None) -> Image.Image:
    """A picture as a Pillow image of mode RGB, turned upright as its EXIF data says; of an animation the first frame.

    image     a Pillow image; an array (H, W), (H, W, C) or (C, H, W), whole numbers 0 … 255 or floats 0 … 1; a path; an
              http(s) address, which is fetched; a base64 string, with or without "data:image/…;base64,"; the bytes of a
              file; an open file
    timeout   seconds to wait for an address; nothing else takes any notice of it

    Grey pictures get three equal channels, and opacity is dropped: the colour under transparent pixels appears, as in
    the original (`convert_to_rgb` puts white there).
    Raises ImageFileError (an OSError and a ValueError), ValueError for arrays that are no picture, TypeError for
    anything else.
    """
    return _to_rgb(open_image(image, timeout))


def open_image(image, timeout: float | None = None) -> Image.Image:
    """As `load_image`, but in the mode that the picture has (L, P, RGBA, …)."""
    if isinstance(image, np.ndarray):
        image = to_pil_image(image)
    elif isinstance(image, Image.Image):
        _read_pixels(image, "the image")
    else:
        image = _open(image, timeout)
    if min(image.size) == 0:
        raise ValueError(f"the image has {image.height} × {image.width} pixels; expected at least one")
    return _upright(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    image = to_eight_bits(image)
    if image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns about palettes with opacities if it is not done in two steps
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """The picture as it was held: cameras store the sensor's rows and say in the EXIF data how to turn them."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data: Pillow has no one kind of exception for it
        return image  # the pixels are whole


def _open(source, timeout) -> Image.Image:
    """A path, an address, base64, bytes or a file -> a Pillow image whose pixels are read."""
    if isinstance(source, str):
        return _open_string(source, timeout)
    if isinstance(source, os.PathLike):
        return _open_path(os.fspath(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(bytes(source), f"the file of {len(source)} bytes")
    if hasattr(source, "read"):
        data = source.read()
        if isinstance(data, str):
            raise TypeError("the file was opened as text; expected one that was opened with open(path, 'rb')")
        return _read(data, f"the file {getattr(source, 'name', type(source).__name__)!r}")
    raise TypeError(
        f"an image can't be {type(source).__name__} ({str(source)[:40]}); expected a Pillow image, an array, a path, "
        "an http address, a base64 string, bytes or an open file"
    )


def _open_string(text: str, timeout) -> Image.Image:
    if text.startswith(("http://", "https://")):
        return _read(_fetch(text, timeout), text)
    if os.path.exists(text):
        return _open_path(text)
    is_data = text.startswith("data:image/")
    try:
        data = base64.b64decode("".join((text.split(",", 1)[-1] if is_data else text).split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # A short word, such as "cat", is valid base64 too. No picture has fewer bytes than this.
    if len(data) < 16 and not is_data:
        raise ImageNotFoundError(
            f"there is no file {text[:200]!r}; expected the path of a picture, an address that starts with http:// or "
            "https://, or a picture as a base64 string"
        )
    if not data:
        raise ImageFileError(
            f"{text[:40]!r} holds no base64; expected data:image/png;base64, and then the file's bytes"
        )
    return _read(data, "the base64 string" if is_data else f"there is no file {text[:60]!r}, and as base64 it")


def _open_path(path: str) -> Image.Image:
    if os.path.isdir(path):
        raise ImageFileError(f"{path!r} is a folder; expected a picture")
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageNotFoundError(f"there is no file {path!r}; expected the path of a picture") from None
    except OSError as error:
        raise ImageFileError(f"{path!r} can't be opened: {error.strerror}") from error
    return _read(data, repr(path))


def _fetch(address: str, timeout) -> bytes:
    try:
        request = Request(address, headers={"User-Agent": "edutransformers"})
        with urlopen(request, timeout=timeout) as response:
            data = response.read(LARGEST_DOWNLOAD + 1)
    except (URLError, OSError, ValueError) as error:  # no network, no such host, a refusal, a time-out
        raise ImageFileError(
            f"{address} could not be fetched: {getattr(error, 'reason', error)}; download the picture and pass its path"
        ) from error
    if len(data) > LARGEST_DOWNLOAD:
        raise ImageFileError(f"{address} is larger than {LARGEST_DOWNLOAD // 2**20} MiB; download it and pass its path")
    return data


def _read(data: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ImageFileError(f"{name} {_what_instead(data)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageFileError(f"{name} is refused: {error}") from None
    except Exception as error:  # damaged headers: each of Pillow's formats has its own exceptions
        raise ImageFileError(f"{name} is damaged: {error}") from error
    limit = Image.MAX_IMAGE_PIXELS  # Pillow itself refuses only twice as many
    if limit is not None and image.width * image.height > limit:
        raise ImageFileError(
            f"{name} has {image.width} × {image.height} pixels, more than the {limit:,} that are let in, as a small "
            "file could fill the memory that way; to trust it set PIL.Image.MAX_IMAGE_PIXELS"
        )
    if image.format in PROGRAMS:
        raise ImageFileError(
            f"{name} is {image.format}, a program that draws; expected pixels: convert it to PNG first"
        )
    return _read_pixels(image, name)


def _read_pixels(image: Image.Image, name: str) -> Image.Image:
    """Pillow reads them only when they are asked for."""
    try:
        image.load()
    except Exception as error:  # truncated or damaged: each of Pillow's formats has its own exceptions
        raise ImageFileError(
            f"{name} is truncated or damaged ({str(error)[:100]}); fetch or copy the file again"
        ) from error
    return image


def _what_instead(data: bytes) -> str:
    """What a file is that is no picture."""
    if not data:
        return "is empty; expected a picture (PNG, JPEG, GIF, WebP, …)"
    return f"is no picture that Pillow can read: it starts with {data[:16]!r}; expected PNG, JPEG, GIF, WebP, …"
