"""float16 arrays: what would overflow or lose its digits in float16 is computed in float32.

Each test takes values for which a float16 sum, square or exponential goes wrong, and compares with the same function on
float32 copies. What float16 itself can't hold (11 bits) is the tolerance.
"""

import numpy as np
import pytest

from edutransformers.functional.activations import ACTIVATIONS, get_activation
from edutransformers.functional.attention import SAVED_SCORES, attention, attention_backward
from edutransformers.functional.embedding import embedding_backward
from edutransformers.functional.linear import linear_backward
from edutransformers.functional.normalization import layer_norm, layer_norm_backward, layer_norm_inference
from edutransformers.functional.precision import in_float32, sum_dtype
from edutransformers.functional.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

ROUNDING = 2**-11  # half the distance from 1 to the next float16, relative


def half(array):
    return np.asarray(array).astype("float16")


def close(got, wanted, rounds=2.0, atol=1e-7):
    assert got.dtype == np.float16
    assert wanted.dtype == np.float32
    np.testing.assert_allclose(in_float32(got), wanted, rtol=rounds * ROUNDING, atol=atol)


def test_only_float16_is_changed(rng):
    for dtype in ("float32", "float64"):
        x = rng.standard_normal(3).astype(dtype)
        assert in_float32(x) is x
        assert sum_dtype(x.dtype) == x.dtype
    assert in_float32(half(x)).dtype == np.float32
    assert sum_dtype(np.dtype("float16")) == np.float32


def test_layer_norm_of_large_values(rng):
    """Deviations of 300: their squares overflow in float16. A constant row: 1/√ε is a million, which overflows too."""
    x = half(300 * rng.choice([-1.0, 1.0], (5, 64)) + rng.standard_normal((5, 64)))
    x[3] = 100
    weight, bias, dy = half(rng.standard_normal(64)), half(rng.standard_normal(64)), half(rng.standard_normal((5, 64)))
    wide = [in_float32(a) for a in (x, weight, bias)]
    y, normalized, inverse_std = layer_norm(x, weight, bias, 1e-12)
    expected_y, expected_n, expected_std = layer_norm(*wide, 1e-12)
    close(y, expected_y)
    close(normalized, expected_n)
    close(layer_norm_inference(x, weight, bias, 1e-12), expected_y)
    np.testing.assert_array_equal(inverse_std, expected_std)
    assert inverse_std[3] == 1e6

    rows = [0, 1, 2, 4]  # the constant row's gradient is a million times dy: it overflows in any case
    dx, dweight, dbias = layer_norm_backward(dy[rows], normalized[rows], inverse_std[rows], weight)
    wanted = layer_norm_backward(in_float32(dy[rows]), in_float32(normalized[rows]), inverse_std[rows], wide[1])
    close(dx, wanted[0])
    for mine, theirs in ((dweight, wanted[1]), (dbias, wanted[2])):
        np.testing.assert_array_equal(mine, theirs)


def test_softmax_over_many_keys(rng):
    """The exponentials of 70,000 equal scores sum to more than float16 holds."""
    x = half(np.zeros((2, 70000)))
    x[1, 7] = 4
    wide = in_float32(x)
    close(softmax(x), softmax(wide), atol=2**-25)
    close(log_softmax(x), log_softmax(wide))
    again = x.copy()
    assert softmax(again, out=again) is again
    np.testing.assert_array_equal(again, softmax(x))
    dy = half(rng.standard_normal(x.shape))
    dy[0] = 1
    close(softmax_backward(dy, softmax(x)), softmax_backward(in_float32(dy), in_float32(softmax(x))), atol=2**-25)
    y = half(np.full((1, 70000), -11.16))
    close(log_softmax_backward(dy[:1], y), log_softmax_backward(in_float32(dy[:1]), in_float32(y)))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_far_out(name):
    """x² and x³ overflow in float16 beyond 256 and 40; the slope was 0 · inf."""
    x = half(np.concatenate([np.linspace(-8, 8, 501), [-60000, -3000, -300, -45, 45, 300, 3000, 60000]]))
    y, slope = get_activation(name)(x, derivative=True)
    wide_y, wide_slope = get_activation(name)(in_float32(x), derivative=True)
    close(y, wide_y, rounds=1.0)
    close(slope, wide_slope, rounds=1.0)
    again = x.copy()
    get_activation(name)(again, out=again)
    np.testing.assert_array_equal(again, y)


