"""Arrays without numbers behave like NumPy's in all but the numbers."""

import threading

import numpy as np
import pytest

from edutransformers.functional.attention import attention, attention_backward
from edutransformers.functional.normalization import layer_norm, layer_norm_backward
from edutransformers.teaching.phantom import ELEMENTWISE, PRODUCT, REDUCTION, Ledger, Phantom, PhantomGenerator, at

A, B = (4, 3, 5), (4, 5, 6)

# What layers and optimizers do with arrays: a is (4, 3, 5), b is (4, 5, 6).
OPERATIONS = {
    "product": lambda a, b: a @ b,
    "product of one matrix": lambda a, b: a @ b[0],
    "product with a transposed one": lambda a, b: a.swapaxes(1, 2) @ a,
    "product of transposed squares": lambda a, b: a[:3, :3, :3].T @ a[:3, :3, :3],
    "product of vectors": lambda a, b: a[0, 0] @ b[0],
    "sum of views": lambda a, b: a[:, 1:] + a[:, :1],
    "number": lambda a, b: 2.0 * a,
    "half a number": lambda a, b: np.float32(0.5) * a,
    "transposed, plus a number": lambda a, b: a.transpose(2, 0, 1) + 1,
    "transposed, other type": lambda a, b: a.transpose(2, 0, 1).astype(np.float16),
    "like a transposed one": lambda a, b: np.empty_like(a.transpose(2, 0, 1)),
    "copy of a transposed one": lambda a, b: a.transpose(2, 0, 1).copy(),
    "in place": lambda a, b: a.__iadd__(1),
    "comparison": lambda a, b: a > 0,
    "times a mask": lambda a, b: a * (np.arange(5) > 2),
    "root": lambda a, b: np.sqrt(a),
    "two results": lambda a, b: np.modf(a)[1],
    "sum": lambda a, b: a.sum(axis=-1, keepdims=True),
    "sum of all": lambda a, b: a.sum(),
    "mean": lambda a, b: a.mean(axis=(0, 1)),
    "largest": lambda a, b: a.max(axis=1),
    "running sum": lambda a, b: np.add.accumulate(a, axis=1),
    "sums of runs": lambda a, b: np.add.reduceat(a[0], np.array([0, 2]), axis=0),
    "outer": lambda a, b: np.multiply.outer(a[0, 0], b[0, 0]),
    "row dots": lambda a, b: np.einsum("...i,...i->...", a, a),
    "row sums": lambda a, b: np.einsum("ijk->ij", a),
    "einsum product": lambda a, b: np.einsum("bij,bjk->bik", a, b),
    "einsum to a number": lambda a, b: np.einsum("bij,bij->", a, a),
    "dot": lambda a, b: np.dot(a[0], b[0]),
    "dot of vectors": lambda a, b: np.dot(a[0, 0], a[0, 1]),
    "vdot": lambda a, b: np.vdot(a, a),
    "transposed": lambda a, b: a.transpose(2, 0, 1),
    "swapped": lambda a, b: a.swapaxes(-1, -2),
    "reshaped view": lambda a, b: a.reshape(-1, 5),
    "reshaped copy": lambda a, b: a.swapaxes(0, 1).reshape(3, -1),
    "other type": lambda a, b: a.astype(np.float64),
    "same type, not copied": lambda a, b: a.astype(a.dtype, copy=False),
    "copy": lambda a, b: a.copy(),
    "rows of a table": lambda a, b: np.take(a[0], np.array([[0, 2], [1, 1]]), axis=0),
    "picked": lambda a, b: a[np.arange(4), np.array([0, 2, 1, 0])],
    "new like it": lambda a, b: np.empty_like(a, dtype=np.float64),
    "zeros like it": lambda a, b: np.zeros_like(a, shape=(2, 7)),
    "joined": lambda a, b: np.concatenate([a, a], axis=1),
    "stacked": lambda a, b: np.stack([a, a], axis=-1),
    "chosen": lambda a, b: np.where(np.arange(5) > 2, a, 0.0),
    "zeros": lambda a, b: np.zeros((3, 4), dtype=a.dtype),
    "full": lambda a, b: np.full(7, 0.5, dtype=a.dtype),
    "whole numbers": lambda a, b: np.zeros((3, 4), dtype=np.int64),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_shape_type_and_memory_are_numpys(name, dtype):
    operation = OPERATIONS[name]
    expected = operation(np.ones(A, dtype), np.ones(B, dtype))
    with Ledger() as ledger:
        a, b = Phantom(A, dtype), Phantom(B, dtype)
        before = ledger.size
        result = operation(a, b)
        assert result.shape == expected.shape
        assert result.dtype == expected.dtype
        assert np.shape(result) == () or result.strides == expected.strides
        assert result is a or (getattr(result, "base", None) is None) == (expected.base is None)
        whose = result if getattr(result, "base", None) is None else result.base
        is_new = isinstance(result, Phantom) and whose is not a and whose is not b
        assert ledger.size - before == (expected.nbytes if is_new else 0)


def test_an_array_ends_when_nobody_holds_it_or_a_view_of_it():
    with Ledger() as ledger:
        x = Phantom((10, 10), np.float32)
        view = x[2:5].reshape(-1)
        assert ledger.size == 400
        del x
        assert ledger.size == 400
        del view
        assert ledger.size == 0
    assert ledger.peak == 400


def test_the_worst_moment():
    with Ledger() as ledger:
        a = Phantom((100,), np.float32)
        with at("layer", "forward"):
            Phantom((1000,), np.float32)
            b = Phantom((200,), np.float32)
        assert ledger.peak == 4400
        assert ledger.place_of_peak == ("layer", "forward")
        assert sorted(entry.nbytes for entry in ledger.at_peak) == [400, 4000]
        ledger.reset_peak()
        assert ledger.peak == a.nbytes + b.nbytes


def test_counted_operations():
    with Ledger() as ledger:
        x, w = Phantom((7, 5), np.float32), Phantom((5, 3), np.float32)
        with at("layer", "backward"):
            y = x @ w
        y += 1
        y.sum(axis=0)
        np.einsum("ij,jk->ik", x, w)
    place = ("", "")
    assert ledger.operations[("layer", "backward"), PRODUCT] == 2 * 7 * 5 * 3
    assert ledger.operations[place, PRODUCT] == 2 * 7 * 5 * 3
    assert ledger.operations[place, ELEMENTWISE] == 21
    assert ledger.operations[place, REDUCTION] == 21


def test_shapes_that_do_not_fit():
    with Ledger(), pytest.raises(ValueError, match=r"\(7, 5\) and \(3, 5\)"):
        Phantom((7, 5), np.float32) @ Phantom((3, 5), np.float32)


def test_nothing_is_left_behind():
    """NumPy is itself again, after an error too; and code in other threads never noticed."""
    seen = []

    def under_a_ledger():
        with Ledger():
            assert isinstance(np.zeros(3), Phantom)
            thread = threading.Thread(target=lambda: seen.append(np.zeros(3)))
            thread.start()
            thread.join()
            raise KeyError

    with pytest.raises(KeyError):
        under_a_ledger()
    assert type(seen[0]) is np.ndarray
    assert type(np.zeros(3)) is np.ndarray
    assert np.zeros.__module__ == "numpy"


def test_phantom_dropout_masks():
    from edutransformers.backend import BatchShare, random_keep_mask

    with Ledger() as ledger:
        like = Phantom((4, 6), np.float32)
        mask = random_keep_mask(PhantomGenerator(), (4, 6), 0.5, like)
        share = random_keep_mask(BatchShare(PhantomGenerator(), 1, 3, 4), (2, 6), 0.5, like)
        assert isinstance(mask, Phantom)
        assert mask.dtype == bool
        assert share.shape == (2, 6)
        assert ledger.size == like.nbytes + mask.nbytes + share.nbytes


@pytest.mark.parametrize("size", [(2, 3, 8, 4), (2, 3, 300, 16)])
def test_functions_return_what_they_return(size):
    """Shapes, types and memory order of attention and layer norm, in blocks and in one piece."""

    def run(new):
        q, x = new(size), new((size[0] * size[2], 24))
        (context, weights), cache = attention(q, q, q, return_weights=True)
        gradients = attention_backward(context, cache)[:3]
        y, normalized, inverse = layer_norm(x, new((24,)), new((24,)), 1e-5)
        return [context, weights, *gradients, y, normalized, *layer_norm_backward(y, normalized, inverse, new((24,)))]

    expected = run(lambda shape: np.ones(shape, np.float32))
    with Ledger():
        got = run(lambda shape: Phantom(shape, np.float32))
    for ours, theirs in zip(got, expected, strict=True):
        assert (ours.shape, ours.dtype, ours.strides) == (theirs.shape, theirs.dtype, theirs.strides)
