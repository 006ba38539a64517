"""Training by merging: start from single characters, again and again join the pair that occurs most often.

This is the trainer of BPE, and of WordPiece in the `tokenizers` library (where the parts inside a word carry a
prefix). The naive way counts all pairs anew for every merge. Here a merge changes the counts only where it happens:
each pair knows the words it occurs in, and a heap gives the most frequent pair. A word is touched once for each merge
inside it, so the cost grows with the text's different words and not with words times merges.

Source: Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword units", algorithm 1.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable

Pair = tuple[int, int]


def train_merges(
    words: list[list[int]],
    counts: list[int],
    tokens: list[str],
    vocab_size: int,
    min_frequency: int,
    join: Callable[[str, str], str],
    max_token_length: int | None = None,
    on_merge: Callable[[int], None] = lambda size: None,
) -> list[Pair]:
    """Merge until the vocabulary has `vocab_size` entries or no pair occurs `min_frequency` times.

    words             each different word as token ids; changed in place
    counts            how often each word occurs
    tokens            the vocabulary so far, a token at its id; new tokens are appended
    join              the string of a merged pair
    max_token_length  tokens stay below so many characters (as the reference has it, the first merge of two is made)
    on_merge          called with the vocabulary's size after each merge

    Returns the merges in their order. Of pairs that occur equally often the one with the smaller ids goes first.
    """
    ids = {token: i for i, token in enumerate(tokens)}
    sizes = [1] * len(tokens)  # of each token, in characters
    too_long = math.inf if max_token_length is None else max_token_length
    pair_counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, set[int]] = defaultdict(set)
    for number, (word, count) in enumerate(zip(words, counts)):
        for pair in zip(word, word[1:]):
            pair_counts[pair] += count
            places[pair].add(number)
    heap = [(-pair_counts[pair], pair, number, where) for number, (pair, where) in enumerate(places.items())]
    heapq.heapify(heap)
    pushed = len(heap)  # a number of its own for each entry, so that sets are never compared
    merges = []
    while len(tokens) < vocab_size and heap:
        negative_count, pair, number, where = heapq.heappop(heap)
        count = pair_counts[pair]
        if -negative_count != count:
            # Merges use up pairs, so counts in the heap grow old; it is enough to correct the one that comes up.
            heapq.heappush(heap, (-count, pair, number, where))
            continue
        if count < 1 or count < min_frequency:
            break
        token = join(tokens[pair[0]], tokens[pair[1]])
        new = ids.get(token)
        if new is None:
            new = ids[token] = len(tokens)
            tokens.append(token)
            sizes.append(sizes[pair[0]] + sizes[pair[1]])
        merges.append(pair)
        places = defaultdict(set)
        for place in where:
            for changed, change in _merge_in_word(words[place], pair, new):
                if change > 0:
                    if sizes[changed[0]] + sizes[changed[1]] >= too_long:
                        continue
                    places[changed].add(place)
                pair_counts[changed] += change * counts[place]
        for changed, found_in in places.items():
            if pair_counts[changed] > 0:
                heapq.heappush(heap, (-pair_counts[changed], changed, pushed, found_in))
                pushed += 1
        on_merge(len(tokens))
    return merges


def _merge_in_word(word: list[int], pair: Pair, new: int) -> list[tuple[Pair, int]]:
    """Put `new` for each `pair` in the word, left to right; returns which neighbouring pairs vanished and appeared."""
    first, second = pair
    changes = []
    i = 0
    while i + 1 < len(word):
        if word[i] == first and word[i + 1] == second:
            if i > 0:
                changes += [((word[i - 1], first), -1), ((word[i - 1], new), 1)]
            if i + 2 < len(word):
                changes += [((second, word[i + 2]), -1), ((new, word[i + 2]), 1)]
            word[i : i + 2] = [new]
        i += 1
    return changes
