"""Training: the quick merger against a naive one, and what the options do."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers import BPE, BertTokenizer, ByteLevel, train_bpe, train_word_level, train_wordpiece
from edutransformers.tokenizers.merge_training import train_merges
from edutransformers.tokenizers.pre_tokenizers import WhitespaceSplit
from edutransformers.tokenizers.training import MOST_PIECES, count_words
from edutransformers.tokenizers.word_level import split_characters

TEXTS = ["the dog and the other dog", "The dogs bathe there", "a bath, then another"]


def naive_merges(words, counts, tokens, size):
    """Count all pairs anew for each merge."""
    words = [[tokens[i] for i in word] for word in words]
    tokens = list(tokens)
    while len(tokens) < size:
        pairs = Counter()
        for word, count in zip(words, counts):
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], tokens.index(pair[0]), tokens.index(pair[1])))
        tokens.append("".join(best))
        for word in words:
            i = 0
            while i + 1 < len(word):
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
    return tokens


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=8), st.integers(1, 5), max_size=8))
def test_merges_equal_the_naive_ones(counted):
    # Without a letter twice in a word no pair overlaps itself and no two merges give one string.
    counted = {word: count for word, count in counted.items() if len(set(word)) == len(word)}
    tokens = list("abcdefgh")
    words = [[tokens.index(c) for c in word] for word in counted]
    expected = naive_merges(words, list(counted.values()), tokens, 20)
    if len(set(expected)) == len(expected):
        train_merges(words, list(counted.values()), tokens, 20, 0, join=lambda a, b: a + b)
        assert tokens == expected


def test_vocabulary_by_hand():
    vocab = train_wordpiece(["ab ab ab abc c"], vocab_size=100, special_tokens=["[UNK]"], show_progress=False)
    assert list(vocab) == ["[UNK]", "a", "b", "c", "##b", "##c", "ab", "abc"]
    assert list(vocab.values()) == list(range(8))


def test_min_frequency_and_size():
    frequent = train_wordpiece(["ab ab ab abc c"], 100, min_frequency=2, special_tokens=[], show_progress=False)
    assert list(frequent) == ["a", "b", "c", "##b", "##c", "ab"]
    assert len(train_wordpiece(TEXTS, vocab_size=40, show_progress=False)) == 40


def test_alphabets():
    vocab = train_wordpiece(["aaa bb c"], 0, initial_alphabet="zq", special_tokens=[], show_progress=False)
    assert list(vocab) == ["a", "b", "c", "q", "z", "##a", "##b"]
    vocab = train_wordpiece(["aaa bb c"], 0, limit_alphabet=2, special_tokens=[], show_progress=False)
    assert list(vocab) == ["a", "b", "##a", "##b"]
    vocab = train_wordpiece(["aaa bb c"], 0, 0, 2, "z", special_tokens=[], show_progress=False)
    assert list(vocab) == ["a", "z", "##a"]


def test_from_an_iterator_of_lists_is_the_same():
    expected = train_wordpiece(TEXTS, 60, show_progress=False)
    assert train_wordpiece(iter([TEXTS[:1], TEXTS[1:]]), 60, show_progress=False) == expected
    assert train_wordpiece((text for text in TEXTS), 60, show_progress=False) == expected


def test_progress_bars(capsys):
    train_wordpiece(TEXTS, 60, show_progress=True, length=3)
    assert "Merging pairs" in capsys.readouterr().err


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_counting_by_stretches_counts_the_same(texts):
    tokenizer = BertTokenizer(vocab=["[UNK]"])
    normalizer, pre_tokenizer = tokenizer._engine.normalizer, tokenizer._engine.pre_tokenizer
    expected = Counter()
    for text in texts:
        normalized = normalizer.normalize(text).text
        expected.update(normalized[start:stop] for start, stop in pre_tokenizer.split(normalized))
    assert count_words(texts, normalizer, pre_tokenizer, show_progress=False) == expected
    assert MOST_PIECES > 1000


def test_errors():
    with pytest.raises(ValueError, match="one str"):
        train_wordpiece("a text", 10, show_progress=False)
    with pytest.raises(ValueError, match="gave int"):
        train_wordpiece([3], 10, show_progress=False)


# -- byte-pair encoding -----------------------------------------------------------------------------------------------


def test_bpe_by_hand():
    vocab, merges = train_bpe(["ab ab abc bc bc"], 100, show_progress=False, pre_tokenizer=WhitespaceSplit())
    assert merges == [("a", "b"), ("b", "c"), ("ab", "c")]  # both pairs occur three times: the smaller ids first
    assert list(vocab) == ["a", "b", "c", "ab", "bc", "abc"]


def test_bpe_with_prefix_and_suffix():
    options = {"continuing_subword_prefix": "##", "end_of_word_suffix": "</w>", "show_progress": False}
    vocab, merges = train_bpe(["ab ab a"], 100, pre_tokenizer=WhitespaceSplit(), **options)
    assert list(vocab) == ["a", "b", "##b</w>", "a</w>", "ab</w>"]
    assert merges == [("a", "##b</w>")]
    model = BPE(vocab, merges, continuing_subword_prefix="##", end_of_word_suffix="</w>")
    assert [model.id_to_token[token.id] for token in model.tokenize("ab")] == ["ab</w>"]


def test_trained_merges_rebuild_every_word():
    """What training joins, the tokenizer joins in the same order: frequent words become one token."""
    pre_tokenizer = ByteLevel(add_prefix_space=False)
    options = {"initial_alphabet": ByteLevel.alphabet(), "show_progress": False, "pre_tokenizer": pre_tokenizer}
    vocab, merges = train_bpe(TEXTS * 5, 400, **options)
    model = BPE(vocab, merges)
    for word in ("the", "Ġdog", "Ġanother", "Ġbathe"):
        assert [model.id_to_token[token.id] for token in model.tokenize(word)] == [word]
    assert len(vocab) == 256 + len(merges)


def test_max_token_length():
    vocab, _ = train_bpe(TEXTS * 5, 100, max_token_length=4, show_progress=False, pre_tokenizer=WhitespaceSplit())
    assert max(map(len, vocab)) == 3  # below 4, as in the reference
    whole, _ = train_bpe(TEXTS * 5, 100, show_progress=False, pre_tokenizer=WhitespaceSplit())
    assert max(map(len, whole)) > 4


# -- words and characters ---------------------------------------------------------------------------------------------


def test_word_level():
    vocab = train_word_level(["b a b <s> c", "c é"], 6, special_tokens=["<s>"], **quiet(WhitespaceSplit()))
    assert list(vocab.items()) == [("<s>", 0), ("b", 1), ("c", 2), ("a", 3), ("é", 4)]
    assert list(train_word_level(["b a b <s> c", "c é"], 3, **quiet(WhitespaceSplit()))) == ["b", "c", "<s>"]
    frequent = train_word_level(["b a b <s> c", "c é"], min_frequency=2, **quiet(WhitespaceSplit()))
    assert list(frequent) == ["b", "c"]


def test_characters():
    assert train_word_level(["ba b\n", "b"], **quiet(split_characters())) == {"b": 0, "\n": 1, " ": 2, "a": 3}


def quiet(pre_tokenizer):
    return {"pre_tokenizer": pre_tokenizer, "show_progress": False}
