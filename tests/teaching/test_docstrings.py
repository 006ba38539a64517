"""The data set that every Python brings along."""

from collections import Counter

from edutransformers.teaching.docstrings import SUBJECTS, docstring_sentences


def test_balanced_disjoint_and_the_same_every_time():
    train, test, names = docstring_sentences()
    assert names == list(SUBJECTS)
    everything = [row["text"] for row in train + test]
    assert len(everything) == len(set(everything)) > 1000
    counts = Counter(row["label"] for row in train + test)
    assert set(counts) == set(range(len(names)))
    assert len(set(counts.values())) == 1
    assert abs(len(test) / len(everything) - 0.2) < 0.01
    assert docstring_sentences() == (train, test, names)
    assert docstring_sentences(seed=1)[0] != train


def test_sentences_are_prose():
    train, _, _ = docstring_sentences()
    for row in train:
        assert 6 <= len(row["text"].split()) <= 40
        assert not row["text"].startswith(">>>")
        assert "\n" not in row["text"]
