import numpy as np
import pytest

from edutransformers.losses import ContrastiveLoss
from edutransformers.losses import contrastive as contrastive_module
from tests.contract import check_layer

B, T, D, K = 2, 4, 3, 5
COUNTED = np.array([[True, False, True, True], [False, True, True, False]])


def inputs(rng, counted=COUNTED, doubles=False):
    c, q = rng.standard_normal((2, B, T, D))
    codes = np.arange(B * T).reshape(B, T)
    if doubles:  # row 5 is row 2 again: as a negative of row 2 it is left out
        q[1, 1], codes[1, 1] = q[0, 2], codes[0, 2]
    negatives = rng.integers(0, B * T, (B, T, K))
    negatives[0, 2, :2] = 5
    return c, q, codes, negatives, counted


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("counted", [COUNTED, np.ones_like(COUNTED)], ids=["some", "all"])
def test_contract(counted, temperature):
    check_layer(lambda: ContrastiveLoss(temperature), lambda rng: inputs(rng, counted), consumes_cache=True)


def naive(c, q, codes, negatives, counted, temperature):
    """The definition, row by row and candidate by candidate."""
    targets, total = q.reshape(-1, D), 0.0
    for row, (vector, others, counts) in enumerate(
        zip(c.reshape(-1, D), negatives.reshape(-1, K), counted.reshape(-1))
    ):
        if not counts:
            continue

        def score(j, vector=vector):
            cosine = vector @ targets[j] / np.linalg.norm(vector) / np.linalg.norm(targets[j])
            return np.exp(cosine / temperature)

        distractors = [j for j in others if not np.array_equal(targets[j], targets[row])]
        total -= np.log(score(row) / (score(row) + sum(score(j) for j in distractors)))
    return total


@pytest.mark.parametrize("doubles", [False, True])
def test_is_the_formula(rng, doubles):
    batch = inputs(rng, doubles=doubles)
    np.testing.assert_allclose(ContrastiveLoss(0.3)(*batch), naive(*batch, 0.3), rtol=1e-13)


def test_a_double_of_the_right_target_has_no_gradient_as_a_negative(rng):
    c, q, codes, negatives, counted = inputs(rng, doubles=True)
    loss = ContrastiveLoss(0.3)
    _, cache = loss.forward(c, q, codes, negatives, counted)
    place = list(np.flatnonzero(COUNTED)).index(2)
    assert (cache.probabilities[place, 1:3] == 0).all()
    assert (cache.probabilities[place, 3:] > 0).any()


def test_rows_a_few_at_a_time(rng, monkeypatch):
    """Blocks of one row: the same loss and gradients."""
    batch, loss = inputs(rng, doubles=True), ContrastiveLoss(0.3)
    value, cache = loss.forward(*batch)
    wanted = loss.backward(0.7, cache)
    monkeypatch.setattr("edutransformers.functional.blocks.BLOCK", 1)
    assert len(list(contrastive_module._blocks(np.zeros((3, 6)), D, np))) == 3
    again, cache = loss.forward(*batch)
    np.testing.assert_allclose(again, value, rtol=1e-14)
    for mine, other in zip(loss.backward(0.7, cache), wanted):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-14)


def test_nothing_counts(rng):
    batch = inputs(rng, np.zeros_like(COUNTED))
    loss = ContrastiveLoss()
    value, cache = loss.forward(*batch)
    assert value == 0
    assert not any(d.any() for d in loss.backward(1.0, cache))


def test_float16(rng):
    c, q, codes, negatives, counted = inputs(rng)
    value, cache = ContrastiveLoss().forward(c.astype("float16"), q.astype("float16"), codes, negatives, counted)
    np.testing.assert_allclose(value, naive(c, q, codes, negatives, counted, 0.1), rtol=0.02)
    assert all(d.dtype == np.float16 for d in ContrastiveLoss().backward(1.0, cache))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({1: np.zeros((B, T, D + 1))}, r"predictions have shape \(2, 4, 3\) and targets \(2, 4, 4\)"),
        ({2: np.zeros((B, T))}, r"codes are an array of float64 and shape \(2, 4\), expected whole numbers"),
        ({3: np.zeros((B, T + 1, K), int)}, r"negatives have shape \(2, 5, 5\), expected \(2, 4, 'negatives'\)"),
        ({3: np.full((B, T, K), 8)}, "negatives holds 8, but there are 8 targets, counted from 0 over the whole batch"),
        ({4: COUNTED.astype(int)}, r"counted is an array of int64 and shape \(2, 4\), expected booleans"),
    ],
)
def test_bad_input(rng, change, error):
    batch = list(inputs(rng))
    for place, value in change.items():
        batch[place] = value
    with pytest.raises(ValueError, match=error):
        ContrastiveLoss()(*batch)


def test_bad_temperature():
    with pytest.raises(ValueError, match="temperature is 0: expected a number above 0"):
        ContrastiveLoss(0)
