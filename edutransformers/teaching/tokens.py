"""How a tokenizer sees a text: its tokens in colours, with their ids and offsets.

    show_tokens(tokenizer, "A text.")               in a notebook: the picture; print() it anywhere else
    show_tokens(tokenizer, "A text.").save("t.png")   or "t.html", a page of its own

The command `edutransformers tokenize` shows the same in a terminal.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

COLOURS = 6  # they take turns, so that neighbours differ
_VISIBLE = {" ": "·", "\n": "↵", "\t": "⇥", "\r": "⇤"}
_BLANK = _VISIBLE[" "]


class Token(NamedTuple):
    """One token of a picture."""

    shown: str  # with nothing invisible in it
    id: int
    span: tuple[int, int] | None  # of the text; None where the token stands for none of it
    kind: str  # "text", "special" (no part of the text) or "unknown" (a part that the vocabulary lacks)
    colour: int  # 0 to COLOURS - 1
    sequence: int | None  # 0 or 1: of the first or second text


class TokenRow(NamedTuple):
    """What one tokenizer makes of the text."""

    name: str
    tokenizer: str  # its class
    vocabulary: int
    characters: int
    tokens: list[Token]

    @property
    def summary(self) -> str:
        """All in a line: "bert (BertTokenizer, 8,000 in the vocabulary): 12 tokens for 40 characters, 1 unknown"."""
        count = len(self.tokens)
        line = f"{self.name} ({self.tokenizer}, {self.vocabulary:,} in the vocabulary): "
        line += f"{count:,} token{'' if count == 1 else 's'} for {self.characters:,} characters"
        special = sum(token.kind == "special" for token in self.tokens)
        unknown = sum(token.kind == "unknown" for token in self.tokens)
        if count > special:
            line += f", {self.characters / (count - special):.1f} characters a token"
        return line + (f", {special} special" if special else "") + (f", {unknown} unknown" if unknown else "")


class TokenPicture:
    """The tokens of a text, by one tokenizer or by several: `print` it, `save` it, or let a notebook show it."""

    def __init__(self, rows: list[TokenRow]):
        self.rows = rows

    def __str__(self) -> str:
        return self.as_text()

    __repr__ = __str__

    def as_text(self, width: int = 80, colours: int | None = None, most: int = 1000) -> str:
        """For a terminal of `width` columns; `colours` is None for none, 256, or 24 for 24 bits."""
        from .tokens_text import as_text

        return as_text(self.rows, width, colours, most)

    def _repr_html_(self) -> str:
        from .tokens_html import fragment

        return fragment(self.rows)

    def page(self) -> str:
        """The picture as an HTML page that needs no other file."""
        from .tokens_html import page

        return page(self.rows)

    def figure(self):
        """The picture as a matplotlib figure."""
        from .tokens_figure import figure

        return figure(self.rows)

    def save(self, path) -> None:
        """Write a page (.html) or a picture (.png). Raises ValueError for any other name."""
        suffix = Path(path).suffix.lower()
        if suffix in (".html", ".htm"):
            Path(path).write_text(self.page(), encoding="utf-8")
        elif suffix == ".png":
            from .plots import save

            save(self.figure(), path)
        else:
            raise ValueError(f"{str(path)!r} must end in .html (a page) or .png (a picture).")


def show_tokens(tokenizer, text: str, text_pair: str | None = None, add_special_tokens: bool = True) -> TokenPicture:
    """A picture of the tokens of a text, or of a pair of texts.

    `tokenizer` is one, or a list of them to compare. In the picture "·" is a blank, "↵" a line's end, "⇥" a tab, ⟨E4⟩ a
    byte, and ⟨200D⟩ a character that can't be seen. Special tokens are grey; what the vocabulary lacks is red, and
    stands there as in the text. Raises what calling the tokenizer raises.
    """
    tokenizers = list(tokenizer) if isinstance(tokenizer, (list, tuple)) else [tokenizer]
    if not tokenizers:
        raise ValueError("show_tokens needs at least one tokenizer; the list is empty.")
    return TokenPicture([_row(one, text, text_pair, add_special_tokens) for one in tokenizers])


def _row(tokenizer, text: str, text_pair: str | None, add_special_tokens: bool) -> TokenRow:
    encoded = tokenizer(text, text_pair, add_special_tokens=add_special_tokens, verbose=False)
    encoding = encoded.encodings[0]
    special, added = set(tokenizer.all_special_ids), set(tokenizer.added_tokens_decoder)
    bytes_of = _bytes_of if _is_byte_level(tokenizer) else None
    tokens, number = [], 0
    for i, token, span, sequence in zip(encoding.ids, encoding.tokens, encoding.offsets, encoding.sequence_ids):
        kind = "special" if sequence is None or i in special else "text"
        if sequence is not None and i == tokenizer.unk_token_id:
            kind = "unknown"
        shown = visible(token) if bytes_of is None or i in added else visible_bytes(bytes_of(token))
        if kind == "unknown":  # what it is that the vocabulary lacks
            shown = visible((text, text_pair)[sequence][span[0] : span[1]]) or shown
        tokens.append(Token(shown, i, None if sequence is None else tuple(span), kind, number % COLOURS, sequence))
        number += kind != "special"
    name = visible(str(tokenizer.name_or_path)) or "a tokenizer"
    return TokenRow(name, type(tokenizer).__name__, len(tokenizer), len(text) + len(text_pair or ""), tokens)


def _is_byte_level(tokenizer) -> bool:
    """Whether its tokens are bytes, each written as a character."""
    engine = tokenizer._engine
    return any(
        stage is not None and "'ByteLevel'" in str(stage.to_json())
        for stage in (engine.normalizer, engine.pre_tokenizer)
    )


def _bytes_of(token: str) -> bytes:
    from ..tokenizers.byte_level import BYTES

    pieces = (bytes([BYTES[c]]) if c in BYTES else c.encode("utf-8", "surrogatepass") for c in token)
    return b"".join(pieces)


# ----- what can't be seen ---------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """The text with its white space as "·", "↵" and "⇥", and with code points for what can't be seen: "⟨200D⟩"."""
    pieces = []
    for place, character in enumerate(text):
        if character in _VISIBLE:
            pieces.append(_VISIBLE[character])
        elif "!" <= character <= "~":
            pieces.append(character)
        elif _is_hidden(character):
            pieces.append(code_point(character))
        else:
            # A mark that has nothing to stand on gets the circle that Unicode's tables draw for it.
            alone = unicodedata.category(character).startswith("M") and (place == 0 or text[place - 1] in _VISIBLE)
            pieces.append(("◌" if alone else "") + character)
    return "".join(pieces)


