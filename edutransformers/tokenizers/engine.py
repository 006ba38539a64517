"""The tokenizer's engine: text -> normalizer -> words -> model -> special tokens -> truncation -> padding.

The stages are exchangeable objects; which ones a tokenizer has is what tokenizer.json says. This file joins them and
keeps the caches that make it quick: in prose a few thousand words make up most of a text. Where the stages allow it, a
text is cut into stretches as it stands and all stages' work on each is cached (stretches.py). Where not, the text is
normalized and cut into words, and what the model makes of each word is cached (words.py).
"""

import re
from collections.abc import Sequence
from itertools import chain

from edutransformers.tokenizers.added_tokens import AddedToken, AddedTokens
from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.cache import BoundedCache
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
from edutransformers.tokenizers.stretches import BETWEEN_BLANKS, leaves_words, stretches_of
from edutransformers.tokenizers.truncation import Truncation, kept_lengths, windows
from edutransformers.tokenizers.wordpiece import Token
from edutransformers.tokenizers.words import RewrittenPart, WordStages

NONE = frozenset()


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
        self._make_caches()

    def _make_caches(self) -> None:
        self._stretches = BoundedCache(self._tokenize_stretch)
        self._words = BoundedCache(self._tokenize_word)

    def __getstate__(self) -> dict:
        """A copied or unpickled engine starts with caches of its own, empty ones."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_stretches", "_words")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._make_caches()

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
        keep = frozenset(self.added_tokens.special) if self.split_special_tokens else NONE
        stretches = self._stretches_of(text)
        parts = []
        for start, stop, added in self.added_tokens.split_raw(text, keep):
            part = text[start:stop]
            if added is not None:
                parts.append(Part(part, start, [_one_token(added, part, len(part))]))
            elif stretches is not None:
                parts += self._parts_of_stretches(part, start, stretches)
            else:
                parts += self._parts_of_words(part, start, keep)
        return TokenizedText(text, parts)

    def tokenize_words(self, words: Sequence[str]) -> TokenizedWords:
        return TokenizedWords([self.tokenize(word) for word in words])

    def _stretches_of(self, text: str) -> re.Pattern | None:
        """The pattern that cuts this text into parts that can be looked up in the cache; None if none does."""
        if self.model.is_random:
            return None
        stretches = stretches_of(text, self.normalizer, self.pre_tokenizer)
        if stretches is not None and self.added_tokens.any_normalized:
            # A token that is searched in the normalized text may hold blanks; find out whether there is one.
            normalized = self.normalizer.plain(text) if self.normalizer else text
            if self.added_tokens.occurs_normalized(normalized):
                return None
        return stretches

    def _parts_of_stretches(self, text: str, start: int, stretches: re.Pattern) -> list:
        """The text, looked up stretch by stretch; it begins at `start` of the whole."""
        found = stretches.findall(text)
        if leaves_words(text, found, self.pre_tokenizer):
            return self._parts_of_words(text, start, NONE)
        if not self.pre_tokenizer.begins_differently or not found:
            return [Part(text, start, list(map(self._stretches.__getitem__, found)), stretches)]
        first = next(stretches.finditer(text))
        chunk = self._tokenize_whole(first[0], start + first.start())
        if chunk.word_count != 1 or first[0].isspace():
            # A blank put before it has changed where it is cut, and then what stands behind it matters too.
            return self._parts_of_words(text, start, NONE)
        rest = list(map(self._stretches.__getitem__, found[1:]))
        return [
            Part(first[0], start + first.start(), [chunk]),
            Part(text[first.end() :], start + first.end(), rest, stretches),
        ]

    def _parts_of_words(self, text: str, start: int, keep: frozenset) -> list:
        """The text, its words looked up one by one; those of `never_split` are cut out first."""
        parts, done = [], 0
        for match in BETWEEN_BLANKS.finditer(text) if self.never_split else ():
            if match[0] in self.never_split:
                before = text[done : match.start()]
                parts.append(self._rewritten(before, start + done, keep))
                parts.append(Part(match[0], start + match.start(), [self._stretches[match[0]]]))
                done = match.end()
        return [*parts, self._rewritten(text[done:], start + done, keep)]

    def _rewritten(self, text: str, start: int, keep: frozenset) -> RewrittenPart:
        stages = self._word_stages(keep)
        cut = _uncut if self.model.is_random else getattr(self.model, "independent_parts", _uncut)
        look_up = self._tokenize_word if self.model.is_random else self._words.__getitem__
        chunks, counts = [], []
        for words, added in stages.plain_runs(text, start) if text else ():
            if added is not None:
                chunks.append(_one_token(added, words[0].text, len(words[0])))
                counts.append(1)
                continue
            texts = [word.text for word in words]
            if cut is _uncut:
                counts += [1] * len(texts)
            else:
                cut_up = [cut(word) for word in texts]
                counts += map(len, cut_up)
                texts = chain.from_iterable(cut_up)
            chunks += map(look_up, texts)
        return RewrittenPart(text, start, stages, cut, chunks, counts)

    def _word_stages(self, keep: frozenset = NONE) -> WordStages:
        return WordStages(self.normalizer, self.pre_tokenizer, self.added_tokens.normalized_finder, keep)

    def _tokenize_word(self, word: str) -> Chunk:
        """What the model makes of a word, or of one of its independent parts."""
        tokens, name_of = self.model.tokenize(word), self.model.id_to_token
        return Chunk(
            tuple([token.id for token in tokens]),
            tuple([token.text or name_of[token.id] for token in tokens]),
            tuple([(token.start, token.stop) for token in tokens]),
            (0,) * len(tokens),
            1,
        )

    def _tokenize_stretch(self, stretch: str) -> Chunk:
        """All stages' work on a stretch that doesn't begin a text, or on a word of `never_split`."""
        if stretch in self.never_split:
            token = self.model.unk_token if self.token_to_id(stretch) is None else stretch
            return _one_token(self.token_to_id(token), token, len(stretch))
        pre_tokenizer = self.pre_tokenizer and self.pre_tokenizer.of_stretch
        return self._tokenize_whole(stretch, stages=self._word_stages()._replace(pre_tokenizer=pre_tokenizer))

    def _tokenize_whole(self, text: str, first: int = 0, stages: WordStages | None = None) -> Chunk:
        """A text in one go, without a cache: each word's tokens, with their spans within the text.

        first   where in the whole text it stands (there are stages that treat its beginning apart)
        stages  in place of the engine's
        """
        ids, tokens, offsets, words, word_count = [], [], [], [], 0
        name_of = self.model.id_to_token
        for run, added in (stages or self._word_stages()).runs(AlignedText(text, first=first)) if text else ():
            for word in run:
                found = [Token(added, 0, len(word), word.text)] if added is not None else self.model.tokenize(word.text)
                for i, token_start, token_stop, shown in found:
                    start, stop = word.original_span(token_start, token_stop)
                    ids.append(i)
                    tokens.append(shown or name_of[i])
                    offsets.append((start - first, stop - first))
                    words.append(word_count)
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
                truncation.odd_to_first,
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
        self._stretches.clear()
        self._words.clear()


def _uncut(word: str) -> list[str]:
    return [word]


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
