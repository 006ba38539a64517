"""The double of CuPy must refuse what CuPy refuses, count what it waits for, and give NumPy's values otherwise."""

import copy
import math
import pickle
import threading

import numpy as np
import pytest

from edutransformers.backend import array_module, use_backend
from tests import fakecupy
from tests.fakecupy import DeviceSync, no_sync

REFUSED = {
    "host + device": lambda xp, d, h: h + d,
    "device + host": lambda xp, d, h: d + h,
    "device @ host": lambda xp, d, h: d @ h.T,
    "host @ device": lambda xp, d, h: h @ d.T,
    "host += device": lambda xp, d, h: h.__iadd__(d),
    "device == host": lambda xp, d, h: d == h,
    "device + list": lambda xp, d, h: d + [1.0, 2.0, 3.0],
    "a host value stored in a device array": lambda xp, d, h: d.__setitem__(0, h[0]),
    "a device value stored in a host array": lambda xp, d, h: h.__setitem__(0, d[0]),
    "a host index": lambda xp, d, h: d[np.array([0, 1])],
    "a list as index": lambda xp, d, h: d[[0, 1]],
    "a host array for a cupy function": lambda xp, d, h: xp.add(d, h),
    "a host array alone for a cupy function": lambda xp, d, h: xp.sum(h),
    "a host array in a list": lambda xp, d, h: xp.concatenate([d, h]),
    "a host array as out": lambda xp, d, h: xp.exp(d, out=h),
    "np.asarray(device)": lambda xp, d, h: np.asarray(d),
    "np.exp(device)": lambda xp, d, h: np.exp(d),
    "np.add(device, device)": lambda xp, d, h: np.add(d, d),
    "np.sum(device)": lambda xp, d, h: np.sum(d),
    "np.where(device)": lambda xp, d, h: np.where(d > 0, d, d),
    "np.empty_like(device)": lambda xp, d, h: np.empty_like(d),
    "np.add.at(device)": lambda xp, d, h: np.add.at(d, 0, 1.0),
    "np.add.at(host, device ids)": lambda xp, d, h: np.add.at(h, xp.asarray([0]), 1.0),
    "maximum.reduce": lambda xp, d, h: xp.maximum.reduce(d),
    "logaddexp.reduce": lambda xp, d, h: xp.logaddexp.reduce(d),
    "multiply.at": lambda xp, d, h: xp.multiply.at(d, xp.asarray([0]), 2.0),
    "errstate": lambda xp, d, h: xp.errstate(all="ignore"),
    "block": lambda xp, d, h: xp.block([[d]]),
    "insert": lambda xp, d, h: xp.insert(d, 0, 1.0),
    "vecdot": lambda xp, d, h: xp.vecdot(d, d),
    "cupy.random": lambda xp, d, h: xp.random.standard_normal(3),
    "sum(where=)": lambda xp, d, h: xp.sum(d, where=d > 0),
    ".sum(where=)": lambda xp, d, h: d.sum(where=d > 0),
    ".max(initial=)": lambda xp, d, h: d.max(initial=0),
    "exp(where=)": lambda xp, d, h: xp.exp(d, where=d > 0),
    "take(mode=)": lambda xp, d, h: xp.take(d, xp.asarray([0]), mode="clip"),
    "argsort(kind='quicksort')": lambda xp, d, h: xp.argsort(d, kind="quicksort"),
    "too many positional arguments": lambda xp, d, h: xp.sum(d, 0, None, None, False, 0),
    "range(device)": lambda xp, d, h: range(xp.asarray(3)),
    "a device slice bound": lambda xp, d, h: d[: xp.asarray(1)],
    "flags.writeable": lambda xp, d, h: d.flags.writeable,
    "an array of objects": lambda xp, d, h: xp.asarray(["a", None]),
    "a method CuPy lacks": lambda xp, d, h: d.newbyteorder(),
    "the second GPU": lambda xp, d, h: xp.cuda.Device(1),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses(fake_cupy, what):
    host = np.arange(6, dtype="float32").reshape(2, 3) + 1
    kinds = (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError)
    with pytest.raises(kinds):
        REFUSED[what](fake_cupy, fake_cupy.asarray(host), host)


WAITS = {
    "float(x)": lambda xp, x: float(x.sum()),
    "int(x)": lambda xp, x: int(x.sum()),
    "if x": lambda xp, x: bool(x.sum() > 0),
    ".item()": lambda xp, x: x.sum().item(),
    ".tolist()": lambda xp, x: x.tolist(),
    ".get()": lambda xp, x: x.get(),
    "asnumpy": lambda xp, x: xp.asnumpy(x),
    "repr(x)": lambda xp, x: repr(x),
    "pickle": lambda xp, x: pickle.dumps(x),
    "a boolean mask": lambda xp, x: x[x > 1],
    "storing by a boolean mask": lambda xp, x: x.__setitem__(x > 1, 0.0),
    "nonzero": lambda xp, x: xp.nonzero(x),
    ".nonzero()": lambda xp, x: x.nonzero(),
    "where with one argument": lambda xp, x: xp.where(x > 1),
    "unique": lambda xp, x: xp.unique(x),
    "a size on the device": lambda xp, x: xp.zeros(xp.asarray(3)),
}


@pytest.mark.parametrize("what", WAITS)
def test_counts_and_refuses_waiting(fake_cupy, what):
    x = fake_cupy.asarray(np.arange(4.0))
    assert fakecupy.counts.syncs == 0
    WAITS[what](fake_cupy, x)
    assert fakecupy.counts.syncs == 1
    with no_sync(), pytest.raises(DeviceSync, match="the host waits for the device"):
        WAITS[what](fake_cupy, x)


def test_waiting_in_another_thread_is_seen(fake_cupy):
    x, seen = fake_cupy.asarray(np.ones(3)), []

    def work():
        try:
            float(x.sum())
        except DeviceSync as error:
            seen.append(error)

    with no_sync():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(seen) == 1
    assert float(x.sum()) == 3  # allowed again


SAME = {
    "arithmetic": lambda xp, x: (2 * x + 1 - x / 3) ** 2 // 2 % 5,
    "in place": lambda xp, x: (x.__iadd__(1), x.__imul__(x))[1],
    "comparison": lambda xp, x: ((x > 1) & ~(x >= 3)) | (x == 0),
    "unary": lambda xp, x: abs(-x) + (+x),
    "matmul": lambda xp, x: x @ x.T,
    "matmul with out": lambda xp, x: xp.matmul(x, x.T, out=xp.empty((2, 2))),
    "einsum": lambda xp, x: xp.einsum("...i,...i->...", x, x),
    "reductions": lambda xp, x: x.sum(axis=1, keepdims=True) + xp.max(x, axis=0) + x.mean(),
    "indexing": lambda xp, x: x[..., None, ::-1][1:, 0] + x[1, 2],
    "fancy indexing": lambda xp, x: x[xp.asarray([1, 0]), xp.asarray([2, 2])],
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(-x, axis=-1, kind="stable"), axis=-1),
    "where": lambda xp, x: xp.where(x > 2, x, 0.0),
    "clip and cast": lambda xp, x: xp.clip(x, 1, 3).astype(xp.float32),
    "shapes": lambda xp, x: xp.concatenate([x.T.reshape(2, 3), xp.broadcast_to(x[0], (2, 3))]).swapaxes(0, 1),
    "a NumPy scalar first": lambda xp, x: np.float64(3) * x,
    "add.at": lambda xp, x: (xp.add.at(x, xp.asarray([0, 0]), 1.0), x)[1],
    "functions with out": lambda xp, x: xp.exp(x, out=xp.empty_like(x)),
    "cumsum": lambda xp, x: x.cumsum(axis=1) + xp.cumsum(x, axis=0),
}


