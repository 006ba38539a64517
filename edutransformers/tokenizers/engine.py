"""The tokenizer's engine: text -> normalizer -> words -> model -> special tokens -> truncation -> padding.

The stages are exchangeable objects; which ones a tokenizer has is what tokenizer.json says. This file joins them and
keeps the cache that makes it quick: in prose a few thousand words make up most of a text.
"""

import re
from collections.abc import Sequence

from edutransformers.tokenizers.added_tokens import AddedToken, AddedTokens
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.encoding import (
    Chunk,
    Encoding,
    Part,
    Piece,
    TokenizedText,
    TokenizedWords,
)
from edutransformers.tokenizers.padding import Padding, pad_encoding, padded_length
from edutransformers.tokenizers.post_processors import NO_SPECIAL_TOKENS
from edutransformers.tokenizers.stretches import BETWEEN_BLANKS, stretches_of
from edutransformers.tokenizers.truncation import Truncation, kept_lengths, windows

CACHE_ENTRIES = 1 << 16
LONGEST_CACHED_STRETCH = 64


class Engine:
    """Normalizer, pre-tokenizer, model, post-processor, decoder and added tokens, and what they do together.

    `never_split`: words (between blanks) that skip normalizer, pre-tokenizer and model: each is one token, or unknown.
    """

    def __init__(self, model, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None, never_split=()):
        self.model = model
        self.normalizer = normalizer
        self.pre_tokenizer = pre_tokenizer
        self.post_processor = post_processor
        self.decoder = decoder
        self.never_split = frozenset(never_split)
        self.added_tokens = AddedTokens()
        self.split_special_tokens = False
        # Read from tokenizer.json and written back; a call's arguments are what counts.
        self.truncation: Truncation | None = None
        self.padding: Padding | None = None
        self._cache = _ChunkCache(self)

    # ----- vocabulary ---------------------------------------------------------------------------------------------

    def token_to_id(self, token: str) -> int | None:
        found = self.added_tokens.ids.get(token)
        return self.model.vocab.get(token) if found is None else found

    def id_to_token(self, i: int) -> str | None:
        added = self.added_tokens.by_id.get(i)
        return self.model.id_to_token.get(i) if added is None else added.content

    def vocabulary(self, with_added_tokens: bool = True) -> dict[str, int]:
        return {**self.model.vocab, **self.added_tokens.ids} if with_added_tokens else dict(self.model.vocab)

    def add_tokens(self, tokens: Sequence[AddedToken]) -> int:
        return self.added_tokens.add(tokens, self.model, self.normalizer)

    # ----- one text ------------------------------------------------------------------------------------------------

    def tokenize(self, text: str) -> TokenizedText:
        """Cut a text into tokens, with no special tokens around them."""
        keep = frozenset(self.added_tokens.special) if self.split_special_tokens else frozenset()
        stretches = self._stretches(text)
        parts = []
        for start, stop, added in self.added_tokens.split_raw(text, keep):
            if added is not None:
                parts.append(Part(start, stop, [_one_token(added, text[start:stop], stop - start)], None))
            elif stretches is not None:
                parts += self._parts_of_stretches(text, start, stop, stretches)
            else:
                parts += self._parts_of_whole(text, start, stop, keep)
        return TokenizedText(text, parts)

    def tokenize_words(self, words: Sequence[str]) -> TokenizedWords:
        return TokenizedWords([self.tokenize(word) for word in words])

    def _stretches(self, text: str) -> re.Pattern | None:
        """The pattern that cuts this text into parts that can be looked up in the cache; None if none does."""
        if self.model.is_random:
            return None
        stretches = stretches_of(text, self.normalizer, self.pre_tokenizer)
        if stretches is not None and self.added_tokens.any_normalized:
            # A token that is searched in the normalized text may hold blanks; find out whether there is one.
            normalized = self.normalizer.normalize(text).text if self.normalizer else text
            if self.added_tokens.occurs_normalized(normalized):
                return None
        return stretches

    def _parts_of_stretches(self, text: str, start: int, stop: int, stretches: re.Pattern) -> list[Part]:
        """text[start:stop], looked up stretch by stretch."""
        parts = []
        if self.pre_tokenizer.behind_first is not self.pre_tokenizer and (first := stretches.search(text, start, stop)):
            chunk = self._tokenize_whole(first[0], first.start())
            if chunk.word_count != 1 or first[0].isspace():
                # A blank put before it has changed where it is cut, and then what stands behind it matters too.
                return self._parts_of_whole(text, start, stop, frozenset())
            start = first.end()
            parts.append(Part(first.start(), start, [chunk], None))
        found = stretches.findall(text, start, stop)
        return [*parts, Part(start, stop, list(map(self._cache.__getitem__, found)), stretches)]

    def _parts_of_whole(self, text: str, start: int, stop: int, keep: frozenset) -> list[Part]:
        """text[start:stop] in one go, or cut at the words of `never_split`."""
        parts = []
        for match in BETWEEN_BLANKS.finditer(text, start, stop) if self.never_split else ():
            if match[0] in self.never_split:
                before = self._tokenize_whole(text[start : match.start()], start, keep)
                parts.append(Part(start, match.start(), [before], None))
                parts.append(Part(match.start(), match.end(), [self._cache[match[0]]], None))
                start = match.end()
        return [*parts, Part(start, stop, [self._tokenize_whole(text[start:stop], start, keep)], None)]

    def _tokenize_whole(self, text: str, first: int = 0, keep: frozenset = frozenset(), pre_tokenizer=None) -> Chunk:
        """Normalize, cut out normalized added tokens, split into words, and each word into tokens.

        first           where in the whole text this part stands (there are stages that treat its beginning apart)
        pre_tokenizer   in place of the engine's
        """
        if not text:
            return Chunk((), (), (), (), 0)
        normalized = self.normalizer.normalize(text, first) if self.normalizer else AlignedText(text, first=first)
        ids, tokens, offsets, words, word_count = [], [], [], [], 0
        pre_tokenizer = pre_tokenizer or self.pre_tokenizer
        name_of = self.model.id_to_token

        def add(i, token, span):
            ids.append(i)
            tokens.append(token)
            offsets.append((span[0] - first, span[1] - first))
            words.append(word_count)

        for start, stop, added in self.added_tokens.split_normalized(normalized.text, keep):
            if added is not None:
                add(added, normalized.text[start:stop], normalized.original_span(start, stop))
                word_count += 1
                continue
            piece = normalized.slice(start, stop)
            for word in pre_tokenizer.pre_tokenize(piece) if pre_tokenizer else [piece]:
                if not word.text:
                    continue
                for i, token_start, token_stop, shown in self.model.tokenize(word.text):
                    add(i, shown or name_of[i], word.original_span(token_start, token_stop))
                word_count += 1
        return Chunk(tuple(ids), tuple(tokens), tuple(offsets), tuple(words), word_count)

    # ----- rows for a model ----------------------------------------------------------------------------------------

    def encode(
        self,
        first: TokenizedText | TokenizedWords,
        second: TokenizedText | TokenizedWords | None = None,
        add_special_tokens: bool = True,
        truncation: Truncation | None = None,
    ) -> list[Encoding]:
        """The row of a text or a pair, and behind it one row for each part that truncation cut off."""
        texts = [first] if second is None else [first, second]
        slots = self.layout(second is not None, add_special_tokens)
        shown = [[(0, len(text.ids))] for text in texts]
        if truncation is not None:
            special = sum(len(slot.ids) for slot in slots)
            _check_room(truncation, special, self.special_token_count(False))
            kept = kept_lengths(
                len(first.ids),
                None if second is None else len(second.ids),
                truncation.max_length - special,
                truncation.strategy,
            )
            shown = [
                windows(len(text.ids), size, truncation.stride, truncation.side) for text, size in zip(texts, kept)
            ]
        rows, trim = [], (self.post_processor or NO_SPECIAL_TOKENS).trim
        # Every window of the first text with every window of the second. The row that stays comes first; the original
        # then puts the other windows of the first text before those of the second.
        for combination in _combinations(*shown):
            pieces = []
            for slot in slots:
                if slot.sequence is None:
                    pieces.append(Piece(slot.ids, slot.type_id))
                else:
                    start, stop = combination[slot.sequence]
                    text = texts[slot.sequence]
                    pieces.append(Piece(text.ids[start:stop], slot.type_id, slot.sequence, text, start, stop))
            rows.append(Encoding(pieces, self.id_to_token, trim))
        return rows

    def pad(self, samples: list[list[Encoding]], padding: Padding) -> list[list[Encoding]]:
        """Pad the rows of all samples to one length; only the first row of a sample counts for the longest."""
        target = padded_length([len(rows[0]) for rows in samples], padding.length, padding.multiple_of)
        return [[pad_encoding(row, target, padding, self.id_to_token) for row in rows] for rows in samples]

    def layout(self, is_pair: bool, add_special_tokens: bool):
        return (self.post_processor or NO_SPECIAL_TOKENS).layout(is_pair, add_special_tokens)

    def special_token_count(self, is_pair: bool) -> int:
        return sum(len(slot.ids) for slot in self.layout(is_pair, add_special_tokens=True))

    def decode(self, tokens: list[str]) -> str:
        return self.decoder.decode(tokens) if self.decoder is not None else " ".join(tokens)

    def clear_cache(self) -> None:
        self._cache.clear()


