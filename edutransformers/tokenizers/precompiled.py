"""SentencePiece's precompiled map: which characters, or sequences of them, a text's normalization replaces by what.

The map is a blob of bytes out of a `.model` file or a tokenizer.json: four bytes that say how long the trie is, the
trie, and behind it the replacements, each ended by a zero byte. The trie is a double array (Aoe 1989): one array of
32-bit units, where the child for byte b of the node at place p with the offset o is at (p ^ o) ^ b, if the unit there
has b as its label.

Source: SentencePiece's normalizer.cc and Darts-clone, whose format this reads.
"""

import re
import struct
from collections.abc import Iterator
from functools import lru_cache

import regex

_GRAPHEME = regex.compile(r"\X")
_LABEL = (1 << 31) | 0xFF
_VALUE = (1 << 31) - 1
LONGEST = 6  # a grapheme of this many bytes or more is replaced character by character


class PrecompiledMap:
    """Raises ValueError for a blob that is none."""

    def __init__(self, blob: bytes):
        self.blob = blob
        self.units: tuple[int, ...] = ()
        self.replacements = b""
        if blob:
            if len(blob) < 4:
                raise ValueError(f"the precompiled map has {len(blob)} bytes: expected a trie's length and a trie.")
            (size,) = struct.unpack("<I", blob[:4])
            if size % 4 or size > len(blob) - 4:
                raise ValueError(f"the precompiled map's trie is said to have {size} of {len(blob) - 4} bytes.")
            self.units = struct.unpack(f"<{size // 4}I", blob[4 : 4 + size])
            self.replacements = blob[4 + size :]
        self.cached = lru_cache(maxsize=4096)(self._parts)
        # Blanks, letters, signs that the map leaves alone: between two of them a grapheme ends, so what stands between
        # such borders can be replaced by itself.
        untouched = "".join([re.escape(c) for c in map(chr, range(0x20, 0x7F)) if self._replacement(c) is None])
        self.changeable = re.compile(f"[{untouched}]?(?:[^{untouched}]+[{untouched}]?)+" if untouched else r"(?s:.+)")

    def __reduce__(self):
        return PrecompiledMap, (self.blob,)

    def changes(self, text: str) -> list[tuple[str, int]] | None:
        """(character, change) as AlignedText.transform takes them; None if nothing is replaced.

        What a reader sees as one character (a grapheme) is looked up whole if it is short, else character by character.
        """
        changed, is_changed = [], False
        for grapheme in _GRAPHEME.findall(text):
            for part, found in (self.cached if len(grapheme) < LONGEST else self._parts)(grapheme):
                if found is None:
                    changed.append((part, 0))
                else:
                    is_changed = True
                    _replace(changed, part, found)
        return changed if is_changed else None

    def _parts(self, grapheme: str) -> list[tuple[str, str | None]]:
        """The grapheme, or its characters, with what stands for each."""
        if len(grapheme.encode("utf-8")) < LONGEST and (whole := self._replacement(grapheme)) is not None:
            return [(grapheme, whole)]
        return [(character, self._replacement(character)) for character in grapheme]

    def _replacement(self, text: str) -> str | None:
        """What stands for the shortest beginning of the text that the trie knows; None if it knows none."""
        return next((found for _, found in self.matches(text.encode("utf-8"))), None)

    def matches(self, data: bytes, start: int = 0) -> Iterator[tuple[int, str]]:
        """(stop, what stands for data[start:stop]) for each beginning of data[start:] that the trie knows."""
        units = self.units
        if not units:
            return
        place = _offset(units[0])
        for stop in range(start + 1, len(data) + 1):
            byte = data[stop - 1]
            if byte == 0:
                return
            place ^= byte
            if place >= len(units) or units[place] & _LABEL != byte:
                return
            unit = units[place]
            place ^= _offset(unit)
            if place >= len(units):
                raise ValueError("the precompiled map is broken: its trie leads out of itself.")
            if unit >> 8 & 1:  # a key ends here
                yield stop, self._replacement_at(units[place] & _VALUE)

    def _replacement_at(self, start: int) -> str:
        try:
            return self.replacements[start : self.replacements.index(b"\0", start)].decode("utf-8")
        except ValueError:  # no zero byte, or no UTF-8
            raise ValueError("the precompiled map is broken: its trie leads to no replacement.") from None


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


def _replace(changed: list[tuple[str, int]], old: str, new: str) -> None:
    """Append `new` for `old`: too many characters are insertions, too few make those before them stand for several."""
    more = len(new) - len(old)
    changed += [(character, 0) for character in new]
    for back in range(1, more + 1):
        if back <= len(changed):
            changed[-back] = (changed[-back][0], 1)
    if more < 0 and changed:
        character, change = changed[-1]
        changed[-1] = (character, change + more)
