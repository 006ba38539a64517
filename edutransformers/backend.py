"""The array-backend switch: NumPy on the CPU, CuPy on a CUDA GPU. The only file that imports cupy.

Two rules keep the rest of the package free of devices:

1.  **The device belongs to the array.** A layer asks `xp = array_module(x)` and computes with `xp`; whether `x`
    lives in host memory (then `xp` is numpy) or on a GPU (then it is cupy), the same lines run.
2.  **A switch decides only where *new* arrays are made**: loaded weights and a tokenizer's output. It is
    `use_backend("numpy" | "cupy")`, or the environment variable `EDUTRANSFORMERS_BACKEND`.

What NumPy and CuPy do differently (adding into repeated indices, the error function, the largest k, random draws) is
written here once, for both.
"""

from __future__ import annotations

import copy
import os
import sys
from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray; Python has no common base class for the two
BACKENDS = ("numpy", "cupy")


# ---------------------------------------------------------------------------------------------------------------------
# Which module, which device
# ---------------------------------------------------------------------------------------------------------------------


def array_module(x: Array):
    """numpy or cupy: the module that computes on `x`. Python numbers and NumPy scalars count as NumPy."""
    if isinstance(x, (np.ndarray, np.generic, int, float)):
        return np
    cupy = sys.modules.get("cupy")  # an array of cupy can't exist before somebody imported cupy
    if cupy is not None and isinstance(x, cupy.ndarray):
        return cupy
    raise TypeError(
        f"expected a NumPy or CuPy array, got {type(x).__name__}; convert it first, for example with numpy.asarray(...)"
    )


class CupyStatus(NamedTuple):
    """Whether CuPy can compute here, and if not, why. True in an `if` exactly when it can."""

    usable: bool
    reason: str

    def __bool__(self):
        return self.usable


_cupy_status: CupyStatus | None = None


def cupy_usable() -> CupyStatus:
    """Can CuPy compute on this machine? The answer carries its reason.

    Being importable is not enough: without a driver `import cupy` succeeds, and with a driver but without NVRTC (the
    run-time compiler) or cuBLAS the first operation fails. So one small kernel and one matrix product are run.
    """
    global _cupy_status
    if _cupy_status is None:
        _cupy_status = _try_cupy()
    return _cupy_status


def _try_cupy() -> CupyStatus:
    try:
        import cupy
    except Exception as error:  # a broken CUDA installation raises more than ImportError
        return CupyStatus(False, f"cupy can't be imported ({error}); pip install 'edutransformers[gpu]' brings it")
    try:
        if not cupy.cuda.is_available():
            return CupyStatus(False, "cupy is installed, but there is no CUDA driver or no GPU on this machine")
        ones = cupy.ones((2, 2), dtype=cupy.float32)
        total = float(((ones * 2) @ ones).sum())
    except Exception as error:
        return CupyStatus(False, f"cupy is installed and sees a GPU, but a first computation failed: {error}")
    if total != 16.0:
        return CupyStatus(False, f"cupy is installed, but computes wrongly: a sum that is 16 came out as {total}")
    return CupyStatus(True, f"cupy {cupy.__version__} computes on {cupy.cuda.runtime.getDeviceCount()} GPU(s)")


def module_for(name: str):
    """numpy or cupy by name ("numpy", "np", "cpu" / "cupy", "cp", "cuda"). Raises when CuPy can't compute here."""
    if name in ("numpy", "np", "cpu"):
        return np
    if name in ("cupy", "cp", "cuda") or name.startswith("cuda:"):
        status = cupy_usable()
        if not status:
            raise RuntimeError(f"the {name!r} backend was asked for, but it is not usable here: {status.reason}")
        import cupy

        return cupy
    raise ValueError(f"unknown backend or device {name!r}: expected 'numpy' (or 'cpu') or 'cupy' (or 'cuda')")


def nccl_group(rank: int, size: int, local_rank: int):
    """Join the ranks of an MPI job for sums over their GPUs by NCCL; from here on this process uses GPU `local_rank`.

    Raises RuntimeError when CuPy can't compute here.
    """
    cupy = module_for("cupy")
    from cupyx.distributed import init_process_group

    cupy.cuda.Device(local_rank).use()
    return init_process_group(size, rank, backend="nccl", use_mpi=True)


