import numpy as np
import pytest

from edutransformers.functional.blocks import BLOCK, contiguous, elementwise, row_blocks


@pytest.mark.parametrize(("rows", "width"), [(1, 1), (10, 3), (1000, 300), (5, 2 * BLOCK), (BLOCK, 1), (BLOCK + 1, 1)])
def test_blocks_cover_every_row_once(rows, width):
    seen = np.zeros(rows, dtype=int)
    blocks = list(row_blocks(rows, width))
    for block in blocks:
        seen[block] += 1
    np.testing.assert_array_equal(seen, 1)
    assert all((block.stop - block.start) * width <= max(BLOCK, width) for block in blocks)


def test_no_rows_no_blocks():
    assert list(row_blocks(0, 5)) == []


def test_on_a_device_the_block_is_everything(fake_cupy):
    assert list(row_blocks(10**7, 100, fake_cupy)) == [slice(0, 10**7)]


@elementwise
def square(x, y, slope):
    """x²"""
    if slope is not None:
        slope[...] = 2 * x
    np.multiply(x, x, out=y)


@pytest.mark.parametrize("shape", [(7,), (3, BLOCK // 2), (2 * BLOCK + 1,)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_elementwise_gives_what_the_function_gives(rng, shape, transposed):
    x = rng.standard_normal(shape)
    x = x.T if transposed else x
    np.testing.assert_array_equal(square(x), x * x)
    y, slope = square(x, derivative=True)
    np.testing.assert_array_equal(y, x * x)
    np.testing.assert_array_equal(slope, 2 * x)
    out = np.empty_like(x)
    assert square(x, out=out) is out
    np.testing.assert_array_equal(out, x * x)
    assert square.__name__ == "square"


@pytest.mark.parametrize("strided", [False, True])
def test_in_place(rng, strided):
    """`out=x` also where x is no contiguous piece of memory: the result must arrive there."""
    x = rng.standard_normal((3 * BLOCK, 2))[:, 0] if strided else rng.standard_normal(3 * BLOCK)
    wanted = x * x
    assert square(x, out=x) is x
    np.testing.assert_array_equal(x, wanted)


def test_turned_axes_are_worked_through_in_blocks(rng):
    """Channels last in memory, in the middle by shape: still one piece of memory, in blocks of its own order."""
    sizes = []

    @elementwise
    def double(x, y, slope):
        sizes.append(x.size)
        np.multiply(x, 2, out=y)

    x = rng.standard_normal((3, BLOCK, 2)).swapaxes(1, 2)
    y = double(x)
    np.testing.assert_array_equal(y, 2 * x)
    assert y.strides == x.strides
    assert sizes == [BLOCK] * 6


def test_contiguous_copies_only_what_is_not(rng):
    x = rng.standard_normal((3, 4))
    assert contiguous(x) is x
    turned = contiguous(x.T)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, x.T)
