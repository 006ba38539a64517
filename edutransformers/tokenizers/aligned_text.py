"""A text on its way through normalization that remembers which part of the original each character came from.

Normalization changes lengths: "é" becomes two characters and then one, a control character disappears, "好" becomes
" 好 ". The offsets a tokenizer reports are positions in the text the caller gave, so each character carries its span.

That memory costs ten times what the rewriting itself does, and most callers want ids only. Hence `PlainText`: the same
operations without spans. Normalizers and pre-tokenizers are written once and work on either.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator

from edutransformers.tokenizers.characters import LATE, combining_class, compose, decompose
from edutransformers.tokenizers.patterns import Pattern

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
        dropped = {match.start() for match in pattern.finditer(self.text)}
        kept = [i for i in range(len(self.text)) if i not in dropped]
        self.text, self.spans = "".join([self.text[i] for i in kept]), [spans[i] for i in kept]

    def prepend(self, text: str) -> None:
        """Put text in front; it gets the span of the character that was the first. Nothing happens to an empty text."""
        if self.text:
            spans = self._spans()
            self.spans = [spans[0]] * len(text) + spans
            self.text = text + self.text

    def matches(self, pattern) -> list["AlignedText"]:
        """The parts that match a compiled pattern."""
        return [self.slice(*match.span()) for match in pattern.finditer(self.text)]

    def replace_each(self, replacement: Callable[[str], str]) -> None:
        """Put replacement(character), one character or more, in each one's place; all of them keep its span."""
        pieces = [replacement(character) for character in self.text]
        text = "".join(pieces)
        if len(text) != len(pieces) or self.spans is not None:
            self.spans = [span for span, piece in zip(self._spans(), pieces) for _ in piece]
        self.text = text

    def transform(self, characters: Iterable[tuple[str, int]]) -> None:
        """Other characters, each with its change: 0 takes one old character's place, 1 is inserted behind the one
        before, −n takes one old character's place and n more vanish.

        What is inserted has the span of the old character used up last, what takes the place of several that of the
        first of them: the reference does so, and offsets must be equal.
        """
        spans, text, new_spans, used = self._spans(), [], [], 0
        for character, change in characters:
            text.append(character)
            if change > 0:
                new_spans.append(spans[used - 1] if used else (0, 0))
            else:
                new_spans.append(spans[used])
                used += 1 - change
        self.text, self.spans = "".join(text), new_spans

    def transform_matches(self, pattern, changes: Callable[[str], Iterable[tuple[str, int]] | None]) -> None:
        """`transform` where a compiled pattern matches: changes(match), or None for no change; the rest stays."""
        characters, done = [], 0
        for match in pattern.finditer(self.text):
            changed = changes(match[0])
            if changed is not None:
                characters += [(character, 0) for character in self.text[done : match.start()]]
                characters += changed
                done = match.end()
        if done:
            self.transform([*characters, *((character, 0) for character in self.text[done:])])

    def decompose(self, compatibility: bool = False) -> None:
        """Canonical decomposition (NFD): split composed characters, then sort each run of marks by combining class.

        With `compatibility` (NFKD) also split characters that are mere forms of others: "ﬁ" into "f" and "i".
        """
        self.transform(sorted_decomposition(self.text, compatibility))

    def compose(self, compatibility: bool = False) -> None:
        """NFC, or with `compatibility` NFKC: decompose, then join each mark with its base where there is such a
        character.
        """
        self.transform(recomposition(sorted_decomposition(self.text, compatibility)))

    def replace(self, pattern: Pattern, content: str) -> None:
        """Put `content` for each match; it has the span of the match's last character."""
        if not pattern.is_regex and len(pattern.source) == len(content) == 1:
            self.text = self.text.replace(pattern.source, content)
            return
        spans, text, new_spans, done = self._spans(), [], [], 0
        for match in pattern.compiled.finditer(self.text):
            start, stop = match.span()
            if start == stop:
                continue
            text += [self.text[done:start], content]
            new_spans += spans[done:start] + [spans[stop - 1]] * len(content)
            done = stop
        if done:
            self.text, self.spans = "".join([*text, self.text[done:]]), new_spans + spans[done:]

    def cut(self, start: int, stop: int) -> None:
        """Keep [start:stop) alone."""
        kept = self.slice(start, stop)
        self.text, self.spans, self.first = kept.text, kept.spans, kept.first

    def _spans(self) -> list[Span]:
        if self.spans is not None:
            return self.spans
        return [(i, i + 1) for i in range(self.first, self.first + len(self.text))]


class PlainText(AlignedText):
    """The same operations on a text that forgets where its characters came from: for those who want ids only."""

    __slots__ = ()

    def slice(self, start, stop):
        return PlainText(self.text[start:stop], first=self.first + start)

    def remove(self, pattern):
        self.text = pattern.sub("", self.text)

    def prepend(self, text):
        if self.text:
            self.text = text + self.text

    def matches(self, pattern):
        return [PlainText(found) for found in pattern.findall(self.text)]

    def replace_each(self, replacement):
        self.text = "".join(map(replacement, self.text))

    def transform(self, characters):
        self.text = "".join([character for character, _ in characters])

    def transform_matches(self, pattern, changes):
        def changed(match):
            characters = changes(match[0])
            return match[0] if characters is None else "".join([character for character, _ in characters])

        self.text = pattern.sub(changed, self.text)

    def decompose(self, compatibility=False):
        if LATE.search(self.text):
            super().decompose(compatibility)
        else:
            self.text = unicodedata.normalize("NFKD" if compatibility else "NFD", self.text)

    def compose(self, compatibility=False):
        if LATE.search(self.text):
            super().compose(compatibility)
        else:
            self.text = unicodedata.normalize("NFKC" if compatibility else "NFC", self.text)

    def replace(self, pattern, content):
        if pattern.is_regex:
            self.text = pattern.compiled.sub(lambda match: content if match[0] else "", self.text)
        elif pattern.source:
            self.text = self.text.replace(pattern.source, content)

    def cut(self, start, stop):
        self.text = self.text[start:stop]


def sorted_decomposition(text: str, compatibility: bool = False) -> Iterator[tuple[str, int]]:
    """(character, 1 for a later part of a decomposition, else 0), marks in canonical order."""
    marks: list[tuple[int, str, int]] = []  # the run of marks since the last base character
    for composed in text:
        for i, character in enumerate(decompose(composed, compatibility)):
            inserted = int(i > 0)
            order = combining_class(character)
            if order:
                marks.append((order, character, inserted))
                continue
            if marks:
                yield from ((c, inserted) for _, c, inserted in sorted(marks, key=lambda mark: mark[0]))
                marks.clear()
            yield character, inserted
    yield from ((c, inserted) for _, c, inserted in sorted(marks, key=lambda mark: mark[0]))


def recomposition(decomposed: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Join characters with the base character before them where both are one character (Unicode's algorithm).

    Between a base and what joins it there may be marks that don't, but none of the same or a higher combining class.
    """
    base: tuple[str, int] | None = None
    behind: list[tuple[str, int]] = []  # marks behind the base that didn't join it
    last_class = 0  # the combining class of the last of them
    for character, change in decomposed:
        order = combining_class(character)
        if base is not None and (not behind or last_class < order):
            joined = compose(base[0], character)
            if joined is not None:
                base = (joined, base[1] + change - 1)
                continue
        if order == 0:
            if base is not None:
                yield base
            yield from behind
            base, behind = (character, change), []
        elif base is None:
            yield character, change
        else:
            behind.append((character, change))
            last_class = order
    if base is not None:
        yield base
    yield from behind
