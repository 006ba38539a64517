import math
import statistics
import subprocess
import sys
import types

import numpy as np
import pytest

from edutransformers import backend, cupy_usable, get_backend, use_backend
from edutransformers.backend import (
    CupyStatus,
    array_module,
    as_array_like,
    default_module,
    empty_cache,
    erf,
    horner,
    module_for,
    random_keep_mask,
    random_normal,
    scatter_add,
    to_device,
    to_numpy,
    topk,
)
from tests import fakecupy

# ---------------------------------------------------------------------------------------------------------------------
# Which module, which device
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def undecided(monkeypatch):
    """As in a fresh process: nobody called use_backend, cupy_usable has not looked yet."""
    monkeypatch.setattr(backend, "_backend_name", None)
    monkeypatch.setattr(backend, "_cupy_status", None)
    monkeypatch.delenv("EDUTRANSFORMERS_BACKEND", raising=False)
    return monkeypatch


@pytest.fixture
def no_cupy(undecided):
    """`import cupy` fails, also where it is installed."""
    undecided.setitem(sys.modules, "cupy", None)
    return undecided


def test_the_device_belongs_to_the_array(fake_cupy):
    for x in (np.ones(2), np.float32(1), 1, 1.5, True):
        assert array_module(x) is np
    assert array_module(fake_cupy.ones(2)) is fake_cupy
    with pytest.raises(TypeError, match="expected a NumPy or CuPy array, got list; convert it first"):
        array_module([1, 2])


def test_without_cupy_the_status_says_why(no_cupy):
    status = cupy_usable()
    assert not status
    assert not status.usable
    assert status.reason.startswith("cupy can't be imported (")
    assert "pip install 'edutransformers[gpu]'" in status.reason
    assert cupy_usable() is status  # looked at once


def cupy_stub(available=True, ones=None, error=None):
    def is_available():
        if error:
            raise error
        return available

    stub = types.ModuleType("cupy")
    stub.__version__ = "0"
    stub.float32 = np.float32
    stub.cuda = types.SimpleNamespace(
        is_available=is_available, runtime=types.SimpleNamespace(getDeviceCount=lambda: 1)
    )
    stub.ones = ones or np.ones
    return stub


def no_nvrtc(*args, **options):
    raise OSError("libnvrtc.so.12 not found")


@pytest.mark.parametrize(
    ("stub", "usable", "reason"),
    [
        (cupy_stub(available=False), False, "no CUDA driver or no GPU on this machine"),
        (cupy_stub(error=RuntimeError("driver too old")), False, "a first computation failed: driver too old"),
        (cupy_stub(ones=no_nvrtc), False, "a first computation failed: libnvrtc.so.12 not found"),
        (cupy_stub(ones=np.zeros), False, "computes wrongly: a sum that is 16 came out as 0.0"),
        (cupy_stub(), True, "cupy 0 computes on 1 GPU"),
    ],
    ids=["no driver", "a driver that fails", "no compiler", "wrong results", "works"],
)
def test_the_status_comes_from_a_computation(undecided, stub, usable, reason):
    undecided.setitem(sys.modules, "cupy", stub)
    status = cupy_usable()
    assert bool(status) is usable
    assert reason in status.reason


def test_the_double_passes_the_real_test(fake_cupy, monkeypatch):
    monkeypatch.setattr(backend, "_cupy_status", None)
    assert cupy_usable()


@pytest.mark.parametrize("name", ["numpy", "np", "cpu"])
def test_module_for_the_host(name):
    assert module_for(name) is np


@pytest.mark.parametrize("name", ["cupy", "cp", "cuda", "cuda:0"])
def test_module_for_the_device(fake_cupy, name):
    assert module_for(name) is fake_cupy


def test_module_for_errors(no_cupy):
    with pytest.raises(ValueError, match=r"unknown backend or device 'tpu': expected 'numpy' \(or 'cpu'\) or 'cupy'"):
        module_for("tpu")
    with pytest.raises(
        RuntimeError, match="the 'cuda' backend was asked for, but it is not usable here: cupy can't be"
    ):
        module_for("cuda")


