"""Unigram training: each step against a naive one, which looks at every substring and every cut."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.tokenizers import Unigram, train_unigram
from edutransformers.tokenizers.lattices import Matches, lattices_in_blocks
from edutransformers.tokenizers.pre_tokenizers import Metaspace
from edutransformers.tokenizers.substrings import (
    find_repeated_substrings,
    repeated_substrings_naively,
    suffix_array,
)
from edutransformers.tokenizers.unigram_training import (
    FEWEST,
    ExpectationMaximization,
    digamma,
    expected_counts_naively,
    unigram_from_counts,
)

WORDS = st.dictionaries(st.text("abcñ😀", max_size=7), st.integers(1, 9), min_size=1, max_size=9)
TEXTS = ["the dog and the other dog", "The dogs bathe there", "a bath, then another", "bathing dogs gather"]


# -- substrings -------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0, 97, 98, 0x1F600]), max_size=30), st.integers(1, 40))
def test_suffix_array(codes, depth):
    codes = np.array(codes, np.int32)
    order = suffix_array(codes, depth).tolist()
    assert sorted(order) == list(range(len(codes)))
    beginnings = [codes[place : place + depth].tolist() for place in order]
    assert beginnings == sorted(beginnings)


@given(st.lists(st.text("ab😀\0", max_size=8), max_size=8), st.integers(2, 6))
def test_repeated_substrings(words, longest):
    words = list(dict.fromkeys(words))
    found = find_repeated_substrings(words, longest)
    text = found.codes.tobytes().decode("utf-32-le")
    ours = {}
    for first, count, length in zip(found.first, found.count, found.length):
        pieces = {text[place : place + length] for place in found.places[first : first + count]}
        (piece,) = pieces
        assert piece not in ours
        ours[piece] = count
    parts = [part for word in words for part in word.split("\0")]  # a zero inside a word ends substrings too
    assert ours == repeated_substrings_naively(parts, longest)


def test_repeated_substrings_by_hand():
    # "ana" and "na" are followed by "n" or the end; "an" always by "a".
    assert repeated_substrings_naively(["banana"], 4) == {"ana": 2, "na": 2}
    # "at" ends two words and goes on in two; what only ever ends words is not there.
    assert repeated_substrings_naively(["cat", "bat", "native"], 4) == {"at": 3}
    assert repeated_substrings_naively(["cat", "bat"], 4) == {}


# -- lattices ---------------------------------------------------------------------------------------------------------


def model_of(em: ExpectationMaximization) -> Unigram:
    """The pieces of a training as a model, numbered the same."""
    names = ["<unk>", *em.pieces()]
    model = Unigram(list(zip(names, em.scores.tolist())), unk_id=0)
    model.unknown_score = em.scores[0]
    return model


def without(model: Unigram, word: str) -> list:
    """All cuts of a word but the word as one piece, the best first."""
    cuts = [cut for cut in model.cuts(word) if len(cut) > 1]
    return sorted(cuts, key=lambda cut: -sum(edge.score for edge in cut))


@settings(max_examples=40)
@given(WORDS)
def test_expected_counts(word_counts):
    em = ExpectationMaximization(word_counts)
    for _ in range(3):  # the seed, and what is left after one and two steps
        log_likelihood, expected = em.expected_counts()
        naive_likelihood, naive = expected_counts_naively(model_of(em), word_counts)
        assert log_likelihood == pytest.approx(naive_likelihood, rel=1e-10, abs=1e-10)
        np.testing.assert_allclose(expected, [naive.get(i, 0.0) for i in range(em.size)], rtol=1e-9, atol=1e-12)
        em.step()


@settings(max_examples=40)
@given(WORDS)
def test_best_cuts(word_counts):
    em = ExpectationMaximization(word_counts)
    em.step()
    model = model_of(em)
    words = [word for word in word_counts if word]
    for block, lattices in lattices_in_blocks(em.matches, em.word_starts, em.word_lengths):
        score, word, piece = lattices.best_cuts(em.scores)
        for number, place in enumerate(block):
            cut = model.best_cut(words[place])
            assert piece[word == number].tolist() == [edge.id for edge in cut]
            assert score[number] == pytest.approx(sum(edge.score for edge in cut), abs=1e-9)


def test_the_gradient_is_the_expected_count():
    """d log Z / d score by central differences, for a word whose lattice has an unknown character."""
    matches = Matches.of(
        [
            (1, np.arange(4), np.array([1, 3, 0, 1])),
            (2, np.array([0, 2]), np.array([2, 4])),
        ],
        size=4,
    )
    scores = np.log([0.05, 0.3, 0.2, 0.4, 0.1])
    (_, lattices), = lattices_in_blocks(matches, np.array([0]), np.array([4]))  # fmt: skip
    _, share = lattices.forward(scores)
    d_score = np.bincount(lattices.ids, lattices.backward(np.ones(1), share), 5)
    for i in range(5):
        step = np.where(np.arange(5) == i, 1e-6, 0)
        difference = (lattices.forward(scores + step)[0] - lattices.forward(scores - step)[0]) / 2e-6
        assert d_score[i] == pytest.approx(difference[0], abs=1e-8)


def test_long_words_do_not_underflow():
    word = "".join(random.Random(0).choices("abcdefgh", k=3000))  # its probability is far below the smallest float
    em = ExpectationMaximization({word: 2, "abc": 1, "bc": 3})
    log_likelihood, expected = em.expected_counts()
    assert -20_000 < log_likelihood < -2_000
    covered = expected @ em.lengths + expected[0]  # all pieces together cover all characters
    assert covered == pytest.approx(2 * len(word) + 3 + 6)


# -- the steps --------------------------------------------------------------------------------------------------------


def test_digamma():
    euler = 0.5772156649015329
    assert digamma(np.array([1.0, 2.0, 0.5])) == pytest.approx([-euler, 1 - euler, -euler - 2 * math.log(2)], abs=2e-10)
    x = np.array([0.1, 0.7, 3.3, 6.9999, 7.0, 50.0, 1e6])
    assert digamma(x + 1) == pytest.approx(digamma(x) + 1 / x, abs=4e-10)
    h = 1e-5
    slopes = [(math.lgamma(v + h) - math.lgamma(v - h)) / (2 * h) for v in (3.3, 50.0)]
    assert digamma(np.array([3.3, 50.0])) == pytest.approx(slopes, abs=1e-8)


def test_seed_by_hand():
    em = ExpectationMaximization({"abab": 2, "abc": 1})
    # Characters as often as they occur; substrings: places in different words times length ("ab": 3 · 2).
    weights = {"b": 5, "a": 5, "c": 1, "ab": 6}
    assert list(em.pieces()) == list(weights)
    assert [*em.pieces().values()] == pytest.approx([math.log(w / 17) for w in weights.values()])
    assert em.scores[0] == pytest.approx(math.log(1 / 17) - 10)
    assert list(ExpectationMaximization({"abab": 2, "abc": 1}, seed_size=3).pieces()) == ["b", "a", "c"]
    # Those that are worth most; "abc" and "ab" are worth 6, and then the one that sorts last comes first.
    counts = {"abcx": 1, "abcy": 1, "abz": 1}
    assert list(ExpectationMaximization(counts).pieces()) == ["b", "a", "c", "z", "y", "x", "abc", "ab", "bc"]
    assert list(ExpectationMaximization(counts, seed_size=7).pieces())[6:] == ["abc"]


def test_a_step_by_hand():
    em = ExpectationMaximization({"ab": 4, "abc": 2, "c": 3})
    pieces = ["<unk>", *em.pieces()]
    _, expected = expected_counts_naively(model_of(em), {"ab": 4, "abc": 2, "c": 3})
    kept = {pieces[i]: count for i, count in expected.items() if count >= FEWEST}
    em.step()
    total = digamma(np.array(sum(kept.values())))
    assert em.pieces() == pytest.approx({piece: digamma(np.array(c)) - total for piece, c in kept.items()}, abs=1e-9)


@settings(max_examples=40)
@given(WORDS)
def test_losses(word_counts):
    em = ExpectationMaximization(word_counts)
    em.step()
    model, losses = model_of(em), em.losses()
    freq = np.zeros(em.size)
    for word, count in word_counts.items():
        for edge in model.best_cut(word):
            freq[edge.id] += count
    for i in range(1, em.size):
        piece = model.id_to_token[i]
        if len(piece) == 1:
            assert losses[i] == math.inf
            continue
        if freq[i] == 0:
            assert losses[i] == -math.inf
            continue
        others = [edge.id for edge in without(model, piece)[0]]
        log_total = math.log(freq.sum() + freq[i] * (em.size - 1))
        log_p = sum(math.log(freq[other] + freq[i]) - log_total for other in others)
        words = sum(count for word, count in word_counts.items() if word)
        expected = freq[i] / words * (math.log(freq[i] / freq.sum()) - log_p)
        assert losses[i] == pytest.approx(expected, rel=1e-9)


def test_pruning_keeps_the_largest_losses():
    em = ExpectationMaximization({"abcabc": 5, "abd": 4, "cab": 7, "dabc": 2})
    em.step()
    losses = dict(zip(em.pieces(), em.losses()[1:]))
    many = [piece for piece, loss in losses.items() if -math.inf < loss < math.inf]
    assert len(many) > 2
    em.prune(4 + 1 + 2)  # four characters, the unknown one, two others
    best = sorted(many, key=lambda piece: -losses[piece])[:2]
    assert list(em.pieces()) == [*(piece for piece in losses if len(piece) == 1), *best]
    model = model_of(em)
    assert em.expected_counts()[0] == pytest.approx(
        expected_counts_naively(model, {"abcabc": 5, "abd": 4, "cab": 7, "dabc": 2})[0]
    )


# -- the whole --------------------------------------------------------------------------------------------------------


def test_the_vocabulary():
    options = {"special_tokens": ["<s>", "<unk>"], "unk_token": "<unk>", "pre_tokenizer": Metaspace()}
    vocab, unk_id = train_unigram(TEXTS * 3, 24, initial_alphabet=["z", "é!"], show_progress=False, **options)
    assert (len(vocab), unk_id) == (24, 1)
    assert vocab[:2] == [("<s>", 0.0), ("<unk>", 0.0)]
    scores = [score for _, score in vocab[2:]]
    assert scores == sorted(scores, reverse=True)
    assert {"z", "é", "▁", *"".join(TEXTS).replace(" ", "")} <= {piece for piece, _ in vocab}
    model = Unigram(vocab, unk_id)
    assert [model.id_to_token[token.id] for token in model.tokenize("▁dog")] == ["▁dog"]
    assert sum(map(math.exp, scores)) == pytest.approx(1, abs=0.1)


def test_unknown_token_and_specials():
    vocab, unk_id = train_unigram(["ab ab"], 10, ["<s>"], unk_token="<unk>", show_progress=False)
    assert ([token for token, _ in vocab[:2]], unk_id) == (["<unk>", "<s>"], 0)
    vocab, unk_id = train_unigram(["ab<s>", "c<s>d", "<s>"], 12, ["<s>", "<s>"], show_progress=False)
    assert unk_id is None
    assert [token for token, _ in vocab].count("<s>") == 1
    assert "<s>" in ExpectationMaximization({"ab<s>": 1, "c<s>d": 1, "<s>": 1}).pieces()  # found in the texts, too
    vocab, _ = train_unigram(["a|b", "b|"], 12, ["|"], show_progress=False)
    assert sorted(token for token, _ in vocab) == ["a", "b", "|"]
    assert train_unigram([], 10, ["<s>"], show_progress=False) == ([("<s>", 0.0)], None)


def test_characters_that_training_drops_come_back():
    """Scores at the bottom, by code point."""
    vocab, _ = train_unigram(["abc"] * 50, 10, initial_alphabet=["z", "y"], show_progress=False)
    scores = dict(vocab)
    assert scores["z"] - scores["y"] == pytest.approx(0.0001)
    assert min(scores.values()) == scores["y"]


def test_characters_alone():
    """As many characters as there is room for: nothing can be pruned, and training ends."""
    vocab, _ = unigram_from_counts({"abcdef": 3, "fedcba": 3, "abcfed": 3}, 6)
    assert sorted(piece for piece, _ in vocab) == list("abcdef")


def test_lengths_and_sizes():
    counts = {word: 3 for text in TEXTS for word in text.split()}
    short, _ = unigram_from_counts(counts, 60, max_piece_length=2)
    assert max(len(piece) for piece, _ in short) == 2

    syllables = [first + second for first in "bdgklmnprst" for second in "aeiou"]
    generator, sizes = random.Random(0), []
    counts = {"".join(generator.choices(syllables, k=generator.randint(1, 4))): 2 for _ in range(500)}
    vocab, _ = unigram_from_counts(counts, 60, shrinking_factor=0.8, progress=sizes.append)
    assert len(sizes) > 4
    assert all(after <= 0.8 * before + 1 for before, after in zip(sizes, sizes[1:-1]))
    assert len(vocab) == 60 < sizes[-1] <= 66


def test_progress_bar(capsys):
    train_unigram(TEXTS, 40, show_progress=True)
    assert "pieces=" in capsys.readouterr().err


def test_errors():
    with pytest.raises(ValueError, match="vocab_size is 5, but the texts have 6 different characters, which with 1 "):
        unigram_from_counts({"abcdef": 1}, 5, ["<s>"])
    with pytest.raises(ValueError, match="shrinking_factor is 1.0: expected a share between 0 and 1"):
        unigram_from_counts({"ab": 1}, 9, shrinking_factor=1.0)
    with pytest.raises(ValueError, match="n_sub_iterations is 0: expected 1 or more"):
        unigram_from_counts({"ab": 1}, 9, n_sub_iterations=0)