def test_sums_over_many_rows(rng):
    """A bias's gradient, and that of a table's row that stood everywhere: 5001 is no float16."""
    dy, x = half(np.ones((5001, 2))), half(np.ones((5001, 3)))
    dx, dweight, dbias = linear_backward(dy, x, half(rng.standard_normal((2, 3))))
    np.testing.assert_array_equal(dbias, np.full(2, 5001, dtype="float32"))
    assert dbias.dtype == np.float32
    assert dx.dtype == dweight.dtype == np.float16
    dtable = embedding_backward(dy, np.ones(5001, dtype=int), 3)
    np.testing.assert_array_equal(dtable, np.array([[0, 0], [5001, 5001], [0, 0]], dtype="float32"))
    assert dtable.dtype == np.float32


# -- attention --------------------------------------------------------------------------------------------------------


def attention_inputs(rng, T=5, S=7, scale=1.0):
    q = half(scale * rng.standard_normal((2, 3, T, 16)))
    k, v = half(scale * rng.standard_normal((2, 3, S, 16))), half(rng.standard_normal((2, 3, S, 16)))
    return q, k, v


def both(q, k, v, **options):
    """attention and its gradients on float16 arrays, and on float32 copies of them."""
    results = []
    for arrays in ((q, k, v), [in_float32(a) for a in (q, k, v)]):
        wide = {name: value.astype(arrays[0].dtype) if name == "bias" else value for name, value in options.items()}
        (context, weights), cache = attention(*arrays, **wide, return_weights=True)
        dcontext = np.random.default_rng(5).standard_normal(context.shape).astype("float16").astype(arrays[0].dtype)
        results.append([context, weights, *[d for d in attention_backward(dcontext, cache) if d is not None]])
    return zip(*results)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("saved", [SAVED_SCORES, 0])
def test_attention(rng, monkeypatch, masked, saved):
    monkeypatch.setattr("edutransformers.functional.attention.SAVED_SCORES", saved)
    visible = (rng.random((2, 1, 5, 7)) > 0.3) if masked else None
    bias = half(rng.standard_normal((2, 3, 5, 7)))
    for got, wanted in both(*attention_inputs(rng), visible=visible, bias=bias):
        close(got, wanted, rounds=4.0, atol=2e-3)


def test_scores_larger_than_float16_can_hold(rng):
    """q · k is 64 · 32 · 64 = 131,072: beyond float16, until it is divided by √64. It must not become infinite."""
    q, k, v = half(np.full((1, 1, 1, 64), 32.0)), half(np.full((1, 1, 2, 64), 64.0)), rng.standard_normal((1, 1, 2, 64))
    k[..., 1, 0] = 62  # so that its score is less by 8, the last bit of a float16 of this size
    (context, weights, *gradients), wanted = zip(*both(q, k, half(v)))
    close(context, wanted[0])
    close(weights, wanted[1])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_masked_key_stays_hidden_whatever_its_score(rng):
    """A finite mask value that is *added* lets a float16 model see the future, if scores are large enough."""
    q, k, v = attention_inputs(rng)
    visible = np.ones((2, 1, 5, 7), dtype=bool)
    visible[..., 3] = False
    visible[1, 0, 2] = False  # a query that sees nothing
    (plain, _), _ = attention(q, k, v, visible=visible)
    k[:, :, 3], v[:, :, 3] = 2000, 60000  # a huge score, and a huge value behind it
    (context, weights), _ = attention(q, k, v, visible=visible, return_weights=True)
    np.testing.assert_array_equal(context, plain)
    np.testing.assert_array_equal(weights[..., 3], 0)
    np.testing.assert_array_equal(context[1, :, 2], 0)


