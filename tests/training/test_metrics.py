"""Metrics: equal to scikit-learn, SciPy and seqeval on random cases (make_metric_fixtures.py), and at the edges."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.training import metrics
from edutransformers.training.metrics import Span, entity_scores, entity_spans, precision_recall_f1

CASES = json.loads(Path(__file__).with_name("metrics.json").read_text(encoding="utf-8"))


def close(value):
    return pytest.approx(value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("case", CASES["classes"], ids=lambda case: f"{len(case['labels'])} items")
def test_classes(case):
    labels, predictions, expected = case["labels"], case["predictions"], dict(case["expected"])
    assert metrics.accuracy(labels, predictions) == close(expected.pop("accuracy"))
    assert metrics.matthews_correlation(labels, predictions) == close(expected.pop("matthews"))
    for average, scores in expected.items():
        assert list(precision_recall_f1(labels, predictions, average)) == close(scores)


@pytest.mark.parametrize("case", CASES["numbers"], ids=["many equal", "hardly any equal"])
def test_numbers(case):
    labels, predictions, expected = case["labels"], case["predictions"], case["expected"]
    assert metrics.pearson_correlation(labels, predictions) == close(expected["pearson"])
    assert metrics.spearman_correlation(labels, predictions) == close(expected["spearman"])


@pytest.mark.parametrize("case", CASES["entities"], ids=lambda case: f"{len(case['labels'])} texts")
def test_entities(case):
    scores = entity_scores(case["labels"], case["predictions"])
    for name, expected in case["expected"].items():
        assert list(scores[name]) == close(expected), name


def test_the_confusion_matrix_has_the_truth_in_rows():
    assert metrics.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 1]).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert metrics.confusion_matrix([0], [0], num_classes=3).shape == (3, 3)


def test_nothing_predicted_is_nothing_found():
    assert precision_recall_f1([1, 1], [0, 0]) == (0.0, 0.0, 0.0)
    assert precision_recall_f1([0, 0], [0, 0]) == (0.0, 0.0, 0.0)
    assert entity_scores([["O", "O"]], [["O", "O"]]) == {"all": (0.0, 0.0, 0.0)}
    assert metrics.matthews_correlation([1, 1, 0], [1, 1, 1]) == 0.0
    assert math.isnan(metrics.pearson_correlation([1, 1], [0, 1]))


def test_matthews_does_not_overflow():
    labels = np.tile([0, 1], 100_000)
    assert metrics.matthews_correlation(labels, labels) == 1.0
    assert metrics.matthews_correlation(labels, 1 - labels) == -1.0


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-a I-a O B-b", [("a", 0, 2), ("b", 3, 4)]),
        ("B-a B-a", [("a", 0, 1), ("a", 1, 2)]),
        ("I-a I-a O I-b", [("a", 0, 2), ("b", 3, 4)]),
        ("B-a I-b I-b", [("a", 0, 1), ("b", 1, 3)]),
        ("B-geo-loc I-geo-loc", [("geo-loc", 0, 2)]),
        ("O", []),
        ("", []),
    ],
)
def test_spans(tags, spans):
    assert entity_spans(tags.split()) == [Span(*span) for span in spans]


@st.composite
def whole_entities(draw):
    """Spans that don't touch, and the tags that say so."""
    tags, spans = [], []
    for kind, gap, length in draw(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 3)), max_size=6)
    ):
        tags += ["O"] * gap
        spans.append(Span(kind, len(tags), len(tags) + length))
        tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    return tags, spans


@given(whole_entities())
@settings(max_examples=60, deadline=None)
def test_tags_give_their_spans_back(case):
    tags, spans = case
    assert entity_spans(tags) == spans
    if spans:
        assert entity_scores([tags], [tags])["all"] == (1.0, 1.0, 1.0)


def test_half_an_entity_is_none():
    assert entity_scores([["B-a", "I-a"]], [["B-a", "O"]])["a"] == (0.0, 0.0, 0.0)


def test_perplexity():
    assert metrics.perplexity(math.log(50)) == pytest.approx(50)
    assert metrics.perplexity(1e9) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy([1, 2], [1]), r"labels of shape \(2,\) and predictions of shape \(1,\)"),
        (lambda: metrics.accuracy([], []), "at least one of each"),
        (lambda: metrics.confusion_matrix([0.5], [1]), "classes must be whole numbers"),
        (lambda: metrics.confusion_matrix([-100], [1]), "from -100 to 1"),
        (lambda: metrics.confusion_matrix([4], [1], num_classes=3), "from 1 to 4: expected numbers from 0 to 2"),
        (lambda: precision_recall_f1([0, 2], [0, 2]), "class 2 occurs: use 'macro' or 'micro'"),
        (lambda: precision_recall_f1([0], [0], "weighted"), "average is 'weighted'"),
        (lambda: entity_spans(["E-person"]), "'E-person' is not of the BIO scheme"),
        (lambda: entity_spans(["B-"]), "'B-' is not of the BIO scheme"),
        (lambda: entity_scores([["O"]], [["O", "O"]]), "text 0 has 1 tags, but 2 predicted ones"),
        (lambda: entity_scores([["O"]], []), "tags of 1 texts, but predicted tags of 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
