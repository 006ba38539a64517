"""On a real GPU with CuPy: layers and losses give the same numbers as on the host, float64, forward and backward.

Collected only where CuPy can compute. Everywhere else the strict double stands in (tests/fakecupy.py).
"""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from edutransformers.backend import erf, random_keep_mask, scatter_add, topk
from edutransformers.functional.activations import ACTIVATIONS
from edutransformers.gradient_check import gradient_check
from edutransformers.layers import (
    Activation,
    AddNorm,
    Conv1d,
    Conv2d,
    ConvolutionalPositions,
    Embedding,
    FeedForward,
    GroupNorm,
    LayerNorm,
    Linear,
    SpanMasking,
)
from edutransformers.losses import BCEWithLogitsLoss, CrossEntropyLoss, SmoothL1Loss, SpanLoss
from tests.contract import Case, the_device_gives_the_same_numbers
from tests.layers import test_attention
from tests.losses import test_cross_entropy

pytestmark = pytest.mark.gpu


@contextmanager
def real_cupy():
    import cupy

    yield cupy


def constant(options):
    return lambda rng: dict(options)


def floats(*shape):
    return lambda rng: (rng.standard_normal(shape),)


CASES = {f"activation {name}": Case(lambda name=name: Activation(name), floats(3, 5)) for name in ACTIVATIONS}
for _name, (_make, _inputs, _options) in test_attention.CASES.items():
    CASES[f"attention, {_name}"] = Case(_make, _inputs, constant(_options))
for _name, (_options, _labels) in test_cross_entropy.OPTIONS.items():
    CASES[f"cross-entropy, {_name}"] = Case(
        lambda options=_options: CrossEntropyLoss(**options), test_cross_entropy.logits_for(_labels)
    )
CASES |= {
    "linear": Case(lambda: Linear(5, 3), floats(2, 4, 5)),
    "layer norm": Case(lambda: LayerNorm(5), floats(2, 4, 5)),
    "embedding": Case(lambda: Embedding(7, 4), lambda rng: (np.array([[1, 1, 6], [6, 1, 2]]),)),
    "feed-forward in chunks": Case(lambda: FeedForward(3, 8, "gelu", 2), floats(2, 7, 3)),
    "feed-forward, recomputed": Case(lambda: FeedForward(3, 8, "gelu", 2, recompute=True), floats(2, 7, 3)),
    "add and norm with dropout": Case(
        lambda: AddNorm(4, 1e-5, 0.3),
        lambda rng: tuple(rng.standard_normal((2, 2, 3, 4))),
        lambda rng: {"generator": rng},
        training=True,
    ),
    "convolution over time": Case(lambda: Conv1d(6, 12, 3, 2, padding=2, groups=3), floats(2, 6, 9)),
    "convolution over pictures": Case(lambda: Conv2d(2, 4, (3, 2), dilation=2), floats(2, 2, 7, 6)),
    "group norm": Case(lambda: GroupNorm(2, 6), floats(2, 6, 9)),
    "convolutional positions": Case(lambda: ConvolutionalPositions(6, 4, 2), floats(2, 7, 6)),
    "span masking": Case(
        lambda: SpanMasking(6, 0.5, 2, 1, 0.4, 2, 1), floats(3, 7, 6), lambda rng: {"generator": rng}, training=True
    ),
    "binary cross-entropy": Case(BCEWithLogitsLoss, lambda rng: (rng.standard_normal((3, 4)), rng.random((3, 4)))),
    "smooth L1": Case(SmoothL1Loss, lambda rng: tuple(rng.standard_normal((2, 3, 4)))),
    "span": Case(SpanLoss, lambda rng: (*rng.standard_normal((2, 3, 5)), np.array([0, 5, 99]), np.array([1, -1, 4]))),
}


@pytest.mark.parametrize("name", CASES)
def test_same_numbers(name):
    the_device_gives_the_same_numbers(CASES[name], installed=real_cupy, no_sync=nullcontext)


def test_the_backends_functions(rng):
    import cupy

    x = rng.standard_normal((3, 40))
    device = cupy.asarray(x)
    np.testing.assert_allclose(erf(device).get(), erf(x), rtol=1e-14)
    for a, b in zip(topk(device, 4), topk(x, 4)):
        np.testing.assert_array_equal(a.get(), b)
    ids, rows, table = rng.integers(0, 5, 30), rng.standard_normal((30, 4)), np.zeros((5, 4))
    device_table = cupy.asarray(table)
    scatter_add(table, ids, rows)
    scatter_add(device_table, cupy.asarray(ids), cupy.asarray(rows))
    np.testing.assert_allclose(device_table.get(), table, rtol=1e-12, atol=1e-13)
    masks = [random_keep_mask(np.random.default_rng(0), (3, 7), 0.5, like) for like in (x, device)]
    np.testing.assert_array_equal(masks[1].get(), masks[0])


def test_gradients():
    import cupy

    x = cupy.asarray(np.random.default_rng(0).standard_normal((3, 4)))
    assert gradient_check(LayerNorm(4).to("cuda"), x)
