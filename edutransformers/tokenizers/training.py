"""Training a vocabulary on texts: WordPiece, BPE, Unigram, word-level. `retraining.py`: a new tokenizer like another.

All of them count words first; what stays in memory is the set of different words and not the texts.

The `tokenizers` library trains WordPiece by merging frequent pairs, as BPE does, with "##" in front of what stands
inside a word, and keeps the vocabulary without the merges; this does the same. (Google's own trainer, which was never
published, chose the pair that raises the likelihood of the text most.)
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from edutransformers.logging import tqdm
from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.merge_training import train_merges
from edutransformers.tokenizers.normalizers import BertNormalizer
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer
from edutransformers.tokenizers.stretches import all_stretches
from edutransformers.tokenizers.unigram_training import unigram_from_counts
from edutransformers.tokenizers.words import WordStages

MOST_PIECES = 1 << 18
BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(
    texts: Iterable[str | Sequence[str]],
    vocab_size: int = 30000,
    min_frequency: int = 0,
    limit_alphabet: int | None = None,
    initial_alphabet: Sequence[str] = (),
    special_tokens: Sequence[str | AddedToken] = BERT_SPECIAL_TOKENS,
    continuing_subword_prefix: str = "##",
    show_progress: bool = True,
    normalizer=None,
    pre_tokenizer=None,
    length: int | None = None,
) -> dict[str, int]:
    """A WordPiece vocabulary {token: id} from an iterator of texts, or of lists of texts; the corpus is read once.

    vocab_size        how many entries at most, special tokens and alphabet included
    min_frequency     a pair must occur this often to become a token
    limit_alphabet    keep only so many different characters, the most frequent
    initial_alphabet  characters to keep whether or not they occur
    normalizer, pre_tokenizer   how texts become words; BERT's uncased ones if not given
    length            how many texts there are, for the progress bar

    >>> vocab = train_wordpiece(["a text", "another text"], vocab_size=100)                    # doctest: +SKIP
    >>> tokenizer = BertTokenizer(vocab=vocab)                                                 # doctest: +SKIP
    """
    normalizer = BertNormalizer() if normalizer is None else normalizer
    pre_tokenizer = BertPreTokenizer() if pre_tokenizer is None else pre_tokenizer
    word_counts = count_words(texts, normalizer, pre_tokenizer, show_progress, length)
    return wordpiece_from_counts(
        word_counts,
        vocab_size,
        min_frequency,
        limit_alphabet,
        initial_alphabet,
        special_tokens=special_tokens,
        continuing_subword_prefix=continuing_subword_prefix,
        show_progress=show_progress,
    )


def train_bpe(
    texts: Iterable[str | Sequence[str]],
    vocab_size: int = 30000,
    min_frequency: int = 0,
    limit_alphabet: int | None = None,
    initial_alphabet: Sequence[str] = (),
    special_tokens: Sequence[str | AddedToken] = (),
    continuing_subword_prefix: str | None = None,
    end_of_word_suffix: str | None = None,
    max_token_length: int | None = None,
    show_progress: bool = True,
    normalizer=None,
    pre_tokenizer=None,
    length: int | None = None,
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """({token: id}, merges) of byte-pair encoding, from texts as `train_wordpiece` takes them.

    Without `normalizer` and `pre_tokenizer` a text is one word as it stands. For a byte-level vocabulary pass
    `pre_tokenizer=ByteLevel()` and `initial_alphabet=ByteLevel.alphabet()`.

    >>> vocab, merges = train_bpe(["a text", "another text"], 300, pre_tokenizer=ByteLevel())     # doctest: +SKIP
    """
    return bpe_from_counts(
        count_words(texts, normalizer, pre_tokenizer, show_progress, length),
        vocab_size,
        min_frequency,
        limit_alphabet,
        initial_alphabet,
        special_tokens,
        continuing_subword_prefix,
        show_progress,
        end_of_word_suffix,
        max_token_length,
    )


def train_unigram(
    texts: Iterable[str | Sequence[str]],
    vocab_size: int = 8000,
    special_tokens: Sequence[str | AddedToken] = (),
    unk_token: str | None = None,
    initial_alphabet: Sequence[str] = (),
    shrinking_factor: float = 0.75,
    n_sub_iterations: int = 2,
    max_piece_length: int = 16,
    seed_size: int = 1_000_000,
    show_progress: bool = True,
    normalizer=None,
    pre_tokenizer=None,
    length: int | None = None,
) -> tuple[list[tuple[str, float]], int | None]:
    """([(piece, log-probability), ...], unk_id), as `Unigram` takes them, from texts as `train_wordpiece` takes them.

    vocab_size         how many entries at most, special tokens and all characters included
    special_tokens     the first entries, with the score 0
    unk_token          for unknown characters; becomes the first entry if it is not among the special tokens
    initial_alphabet   characters to keep whether or not they occur
    shrinking_factor   the share of pieces that is left after each round
    n_sub_iterations   steps of expectation maximization in each round
    max_piece_length   in characters
    seed_size          how many pieces to begin with, at most

    How it works, with equations: unigram_training.py. Without `normalizer` and `pre_tokenizer` a text is one word as it
    stands; SentencePiece's way is `pre_tokenizer=Metaspace()`. Raises ValueError if vocab_size has no room for all
    characters.

    >>> model = Unigram(*train_unigram(["a text", "another text"], 100, unk_token="<unk>"))       # doctest: +SKIP
    """
    word_counts = count_words(texts, normalizer, pre_tokenizer, show_progress, length)
    bar = _with_progress(None, show_progress, "Pruning pieces", None)

    def show(pieces: int) -> None:
        bar.update()
        bar.set_postfix(pieces=pieces)

    vocab = unigram_from_counts(
        word_counts,
        vocab_size,
        special_tokens,
        unk_token,
        initial_alphabet,
        shrinking_factor,
        n_sub_iterations,
        max_piece_length,
        seed_size,
        progress=None if bar is None else show,
    )
    if bar is not None:
        bar.close()
    return vocab


def train_word_level(
    texts: Iterable[str | Sequence[str]],
    vocab_size: int = 30000,
    min_frequency: int = 0,
    special_tokens: Sequence[str | AddedToken] = (),
    show_progress: bool = True,
    normalizer=None,
    pre_tokenizer=None,
    length: int | None = None,
) -> dict[str, int]:
    """{word: id}: special tokens, then the most frequent words; of equally frequent ones those that sort first.

    With `pre_tokenizer=split_characters()` the "words" are characters. Texts as `train_wordpiece` takes them.
    """
    counts = count_words(texts, normalizer, pre_tokenizer, show_progress, length)
    frequent = sorted((-count, word) for word, count in counts.items() if word and count >= min_frequency)
    tokens = dict.fromkeys([*map(str, special_tokens), *(word for _, word in frequent)])
    return {token: i for i, token in enumerate(list(tokens)[:vocab_size])}


def count_words(texts: Iterable, normalizer, pre_tokenizer, show_progress: bool, length: int | None = None) -> Counter:
    """How often each word, as normalizer and pre-tokenizer make them, occurs."""
    pieces: Counter = Counter()  # stretches between blanks: few different ones, so each is normalized only once
    counts: Counter = Counter()
    for text in _with_progress(_flatten(texts), show_progress, "Counting words", length):
        found = all_stretches(text, normalizer, pre_tokenizer)
        if found is None:
            _count_pieces({text: 1}, counts, normalizer, pre_tokenizer)
            continue
        pieces.update(found)
        if len(pieces) > MOST_PIECES:  # text without blanks must not fill the memory
            _count_pieces(pieces, counts, normalizer, pre_tokenizer.of_stretch)
            pieces.clear()
    _count_pieces(pieces, counts, normalizer, pre_tokenizer and pre_tokenizer.of_stretch)
    return counts


def _count_pieces(pieces: dict[str, int], counts: Counter, normalizer, pre_tokenizer) -> None:
    stages = WordStages(normalizer, pre_tokenizer)
    for piece, count in pieces.items():
        for words, _ in stages.plain_runs(piece):
            for word in words:
                counts[word.text] += count


def wordpiece_from_counts(word_counts: dict[str, int], *args, **options) -> dict[str, int]:
    """A WordPiece vocabulary from counted words: that of `bpe_from_counts`, without the merges."""
    options = {"continuing_subword_prefix": "##", "special_tokens": BERT_SPECIAL_TOKENS, **options}
    return bpe_from_counts(word_counts, *args, **options)[0]


def bpe_from_counts(
    word_counts: dict[str, int],
    vocab_size: int = 30000,
    min_frequency: int = 0,
    limit_alphabet: int | None = None,
    initial_alphabet: Sequence[str] = (),
    special_tokens: Sequence[str | AddedToken] = (),
    continuing_subword_prefix: str | None = None,
    show_progress: bool = True,
    end_of_word_suffix: str | None = None,
    max_token_length: int | None = None,
    spelled_order: Sequence[str] | None = None,
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """({token: id}, merges) from counted words.

    Ids: special tokens, the alphabet by code point, the same characters with prefix or suffix by code point (or in the
    given `spelled_order`), then merges. Ids decide between pairs that occur equally often. The `tokenizers` library
    numbers the characters with prefix or suffix in the order of a hash table that differs from run to run, so two of
    its own runs agree only up to that order; given the same order, this vocabulary is the same.
    """
    prefix, suffix = continuing_subword_prefix or "", end_of_word_suffix or ""
    tokens = list(dict.fromkeys(str(token) for token in special_tokens))
    alphabet = _alphabet(word_counts, initial_alphabet, limit_alphabet)
    tokens += [character for character in alphabet if character not in set(tokens)]
    known = set(tokens)
    words = [_spell(word, known, prefix, suffix) for word in word_counts]
    spelled = {token for word in words for token in word} - known
    tokens += sorted(spelled) if spelled_order is None else [token for token in spelled_order if token in spelled]
    ids = {token: i for i, token in enumerate(tokens)}
    bar = _with_progress(None, show_progress, "Merging pairs", max(vocab_size - len(tokens), 0))
    merges = train_merges(
        [[ids[token] for token in word] for word in words],
        list(word_counts.values()),
        tokens,
        vocab_size,
        min_frequency,
        join=lambda first, second: first + second.removeprefix(prefix),
        max_token_length=max_token_length,
        on_merge=(lambda size: bar.update()) if bar is not None else (lambda size: None),
    )
    if bar is not None:
        bar.close()
    return {token: i for i, token in enumerate(tokens)}, [(tokens[left], tokens[right]) for left, right in merges]


def _spell(word: str, known: set[str], prefix: str, suffix: str) -> list[str]:
    """The tokens that a word starts as.

    Characters that aren't in the alphabet are left out, and what stood beside them becomes neighbours.
    """
    last = len(word) - 1
    return [
        (prefix if i else "") + character + (suffix if i == last else "")
        for i, character in enumerate(word)
        if character in known
    ]


def _alphabet(word_counts: dict[str, int], initial_alphabet: Sequence[str], limit: int | None) -> list[str]:
    counts: Counter = Counter()
    for word, count in word_counts.items():
        for character in word:
            counts[character] += count
    initial = {string[0] for string in initial_alphabet if string}
    characters = set(counts) | initial
    if limit is not None and len(characters) > limit:
        # The most frequent stay, those of the initial alphabet first; equally frequent ones by code point.
        ranked = sorted(characters, key=lambda c: (c not in initial, -counts[c], c))
        characters = set(ranked[:limit])
    return sorted(characters)


def _flatten(texts: Iterable) -> Iterable[str]:
    if isinstance(texts, str):
        raise ValueError("texts is one str; pass an iterator of texts, e.g. [text] or an open file.")
    for item in texts:
        if isinstance(item, str):
            yield item
        elif isinstance(item, Iterable):
            yield from _flatten(item)
        else:
            raise ValueError(f"texts must give str or lists of str, but gave {type(item).__name__} ({str(item)[:40]}).")


def _with_progress(items, show: bool, what: str, total: int | None):
    """`items` with a progress bar; with items=None a bar to be advanced by hand, or None if none is shown."""
    if not show:
        return items
    return tqdm(items, desc=what, total=total, leave=False)
