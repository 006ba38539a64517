"""Convolution against its definition, written as loops, for every option and every way of cutting it into chunks."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.functional import convolution as module
from edutransformers.functional.convolution import convolution, convolution_backward, geometry
from edutransformers.gradient_check import Function, assert_gradients
from edutransformers.module import keep


def naive_convolution(x, weight, bias, stride, padding, dilation, groups):
    """The sum as it stands in the docstring, number by number. Every option has one entry an axis, padding a pair."""
    B, C, *lengths = x.shape
    O, I, *kernel = weight.shape
    outputs = [(n + sum(p) - d * (k - 1) - 1) // s + 1
               for n, p, d, k, s in zip(lengths, padding, dilation, kernel, stride)]  # fmt: skip
    y = np.zeros((B, O, *outputs))
    for b, o, *place in np.ndindex(*y.shape):
        total = 0.0 if bias is None else bias[o]
        first_channel = o // (O // groups) * I
        for i, *tap in np.ndindex(*weight.shape[1:]):
            at = [s * t + d * k - p[0] for s, t, d, k, p in zip(stride, place, dilation, tap, padding)]
            if all(0 <= u < n for u, n in zip(at, lengths)):
                total += weight[(o, i, *tap)] * x[(b, first_channel + i, *at)]
        y[(b, o, *place)] = total
    return y


def check(x_shape, weight_shape, bias=True, **options):
    """Values against the loops; the gradients, all linear in what they belong to, by the product rule of sums."""
    rng = np.random.default_rng(sum(x_shape) + 7 * sum(weight_shape))
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(weight_shape)
    bias = rng.standard_normal(weight_shape[0]) if bias else None
    y = convolution(x, weight, bias, **options)
    sizes = geometry(x_shape, weight_shape, **options)
    loops = [sizes.stride, sizes.padding, sizes.dilation, sizes.groups]
    np.testing.assert_allclose(y, naive_convolution(x, weight, bias, *loops), rtol=1e-12, atol=1e-12)

    # y is linear in x and in W: <dy, y(x + h)> − <dy, y(x)> = <dx, h> for every h, not only for small ones.
    dy = rng.standard_normal(y.shape)
    dx, dweight, dbias = convolution_backward(dy, x, weight, **options)
    assert (dx.shape, dweight.shape) == (x.shape, weight.shape)
    h, k = rng.standard_normal(x_shape), rng.standard_normal(weight_shape)
    change_by_x = naive_convolution(h, weight, None, *loops)
    change_by_weight = naive_convolution(x, k, None, *loops)
    np.testing.assert_allclose((dy * change_by_x).sum(), (dx * h).sum(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose((dy * change_by_weight).sum(), (dweight * k).sum(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dbias, dy.sum(axis=tuple(a for a in range(dy.ndim) if a != 1)), atol=1e-12)


OPTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "a stride beyond the kernel": {"stride": 4},
    "padding": {"padding": 2},
    "padding beyond the kernel": {"padding": 5, "stride": 3},
    "dilation": {"dilation": 2},
    "same": {"padding": "same", "dilation": 2},
    "valid": {"padding": "valid"},
    "groups": {"groups": 2, "stride": 2, "padding": 1},
    "depthwise": {"groups": 4, "padding": 1},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_over_one_axis(options):
    check((2, 4, 11), (8, 4 // options.get("groups", 1), 3), **options)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_over_two_axes(options):
    check((2, 4, 6, 7), (4, 4 // options.get("groups", 1), 2, 3), **options)


def test_options_that_differ_by_axis():
    check((1, 2, 7, 9), (3, 2, 3, 2), stride=(2, 3), padding=(0, 2), dilation=(1, 2))
    check((1, 2, 7, 9), (3, 2, 3, 2), padding=((1, 0), (0, 3)))
    check((2, 2, 9), (3, 2, 4), padding=((2, 1),))


def test_same_pads_more_at_the_end():
    """An even kernel has no middle: its missing place is added after the input, as torch does."""
    sizes = geometry((1, 1, 5, 6), (1, 1, 2, 5), padding="same", dilation=(3, 1))
    assert (sizes.padding, sizes.lengths) == (((1, 2), (2, 2)), (5, 6))


def test_one_window_and_one_number():
    check((2, 3, 4), (5, 3, 4))
    check((1, 1, 1), (1, 1, 1))
    check((0, 3, 4), (5, 3, 2))


@st.composite
def convolutions(draw):
    axes = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 3))
    small = st.integers(1, 3)

    def one_an_axis(values):
        return tuple(draw(values) for _ in range(axes))

    kernel, dilation, stride = one_an_axis(small), one_an_axis(small), one_an_axis(small)
    padding = one_an_axis(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    lengths = [max(1, d * (k - 1) + 1 - sum(p)) + draw(st.integers(0, 4)) for k, d, p in zip(kernel, dilation, padding)]
    inputs, outputs = draw(small), draw(small)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (draw(small), inputs * groups, *lengths), (outputs * groups, inputs, *kernel), options


@settings(max_examples=60, deadline=None, derandomize=True)
@given(convolutions(), st.sampled_from([1, 30, 200, 1 << 20]))
def test_any_options_in_chunks_of_any_size(case, chunk):
    x_shape, weight_shape, options = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        check(x_shape, weight_shape, **options)


@pytest.mark.parametrize("chunk", [1, 50, 150, 400, 1 << 20])
def test_chunks_cover_every_row_of_every_group_once(chunk, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", chunk)
    sizes = geometry((5, 6, 9, 4), (6, 2, 3, 2), groups=3)
    rows = 5 * np.prod(sizes.lengths)
    seen = np.zeros((3, rows), dtype=int)
    for part in module._chunks(5, sizes, 2, np):
        seen[part.groups, part.rows] += 1
        numbers = (part.groups.stop - part.groups.start) * (part.rows.stop - part.rows.start) * 12
        assert numbers <= max(chunk, 12 * sizes.lengths[1])
    np.testing.assert_array_equal(seen, 1)


def test_gradients_are_the_differences(rng):
    options = {"stride": 2, "padding": 1, "groups": 2}

    def forward(x, weight, bias):
        return convolution(x, weight, bias, **options), keep(x, weight)

    def backward(dy, cache):
        return convolution_backward(dy, *cache, **options)

    inputs = [rng.standard_normal(shape) for shape in ((2, 4, 9), (6, 2, 3), (6,))]
    assert_gradients(Function(forward, backward), *inputs)


def test_a_convolution_hands_on_what_the_next_reads_without_a_copy(rng):
    """(B, O, T) by shape, but the channels last in memory; the next convolution's windows come from that memory."""
    y = convolution(rng.standard_normal((2, 3, 20)), rng.standard_normal((4, 3, 3)))
    assert y.shape == (2, 4, 18)
    assert y.swapaxes(1, 2).flags.c_contiguous
    sizes = geometry(y.shape, (5, 4, 2), stride=2)
    padded = module._padded(y, sizes)
    assert np.shares_memory(padded, y)
    (_, windows), = module._windows(padded, sizes)  # fmt: skip
    assert np.shares_memory(windows, y), "windows that touch without overlap need no copy"