class _ChunkCache(dict):
    """Stretch of text -> its tokens, for the last CACHE_ENTRIES or so different stretches.

    In two generations: a full one becomes the older one, whose entries move to the younger one when they are used
    again. What occurs often therefore stays, as in a least-recently-used cache, but a hit costs one dictionary lookup.
    """

    def __init__(self, engine: Engine):
        super().__init__()
        self.engine = engine
        self.older: dict[str, Chunk] = {}

    def __missing__(self, stretch: str) -> Chunk:
        chunk = self.older.get(stretch)
        if chunk is None:
            chunk = self._tokenize(stretch)
        if len(stretch) <= LONGEST_CACHED_STRETCH:
            if len(self) >= CACHE_ENTRIES // 2:
                self.older = dict(self)
                super().clear()
            self[stretch] = chunk
        return chunk

    def _tokenize(self, stretch: str) -> Chunk:
        engine = self.engine
        if stretch in engine.never_split:
            token = engine.model.unk_token if engine.token_to_id(stretch) is None else stretch
            return _one_token(engine.token_to_id(token), token, len(stretch))
        return engine._tokenize_whole(stretch, pre_tokenizer=engine.pre_tokenizer and engine.pre_tokenizer.behind_first)

    def clear(self) -> None:
        super().clear()
        self.older = {}

    def __reduce__(self):
        return _ChunkCache, (self.engine,)  # a copied or unpickled tokenizer starts with an empty cache


def _one_token(i: int, token: str, length: int) -> Chunk:
    return Chunk((i,), (token,), ((0, length),), (0,), 1)


def _combinations(first: list, second: list | None = None) -> list[tuple]:
    if second is None:
        return [(window,) for window in first]
    kept, *others = first
    return [(kept, second[0]), *((a, b) for a in others for b in second), *((kept, b) for b in second[1:])]


def _check_room(truncation: Truncation, special: int, special_of_one: int) -> None:
    if truncation.max_length < special:
        raise ValueError(
            f"max_length={truncation.max_length} leaves no room beside {special} special tokens; use a larger "
            "max_length or add_special_tokens=False."
        )
    # Whether a stride fits is known for sure only when the windows are cut; this catches what can never fit, as the
    # original does, also where no text is long enough to be cut.
    room = truncation.max_length - special_of_one
    if 0 <= room < truncation.stride:
        raise ValueError(
            f"stride={truncation.stride} must be smaller than the {room} tokens that "
            f"max_length={truncation.max_length} leaves beside {special_of_one} special tokens."
        )
