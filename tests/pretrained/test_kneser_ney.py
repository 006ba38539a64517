"""The n-gram model: a true distribution, and the numbers of a naive version written down from the paper."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from edutransformers.pretrained.kneser_ney import KneserNey, discounts

VOCAB = 12


def documents(seed=0, count=40):
    """Texts with structure: each word prefers a few others."""
    generator = np.random.default_rng(seed)
    texts = []
    for _ in range(count):
        text = [int(generator.integers(1, VOCAB))]
        for _ in range(int(generator.integers(0, 14))):
            text.append(1 + (text[-1] * 2 + int(generator.integers(0, 3)) ** 2) % (VOCAB - 1))
        texts.append(text)
    return [*texts, []]


def naive(texts, order, boundary=0):
    """p(word, context) by the formulas, with dictionaries and recursion."""
    counts = defaultdict(Counter)  # n -> n-gram -> how often
    for text in texts:
        text = (boundary, *text, boundary)
        for n in range(1, order + 1):
            counts[n].update(text[i : i + n] for i in range(len(text) - n + 1))
    used = {order: dict(counts[order])}
    for n in range(1, order):
        lefts = Counter(gram[1:] for gram in counts[n + 1])
        if n > 1:
            lefts.update({gram: count for gram, count in counts[n].items() if gram[0] == boundary})
        used[n] = dict(lefts)

    def discount(n, count):
        of = [sum(c == i for c in used[n].values()) for i in range(1, 5)]
        if min(of) == 0:
            return min(count, 3) / 2
        y = of[0] / (of[0] + 2 * of[1])
        all_three = [i - (i + 1) * y * of[i] / of[i - 1] for i in (1, 2, 3)]
        return min(count, 3) / 2 if min(all_three) < 0 else all_three[min(count, 3) - 1]

    def p(word, context):
        n = len(context) + 1
        lower = 1 / VOCAB if n == 1 else p(word, context[1:])
        followers = {gram: count for gram, count in used[n].items() if gram[:-1] == context}
        if not followers:
            return lower
        freed = sum(discount(n, count) for count in followers.values())
        count = followers.get((*context, word), 0)
        return ((count - discount(n, count) if count else 0) + freed * lower) / sum(followers.values())

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one(order):
    model = KneserNey(documents(), VOCAB, order)
    generator = np.random.default_rng(1)
    seen = [text[:length] for text in documents()[:6] for length in range(4)]
    contexts = [[], [0], *seen, *generator.integers(0, VOCAB, (30, 4)).tolist(), [3] * 9]
    for context in contexts:
        p = model.distribution(context[-(order - 1) :] if order > 1 else [])
        assert p.min() > 0
        assert p.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equal_to_the_naive_version(order):
    texts = documents()
    model, p = KneserNey(texts, VOCAB, order), naive(texts, order)
    for text in [*documents(seed=1, count=8), texts[0]]:
        whole = (0, *text, 0)
        expected = [p(whole[i], whole[max(i - order + 1, 0) : i]) for i in range(1, len(whole))]
        np.testing.assert_allclose(np.exp(model.log_probabilities(text)), expected, rtol=1e-12)
        for i in range(1, len(whole)):
            context = list(whole[max(i - order + 1, 0) : i])
            assert model.distribution(context)[whole[i]] == pytest.approx(expected[i - 1], rel=1e-12)


def test_discounts():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 10, 5])
    y = 100 / 180
    expected = [0, 1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 10 / 20]
    np.testing.assert_allclose(discounts(counts), expected, rtol=1e-12)
    np.testing.assert_array_equal(discounts(np.array([5, 6, 7])), [0, 0.5, 1, 1.5])  # no rare ones to count
    np.testing.assert_array_equal(
        discounts(np.repeat([1, 2, 3, 4], [1, 1, 9, 1])), [0, 0.5, 1, 1.5]
    )  # D(2) would be −7


def test_a_word_that_only_follows_one_other_is_rare_elsewhere():
    san, francisco, other = 1, 2, 3
    texts = [[san, francisco, other]] * 50 + [[word, other] for word in range(3, VOCAB)]
    after_new_word = KneserNey(texts, VOCAB, 2).distribution([francisco, 11])
    assert after_new_word[other] > 3 * after_new_word[francisco]  # though both occur about as often


def test_more_context_and_more_text_help():
    unseen = documents(seed=5, count=100)

    def loss(order, count=300):
        model = KneserNey(documents(count=count), VOCAB, order)
        return -np.mean(np.concatenate([model.log_probabilities(text) for text in unseen]))

    assert loss(2) < loss(1) - 0.3
    assert loss(2, count=300) < loss(2, count=20)


def test_bad_values():
    with pytest.raises(ValueError, match="6-grams of 2048 words don't fit in 64 bits"):
        KneserNey([[1]], 2048, order=6)
    with pytest.raises(ValueError, match="a document holds 12, but the vocabulary has 12 entries"):
        KneserNey([[1, 12]], VOCAB)