def test_use_backend_sets(fake_cupy, undecided):
    undecided.setattr(backend, "_cupy_status", CupyStatus(True, "double"))
    assert get_backend() == "numpy"
    use_backend("cupy")
    assert get_backend() == "cupy"
    assert default_module() is fake_cupy
    use_backend("numpy")
    assert default_module() is np


def test_use_backend_as_a_block(fake_cupy):
    with use_backend("numpy"):
        with use_backend("cupy"):
            assert get_backend() == "cupy"
        assert get_backend() == "numpy"
        with pytest.raises(KeyError), use_backend("cupy"):
            raise KeyError
        assert get_backend() == "numpy"


def test_use_backend_errors_change_nothing(no_cupy):
    use_backend("numpy")
    with pytest.raises(ValueError, match="unknown backend 'torch': expected one of numpy, cupy"):
        use_backend("torch")
    with pytest.raises(RuntimeError, match="not usable here: cupy can't be imported"):
        use_backend("cupy")
    assert get_backend() == "numpy"


def test_environment_variable(fake_cupy, undecided):
    undecided.setattr(backend, "_cupy_status", CupyStatus(True, "double"))
    undecided.setenv("EDUTRANSFORMERS_BACKEND", "cupy")
    assert get_backend() == "cupy"
    assert default_module() is fake_cupy
    with use_backend("numpy"):  # what the program says counts for more
        assert default_module() is np
    assert get_backend() == "cupy"
    undecided.setenv("EDUTRANSFORMERS_BACKEND", "jax")
    with pytest.raises(ValueError, match="EDUTRANSFORMERS_BACKEND is 'jax': expected one of numpy, cupy"):
        get_backend()


def test_environment_variable_without_cupy(no_cupy):
    no_cupy.setenv("EDUTRANSFORMERS_BACKEND", "cupy")
    with pytest.raises(RuntimeError, match="the 'cupy' backend was asked for, but it is not usable here"):
        default_module()


def test_moving(fake_cupy):
    host = np.arange(3.0)
    assert to_numpy(host) is host
    assert to_device(host, "cpu") is host
    assert to_numpy(2.5) == 2.5
    for device in ("cuda", "cuda:0"):
        moved = to_device(host, device)
        assert isinstance(moved, fake_cupy.ndarray)
        assert to_device(moved, "cuda") is moved
        np.testing.assert_array_equal(to_numpy(moved), host)
        np.testing.assert_array_equal(to_device(moved, "cpu"), host)
    with pytest.raises(RuntimeError, match="invalid device"):
        to_device(host, "cuda:1")
    with pytest.raises(ValueError, match="unknown backend or device 'gpu'"):
        to_device(host, "gpu")
    empty_cache()


def test_as_array_like(fake_cupy):
    host, device = np.ones(2), fake_cupy.ones(2)
    assert as_array_like(host, host) is host
    assert as_array_like(device, device) is device
    assert isinstance(as_array_like(host, device), fake_cupy.ndarray)
    np.testing.assert_array_equal(as_array_like([1, 2], host), [1, 2])


# ---------------------------------------------------------------------------------------------------------------------
# The error function
# ---------------------------------------------------------------------------------------------------------------------

POINTS = np.concatenate(
    [np.linspace(-7, 7, 20_001), [0.46875, -0.46875, 4.0, -4.0, 0.0, 1e-300, 1e-17, 5.9, 6.1, 30.0, 1e300]]
)


def test_erf_float64():
    wanted = np.array([math.erf(x) for x in POINTS.tolist()])
    got = erf(POINTS)
    assert np.abs(got - wanted).max() <= 1e-15
    small = np.abs(POINTS) < 1  # where erf(x) is about 1.13 x, all digits of x must come through
    np.testing.assert_allclose(got[small], wanted[small], rtol=1e-15)
    np.testing.assert_array_equal(erf(-POINTS), -got)


