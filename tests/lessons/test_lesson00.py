"""Lesson 00's checkers: arrays, broadcasting, and the backend switch; and the pretended device."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from edutransformers.backend import array_module, as_array_like, to_numpy
from edutransformers.functional.softmax import softmax
from edutransformers.functional.unit_vectors import unit_vectors
from edutransformers.teaching.pretend_device import pretend_gpu
from tests.lessons.common import suite_of


def read_by_strides(memory, start, shape, strides, unit=1):
    x = np.zeros(shape, dtype="float32")
    for place in np.ndindex(*shape):
        x[place] = memory[start + np.dot(place, strides) // unit]
    return x


def read_summed(memory, start, shape, strides):
    x = np.zeros(shape)
    for place in np.ndindex(*shape):
        x[place] = memory[start + sum(place) * sum(strides)]
    return x


def read_the_first(memory, start, shape, strides):
    x = np.empty(shape)
    for place in np.ndindex(*shape):
        x[place] = memory[start + np.dot(place, strides)]
        return x


def read_recursively(memory, start, shape, strides):
    if not shape:
        return memory[start]
    return [read_recursively(memory, start + i * strides[0], shape[1:], strides[1:]) for i in range(shape[0])]


def read_at_once(memory, start, shape, strides):
    return as_strided(memory[start:], shape, [8 * stride for stride in strides])


def read_by_broadcasting(memory, start, shape, strides):
    places = np.array(start)
    for size, stride in zip(shape, strides):
        places = places[..., None] + np.arange(size) * stride
    return memory[places]


def broadcast_shape_by_index(a, b):
    shape = []
    for i in range(1, max(len(a), len(b)) + 1):
        x = a[-i] if i <= len(a) else 1
        y = b[-i] if i <= len(b) else 1
        if x != y and x != 1 and y != 1:
            raise ValueError
        shape.insert(0, x if y == 1 else y)
    return shape


def broadcast_on_the_left(a, b):
    n = max(len(a), len(b))
    return np.broadcast_shapes(tuple(a) + (1,) * (n - len(a)), tuple(b) + (1,) * (n - len(b)))


def largest_without_asking(a, b):
    n = max(len(a), len(b))
    return tuple(map(max, (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b))


def returned_error(a, b):
    try:
        return np.broadcast_shapes(a, b)
    except ValueError as error:
        return error


def mean_of_tokens(x, mask):
    return (x * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None]


def mean_in_place(x, mask):
    x *= mask[..., np.newaxis]
    total = x.sum(axis=1)
    total /= mask.sum(axis=1, keepdims=True)
    return total


def head_products(q, k):
    return q.swapaxes(1, 2) @ k.transpose(0, 2, 3, 1)


def products_by_loops(q, k):
    (B, T, H, _), S = q.shape, k.shape[1]
    y = np.empty((B, H, T, S))
    for b, h, t, s in np.ndindex(B, H, T, S):
        y[b, h, t, s] = q[b, t, h] @ k[b, s, h]
    return y


def cosines(a, b):
    return unit_vectors(a)[0] @ unit_vectors(b)[0].T


def cosines_by_einsum(a, b):
    xp = array_module(a)
    lengths = [xp.sqrt(xp.einsum("nd,nd->n", x, x)) for x in (a, b)]
    products = xp.einsum("nd,md->nm", a, b)
    return products / xp.maximum(lengths[0][:, None] * lengths[1][None, :], 1e-20)


def cosines_in_place(a, b):
    xp = array_module(a)
    a /= xp.maximum((a**2).sum(axis=1, keepdims=True) ** 0.5, 1e-12)
    b /= xp.maximum((b**2).sum(axis=1, keepdims=True) ** 0.5, 1e-12)
    return a @ b.swapaxes(0, 1)


def length(x, **options):
    return np.maximum(np.sqrt((x * x).sum(**options)), 1e-12)


def host_cosines(a, b):
    return (a / length(a, axis=1, keepdims=True)) @ (b / length(b, axis=1, keepdims=True)).T


def unguarded(a, b):
    xp = array_module(a)
    with np.errstate(invalid="ignore"):
        a = a / xp.sqrt((a * a).sum(axis=1, keepdims=True))
        return a @ (b / xp.sqrt((b * b).sum(axis=1, keepdims=True))).T


def waiting(a, b):
    if (a * a).sum() > 0:
        return cosines(a, b)
    return None


def without_square_root(a, b):
    xp = array_module(a)
    a = a / xp.maximum((a * a).sum(axis=1, keepdims=True), 1e-12)
    return a @ (b / xp.maximum((b * b).sum(axis=1, keepdims=True), 1e-12)).T


RIGHT = {
    "read_by_strides": {
        "a loop, in float32": read_by_strides,
        "recursion, nested lists": read_recursively,
        "places by broadcasting": read_by_broadcasting,
        "NumPy's own": read_at_once,
    },
    "broadcast_shape": {
        "NumPy's": lambda a, b: np.broadcast_shapes(a, b),
        "from the right, a list": broadcast_shape_by_index,
        "of an array": lambda a, b: np.broadcast(np.empty(a), np.empty(b)).shape,
    },
    "mean_of_tokens": {
        "the formula": mean_of_tokens,
        "in place": mean_in_place,
        "float32": lambda x, mask: mean_of_tokens(x.astype("float32"), mask.astype("float32")),
        "einsum": lambda x, mask: np.einsum("btd,bt->bd", x, mask / mask.sum(axis=1, keepdims=True)),
        "a loop": lambda x, mask: np.stack([row[keep == 1].mean(axis=0) for row, keep in zip(x, mask)]),
    },
    "head_products": {
        "a product": head_products,
        "einsum": lambda q, k: np.einsum("bthk,bshk->bhts", q, k),
        "loops": products_by_loops,
        "float32, by broadcasting": lambda q, k: (
            (q.swapaxes(1, 2)[:, :, :, None] * k.swapaxes(1, 2)[:, :, None]).sum(axis=-1).astype("float32")
        ),
    },
    "cosine_similarities": {
        "the library's": cosines,
        "einsum": cosines_by_einsum,
        "in place": cosines_in_place,
        "float32": lambda a, b: cosines(a.astype("float32"), b.astype("float32")),
    },
}

WRONG = {
    "read_by_strides": {
        "no start": (lambda m, start, shape, strides: read_by_strides(m, 0, shape, strides), "`start` isn't added"),
        "strides turned around": (lambda m, i, shape, strides: read_by_strides(m, i, shape, strides[::-1]), "opposite"),
        "no strides": (lambda m, i, shape, s: m[i : i + int(np.prod(shape))].reshape(shape), "how far apart they are"),
        "neither": (lambda m, i, shape, s: m[: int(np.prod(shape))].reshape(shape), "`start`"),
        "summed": (read_summed, "each index goes with the stride of its own axis"),
        "places": (lambda m, *layout: read_by_strides(np.arange(60.0), *layout), "those are places in memory"),
        "stops at the first": (read_the_first, "does `return` stand inside of the loop?"),
        "bytes": (lambda m, i, shape, s: read_by_strides(m, i, shape, s, 8), "not bytes"),
        "flat": (lambda m, *layout: read_by_strides(m, *layout).ravel(), "only their arrangement isn't"),
    },
    "broadcast_shape": {
        "aligned on the left": (broadcast_on_the_left, "align them on the right"),
        "the largest": (largest_without_asking, "neither is 1: raise ValueError"),
        "cut off": (lambda a, b: tuple(np.maximum(x, y) for x, y in zip(a[::-1], b[::-1]))[::-1], "are missing"),
        "never fits": (lambda a, b: a if a == b else _raise(ValueError()), "but these shapes fit"),
        "backwards": (lambda a, b: np.broadcast_shapes(a, b)[::-1], "you went from right to left"),
        "the first": (lambda a, b: a, "the axes that only one of the two has"),
        "a returned error": (returned_error, "an error is raised, not returned"),
        "another error": (lambda a, b: _raise(KeyError("x")), "stopped with KeyError"),
    },
    "mean_of_tokens": {
        "padding counts": (lambda x, mask: x.mean(axis=1), "the padding is in the mean"),
        "by T": (lambda x, mask: (x * mask[:, :, None]).mean(axis=1), "it is divided by T"),
        "a sum": (lambda x, mask: (x * mask[:, :, None]).sum(axis=1), "it isn't divided"),
        "padding in the sum": (lambda x, mask: x.sum(axis=1) / mask.sum(axis=1)[:, None], "only the count doesn't"),
        "by all": (lambda x, mask: (x * mask[:, :, None]).sum(axis=1) / mask.sum(), "of the whole batch"),
        "one mean": (lambda x, mask: x[mask == 1].mean(axis=0), "1 axis is missing"),
        "mask without an axis": (lambda x, mask: (x * mask).sum(axis=1), "stopped with ValueError"),
        "axes in the wrong place": (lambda x, mask: x * mask[:, None, :], "3 meets 5"),
        "padding behind only": (
            lambda x, mask: np.stack([row[: keep.sum()].mean(axis=0) for row, keep in zip(x, mask)]),
            "padding may be in front",
        ),
    },
    "head_products": {
        "k with q": (lambda q, k: head_products(k, q), "changed places"),
        "reshaped": (
            lambda q, k: (
                q.reshape(q.shape[0], q.shape[2], q.shape[1], -1)
                @ k.reshape(k.shape[0], k.shape[2], k.shape[1], -1).swapaxes(2, 3)
            ),
            "reshape doesn't swap axes",
        ),
        "q reshaped": (
            lambda q, k: q.reshape(q.shape[0], q.shape[2], q.shape[1], -1) @ k.transpose(0, 2, 3, 1),
            "q is reshaped",
        ),
        "k reshaped": (
            lambda q, k: q.swapaxes(1, 2) @ k.reshape(k.shape[0], k.shape[2], k.shape[1], -1).swapaxes(2, 3),
            "k is reshaped to (B, H, S, K)",
        ),
        "k reshaped at once": (
            lambda q, k: q.swapaxes(1, 2) @ k.reshape(k.shape[0], k.shape[2], k.shape[3], k.shape[1]),
            "k is reshaped to (B, H, K, S)",
        ),
        "other heads, too": (lambda q, k: np.einsum("bthk,bsgk->bhts", q, k), "the same head in q and k"),
        "heads not in front": (lambda q, k: q @ k.swapaxes(2, 3), "3 meets 4"),
        "heads last": (lambda q, k: np.einsum("bthk,bshk->btsh", q, k), "yours are (B, T, S, H)"),
        "heads between": (lambda q, k: np.einsum("bthk,bshk->bths", q, k), "yours are (B, T, H, S)"),
        "heads summed": (lambda q, k: np.einsum("bthk,bshk->bts", q, k), "the heads are added up"),
        "scaled": (lambda q, k: head_products(q, k) / k.shape[-1] ** 0.5, "1/√K times what is expected"),
    },
    "cosine_similarities": {
        "products": (lambda a, b: a @ b.T, "plain dot products"),
        "one length": (lambda a, b: unit_vectors(a)[0] @ b.T, "those of b must be, too"),
        "the other length": (lambda a, b: a @ unit_vectors(b)[0].T, "those of a must be, too"),
        "squares": (without_square_root, "the square root is missing"),
        "columns": (lambda a, b: (a / length(a, axis=0)) @ (b / length(b, axis=0)).T, "those of the columns"),
        "whole arrays": (lambda a, b: a @ b.T / (length(a) * length(b)), "the length of the whole array"),
        "turned around": (lambda a, b: cosines(b, a), "(rows of a, rows of b)"),
        "0/0": (unguarded, "its length is 0, and 0/0 is nan"),
        "np for xp": (host_cosines, "use xp."),
        "back on the host": (lambda a, b: host_cosines(to_numpy(a), to_numpy(b)), "the result is on the host"),
        "waits": (waiting, "the host had to wait 1 time"),
    },
}  # fmt: skip


def _raise(error):
    raise error


test_right, test_wrong, test_complete = suite_of(0, RIGHT, WRONG)


# ---------------------------------------------------------------------------------------------------------------------
# The pretended device
# ---------------------------------------------------------------------------------------------------------------------


def test_a_device_array_computes_what_numpy_does(rng):
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
    with pretend_gpu() as cupy:
        a, b = cupy.asarray(x), cupy.asarray(y)
        assert array_module(a) is cupy
        assert (a.shape, a.ndim, a.size, len(a), a.dtype) == ((3, 4), 2, 12, 3, np.float64)
        results = {
            "softmax": (softmax(a), softmax(x)),
            "operators": (1 - 2 * a / (a * a + 3) - -a, 1 - 2 * x / (x * x + 3) + x),
            "a product": (a[1:] @ b, x[1:] @ y),
            "a NumPy number": (np.float32(2) * a, np.float32(2) * x),
            "methods": (a.reshape(2, 6).swapaxes(0, 1).sum(axis=0), x.reshape(2, 6).sum(axis=1)),
            "functions": (cupy.where(a > 0, a, cupy.zeros_like(a)), np.where(x > 0, x, 0)),
            "norm": (cupy.linalg.norm(a, axis=1), np.linalg.norm(x, axis=1)),
            "a list": (cupy.concatenate([a.T, b]).astype("float32") if len(b) == 3 else a.T, x.T),
            "moved": (as_array_like(x, a), x),
        }
        c = cupy.asarray(x)
        c += 1
        c[0] = a[1]
        assert cupy.waits == 0
        np.testing.assert_array_equal(to_numpy(c), [x[1], *(x[1:] + 1)])
        for device, host in results.values():
            assert isinstance(device, cupy.ndarray)
            np.testing.assert_allclose(to_numpy(device), host, rtol=1e-15)
        assert to_numpy(a).base is None  # a copy: writing into it leaves the device alone


def test_what_a_device_forbids(rng):
    x = rng.standard_normal((2, 3))
    with pretend_gpu() as cupy:
        a = cupy.asarray(x)
        for slip, words in (
            (lambda: a + x, "a host array and a device array"),
            (lambda: x + a, "a host array and a device array"),
            (lambda: a @ x.T, "a host array and a device array"),
            (lambda: cupy.exp(x), "a host array and a device array"),
            (lambda: np.exp(a), r"use xp\.exp"),
            (lambda: np.sum(a), r"use xp\.sum"),
            (lambda: np.linalg.norm(a), r"use xp\.linalg\.norm"),
            (lambda: np.asarray(a), r"to_numpy\(x\)"),
        ):
            with pytest.raises(TypeError, match=words):
                slip()
        with pytest.raises(TypeError, match="unsupported operand"):
            a + "text"
        with pytest.raises(AttributeError, match="cupy has no nothing"):
            cupy.nothing  # noqa: B018
        assert cupy.waits == 0


def test_what_makes_the_host_wait(rng):
    with pretend_gpu() as cupy:
        a = cupy.asarray(rng.standard_normal(3))
        for number, wait in enumerate(
            (
                lambda: float(a[0]), lambda: int(a[0]), lambda: bool(a.sum() > 0), lambda: a[0].item(),
                lambda: a.tolist(), lambda: a.get(), lambda: a[a > 0], lambda: to_numpy(a), lambda: max(a[:2]),
            ),
            start=1,
        ):  # fmt: skip
            wait()
            assert cupy.waits == number
        assert repr(a) == "DeviceArray of shape (3,), float64"
        assert cupy.waits == 9


def test_outside_the_block_all_is_as_before():
    with pretend_gpu() as cupy:
        a = cupy.asarray([1.0])
        with pretend_gpu() as inner:
            assert array_module(inner.asarray([1.0])) is inner
        assert array_module(a) is cupy
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array"):
        array_module(a)
