"""A text as words: normalized, cut at the added tokens that are searched in normalized text, pre-tokenized.

This is done to a text once with `PlainText`, for ids, and again with `AlignedText` if somebody asks for offsets. Both
give the same words.
"""

from collections.abc import Iterator
from typing import NamedTuple

from edutransformers.tokenizers.added_tokens import TokenFinder
from edutransformers.tokenizers.aligned_text import AlignedText, PlainText, Span
from edutransformers.tokenizers.encoding import Chunk
from edutransformers.tokenizers.normalizers import Normalizer
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizer


class WordStages(NamedTuple):
    """Normalizer, search for added tokens, pre-tokenizer: what stands before the model."""

    normalizer: Normalizer | None
    pre_tokenizer: PreTokenizer | None
    finder: TokenFinder = TokenFinder([])
    keep: frozenset = frozenset()  # added tokens that are left in the text

    def runs(self, text: AlignedText) -> Iterator[tuple[list[AlignedText], int | None]]:
        """(words, None) of what stands between added tokens, and ([the token's text], its id); none is empty."""
        if self.normalizer is not None:
            self.normalizer.apply(text)
        for start, stop, added in self.finder.split(text.text, self.keep):
            piece = text.slice(start, stop)
            if added is not None:
                yield [piece], added
            elif self.pre_tokenizer is None:
                yield [piece], None
            else:
                yield [word for word in self.pre_tokenizer.pre_tokenize(piece) if word.text], None

    def plain_runs(self, text: str, first: int = 0) -> Iterator[tuple[list[AlignedText], int | None]]:
        """The same words without spans, as quick as it can be."""
        needs_place = self.pre_tokenizer is not None and self.pre_tokenizer.needs_place
        # PlainText knows where a text begins as long as nothing has been done to it.
        is_known = self.normalizer is None and isinstance(self.pre_tokenizer, Metaspace)
        return self.runs((AlignedText if needs_place and not is_known else PlainText)(text, first=first))


class RewrittenPart:
    """text[start:stop], whose words were looked up one by one; where their tokens stood is worked out when asked for.

    chunks  of each word's tokens: one, or one for each of the parts that `cut` cuts it into
    counts  how many chunks each word has
    """

    def __init__(self, text: str, start: int, stages: WordStages, cut, chunks: list[Chunk], counts: list[int]):
        self.text = text
        self.start = start
        self.stages = stages
        self.cut = cut
        self.chunks = chunks
        self.counts = counts

    def offsets(self) -> list[Span]:
        result = []
        chunks = iter(self.chunks)
        for words, added in self.stages.runs(AlignedText(self.text, first=self.start)) if self.text else ():
            for word in words:
                place = 0
                for part in [word.text] if added is not None else self.cut(word.text):
                    result += [word.original_span(place + start, place + stop) for start, stop in next(chunks).offsets]
                    place += len(part)
        return result

    def word_ids(self) -> tuple[list[int], int]:
        """The number of the word for each token, and how many words there are."""
        result = []
        chunks = iter(self.chunks)
        for number, count in enumerate(self.counts):
            for _ in range(count):
                result += [number] * len(next(chunks).ids)
        return result, len(self.counts)
