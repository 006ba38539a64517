import numpy as np
import pytest

from edutransformers.losses import AMSoftmaxLoss
from tests.contract import check_layer

D, C = 4, 5
LABELS = np.array([3, 0, 3])


def inputs(rng):
    return rng.standard_normal((3, D)), LABELS


@pytest.mark.parametrize("options", [{}, {"scale": 2.0, "margin": 0.1}], ids=str)
def test_contract(options):
    check_layer(lambda: AMSoftmaxLoss(D, C, **options), inputs)


def test_is_the_formula(rng):
    x, labels = inputs(rng)
    loss = AMSoftmaxLoss(D, C, scale=7.0, margin=0.2).astype("float64")
    weight, total = loss.weight.data, 0.0
    for row, label in zip(x, labels):
        cosines = [row @ weight[:, c] / np.linalg.norm(row) / np.linalg.norm(weight[:, c]) for c in range(C)]
        cosines[label] -= 0.2
        scores = np.exp(7 * np.array(cosines))
        total -= np.log(scores[label] / scores.sum())
    np.testing.assert_allclose(loss(x, labels), total / 3, rtol=1e-13)


def test_only_the_angle_counts(rng):
    x, labels = inputs(rng)
    loss = AMSoftmaxLoss(D, C).astype("float64")
    wanted = loss(x, labels)
    loss.weight.data = loss.weight.data * np.array([1, 2, 3, 4, 5])
    np.testing.assert_allclose(loss(3 * x, labels), wanted, rtol=1e-13)


def test_wrong_labels(rng):
    x, _ = inputs(rng)
    with pytest.raises(ValueError, match="labels hold 5, but there are 5 classes"):
        AMSoftmaxLoss(D, C)(x.astype("float32"), np.array([0, 5, 1]))
    with pytest.raises(ValueError, match=r"labels have shape \(2,\), expected \(3,\)"):
        AMSoftmaxLoss(D, C)(x.astype("float32"), np.array([0, 1]))
