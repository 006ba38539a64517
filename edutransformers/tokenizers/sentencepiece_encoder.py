"""SentencePiece itself, from a `.model`: equal to the sentencepiece library on any text, for all its four algorithms.

The original's fast tokenizers, and the stages of `sentencepiece_stages.py`, do nearly the same. They differ where
- a letter has several marks: SentencePiece looks for the longest entry of its map, again and again; the stages'
  `Precompiled` takes the shortest entry that a grapheme begins with, and drops what is left of the grapheme;
- a text ends with white space other than a blank, which the stages drop as well;
- "<s>", "<unk>" or "<0x41>" is written out in a text: the stages find these pieces, SentencePiece never does;
- a control or user-defined piece stands in a text: the stages treat what is behind it as a text of its own;
- two cuts of a word have equal sums of scores, as in "--------------": SentencePiece sums in float32, and then rounding
  decides.

Everything here works on the text as a whole, in the order in which it is written below: normalize, cut, ids.

Source: Kudo and Richardson 2018; SentencePiece 0.2.3.
"""

import heapq
import itertools
import re
from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from edutransformers.tokenizers.aligned_text import Span
from edutransformers.tokenizers.inputs import check_text
from edutransformers.tokenizers.precompiled import PrecompiledMap
from edutransformers.tokenizers.sentencepiece_model import BLANK, NormalizerSettings, SentencePieceModel
from edutransformers.tokenizers.unigram import UNKNOWN_PENALTY
from edutransformers.tokenizers.wordpiece import Token

Cut = list[tuple[str, int]]  # the text of a piece, and its id

LARGEST_SCORE = 100_000.0  # a sum beyond it is taken back to 0: float32 would lose what the next piece adds
DEEPEST_SPLIT = 100  # an unused piece is taken apart this often at most


