"""Pictures made in code, and the bytes of picture files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

ARRAY_TYPES = {"I;16": np.uint16, "I": np.int32, "F": np.float32}


def noise(height: int = 13, width: int = 17, channels: int = 3, seed: int = 0) -> np.ndarray:
    """(H, W, C) uint8"""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int = 24, width: int = 32) -> np.ndarray:
    """(H, W, 3) uint8: red grows to the right, green downwards, blue to the upper left."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1)
    return np.stack([red, green, 255 - (red + green) / 2], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode: str = "RGB", height: int = 13, width: int = 17) -> Image.Image:
    """A Pillow image of any mode."""
    if mode in ("I;16", "I", "F"):
        sixteen_bits = np.linspace(0, 65535, height * width).reshape(height, width)
        return Image.fromarray((sixteen_bits / 65535 if mode == "F" else sixteen_bits).astype(ARRAY_TYPES[mode]))
    return Image.fromarray(noise(height, width, 4 if mode in ("RGBA", "LA") else 3)).convert(mode)
