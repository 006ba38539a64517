"""A text on its way through normalization that remembers which part of the original each character came from.

Normalization changes lengths: "é" becomes two characters and then one, a control character disappears, "好" becomes
" 好 ". The offsets a tokenizer reports are positions in the text the caller gave, so each character carries its span.
"""

from collections.abc import Callable, Iterable

from edutransformers.tokenizers.characters import combining_class, decompose

Span = tuple[int, int]


class AlignedText:
    """`text` and, for each of its characters, the (start, stop) of the original text that it stands for.

    `spans` is None as long as character i is still original character first + i: most texts stay so to the end.
    """

    __slots__ = ("first", "spans", "text")

    def __init__(self, text: str, spans: list[Span] | None = None, first: int = 0):
        self.text = text
        self.spans = spans
        self.first = first

    def __len__(self) -> int:
        return len(self.text)

    def original_span(self, start: int, stop: int) -> Span:
        """Where text[start:stop], which must not be empty, came from."""
        if self.spans is None:
            return self.first + start, self.first + stop
        return self.spans[start][0], self.spans[stop - 1][1]

    def slice(self, start: int, stop: int) -> "AlignedText":
        """The part [start:stop]; its spans still point into the whole original text."""
        if self.spans is None:
            return AlignedText(self.text[start:stop], first=self.first + start)
        return AlignedText(self.text[start:stop], self.spans[start:stop])

    def remove(self, pattern) -> None:
        """Drop each character that matches (a compiled pattern of one character)."""
        spans = self._spans()
        kept = [i for i, character in enumerate(self.text) if not pattern.match(character)]
        self.text, self.spans = "".join([self.text[i] for i in kept]), [spans[i] for i in kept]

    def prepend(self, text: str) -> None:
        """Put text in front; it gets the span of the character that was the first. Nothing happens to an empty text."""
        if self.text:
            spans = self._spans()
            self.spans = [spans[0]] * len(text) + spans
            self.text = text + self.text

    def replace_each(self, replacement: Callable[[str], str]) -> None:
        """Put replacement(character), one character or more, in each one's place; all of them keep its span."""
        pieces = [replacement(character) for character in self.text]
        text = "".join(pieces)
        if len(text) != len(pieces) or self.spans is not None:
            self.spans = [span for span, piece in zip(self._spans(), pieces) for _ in piece]
        self.text = text

    def decompose(self) -> None:
        """Canonical decomposition (NFD): split composed characters, then sort each run of marks by combining class.

        A character that is the first of a decomposition uses up one original character, the others of it share the
        span of the character used up last. After sorting, this pairs a moved mark with its neighbour's span: the
        reference does so, and offsets must be equal.
        """
        spans = self._spans()
        characters, new_spans, used = [], [], 0
        for character, is_inserted in _sorted_decomposition(self.text):
            characters.append(character)
            if not is_inserted:
                used += 1
            new_spans.append(spans[used - 1] if used else (0, 0))
        self.text, self.spans = "".join(characters), new_spans

    def _spans(self) -> list[Span]:
        if self.spans is not None:
            return self.spans
        return [(i, i + 1) for i in range(self.first, self.first + len(self.text))]


def _sorted_decomposition(text: str) -> Iterable[tuple[str, bool]]:
    """(character, whether it is a later part of a decomposition), marks in canonical order."""
    marks: list[tuple[int, str, bool]] = []  # the run of marks since the last base character
    for composed in text:
        for i, character in enumerate(decompose(composed)):
            order = combining_class(character)
            if order:
                marks.append((order, character, i > 0))
                continue
            if marks:
                yield from ((c, inserted) for _, c, inserted in sorted(marks, key=lambda mark: mark[0]))
                marks.clear()
            yield character, i > 0
    yield from ((c, inserted) for _, c, inserted in sorted(marks, key=lambda mark: mark[0]))
