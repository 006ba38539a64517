import math

import numpy as np
import pytest

from edutransformers.functional.activations import ACTIVATIONS, get_activation

PHI = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))  # noqa: E731
SIGMOID = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
TANH_GELU = lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))  # noqa: E731
FORMULAS = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": SIGMOID,
    "tanh": math.tanh,
    "silu": lambda x: x * SIGMOID(x),
    "swish": lambda x: x * SIGMOID(x),
    "gelu": lambda x: x * PHI(x),
    "gelu_python": lambda x: x * PHI(x),
    "gelu_new": TANH_GELU,
    "gelu_fast": TANH_GELU,
    "gelu_pytorch_tanh": TANH_GELU,
    "quick_gelu": lambda x: x * SIGMOID(1.702 * x),
}
POINTS = np.concatenate([np.linspace(-12, 12, 481), [1e-12, -1e-12, 0.0]])


def test_every_activation_has_its_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_in_float64(name):
    y = get_activation(name)(POINTS)
    np.testing.assert_allclose(y, [FORMULAS[name](x) for x in POINTS.tolist()], rtol=1e-13, atol=2e-15)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_in_float32(name):
    x = POINTS.astype("float32")
    y, slope = get_activation(name)(x, derivative=True)
    assert y.dtype == slope.dtype == np.float32
    np.testing.assert_allclose(y, [FORMULAS[name](v) for v in x.tolist()], rtol=2e-6, atol=1.2e-6)
    _, exact_slope = get_activation(name)(x.astype("float64"), derivative=True)
    np.testing.assert_allclose(slope, exact_slope, atol=4e-6)


@pytest.mark.parametrize("name", FORMULAS)
def test_slopes_in_float64(name):
    x, h = np.linspace(-6, 6, 240), 1e-6  # 0, where relu has no slope, is not among them
    y, slope = get_activation(name)(x, derivative=True)
    np.testing.assert_array_equal(y, get_activation(name)(x))
    numeric = (get_activation(name)(x + h) - get_activation(name)(x - h)) / (2 * h)
    np.testing.assert_allclose(slope, numeric, atol=3e-9)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_extremes(name, dtype):
    """Far out every one of them is 0, ±1 or x, with a finite slope, and no warning (they are errors here)."""
    far = 200.0 if dtype == "float16" else 1e4
    x = np.array([-far, far, 0.0], dtype=dtype)
    with np.errstate(over="ignore" if dtype == "float16" and name.startswith("gelu") else "warn"):
        y, slope = get_activation(name)(x, derivative=True)
    assert y.dtype == dtype
    wanted = {"sigmoid": [0, 1, 0.5], "tanh": [-1, 1, 0], "linear": [-far, far, 0]}.get(name, [0, far, 0])
    np.testing.assert_allclose(y, np.array(wanted, dtype=dtype), atol=1e-3 if dtype == "float16" else 1e-6)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "relu", "tanh"])
def test_nan_stays_nan(name):
    for dtype in ("float32", "float64"):
        assert np.isnan(get_activation(name)(np.array([np.nan], dtype=dtype))).all()


def test_relu_has_no_slope_at_zero():
    _, slope = get_activation("relu")(np.zeros(1), derivative=True)
    assert slope == 0
