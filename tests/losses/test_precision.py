"""Losses of float16 predictions: computed in float32, a float32 number; the gradient is float16, as they are."""

import numpy as np
import pytest

from edutransformers import BertConfig
from edutransformers.functional.precision import in_float32
from edutransformers.losses import (
    BCEWithLogitsLoss,
    ClassificationLoss,
    CrossEntropyLoss,
    CTCLoss,
    L1Loss,
    MSELoss,
    NextTokenLoss,
    SmoothL1Loss,
    SpanLoss,
)
from tests import fakecupy

CLASSES = 30522


def half(array):
    return np.asarray(array).astype("float16")


def wide_logits(rng, rows=3, classes=CLASSES):
    return half(3 * rng.standard_normal((rows, classes)))


CASES = {
    "cross-entropy, 30k classes": (
        CrossEntropyLoss,
        lambda rng: (wide_logits(rng), np.array([7, -100, 30000])),
    ),
    "cross-entropy, 70k equal classes": (CrossEntropyLoss, lambda rng: (half(np.zeros((2, 70000))), np.array([1, 2]))),
    "cross-entropy, weights and smoothing": (
        lambda: CrossEntropyLoss(weight=np.linspace(0.5, 2, 900), label_smoothing=0.1),
        lambda rng: (wide_logits(rng, 4, 900), np.array([0, 1, -100, 899])),
    ),
    "cross-entropy, sum over many rows": (
        lambda: CrossEntropyLoss(reduction="sum"),
        lambda rng: (half(rng.standard_normal((60000, 4))), rng.integers(0, 4, 60000)),
    ),
    "next token": (NextTokenLoss, lambda rng: (half(rng.standard_normal((2, 5, 9))), rng.integers(0, 9, (2, 5)))),
    "span": (SpanLoss, lambda rng: (*half(rng.standard_normal((2, 3, 50))), np.array([0, 5, 99]), np.array([1, 9, 4]))),
    "CTC": (
        lambda: CTCLoss(reduction="sum"),
        lambda rng: (
            half(rng.normal(0, 9, (2, 300, 5))),
            np.array([[1, 1], [3, 0]]),
            np.array([300, 90]),
            np.array([2, 1]),
        ),
    ),
    "MSE, far off": (MSELoss, lambda rng: (half(rng.normal(0, 400, 5000)), half(rng.normal(0, 400, 5000)))),
    "MSE, sum": (lambda: MSELoss("sum"), lambda rng: (half(np.ones(5000)), half(np.zeros(5000)))),
    "L1, sum": (lambda: L1Loss("sum"), lambda rng: (half(np.full(5000, 60000.0)), half(np.zeros(5000)))),
    "smooth L1": (SmoothL1Loss, lambda rng: (half(rng.normal(0, 400, 99)), half(rng.normal(0, 400, 99)))),
    "binary": (
        lambda: BCEWithLogitsLoss(pos_weight=np.array([3.0])),
        lambda rng: (half(rng.normal(0, 400, (9000, 1))), rng.integers(0, 2, (9000, 1)).astype("float16")),
    ),
    "regression, a label beyond float16": (
        lambda: ClassificationLoss(BertConfig(num_labels=1)),
        lambda rng: (half(np.ones((5, 1))), np.array([70000.0, 3.0, 1.0, 4.0, 2.0], dtype="float32")),
    ),
    "multi-label": (
        lambda: ClassificationLoss(BertConfig(problem_type="multi_label_classification")),
        lambda rng: (half(rng.standard_normal((4, 2))), rng.integers(0, 2, (4, 2)).astype("float32")),
    ),
}


def run(loss, inputs):
    value, cache = loss.forward(*inputs)
    gradients = loss.backward(np.float32(2.0), cache)
    return value, gradients if isinstance(gradients, tuple) else (gradients,)


@pytest.mark.parametrize("name", CASES)
def test_like_float32(name, rng):
    make, inputs = CASES[name]
    inputs = inputs(rng)
    value, gradients = run(make(), inputs)
    wanted, wanted_gradients = run(make(), [in_float32(x) for x in inputs])
    assert value.dtype == wanted.dtype == np.float32
    np.testing.assert_array_equal(value, wanted)
    for gradient, wide in zip(gradients, wanted_gradients):
        assert gradient.dtype == np.float16
        np.testing.assert_array_equal(gradient, wide.astype("float16"))
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", [CrossEntropyLoss(reduction="none"), CrossEntropyLoss()])
def test_without_a_backward_nothing_changes(loss, rng):
    logits, labels = wide_logits(rng, classes=50), np.array([3, -100, 4])
    np.testing.assert_array_equal(loss(logits, labels), loss.forward(logits, labels)[0])
    assert loss(logits, labels).dtype == np.float32


@pytest.mark.parametrize("name", CASES)
def test_on_the_device(name, rng, fake_cupy):
    make, inputs = CASES[name]
    inputs = inputs(rng)
    value, gradients = run(make(), inputs)
    with fakecupy.no_sync():
        device_value, device_gradients = run(make(), [fake_cupy.asarray(x) for x in inputs])
    assert device_value.dtype == np.float32
    assert float(device_value) == pytest.approx(float(value), rel=1e-5)
    for mine, wanted in zip(device_gradients, gradients):
        assert mine.dtype == np.float16
        np.testing.assert_allclose(mine.get().astype("float32"), wanted.astype("float32"), rtol=1e-3, atol=1e-7)