def test_the_windows_never_stand_in_memory_all_at_once(rng):
    """31 MB of windows for 0.5 MB of input: no more than one chunk of them exists."""
    x = rng.standard_normal((1, 16, 8000), dtype=np.float32)
    weight = rng.standard_normal((4, 16, 61), dtype=np.float32)
    convolution(x, weight)
    tracemalloc.start()
    y = convolution(x, weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < y.nbytes + x.nbytes + 4 * module.CHUNK * 1.2


def test_float16_gradients_of_weights_are_summed_in_float32(rng):
    """4,096 equal terms: a float16 sum stops growing at 2,048."""
    x, weight = np.ones((1, 1, 4096), dtype="float16"), np.ones((1, 1, 1), dtype="float16")
    dy = np.ones((1, 1, 4096), dtype="float16")
    dx, dweight, dbias = convolution_backward(dy, x, weight)
    assert (dx.dtype, dweight.dtype, dbias.dtype) == (np.float16, np.float32, np.float32)
    assert dbias[0] == 4096


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "options", "message"),
    [
        ((2, 4, 9), (6, 3, 3), {}, r"input of shape \(B, 3, T\), got an array of shape \(2, 4, 9\)"),
        ((2, 4, 9), (6, 3, 3), {"groups": 2}, r"input of shape \(B, 6, T\), got an array of shape \(2, 4, 9\)"),
        ((4, 9), (6, 4, 3), {}, r"input of shape \(B, 4, T\), got an array of shape \(4, 9\)"),
        ((2, 4, 9), (6, 4, 3, 3), {}, r"input of shape \(B, 4, H, W\), got an array of shape \(2, 4, 9\)"),
        ((2, 4, 9), (6, 4, 10), {}, r"length 9 \(9 with its padding\), but the kernel reaches over 10: pass a longer"),
        ((2, 4, 9), (6, 4, 5), {"dilation": 3, "padding": 1}, r"length 9 \(11 with .*\), but the kernel .* over 13"),
        ((2, 4, 9), (6, 4, 3), {"stride": 0}, "stride is 0: expected a whole number from 1 on"),
        ((2, 4, 9), (6, 4, 3), {"dilation": (1, 2)}, r"dilation is \(1, 2\): expected .* or 1 of them"),
        ((2, 4, 9), (6, 4, 3), {"padding": -1}, "padding is -1: expected numbers from 0 on"),
        ((2, 4, 9), (6, 4, 3), {"padding": "full"}, "padding is 'full': expected a whole number"),
        ((2, 4, 9), (6, 4, 3), {"padding": (1, 1)}, r"padding is \(1, 1\): expected a whole number, 1 of them"),
        ((2, 4, 9), (6, 4, 3), {"padding": "same", "stride": 2}, 'padding="same" keeps the length'),
    ],
)
def test_errors_name_the_value_and_what_was_expected(x_shape, weight_shape, options, message):
    with pytest.raises(ValueError, match=message):
        convolution(np.zeros(x_shape), np.zeros(weight_shape), **options)


def test_lengths_of_all_strides_and_kernels():
    """⌊(T + 2p − d (K − 1) − 1)/s⌋ + 1 is the number of windows that fit, counted."""
    for T, K, s, p, d in product((5, 9), (1, 2, 4), (1, 2, 5), (0, 1), (1, 2)):
        if T + 2 * p > d * (K - 1):
            starts = [t for t in range(0, T + 2 * p, s) if t + d * (K - 1) < T + 2 * p]
            assert geometry((1, 1, T), (1, 1, K), s, p, d).lengths == (len(starts),)
