"""Byte-pair encoding: join neighbouring pieces of a word in the order in which training learned to join them.

    merges  1. l o   2. lo w   3. e r        "lower"  ->  l o w e r  ->  lo w e r  ->  low e r  ->  low er

A word starts as single characters (in byte-level BPE: bytes). Of all neighbouring pairs, the one that was learned first
is joined; of equal ones the leftmost; until no pair is among the merges. What results depends on the word alone, so a
cache of words does most of the work.

`merge_naively` is this paragraph as code, and the oracle of the tests. It looks at all pairs before every merge: a word
of n characters costs n². `merge_with_heap` keeps the pairs in a heap and the pieces in a linked list: n log n, which a
"word" of a million characters needs (a text in Chinese, a line of base64).

Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword units"; byte-level:
Radford et al. 2019, section 2.2; dropout: Provilkov et al. 2020.
"""

import heapq
import random
import sys

from edutransformers.tokenizers.wordpiece import Token, check_vocabulary

Span = tuple[int, int]
Merges = dict[tuple[int, int], tuple[int, int]]  # (left id, right id) -> (rank: how early it was learned, new id)

SHORT = 32  # up to this many pieces looking at all pairs is quicker than a heap


def merge_naively(ids: list[int], merges: Merges) -> list[int]:
    """Join the pair of lowest rank, the leftmost of equals, until none is left."""
    ids = list(ids)
    while True:
        ranked = [(merges[pair][0], place) for place, pair in enumerate(zip(ids, ids[1:])) if pair in merges]
        if not ranked:
            return ids
        _, place = min(ranked)
        ids[place : place + 2] = [merges[ids[place], ids[place + 1]][1]]


def merge_with_heap(ids: list[int], spans: list[Span], merges: Merges, skips=None) -> None:
    """The same, in place, together with each piece's span in the word.

    skips   a function without arguments that says whether to leave this merge out (BPE dropout)

    A piece is known by the place where it started. `after[place]` and `before[place]` are its neighbours' places; a
    piece that was joined to the one before it has the id None. What comes out of the heap may be out of date, because a
    neighbour was joined meanwhile: then the ids at its places no longer make that merge.
    """
    count = len(ids)
    after, before = list(range(1, count + 1)), list(range(-1, count - 1))
    heap = []
    for place, pair in enumerate(zip(ids, ids[1:])):
        if pair in merges:
            rank, new = merges[pair]
            heap.append((rank, place, new))
    heapq.heapify(heap)
    skipped = []
    while heap:
        entry = heapq.heappop(heap)
        if skips is not None and skips():
            skipped.append(entry)
            continue
        for other in skipped:
            heapq.heappush(heap, other)
        skipped.clear()
        _, place, new = entry
        right = after[place]
        if right >= count or merges.get((ids[place], ids[right]), (0, None))[1] != new:
            continue
        further = after[right]
        ids[place], ids[right] = new, None
        spans[place] = (spans[place][0], spans[right][1])
        after[place] = further
        if further < count:
            before[further] = place
        for left, other in ((before[place], place), (place, further)):
            if left >= 0 and other < count and (ids[left], ids[other]) in merges:
                rank, joined = merges[ids[left], ids[other]]
                heapq.heappush(heap, (rank, left, joined))
    spans[:] = [span for i, span in zip(ids, spans) if i is not None]
    ids[:] = [i for i in ids if i is not None]


def merge_short(ids: list[int], spans: list[Span], merges: Merges) -> None:
    """The same, in place and with spans, for short words, which are most of a text's: quicker than a heap.

    `found` holds the merge of each neighbouring pair. Looking for the least of them again and again costs n², but `min`
    is quick, and a merge changes only the two pairs beside it.
    """
    find = merges.get
    found = [find(pair, _NO_MERGE) for pair in zip(ids, ids[1:])]
    while found:
        best = min(found)
        if best is _NO_MERGE:
            return
        place = found.index(best)
        ids[place] = best[1]
        spans[place] = (spans[place][0], spans[place + 1][1])
        del ids[place + 1], spans[place + 1], found[place]
        if place > 0:
            found[place - 1] = find((ids[place - 1], ids[place]), _NO_MERGE)
        if place < len(found):
            found[place] = find((ids[place], ids[place + 1]), _NO_MERGE)