_backend_name: str | None = None  # None: not decided yet, so the environment variable is asked


def get_backend() -> str:
    """The name of the backend on which new arrays are made: "numpy" or "cupy"."""
    if _backend_name is not None:
        return _backend_name
    name = os.environ.get("EDUTRANSFORMERS_BACKEND", "numpy")
    if name not in BACKENDS:
        raise ValueError(f"EDUTRANSFORMERS_BACKEND is {name!r}: expected one of {', '.join(BACKENDS)}")
    return name


class use_backend:
    """Make new arrays on NumPy or on CuPy, from here on or inside a `with` block.

    >>> use_backend("cupy")              # for the rest of the program   # doctest: +SKIP
    >>> with use_backend("numpy"):       # for these lines only
    ...     model = BertModel.from_pretrained(name)                      # doctest: +SKIP

    Raises `RuntimeError` with the reason when CuPy is asked for and can't compute here.
    """

    def __init__(self, name: str):
        global _backend_name
        if name not in BACKENDS:
            raise ValueError(f"unknown backend {name!r}: expected one of {', '.join(BACKENDS)}")
        module_for(name)
        self._before, _backend_name = _backend_name, name

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        global _backend_name
        _backend_name = self._before


def default_module():
    """The module on which new arrays are made: what `use_backend` or the environment variable chose."""
    return module_for(get_backend())


def to_numpy(x: Array) -> np.ndarray:
    """`x` in host memory. On a GPU array this waits for the GPU: for results and tests, not for inner loops."""
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, (np.generic, int, float)):
        return np.asarray(x)
    return array_module(x).asnumpy(x)


def to_device(x: Array, device: str) -> Array:
    """`x` on "cpu", "cuda" or "cuda:1"; the same array if it is there already."""
    if device == "cpu":
        return to_numpy(x)
    xp = module_for(device)
    if xp is np:
        return to_numpy(x)
    if ":" in device:
        with xp.cuda.Device(int(device.split(":")[1])):
            return xp.asarray(x)
    return xp.asarray(x)


def as_array_like(x, like: Array) -> Array:
    """A host value (NumPy array or list) moved to where `like` lives; an array that is there already stays as it is."""
    xp = array_module(like)
    return x if isinstance(x, xp.ndarray) else xp.asarray(x)


