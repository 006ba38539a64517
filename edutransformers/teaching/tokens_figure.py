"""The picture of tokens as a matplotlib figure.

Only fonts that ship with matplotlib: what they lack is written as a code point, ⟨4F60⟩, and so is what matplotlib would
draw in the wrong order or shape.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

from .plots import GREY, INK, STYLE
from .tokens import Token, TokenRow, code_point

MOST = 400  # tokens of a row in a picture
WIDTH = 9.0  # inches
FONT = "DejaVu Sans Mono"  # a character's width is known without asking: all have the same
TOKEN_SIZE, SMALL_SIZE = 11.0, 7.5  # points
ADVANCE = 0.602  # of the font size
LINE, GAP, MARGIN = 0.62, 0.05, 0.15  # inches: a line of cells, between two cells, around all

_BACKGROUNDS = ["#cfe3f7", "#ffe2b6", "#d0edcd", "#f6d3e6", "#e2daf6", "#f3ecac"]
_KINDS = {"special": ("#6a6a6a", "white"), "unknown": ("#b3261e", "white")}


def figure(rows: list[TokenRow]):
    """Cells from left to right, as in a text, under a line for each tokenizer."""
    import matplotlib
    from matplotlib.figure import Figure

    placed, titles, y = [], [], MARGIN
    for row in rows:
        title = _wrapped(drawable(row.summary))
        titles.append((y, "\n".join(title)))
        y += 0.2 * len(title) + 0.12
        x = MARGIN
        for token in row.tokens[:MOST]:
            text = _cut(drawable(token.shown))
            span = "" if token.span is None else f"{token.span[0]}-{token.span[1]}"
            wide = max(len(text) * TOKEN_SIZE, max(len(str(token.id)), len(span)) * SMALL_SIZE) * ADVANCE / 72 + 0.08
            if x + wide > WIDTH - MARGIN and x > MARGIN:
                x, y = MARGIN, y + LINE
            placed.append((x, y, wide, text, span, token))
            x += wide + GAP
        y += LINE
        if len(row.tokens) > MOST:
            titles.append((y, f"... and {len(row.tokens) - MOST:,} more tokens"))
            y += 0.25
        y += 0.15
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(WIDTH, y))
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(y, 0)  # inches from the top
        plain = {"family": FONT, "parse_math": False}  # a "$" is a "$"
        for top, title in titles:
            axes.text(MARGIN, top, title, va="top", fontsize=8.5, color=INK, **plain)
        for x, top, wide, text, span, token in placed:
            _draw(axes, x, top, wide, text, span, token, plain)
    return drawn


def _draw(axes, x: float, top: float, wide: float, text: str, span: str, token: Token, plain: dict) -> None:
    from matplotlib.patches import FancyBboxPatch

    background, ink = _KINDS.get(token.kind, (_BACKGROUNDS[token.colour], INK))
    box = FancyBboxPatch((x + 0.02, top + 0.02), wide - 0.04, 0.2, boxstyle="round,pad=0.02", fc=background, ec="none")
    axes.add_patch(box)
    axes.text(x + 0.04, top + 0.18, text, fontsize=TOKEN_SIZE, color=ink, **plain)
    axes.text(x + 0.04, top + 0.35, str(token.id), fontsize=SMALL_SIZE, color=INK, **plain)
    axes.text(x + 0.04, top + 0.47, span, fontsize=SMALL_SIZE, color=GREY, **plain)


def drawable(text: str) -> str:
    """The text with code points for what the font lacks, what joins or is written from right to left."""
    return "".join(c if _can_be_drawn(c) else code_point(c) for c in unicodedata.normalize("NFC", text))


def _can_be_drawn(character: str) -> bool:
    if character == "◌" or unicodedata.category(character).startswith("M"):
        return False
    return ord(character) in _glyphs() and unicodedata.bidirectional(character) not in ("R", "AL")


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", FONT.replace(" ", "") + ".ttf")
    return frozenset(FT2Font(str(path)).get_charmap())


def _cut(text: str) -> str:
    most = int((WIDTH - 2 * MARGIN - 0.1) * 72 / (TOKEN_SIZE * ADVANCE))
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, int((WIDTH - 2 * MARGIN) * 72 / (8.5 * ADVANCE)))