def test_erf_float32():
    points = POINTS[np.abs(POINTS) < 1e9].astype("float32")
    wanted = np.array([math.erf(x) for x in points.tolist()])
    got = erf(points)
    assert got.dtype == np.float32
    assert np.abs(got - wanted).max() <= 6e-7


def test_erf_float16():
    points = np.linspace(-200, 200, 4001).astype("float16")
    got = erf(points)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, [math.erf(x) for x in points.tolist()], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erf_of_what_is_no_number(dtype):
    got = erf(np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], dtype=dtype))
    np.testing.assert_array_equal(got, [1, -1, np.nan, 0, 0])
    assert math.copysign(1, got[4]) == -1


def test_erf_on_the_device(fake_cupy):
    x = np.linspace(-3, 3, 50)
    with fakecupy.no_sync():
        y = erf(fake_cupy.asarray(x))
    np.testing.assert_allclose(y.get(), erf(x), rtol=1e-15)


def test_horner(rng):
    x = rng.standard_normal(5)
    np.testing.assert_allclose(horner((1.0, -2.0, 0.5), x), 1 - 2 * x + 0.5 * x * x, rtol=1e-14)
    out = np.empty(5)
    assert horner((3.0, 0.5), x, out=out) is out
    np.testing.assert_allclose(out, 3 + 0.5 * x, rtol=1e-15)


# ---------------------------------------------------------------------------------------------------------------------
# Scatter-add, top-k
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_scatter_add(rng, fake_cupy, count, dtype):
    ids = rng.integers(0, 7, count).astype("int32" if dtype == "float32" else "int64")
    rows = rng.standard_normal((count, 3)).astype(dtype)
    start = rng.standard_normal((7, 3)).astype(dtype)
    wanted = start.astype("float64")
    for index, row in zip(ids, rows):
        wanted[index] += row
    on_host, on_device = start.copy(), fake_cupy.asarray(start)
    scatter_add(on_host, ids, rows)
    with fakecupy.no_sync():
        scatter_add(on_device, fake_cupy.asarray(ids), fake_cupy.asarray(rows))
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(on_host, wanted, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(on_device.get(), wanted, rtol=tolerance, atol=tolerance)
    assert on_host.dtype == dtype


def test_scatter_add_of_one_id_only():
    target = np.zeros((4, 2))
    scatter_add(target, np.full(1000, 2), np.ones((1000, 2)))
    np.testing.assert_array_equal(target, [[0, 0], [0, 0], [1000, 1000], [0, 0]])


def brute_force_topk(x, k):
    """Largest first; among equals the lower index first."""
    order = [sorted(range(len(row)), key=lambda i, row=row: (-row[i], i))[:k] for row in x.reshape(-1, x.shape[-1])]
    return np.array(order).reshape(*x.shape[:-1], k)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 12, 38, 39, 40])  # up to 4 by partition, beyond by sorting
@pytest.mark.parametrize("values", ["distinct", "ties", "all equal", "with infinities"])
def test_topk(rng, fake_cupy, values, k):
    shape = (2, 3, 40)
    x = {
        "distinct": lambda: rng.permutation(240).reshape(shape).astype("float64"),
        "ties": lambda: rng.integers(0, 4, shape).astype("float32"),
        "all equal": lambda: np.zeros(shape),
        "with infinities": lambda: rng.choice([-np.inf, 0.0, 1.0, np.inf], shape),
    }[values]()
    wanted = brute_force_topk(x, k)
    top, indices = topk(x, k)
    np.testing.assert_array_equal(indices, wanted)
    np.testing.assert_array_equal(top, np.take_along_axis(x, wanted, axis=-1))
    assert top.dtype == x.dtype
    with fakecupy.no_sync():
        device_top, device_indices = topk(fake_cupy.asarray(x), k)
    np.testing.assert_array_equal(device_indices.get(), wanted)
    np.testing.assert_array_equal(device_top.get(), top)