_NO_MERGE = (sys.maxsize, -1)


class BPE:
    """Byte-pair encoding over a vocabulary {token: id} and merges [(left token, right token), ...], earliest first.

    dropout                    leave each merge out with this probability: other cuts of the same word, for training
    unk_token                  for characters that the vocabulary lacks; None: they are left out
    continuing_subword_prefix  what characters inside a word begin with in the vocabulary ("##")
    end_of_word_suffix         what a word's last character ends with ("</w>")
    fuse_unk                   neighbouring unknown characters make one unknown token
    byte_fallback              an unknown character becomes the tokens of its UTF-8 bytes, "<0xE5>", if all are there
    ignore_merges              a word that is itself in the vocabulary is that token, whatever the merges say

    Raises ValueError for an empty vocabulary, two tokens with one id, a merge whose parts or result the vocabulary
    lacks, and for an unknown character when the vocabulary has no `unk_token`.
    """

    def __init__(
        self,
        vocab: dict[str, int],
        merges: list[tuple[str, str]],
        dropout: float | None = None,
        unk_token: str | None = None,
        continuing_subword_prefix: str | None = None,
        end_of_word_suffix: str | None = None,
        fuse_unk: bool = False,
        byte_fallback: bool = False,
        ignore_merges: bool = False,
    ):
        check_vocabulary(vocab)
        if dropout is not None and not 0 <= dropout <= 1:
            raise ValueError(f"dropout is {dropout}: expected a probability from 0 to 1, or None.")
        self.vocab = vocab
        self.dropout = dropout
        self.unk_token = unk_token
        self.continuing_subword_prefix = continuing_subword_prefix
        self.end_of_word_suffix = end_of_word_suffix
        self.fuse_unk = fuse_unk
        self.byte_fallback = byte_fallback
        self.ignore_merges = ignore_merges
        self.id_to_token = {i: token for token, i in vocab.items()}
        self.merges = self._ranked(merges)
        self._joins = {(left[-1], right[0]) for left, right in merges if left and right}
        self.random = random.Random()  # draws the dropout

    def _ranked(self, merges: list[tuple[str, str]]) -> Merges:
        ranked: Merges = {}
        vocab, inside = self.vocab, len(self.continuing_subword_prefix or "")
        for rank, (left, right) in enumerate(merges):
            joined = left + right[inside:]
            for token in (left, right, joined):
                if token not in vocab:
                    raise ValueError(
                        f"Merge {rank + 1} makes {joined!r} of {left!r} and {right!r}, but the vocabulary has no "
                        f"{token!r}: do the vocabulary and the merges belong together?"
                    )
            ranked[vocab[left], vocab[right]] = (rank, vocab[joined])
        return ranked

    @property
    def is_random(self) -> bool:
        """Whether a word may be cut differently each time."""
        return bool(self.dropout)

    def tokenize(self, word: str) -> list[Token]:
        if self.ignore_merges and word in self.vocab:
            return [Token(self.vocab[word], 0, len(word))]
        if self.dropout:
            ids, spans = self._characters(word)
            merge_with_heap(ids, spans, self.merges, lambda: self.random.random() < self.dropout)
            return [Token(i, start, stop) for i, (start, stop) in zip(ids, spans)]
        tokens, place = [], 0
        for part in self._cut(word):
            ids, spans = self._characters(part)
            (merge_short if len(ids) <= SHORT else merge_with_heap)(ids, spans, self.merges)
            tokens += [Token(i, place + start, place + stop) for i, (start, stop) in zip(ids, spans)]
            place += len(part)
        return tokens

    def independent_parts(self, word: str) -> list[str]:
        """Parts of a word that give the same tokens one by one as together: each can be looked up in a cache."""
        return [word] if self.ignore_merges else self._cut(word)

    def _cut(self, word: str) -> list[str]:
        """A long word, cut where no merge can cross.

        The first merge across the border of two characters joins a piece that ends with the one and a piece that begins
        with the other. Where the merges have no such pair, neither side ever sees the other. So Llama's tokenizer, to
        which a whole text is one word, can be cached: in none of its merges does "▁" stand behind another character.
        (Unknown characters may vanish or be fused, so there is no cut beside them.)
        """
        if len(word) <= SHORT or self.continuing_subword_prefix or self.end_of_word_suffix:
            return [word]
        joins, vocab = self._joins, self.vocab
        cuts = [
            place
            for place, pair in enumerate(zip(word, word[1:]), 1)
            if pair not in joins and pair[0] in vocab and pair[1] in vocab
        ]
        return [word[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(word)])]

    def _characters(self, word: str) -> tuple[list[int], list[Span]]:
        """The pieces that a word starts as, with their spans in it."""
        if not self.continuing_subword_prefix and not self.end_of_word_suffix:
            ids = list(map(self.vocab.get, word))
            if None not in ids:
                return ids, list(zip(range(len(word)), range(1, len(word) + 1)))
        ids, spans = [], []
        unknown: Span | None = None  # an unknown character waits here for others to be fused with

        def end_unknown():
            nonlocal unknown
            if unknown is not None:
                ids.append(self._unknown_id(word))
                spans.append(unknown)
                unknown = None

        last = len(word) - 1
        for place, character in enumerate(word):
            token = character
            if place and self.continuing_subword_prefix:
                token = self.continuing_subword_prefix + token
            if place == last and self.end_of_word_suffix:
                token += self.end_of_word_suffix
            i = self.vocab.get(token)
            if i is not None:
                end_unknown()
                ids.append(i)
                spans.append((place, place + 1))
                continue
            of_bytes = ids_of_bytes(token, self.vocab) if self.byte_fallback else None
            if of_bytes is not None:
                ids += of_bytes
                spans += [(place, place + 1)] * len(of_bytes)
            elif self.unk_token is not None:
                if not self.fuse_unk:
                    end_unknown()
                unknown = (place if unknown is None else unknown[0], place + 1)
        end_unknown()
        return ids, spans

    def _unknown_id(self, word: str) -> int:
        unknown = self.vocab.get(self.unk_token)
        if unknown is None:
            raise ValueError(
                f"The word {word[:40]!r} has a character that is not in the vocabulary, and neither is the unknown "
                f"token {self.unk_token!r}: add it to the vocabulary or pass the right unk_token."
            )
        return unknown

    def merge_list(self) -> list[tuple[str, str]]:
        """The merges as tokens, earliest first."""
        name = self.id_to_token
        return [(name[left], name[right]) for left, right in sorted(self.merges, key=self.merges.__getitem__)]

    def to_json(self) -> dict:
        return {
            "type": "BPE",
            "dropout": self.dropout,
            "unk_token": self.unk_token,
            "continuing_subword_prefix": self.continuing_subword_prefix,
            "end_of_word_suffix": self.end_of_word_suffix,
            "fuse_unk": self.fuse_unk,
            "byte_fallback": self.byte_fallback,
            "ignore_merges": self.ignore_merges,
            "vocab": dict(sorted(self.vocab.items(), key=lambda item: item[1])),
            "merges": [list(pair) for pair in self.merge_list()],
        }

    @classmethod
    def from_json(cls, part: dict) -> "BPE":
        """`merges` are pairs, or in older files strings "left right"."""
        return cls(
            part["vocab"],
            [read_merge(merge) for merge in part["merges"]],
            dropout=part.get("dropout"),
            unk_token=part.get("unk_token"),
            continuing_subword_prefix=part.get("continuing_subword_prefix"),
            end_of_word_suffix=part.get("end_of_word_suffix"),
            fuse_unk=part.get("fuse_unk", False),
            byte_fallback=part.get("byte_fallback", False),
            ignore_merges=part.get("ignore_merges", False),
        )


def ids_of_bytes(text: str, vocab: dict[str, int]) -> list[int] | None:
    """The ids of a text's UTF-8 bytes, "<0xE5>"; None if the vocabulary lacks one of them."""
    found = [vocab.get(f"<0x{byte:02X}>") for byte in text.encode("utf-8")]
    return None if None in found else found


def read_merge(merge: str | list) -> tuple[str, str]:
    """ "l o" or ["l", "o"] as a pair."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"{merge!r} is no merge: expected two tokens with a blank between them.")
    return parts[0], parts[1]