class SentencePieceEncoder:
    """encode(text) -> ids, decode(ids) -> text. Raises ValueError for a model without its 256 bytes, if it needs them.

    >>> encoder = SentencePieceEncoder(read_sentencepiece("spiece.model"))                      # doctest: +SKIP
    """

    def __init__(self, model: SentencePieceModel):
        self.model = model
        self.unk_id = model.unk_id
        self.types = [piece.type for piece in model.pieces]
        self.scores = [piece.score for piece in model.pieces]
        self._type_of = {piece.piece: piece.type for piece in model.pieces}
        # Control, byte and unknown pieces are never found in a text.
        self.ids = {
            piece.piece: i for i, piece in enumerate(model.pieces) if piece.type in ("normal", "user_defined", "unused")
        }
        self.longest = max(map(len, self.ids), default=0)
        lowest = min((piece.score for piece in model.pieces if piece.type == "normal"), default=0.0)
        self.unknown_score = np.float32(lowest) - np.float32(UNKNOWN_PENALTY)
        self.byte_ids = None
        if model.trainer.byte_fallback:
            ids = {piece.piece: i for i, piece in enumerate(model.pieces) if piece.type == "byte"}
            missing = [byte for byte in range(256) if f"<0x{byte:02X}>" not in ids]
            if missing:
                raise ValueError(
                    f"The model writes unknown characters as bytes, but {len(missing)} of the 256 have no piece, the "
                    f"first is <0x{missing[0]:02X}>."
                )
            self.byte_ids = [ids[f"<0x{byte:02X}>"] for byte in range(256)]
        own = sorted((piece.piece for piece in model.pieces if piece.type == "user_defined"), key=len, reverse=True)
        # User-defined pieces as a whole, the longest first; else one character.
        self._user_defined = re.compile("|".join(map(re.escape, own))) if own else None
        self._normalize = _Normalization(model.normalizer, self._user_defined, model.trainer.treat_whitespace_as_suffix)
        self._denormalize = _Normalization(model.denormalizer, None) if _has_map(model.denormalizer) else None

    # ----- encode -----------------------------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        return [i for _, i in self.pieces(text)]

    def pieces(self, text: str) -> Cut:
        """(piece, id) of each token. A run of unknown characters is one, or is written as bytes."""
        return [(token.text, token.id) for token in self.tokens(self.normalize(text))]

    def normalize(self, text: str) -> str:
        """The text as it is cut: rewritten by the model's map, with "▁" for blanks."""
        return self.normalize_with_spans(text)[0]

    def normalize_with_spans(self, text: str) -> tuple[str, list[Span]]:
        """The same, and for each of its characters the (start, stop) of the text that it stands for."""
        check_text(text, "text")
        return self._normalize(text)

    def tokens(self, normalized: str) -> list[Token]:
        """The tokens of a text that is normalized, with their places in it; `Token.text` is the piece."""
        cut = {"unigram": self._unigram, "bpe": self._bpe, "word": self._words, "char": self._characters}
        tokens: list[Token] = []
        stop = 0
        for unknown, run in itertools.groupby(
            cut[self.model.trainer.model_type](normalized), key=lambda piece: piece[1] == self.unk_id
        ):
            if not unknown:
                for piece, i in run:
                    tokens.append(Token(i, stop, stop := stop + len(piece), piece))
                continue
            joined = "".join([piece for piece, _ in run])
            start, stop = stop, stop + len(joined)
            if self.byte_ids is None:
                tokens.append(Token(self.unk_id, start, stop, joined))
                continue
            for place, character in enumerate(joined, start):
                for byte in character.encode("utf-8"):
                    tokens.append(Token(self.byte_ids[byte], place, place + 1, f"<0x{byte:02X}>"))
        return tokens

    def _unigram(self, text: str) -> Cut:
        """The cut with the highest sum of scores (unigram.py). SentencePiece sums in float32, so ties fall as they do
        there; a user-defined piece has a score that no cut of it can reach.
        """
        best: list = [None] * (len(text) + 1)  # (score, start of the last piece, its id) of the best cut up to here
        best[0] = (np.float32(0), 0, -1)
        for start in range(len(text)):
            so_far = best[start][0]
            if abs(so_far) > LARGEST_SCORE:
                reached = min(start + self.longest, len(text))
                for stop in range(start, reached + 1):
                    if best[stop] is not None:
                        best[stop] = (best[stop][0] - so_far, *best[stop][1:])
                so_far = best[start][0]
            edges, has_character = [], False
            for stop in range(start + 1, min(start + self.longest, len(text)) + 1):
                i = self.ids.get(text[start:stop])
                if i is not None and self.types[i] != "unused":
                    edges.append((stop, i, self._score(i)))
                    has_character = has_character or stop == start + 1
            if not has_character:
                edges.append((start + 1, self.unk_id, self.unknown_score))
            for stop, i, score in edges:
                candidate = so_far + score
                if best[stop] is None or candidate > best[stop][0]:
                    best[stop] = (candidate, start, i)
        cut, stop = [], len(text)
        while stop:
            _, start, i = best[stop]
            cut.append((text[start:stop], i))
            stop = start
        return cut[::-1]

    def _score(self, i: int) -> np.float32:
        if self.types[i] == "user_defined":
            return np.float32(0.1 * (len(self.model.pieces[i].piece.encode("utf-8")) - 1))
        return np.float32(self.scores[i])

    def _bpe(self, text: str) -> Cut:
        """Join the neighbours that make the piece of the highest score, the leftmost of equals, until none are left.

        A user-defined piece joins nothing. An unused one can be made, but is taken apart in the end, as it was made.
        """
        symbols = self._symbols(text)
        texts: list[str | None] = [symbol for symbol, _ in symbols]  # None: joined to the one before
        frozen = [is_frozen for _, is_frozen in symbols]
        after, before = list(range(1, len(texts) + 1)), list(range(-1, len(texts) - 1))
        heap: list[tuple[float, int, int, int]] = []
        parts: dict[str, tuple[str, str]] = {}  # an unused piece -> what it was made of

        def look(left: int, right: int) -> None:
            if left < 0 or right >= len(texts) or frozen[left] or frozen[right]:
                return
            joined = texts[left] + texts[right]
            i = self.ids.get(joined)
            if i is not None:
                heapq.heappush(heap, (-self.scores[i], left, right, len(joined)))
                if self.types[i] == "unused":
                    parts[joined] = (texts[left], texts[right])

        for left in range(len(texts) - 1):
            look(left, left + 1)
        while heap:
            _, left, right, length = heapq.heappop(heap)
            if texts[left] is None or texts[right] is None or len(texts[left]) + len(texts[right]) != length:
                continue  # a neighbour was joined to something else meanwhile
            texts[left], texts[right] = texts[left] + texts[right], None
            after[left] = after[right]
            if after[right] < len(texts):
                before[after[right]] = left
            look(before[left], left)
            look(left, after[left])

        def split(piece: str, depth: int = 0) -> Cut:
            i = self.ids.get(piece, self.unk_id)
            if self.types[i] != "unused" or depth > DEEPEST_SPLIT:
                return [(piece, i)]
            if piece not in parts:
                return [(piece, self.unk_id)]
            return [token for part in parts[piece] for token in split(part, depth + 1)]

        return [token for piece in texts if piece is not None for token in split(piece)]

    def _words(self, text: str) -> Cut:
        """Each word, with the "▁" that begins it, is a piece or unknown."""
        return [(word, self._known(word)) for word in _WORD.findall(text)]

    def _characters(self, text: str) -> Cut:
        """Each character, or user-defined piece, is a piece or unknown."""
        return [(symbol, self._known(symbol)) for symbol, _ in self._symbols(text)]

    def _known(self, piece: str) -> int:
        i = self.ids.get(piece, self.unk_id)
        return self.unk_id if self.types[i] == "unused" else i

    def _symbols(self, text: str) -> list[tuple[str, bool]]:
        """(user-defined piece, True) or (character, False), from left to right."""
        if self._user_defined is None:
            return [(character, False) for character in text]
        symbols, done = [], 0
        for match in self._user_defined.finditer(text):
            symbols += [(character, False) for character in text[done : match.start()]]
            symbols.append((match[0], True))
            done = match.end()
        return symbols + [(character, False) for character in text[done:]]

    # ----- decode -----------------------------------------------------------------------------------------------------

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Control pieces are left out, unknown ones are " ⁇ ", bytes are put together.

        Raises ValueError for an id outside the vocabulary.
        """
        return self.decode_pieces([self.model.pieces[self._checked(i)].piece for i in ids])

    def decode_pieces(self, pieces: Iterable[str]) -> str:
        """The same for pieces; one that the model doesn't have stays as it is."""
        settings = self.model.normalizer
        text, at_start = "", True  # at_start: a "▁" here is not of the text
        for kind, run in itertools.groupby(pieces, key=self._type_of.get):
            if kind == "byte":
                text += _text_of_bytes(bytes(int(piece[3:5], 16) for piece in run))
                continue
            for piece in run:
                at_start = at_start and not text
                if kind == "control":
                    continue
                takes = at_start and (settings.add_dummy_prefix or settings.remove_extra_whitespaces)
                if takes and piece.startswith(BLANK) and kind is not None:
                    piece = piece[1:]
                    at_start = settings.remove_extra_whitespaces  # else only one blank was put there
                if kind == "unknown":
                    piece = self.model.trainer.unk_surface
                text += piece if kind is None else piece.replace(BLANK, " ")
        return text if self._denormalize is None else self._denormalize(text)[0]

    def _checked(self, i: int) -> int:
        if not 0 <= i < len(self.types):
            raise ValueError(f"The id {i} is outside the vocabulary, which has {len(self.types)} pieces.")
        return i