@pytest.mark.parametrize("what", SAME)
def test_gives_numpys_values(fake_cupy, what):
    host = np.arange(6.0).reshape(2, 3)
    wanted = SAME[what](np, host.copy())
    with no_sync():
        got = SAME[what](fake_cupy, fake_cupy.asarray(host))
    assert isinstance(got, fake_cupy.ndarray)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got.get(), wanted)


def test_results_stay_on_the_device_down_to_single_numbers(fake_cupy):
    x = fake_cupy.asarray(np.arange(6.0).reshape(2, 3))
    for value in (x.sum(), x[1, 2], fake_cupy.max(x), x.argmax(), x.any(), x.sum() / 2, next(iter(x[0]))):
        assert isinstance(value, fake_cupy.ndarray)
        assert value.shape == ()
    assert array_module(x.sum()) is fake_cupy
    one = x[1, 2]
    one += 100  # an index gives a view, also of a single number
    assert float(x[1, 2]) == 105
    assert x.T.base is not None
    assert fake_cupy.ones(3).base is None


def test_moving_copies(fake_cupy):
    host = np.zeros(3)
    device = fake_cupy.asarray(host)
    host[0] = 1
    back = device.get()
    back[1] = 1
    np.testing.assert_array_equal(device.get(), [0, 0, 0])
    assert fake_cupy.asarray(device) is device
    assert fakecupy.counts.uploads == 1


def test_fresh_memory_holds_garbage(fake_cupy):
    assert np.isnan(fake_cupy.empty((2, 2)).get()).all()
    assert np.isnan(fake_cupy.empty_like(fake_cupy.ones(3)).get()).all()
    assert (fake_cupy.empty(3, dtype="int64").get() == 77).all()


def test_a_gpu_does_not_warn(fake_cupy):
    zero = fake_cupy.zeros(())
    assert math.isnan(float(zero / zero))
    assert math.isinf(float(fake_cupy.exp(zero + 1e9)))


def test_copies(fake_cupy):
    x = fake_cupy.asarray([1.0, 2.0])
    with no_sync():
        twin = copy.deepcopy(x)
        twin += 1
    np.testing.assert_array_equal(x.get(), [1, 2])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x)).get(), [1, 2])


def test_erf(fake_cupy):
    from cupyx.scipy.special import erf

    np.testing.assert_array_equal(erf(fake_cupy.asarray([[0.5], [-2.0]])).get(), [[math.erf(0.5)], [math.erf(-2.0)]])
    with pytest.raises(TypeError):
        erf(np.ones(2))


def test_is_gone_after_the_block():
    import sys

    from edutransformers import backend

    before = {name: sys.modules.get(name) for name in ("cupy", "cupyx", "cupyx.scipy.special")}
    state = backend._cupy_status, backend._backend_name
    with fakecupy.installed() as cupy:
        assert sys.modules["cupy"] is cupy
        use_backend("cupy")
        assert backend.default_module() is cupy
    assert {name: sys.modules.get(name) for name in before} == before
    assert (backend._cupy_status, backend._backend_name) == state
