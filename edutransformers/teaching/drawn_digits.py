"""Digits drawn with a round pen along a few strokes: pictures to classify where no data set is at hand."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

FINER = 8  # drawn so many times as large, then made smaller: smooth edges


def _arc(x: float, y: float, wide: float, high: float, start: float, stop: float) -> list[tuple[float, float]]:
    """Points on an ellipse around (x, y), from one angle to another, in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, 24))
    return [(x + wide * float(np.cos(a)), y + high * float(np.sin(a))) for a in angles]


# Each digit's strokes, in a box from (0, 0), upper left, to (1, 1).
STROKES = {
    0: [_arc(0.5, 0.5, 0.36, 0.48, -90, 270)],
    1: [[(0.32, 0.2), (0.52, 0.02), (0.52, 0.98)]],
    2: [[*_arc(0.5, 0.29, 0.34, 0.27, -170, 40), (0.16, 0.97), (0.86, 0.95)]],
    3: [_arc(0.46, 0.26, 0.32, 0.24, -160, 90), _arc(0.46, 0.73, 0.38, 0.25, -90, 155)],
    4: [[(0.66, 0.02), (0.12, 0.62), (0.92, 0.62)], [(0.66, 0.3), (0.66, 1.0)]],
    5: [[(0.84, 0.03), (0.26, 0.03), (0.22, 0.45), *_arc(0.46, 0.68, 0.37, 0.3, -110, 150)]],
    6: [[(0.7, 0.02), (0.42, 0.22), (0.21, 0.55), *_arc(0.5, 0.72, 0.31, 0.26, -160, 200)]],
    7: [[(0.1, 0.06), (0.88, 0.06), (0.42, 1.0)]],
    8: [_arc(0.5, 0.26, 0.28, 0.24, -90, 270), _arc(0.5, 0.74, 0.34, 0.25, -90, 270)],
    9: [[*_arc(0.5, 0.29, 0.3, 0.27, 20, 380), (0.78, 0.45), (0.66, 1.0)]],
}


def draw_digit(digit: int, generator: np.random.Generator | None = None, size: int = 28) -> Image.Image:
    """A grey picture (size × size) of a digit, white on black, as large in it as MNIST's.

    With a generator it is drawn a little otherwise each time: pen, slant, size, place.
    """
    if digit not in STROKES:
        raise ValueError(f"digit is {digit!r}, expected a whole number from 0 to 9")
    pen, slant, wide, high, x, y = (0.5,) * 6 if generator is None else generator.uniform(size=6)
    scale = size * FINER / 28
    pen, slant = (2.0 + 1.4 * pen) * scale, (slant - 0.5) * 0.4 + 0.1
    wide, high = (12 + 3 * wide) * scale, (16 + 3 * high) * scale
    left, top = 14 * scale + (2 * x - 1) * scale - wide / 2, 14 * scale + (2 * y - 1) * scale - high / 2
    image = Image.new("L", (size * FINER, size * FINER))
    draw = ImageDraw.Draw(image)
    for stroke in STROKES[digit]:
        points = [(left + wide * (a + slant * (0.5 - b)), top + high * b) for a, b in stroke]
        draw.line(points, fill=255, width=round(pen), joint="curve")
        for a, b in (points[0], points[-1]):  # round ends
            draw.ellipse((a - pen / 2, b - pen / 2, a + pen / 2, b + pen / 2), fill=255)
    return image.resize((size, size), Image.Resampling.BOX)