class _Normalization:
    """Rewrite a text by a map, put a blank before it, take extra blanks away, write blanks as "▁"."""

    def __init__(self, settings: NormalizerSettings, user_defined: re.Pattern | None, blank_behind: bool = False):
        self.settings = settings
        self.user_defined = user_defined
        self.blank_behind = blank_behind
        self.map = PrecompiledMap(settings.precompiled_charsmap)

    def __call__(self, text: str) -> tuple[str, list[Span]]:
        settings = self.settings
        blank = BLANK if settings.escape_whitespaces else " "
        parts = list(self._replaced(text))
        if settings.remove_extra_whitespaces:
            parts = list(itertools.dropwhile(lambda part: part[0] == " ", parts))
        if not parts:
            return "", []
        written: list[tuple[str, Span]] = []  # each character with its span
        behind_blank = settings.remove_extra_whitespaces
        for part, span in parts:
            if behind_blank:
                part = part.lstrip(" ")
            if part:
                written += [(character, span) for character in part.replace(" ", blank)]
                behind_blank = settings.remove_extra_whitespaces and part.endswith(" ")
        if settings.add_dummy_prefix and not self.blank_behind:
            start, _ = parts[0][1]
            written.insert(0, (blank, (start, start)))
        while settings.remove_extra_whitespaces and written and written[-1][0] == blank:
            written.pop()  # also a "▁" that the text itself ends with
        if settings.add_dummy_prefix and self.blank_behind:
            _, stop = parts[-1][1]
            written.append((blank, (stop, stop)))
        return "".join([character for character, _ in written]), [span for _, span in written]

    def _replaced(self, text: str) -> Iterable[tuple[str, Span]]:
        """What stands for each part of the text: a user-defined piece for itself, then the longest entry of the map."""
        data = text.encode("utf-8")
        starts = [m.start() for m in _FIRST_BYTE.finditer(data)]
        done = 0
        for place, start in enumerate(starts):
            if start < done:
                continue
            if self.user_defined is not None and (match := self.user_defined.match(text, place)):
                done = start + len(match[0].encode("utf-8"))
                yield match[0], match.span()
                continue
            done, found = start + 1, None
            for done, found in self.map.matches(data, start):  # noqa: B007 (the last one is the longest)
                pass
            if found is None:
                yield text[place], (place, place + 1)
            else:
                yield found, (place, bisect_left(starts, done))


_WORD = re.compile(f"{BLANK}[^{BLANK}]*|[^{BLANK}]+")
_FIRST_BYTE = re.compile(b"[^\x80-\xbf]")


def _has_map(settings: NormalizerSettings | None) -> bool:
    return settings is not None and bool(settings.precompiled_charsmap)


def _text_of_bytes(data: bytes) -> str:
    """UTF-8; each byte that is not part of a character becomes U+FFFD (Python makes one of several)."""
    text = ""
    while data:
        try:
            return text + data.decode("utf-8")
        except UnicodeDecodeError as error:
            text += data[: error.start].decode("utf-8") + "\ufffd"
            data = data[error.start + 1 :]
    return text
