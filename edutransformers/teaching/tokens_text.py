"""The picture of tokens for a terminal: each token a coloured cell, below it its id and where it stands in the text."""

from __future__ import annotations

import textwrap

from .tokens import Token, TokenRow, columns

# Ink, and the backgrounds that take turns, by the two kinds of colours that terminals have.
_INK = {24: "38;2;20;20;20", 256: "38;5;16"}
_BACKGROUNDS = {
    24: [
        "48;2;168;209;245",
        "48;2;255;209;140",
        "48;2;170;225;165",
        "48;2;242;178;214",
        "48;2;204;190;240",
        "48;2;240;229;130",
    ],
    256: ["48;5;153", "48;5;222", "48;5;157", "48;5;218", "48;5;183", "48;5;228"],
}
_KINDS = {
    24: {"special": "38;2;235;235;235;48;2;90;90;90", "unknown": "38;2;255;255;255;48;2;178;34;34"},
    256: {"special": "38;5;255;48;5;240", "unknown": "38;5;255;48;5;124"},
}
_FAINT, _BOLD, _RESET = "2", "1", "\x1b[0m"


def as_text(rows: list[TokenRow], width: int, colours: int | None, most: int) -> str:
    """All rows; `most` tokens of each (0: all of them)."""
    return "\n\n".join(_row(row, max(width, 20), colours, most) for row in rows)


def _row(row: TokenRow, width: int, colours: int | None, most: int) -> str:
    lines = [*(_painted(line, _BOLD, colours) for line in textwrap.wrap(row.summary, width)), ""]
    shown = row.tokens[:most] if most else row.tokens
    for line in _lines_of_cells([_cell(token, width) for token in shown], width):
        for height in range(3):
            text = " ".join(
                _fitted(cell[height], cell_width, style[height], colours) for cell, style, cell_width in line
            )
            lines.append(text.rstrip())
        lines.append("")
    if len(shown) < len(row.tokens):
        lines.append(f"... and {len(row.tokens) - len(shown):,} more tokens")
    elif lines[-1] == "":
        lines.pop()
    return "\n".join(lines)


def _cell(token: Token, width: int):
    """(its three lines, their styles, its width)"""
    span = "" if token.span is None else f"{token.span[0]}-{token.span[1]}"
    lines = (_cut(token.shown, width), str(token.id), span)
    style = token.kind if token.kind != "text" else token.colour
    return lines, (style, None, "faint"), max(map(columns, lines))


def _cut(text: str, width: int) -> str:
    """The text, or its beginning with "…", in at most `width` columns."""
    if columns(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += columns(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _lines_of_cells(cells: list, width: int):
    line, used = [], 0
    for cell in cells:
        if line and used + 1 + cell[2] > width:
            yield line
            line, used = [], 0
        used += cell[2] + (1 if line else 0)
        line.append(cell)
    if line:
        yield line


def _fitted(text: str, width: int, style, colours: int | None) -> str:
    """The text in its style, and blanks up to the cell's width; a coloured token fills its cell."""
    blanks = " " * (width - columns(text))
    if colours is None or style is None:
        return text + blanks
    if style == "faint":
        return _painted(text, _FAINT, colours) + blanks
    code = _KINDS[colours].get(style) or f"{_INK[colours]};{_BACKGROUNDS[colours][style]}"
    return _painted(text + blanks, code, colours)


def _painted(text: str, code: str, colours: int | None) -> str:
    return text if colours is None or not text else f"\x1b[{code}m{text}{_RESET}"