def empty_cache() -> None:
    """Give CuPy's cached GPU memory back to the driver. Nothing to do for NumPy."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and cupy_usable():
        cupy.get_default_memory_pool().free_all_blocks()


# ---------------------------------------------------------------------------------------------------------------------
# What the two libraries do differently
# ---------------------------------------------------------------------------------------------------------------------


def scatter_add(target: Array, ids: Array, rows: Array) -> None:
    """target[ids[n]] += rows[n] for every n, *in place*, where an id may occur many times.

    target (V, D), ids (N,) whole numbers, rows (N, D). Plain `target[ids] += rows` keeps only the last of several rows
    with the same id. NumPy's `np.add.at` is right but slow on rows; sorting by id and adding each run of equal ids
    (`np.add.reduceat`) does the same as whole-row additions.
    """
    xp = array_module(target)
    rows = rows.astype(target.dtype, copy=False)  # float16 rows are added up in the target's float32
    if xp is not np:
        xp.add.at(target, ids, rows)  # atomic additions on the GPU
        return
    if ids.size == 0:
        return
    order = np.argsort(ids, kind="stable")
    sorted_ids = ids[order]
    starts = np.concatenate(([0], np.flatnonzero(sorted_ids[1:] != sorted_ids[:-1]) + 1))
    target[sorted_ids[starts]] += np.add.reduceat(rows[order], starts, axis=0)


def topk(x: Array, k: int) -> tuple[Array, Array]:
    """The k largest values along the last axis, largest first, and their indices (ties: the lower index first)."""
    xp = array_module(x)
    if not 1 <= k <= x.shape[-1]:
        raise ValueError(f"topk: k is {k}, expected 1 to {x.shape[-1]}, the length of the last axis")
    if xp is np and k < x.shape[-1] // 8:
        # Only values that can be among the k largest are sorted. A tie at the border must not pick arbitrary indices,
        # so everything that equals the k-th largest value takes part.
        border = np.partition(x, -k, axis=-1)[..., -k : x.shape[-1] - k + 1][..., :1]
        candidates = np.where(x >= border, -x, np.inf)
        indices = np.argsort(candidates, axis=-1, kind="stable")[..., :k]
    else:
        indices = xp.argsort(-x, axis=-1, kind="stable")[..., :k]
    return xp.take_along_axis(x, indices, axis=-1), indices


def erf(x: Array) -> Array:
    """The error function erf(x) = 2/√π ∫₀ˣ exp(−t²) dt: to 1e-15 in float64, to 6e-7 in float32 (and quickly)."""
    xp = array_module(x)
    if xp is not np:
        from cupyx.scipy.special import erf as device_erf

        return device_erf(x)
    if x.dtype == np.float64:
        return _erf_float64(x)
    if x.dtype == np.float16:  # too few digits, and too small a range, for the polynomial
        return erf(x.astype(np.float32)).astype(np.float16)
    # erf(x) = 2 Φ(√2 x) − 1 and Φ(z) = σ(z P(z²)), so erf(x) = tanh(x P(2x²) / √2): no cancellation around 0.
    with np.errstate(over="ignore"):  # for x above 10⁹ the polynomial overflows to inf, and tanh(inf) = 1 is right
        return np.tanh(x * horner(NORMAL_CDF_POLYNOMIAL, 2.0 * x * x) * 0.7071067811865476)


# Φ(z), the share of a standard normal distribution below z, as σ(z · P(z²)). P was fitted for |z| ≤ 6 so that the worst
# absolute error of z·Φ(z) is 5.9e-7, half of what float32 arithmetic itself loses; beyond, P stays above 4 and grows,
# so that σ is 0 or 1 as it should be. Lowest power first.
NORMAL_CDF_POLYNOMIAL = (
    1.5957684322971541,
    0.07266856682251738,
    -6.625983272301006e-05,
    -0.00011048036306279292,
    7.938225182022601e-06,
    -2.6689320317603256e-07,
    3.6112413851596185e-09,
)


def horner(coefficients, x: Array, out: Array | None = None) -> Array:
    """c₀ + c₁x + c₂x² + … by Horner's rule (two coefficients or more), in one buffer: `out`, or a new one."""
    y = array_module(x).multiply(x, coefficients[-1], out=out)
    for coefficient in coefficients[-2:0:-1]:
        y += coefficient
        y *= x
    y += coefficients[0]
    return y


# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969):
# three ranges of |x|, in each a quotient of two polynomials (lowest power first).
_ERF_SMALL = (  # |x| ≤ 0.46875: erf(x) = x R(x²)
    (3.209377589138469472562e3, 3.774852376853020208137e2, 1.138641541510501556495e2, 3.161123743870565596947e0,
     1.857777061846031526730e-1),
    (2.844236833439170622273e3, 1.282616526077372275645e3, 2.440246379344441733056e2, 2.360129095234412093499e1, 1.0),
)  # fmt: skip
_ERF_MIDDLE = (  # 0.46875 ≤ |x| ≤ 4: erfc(x) = exp(−x²) R(x)
    (1.23033935479799725272e3, 2.05107837782607146532e3, 1.71204761263407058314e3, 8.81952221241769090411e2,
     2.98635138197400131132e2, 6.61191906371416294775e1, 8.88314979438837594118e0, 5.64188496988670089180e-1,
     2.15311535474403846343e-8),
    (1.23033935480374942043e3, 3.43936767414372163696e3, 4.36261909014324715820e3, 3.29079923573345962678e3,
     1.62138957456669018874e3, 5.37181101862009857509e2, 1.17693950891312499305e2, 1.57449261107098347253e1, 1.0),
)  # fmt: skip
_ERF_LARGE = (  # 4 ≤ |x|: erfc(x) = exp(−x²)/x (1/√π − R(1/x²)/x²)
    (6.58749161529837803157e-4, 1.60837851487422766278e-2, 1.25781726111229246204e-1, 3.60344899949804439429e-1,
     3.05326634961232344035e-1, 1.63153871373020978498e-2),
    (2.33520497626869185443e-3, 6.05183413124413191178e-2, 5.27905102951428412248e-1, 1.87295284992346725209e0,
     2.56852019228982242072e0, 1.0),
)  # fmt: skip