def visible_bytes(data: bytes) -> str:
    """The same for bytes: those that are no UTF-8 by themselves, as parts of a character, are written ⟨E4⟩."""
    text = data.decode("utf-8", "surrogateescape")  # a byte that can't be decoded becomes U+DC00 + byte
    parts = [f"⟨{ord(c) - 0xDC00:02X}⟩" if "\udc80" <= c <= "\udcff" else c for c in text]
    shown, run = [], []
    for part in parts:
        if len(part) == 1:
            run.append(part)
            continue
        shown += [visible("".join(run)), part]
        run = []
    return "".join([*shown, visible("".join(run))])


def code_point(character: str) -> str:
    return f"⟨{ord(character):02X}⟩"


def _is_hidden(character: str) -> bool:
    """Control and format characters, odd blanks, halves of pairs, unassigned and private ones; and what stands in for
    another here. Joiners, variation selectors and skin colours would change what stands before them.
    """
    if character in _VISIBLE.values() or unicodedata.category(character)[0] in "CZ":
        return True
    code = ord(character)
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x1F3FB <= code <= 0x1F3FF


def columns(text: str) -> int:
    """How many columns a terminal gives to a visible text: two for wide characters, none for marks."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or 0x1160 <= ord(character) <= 0x11FF:  # vowels of Hangul join
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
