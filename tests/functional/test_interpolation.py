import numpy as np
import pytest

from edutransformers.functional.interpolation import MODES, interpolate, interpolate_backward, interpolation_matrix
from edutransformers.gradient_check import Function, assert_gradients
from edutransformers.module import keep
from tests import fakecupy

SIZES = [((3, 5), (7, 4)), ((4, 4), (9, 9)), ((6, 7), (2, 3)), ((1, 5), (4, 1)), ((2, 1), (1, 6)), ((1, 1), (3, 2))]


def at(row, place, mode):
    """One value between the points of a row, by the formula of the mode: written for a single place."""
    x = lambda i: row[min(max(i, 0), len(row) - 1)]  # noqa: E731
    if mode == "bilinear":
        place = max(place, 0.0)
        f = int(np.floor(place))
        return x(f) * (1 - (place - f)) + x(f + 1) * (place - f)
    f, total = int(np.floor(place)), 0.0
    for i in range(f - 1, f + 3):
        u, a = abs(place - i), -0.75
        near, far = (a + 2) * u**3 - (a + 3) * u**2 + 1, a * u**3 - 5 * a * u**2 + 8 * a * u - 4 * a
        total += x(i) * (near if u <= 1 else far)
    return total


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_each_value_is_that_of_the_formula(before, after, mode, align_corners, rng):
    x = rng.standard_normal((2, 3, *before))
    y = interpolate(x, after, mode, align_corners)
    assert y.shape == (2, 3, *after)
    places = []
    for old, new in zip(before, after):
        if align_corners:
            places.append([i * (old - 1) / (new - 1) if new > 1 else 0.0 for i in range(new)])
        else:
            places.append([(i + 0.5) * old / new - 0.5 for i in range(new)])
    for i, vertical in enumerate(places[0]):
        for j, horizontal in enumerate(places[1]):
            column = [at(row, horizontal, mode) for row in x[1, 2]]
            assert y[1, 2, i, j] == pytest.approx(at(column, vertical, mode), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_gradients(before, after, mode, align_corners, rng):
    layer = Function(
        lambda x: (interpolate(x, after, mode, align_corners), keep(x.shape[2:])),
        lambda dy, cache: interpolate_backward(dy, cache[0], mode, align_corners),
    )
    assert_gradients(layer, rng.standard_normal((2, 3, *before)))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_same_size_changes_nothing(mode, align_corners, rng):
    x = rng.standard_normal((1, 2, 5, 3))
    np.testing.assert_array_equal(interpolate(x, (5, 3), mode, align_corners), x)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), [(1, 4), (2, 5), (7, 3), (5, 11), (4, 1)])
def test_the_weights_of_each_value_sum_to_one(before, after, mode, align_corners):
    """So a picture of one colour stays of that colour."""
    matrix = interpolation_matrix(before, after, mode, align_corners, np.ones(1))
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)


def test_corners_stay_or_don_t():
    ramp = np.arange(4.0).reshape(1, 1, 1, 4)
    np.testing.assert_allclose(interpolate(ramp, (1, 7), align_corners=True)[0, 0, 0], np.arange(7) / 2)
    np.testing.assert_allclose(interpolate(ramp, (1, 8))[0, 0, 0, :4], [0, 0.25, 0.75, 1.25])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_number_types(dtype, rng):
    x = rng.standard_normal((1, 2, 5, 3))
    wanted = interpolate(x, (7, 8), "bicubic")
    got = interpolate(x.astype(dtype), (7, 8), "bicubic")
    assert got.dtype == dtype
    np.testing.assert_allclose(got, wanted, atol={"float16": 5e-3, "float32": 1e-6}[dtype])
    assert interpolate_backward(got, (5, 3), "bicubic").dtype == dtype


def test_on_the_device(fake_cupy, rng):
    x = rng.standard_normal((1, 2, 5, 3))
    with fakecupy.no_sync():
        y = interpolate(fake_cupy.asarray(x), (7, 8), "bicubic")
        dx = interpolate_backward(y, (5, 3), "bicubic")
    wanted = interpolate(x, (7, 8), "bicubic")
    np.testing.assert_allclose(y.get(), wanted, rtol=1e-13)
    np.testing.assert_allclose(dx.get(), interpolate_backward(wanted, (5, 3), "bicubic"), rtol=1e-13)


def test_errors():
    x = np.ones((1, 1, 4, 4))
    with pytest.raises(ValueError, match="unknown mode of interpolation 'cubic': expected one of bilinear, bicubic"):
        interpolate(x, (2, 2), "cubic")
    with pytest.raises(
        ValueError, match=r"can't interpolate from \(4, 4\) to \(0, 2\): expected two sizes of at least 1"
    ):
        interpolate(x, (0, 2))
    with pytest.raises(ValueError, match=r"can't interpolate from \(4, 4\) to \(2,\)"):
        interpolate(x, (2,))