def test_many_blocks_of_queries_add_up_in_float32(rng, monkeypatch):
    """The gradient of one value is a sum over 5,000 queries, a few at a time."""
    monkeypatch.setattr("edutransformers.functional.attention.BLOCK", 4)
    q, k, v = half(np.zeros((1, 1, 5000, 2))), half(np.zeros((1, 1, 2, 2))), half(np.ones((1, 1, 2, 2)))
    (context, _), cache = attention(q, k, v)
    _, _, dv, _ = attention_backward(np.ones_like(context), cache)
    np.testing.assert_array_equal(dv, np.full_like(v, 2500))  # each of the two keys has half of every query


def test_the_gradient_of_one_key_adds_up_in_float32(monkeypatch):
    """2,500 queries, one at a time, all of which pull at it alike: in float16, 1024 + ½ is 1024."""
    monkeypatch.setattr("edutransformers.functional.attention.BLOCK", 2)
    q, k, v = half(np.ones((1, 1, 2500, 1))), half(np.zeros((1, 1, 2, 1))), half([[[[1.0], [-1.0]]]])
    (context, _), cache = attention(q, k, v, scale=1.0)
    _, dk, _, _ = attention_backward(np.ones_like(context), cache)
    np.testing.assert_array_equal(dk, half([[[[1250.0], [-1250.0]]]]))  # P (dP − Σ P dP) = ½ (±1 − 0), 2,500 times


def test_the_mean_under_a_softmax_is_float32():
    """The gradients of 2,048 keys are 1000 or 1001, their mean is 1000.25, which float16 rounds to 1000."""
    q, k = half(np.ones((1, 1, 1, 1))), half(np.zeros((1, 1, 2048, 1)))
    larger = np.arange(2048) % 4 == 0
    v = half(1000 + larger)[None, None, :, None]
    (context, _), cache = attention(q, k, v, scale=1.0)
    _, dk, _, _ = attention_backward(np.ones_like(context), cache)
    np.testing.assert_array_equal(dk[0, 0, :, 0], half((larger - 0.25) / 2048))


def test_on_the_device(fake_cupy, rng):
    """The same functions, with CuPy's rules; nothing waits."""
    from tests import fakecupy

    x, weight, bias = half(300 * rng.standard_normal((4, 8))), half(rng.standard_normal(8)), half(np.ones(8))
    q, k, v = attention_inputs(rng)
    visible = rng.random((2, 1, 5, 7)) > 0.3

    def everything(arrays, ids):
        x, weight, bias, q, k, v, visible = arrays
        y, normalized, inverse_std = layer_norm(x, weight, bias, 1e-12)
        (context, _), cache = attention(q, k, v, visible=visible)
        activated = [part for name in ("gelu", "gelu_new", "silu") for part in get_activation(name)(x, derivative=True)]
        return [
            y, *layer_norm_backward(x, normalized, inverse_std, weight), layer_norm_inference(x, weight, bias, 1e-12),
            softmax(x), softmax_backward(x, y), log_softmax(x), log_softmax_backward(y, y), *activated, context,
            *attention_backward(context, cache)[:3], *linear_backward(y, y, weight[:, None] * bias),
            embedding_backward(x, ids, 3),
        ]  # fmt: skip

    arrays, ids = (x, weight, bias, q, k, v, visible), np.array([0, 2, 2, 1])
    with np.errstate(over="ignore"):
        expected = everything(arrays, ids)
    device_arrays, device_ids = [fake_cupy.asarray(a) for a in arrays], fake_cupy.asarray(ids)
    with fakecupy.no_sync():
        got = everything(device_arrays, device_ids)
    for mine, wanted in zip(got, expected):
        assert mine.dtype == wanted.dtype
        np.testing.assert_allclose(in_float32(mine.get()), in_float32(wanted), rtol=4 * ROUNDING, atol=1e-4)