@pytest.mark.parametrize("k", [0, -1, 6])
def test_topk_errors(k):
    with pytest.raises(ValueError, match=f"topk: k is {k}, expected 1 to 5, the length of the last axis"):
        topk(np.arange(5.0), k)


# ---------------------------------------------------------------------------------------------------------------------
# Random draws
# ---------------------------------------------------------------------------------------------------------------------


def test_a_seed_gives_this_mask_on_every_machine():
    mask = random_keep_mask(np.random.default_rng(0), (2, 6), 0.25, np.ones(1))
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, [[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 0]])
    mask = random_keep_mask(np.random.default_rng(3), (3, 7), 0.5, np.ones(1))
    np.testing.assert_array_equal(mask, [[1, 1, 0, 0, 1, 0, 1], [1, 0, 0, 1, 0, 1, 1], [0, 0, 1, 0, 0, 0, 0]])


def test_masks_come_from_the_generators_raw_bits():
    """Sixteen bits a number, lowest first, fresh words for each example: so other languages can repeat it."""
    words = [int(word) for word in np.random.PCG64(5).random_raw(4)]
    wanted = [
        [(words[2 * example + entry // 4] >> (16 * (entry % 4)) & 0xFFFF) >= 19661 for entry in range(6)]
        for example in range(2)
    ]  # 19661 = round(0.3 · 65536); six numbers need two words of four
    mask = random_keep_mask(np.random.Generator(np.random.PCG64(5)), (2, 6), 0.3, np.ones(1))
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_masks_keep_their_share(p):
    mask = random_keep_mask(np.random.default_rng(1), (40, 100, 101), p, np.ones(1))
    spread = math.sqrt(p * (1 - p) / mask.size)
    assert abs(mask.mean() - (1 - p)) <= 4 * spread + 1 / 65536


def test_masks_are_the_same_on_the_device(fake_cupy):
    with fakecupy.no_sync():
        mask = random_keep_mask(np.random.default_rng(3), (3, 7), 0.5, fake_cupy.ones(1))
    np.testing.assert_array_equal(mask.get(), random_keep_mask(np.random.default_rng(3), (3, 7), 0.5, np.ones(1)))


def test_random_normal(fake_cupy):
    values = random_normal(np.random.default_rng(0), (300, 200), 0.02, "float16")
    assert values.dtype == np.float16
    assert abs(values.astype("float64").std() - 0.02) < 0.0002
    assert abs(values.astype("float64").mean()) < 0.0005
    again = random_normal(np.random.default_rng(0), (300, 200), 0.02, "float16", like=fake_cupy.ones(1))
    np.testing.assert_array_equal(again.get(), values)


# ---------------------------------------------------------------------------------------------------------------------
# Importing
# ---------------------------------------------------------------------------------------------------------------------

IMPORT = """
import sys, time
import numpy
before = set(sys.modules)
start = time.perf_counter()
import edutransformers
print(time.perf_counter() - start)
print(" ".join(sorted(set(sys.modules) - before)))
"""


def test_importing_is_quick_and_loads_no_part():
    """Under 0.2 s more than numpy, by the median of several processes; and none of the models or heavy libraries."""
    seconds, loaded = [], set()
    for _ in range(5):
        output = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout
        time_line, modules_line = output.splitlines()
        seconds.append(float(time_line))
        loaded |= set(modules_line.split())
    assert statistics.median(seconds) < 0.2
    assert "edutransformers" in loaded
    parts = {name for name in loaded if name.startswith("edutransformers.")}
    assert parts == set()
    heavy = {"torch", "transformers", "cupy", "PIL", "matplotlib", "regex", "huggingface_hub", "safetensors", "scipy"}
    assert heavy & {name.split(".")[0] for name in loaded} == set()


def test_every_public_name_that_exists_is_found():
    import edutransformers

    assert edutransformers.BertConfig.model_type == "bert"
    assert "BertModel" in dir(edutransformers)
    with pytest.raises(AttributeError, match="edutransformers has no 'BertModle'"):
        edutransformers.BertModle  # noqa: B018
