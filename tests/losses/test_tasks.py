from types import SimpleNamespace

import numpy as np
import pytest

from edutransformers.losses import (
    BCEWithLogitsLoss,
    ClassificationLoss,
    CrossEntropyLoss,
    MSELoss,
    NextTokenLoss,
    SpanLoss,
)
from tests.contract import check_layer

WHOLE = np.array([2, 0, 1])


def classification(problem_type=None):
    return lambda: ClassificationLoss(SimpleNamespace(problem_type=problem_type))


def draw(*shape):
    return lambda rng: rng.standard_normal(shape)


# problem type, logits, labels, the loss that must be chosen
CASES = {
    "one label, whole numbers: regression": (None, draw(3, 1), lambda rng: WHOLE, MSELoss),
    "one label, floats: regression": (None, draw(3, 1), draw(3), MSELoss),
    "one label, (B, 1): regression": (None, draw(3, 1), draw(3, 1), MSELoss),
    "whole numbers: single label": (None, draw(3, 4), lambda rng: WHOLE, CrossEntropyLoss),
    "whole numbers (B, 1): single label": (None, draw(3, 4), lambda rng: WHOLE[:, None], CrossEntropyLoss),
    "floats: multi label": (None, draw(3, 4), lambda rng: (rng.random((3, 4)) < 0.5) * 1.0, BCEWithLogitsLoss),
    "regression of several numbers": ("regression", draw(3, 4), draw(3, 4), MSELoss),
    "single label asked for": ("single_label_classification", draw(3, 4), lambda rng: WHOLE, CrossEntropyLoss),
    "multi label asked for, whole numbers": (
        "multi_label_classification",
        draw(3, 4),
        lambda rng: rng.integers(0, 2, (3, 4)),
        BCEWithLogitsLoss,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_contract_of_classification(name):
    problem_type, logits, labels, kind = CASES[name]
    check_layer(
        classification(problem_type),
        lambda rng: (logits(rng), labels(rng)),
        consumes_cache=kind is CrossEntropyLoss,
    )


@pytest.mark.parametrize("name", CASES)
def test_chooses_by_the_originals_rule(rng, name):
    problem_type, logits, labels, kind = CASES[name]
    logits, labels = logits(rng), labels(rng)
    loss, cache = classification(problem_type)().forward(logits, labels)
    assert type(cache.loss_function) is kind
    if kind is CrossEntropyLoss:
        wanted = kind()(logits, labels.reshape(-1))
    else:
        wanted = kind()(logits.reshape(labels.shape), labels.astype("float64"))
    assert loss == wanted


def test_classification_errors():
    with pytest.raises(TypeError, match=r"labels are an array of <U3: expected numbers; config.label2id says which"):
        classification()()(np.zeros((2, 4)), np.array(["cat", "dog"]))
    with pytest.raises(ValueError, match=r"labels have shape \(3,\), expected \(3, 4\) numbers for regression"):
        classification("regression")()(np.zeros((3, 4)), np.zeros(3))
    with pytest.raises(ValueError, match=r"labels have shape \(2,\), expected \(3,\)"):
        classification()()(np.zeros((3, 4)), np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"predictions have shape \(3, 4\) and targets \(3, 3\)"):
        classification()()(np.zeros((3, 4)), np.zeros((3, 3)))


TOKENS = np.array([[1, 2, 0, 4], [3, -100, 2, -100]])


def test_contract_of_next_token():
    check_layer(NextTokenLoss, lambda rng: (rng.standard_normal((2, 4, 5)), TOKENS))


def test_next_token_shifts_by_one(rng):
    """Position t predicts token t + 1: not t, not t + 2."""
    logits = rng.standard_normal((2, 4, 5))
    rows = [(0, 0, 2), (0, 1, 0), (0, 2, 4), (1, 1, 2)]  # example, position, the token that follows
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    wanted = -sum(log_p[b, t, token] for b, t, token in rows) / len(rows)
    loss, cache = NextTokenLoss().forward(logits, TOKENS)
    assert loss == pytest.approx(wanted, rel=1e-12)
    dlogits = NextTokenLoss().backward(1.0, cache)
    assert not dlogits[:, -1].any()
    assert not dlogits[1, 0].any()
    with pytest.raises(ValueError, match=r"labels have shape \(2, 3\), expected \(2, 4\)"):
        NextTokenLoss()(logits, TOKENS[:, 1:])


POSITIONS = {
    "inside": (np.array([0, 3, 2]), np.array([1, 3, 4])),
    "cut off": (np.array([0, 5, 99]), np.array([1, 3, 5])),
    "negative": (np.array([-1, 3, -100]), np.array([1, -7, 4])),
    "(B, 1)": (np.array([[0], [3], [2]]), np.array([[1], [9], [4]])),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_contract_of_span(name):
    check_layer(
        SpanLoss,
        lambda rng: (rng.standard_normal((3, 5)), rng.standard_normal((3, 5)), *POSITIONS[name]),
        consumes_cache=True,
    )


@pytest.mark.parametrize("name", POSITIONS)
def test_span_is_the_mean_of_two_cross_entropies(rng, name):
    start_logits, end_logits = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))

    def half(logits, positions):
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        rows = [(b, max(int(p), 0)) for b, p in enumerate(positions.reshape(-1)) if p < 5]
        return -sum(log_p[row] for row in rows) / len(rows)

    starts, ends = POSITIONS[name]
    wanted = (half(start_logits, starts) + half(end_logits, ends)) / 2
    assert SpanLoss()(start_logits, end_logits, starts, ends) == pytest.approx(wanted, rel=1e-12)


def test_span_with_every_answer_cut_off(rng):
    start_logits, end_logits = rng.standard_normal((2, 5)), rng.standard_normal((2, 5))
    loss, cache = SpanLoss().forward(start_logits, end_logits, np.array([7, 5]), np.array([1, 2]))
    assert np.isnan(loss)
    dstart, dend = SpanLoss().backward(1.0, cache)
    assert not dstart.any()
    assert np.isfinite(dend).all()
    assert dend.any()