def _erf_float64(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    near = np.minimum(size, 0.46875)
    square = near * near
    small = near * horner(_ERF_SMALL[0], square) / horner(_ERF_SMALL[1], square)

    between = np.clip(size, 0.46875, 4.0)
    middle = 1.0 - np.exp(-between * between) * horner(_ERF_MIDDLE[0], between) / horner(_ERF_MIDDLE[1], between)

    far = np.clip(size, 4.0, 6.0)  # from 5.93 on, erf is 1 to the last bit
    inverse = 1.0 / (far * far)
    tail = inverse * horner(_ERF_LARGE[0], inverse) / horner(_ERF_LARGE[1], inverse)
    large = 1.0 - np.exp(-far * far) / far * (0.5641895835477562869 - tail)

    y = np.where(size <= 0.46875, small, np.where(size <= 4.0, middle, large))
    y = np.where(np.isnan(x), x, y)
    return np.copysign(y, x)


# ---------------------------------------------------------------------------------------------------------------------
# Random draws: always on the host, from a NumPy generator, so that a seed means the same on every device
# ---------------------------------------------------------------------------------------------------------------------

_default_generator = np.random.default_rng()


def default_generator() -> np.random.Generator:
    """What draws where no generator is given: new weights, dropout, a loader's order. One for the whole process.

    `set_seed` sets it, so after `set_seed(0)` a new model has the same weights in every run.
    """
    return _default_generator


def seed_default_generator(seed: int) -> None:
    """Set the default generator back, in place: those who hold it draw from the new seed too."""
    _default_generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def random_normal(generator: np.random.Generator, shape, std: float, dtype, like: Array | None = None) -> Array:
    """Values of a normal distribution with mean 0, drawn on the host and moved to where `like` lives."""
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= std
    values = values.astype(dtype, copy=False)
    return values if like is None else as_array_like(values, like)


def random_gumbel(generator: np.random.Generator, shape, like: Array) -> Array:
    """Gumbel noise −log(−log u), in `like`'s number type: argmax(x + noise) is a draw from softmax(x)."""
    return as_array_like(generator.gumbel(size=shape).astype(like.dtype), like)


def random_keep_mask(generator, shape, drop_probability: float, like: Array) -> Array:
    """Booleans, True with probability 1 − drop_probability, to a resolution of 1/65536.

    Sixteen random bits decide each entry: a quarter of the draws that uniform float32 numbers would need. Every example
    (first axis) starts with fresh bits, so that a share of a batch can draw its own part alone (`BatchShare`).
    """
    examples, entries = shape[0], int(np.prod(shape[1:]))
    words_per_example = (entries + 3) // 4  # 64 random bits each
    if isinstance(generator, BatchShare):
        words = generator.random_raw(examples, words_per_example)
    else:
        words = generator.bit_generator.random_raw(examples * words_per_example)
    sixteen_bits = words.astype("<u8", copy=False).view("<u2").reshape(examples, -1)[:, :entries]
    mask = (sixteen_bits >= round(drop_probability * 65536)).reshape(shape)
    return as_array_like(mask, like)


class BatchShare:
    """A generator for examples start … stop − 1 of a batch: draws for them exactly what one for the whole batch would.

    It runs on a copy of `generator`, jumping over the draws of the examples before and after its own.
    """

    def __init__(self, generator: np.random.Generator, start: int, stop: int, batch: int):
        self.bit_generator = copy.deepcopy(generator.bit_generator)
        self.start, self.stop, self.batch = start, stop, batch

    def random_raw(self, examples: int, words_per_example: int) -> np.ndarray:
        if examples != self.stop - self.start:
            raise ValueError(f"a draw for {examples} examples, but this share has {self.stop - self.start}")
        self._skip(self.start * words_per_example)
        words = self.bit_generator.random_raw(examples * words_per_example)
        self._skip((self.batch - self.stop) * words_per_example)
        return words

    def _skip(self, words: int) -> None:
        if hasattr(self.bit_generator, "advance"):
            self.bit_generator.advance(words)
        else:
            self.bit_generator.random_raw(words, output=False)
