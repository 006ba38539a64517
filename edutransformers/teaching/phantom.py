"""Arrays without numbers: they have a shape, a type and memory, and nobody ever computes what would stand in them.

A model whose weights are phantoms runs its own code, forward and backward, with the arithmetic left out. What remains
is exactly what costs memory (which arrays exist, how large, from when to when) and what costs time (which products, of
which shapes): BERT-base at 8 × 512 tokens in seconds, on a machine that could never train it.

    with Ledger() as ledger:
        w = Phantom((1000, 1000), np.float32)       # 4 MB in the ledger
        y = x @ w.T                                 # a phantom: one more array in the ledger, one product counted
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_ledger: ContextVar[Ledger | None] = ContextVar("edutransformers_ledger", default=None)
_place: ContextVar[tuple[str, str]] = ContextVar("edutransformers_place", default=("", ""))

_ONE = {True: np.array([1.0]), False: np.array(1.0)}  # an array of one number; a number
PRODUCT, REDUCTION, ELEMENTWISE = "matrix products", "reductions", "element-wise"


@dataclass(eq=False)
class Entry:
    """One array's memory: what it is, and where in the model it was made."""

    shape: tuple[int, ...]
    dtype: np.dtype
    nbytes: int
    module: str  # path of the module at work
    phase: str  # "forward", "backward", "recompute" or "step"
    kind: str = "temporary"  # "weights", "gradients", "optimizer" or "activations" once that is known


class Ledger:
    """Every phantom's memory from its making to its end, the worst moment, and every operation that was left out.

    live        what exists now, `size` its bytes
    peak        the most bytes that existed at one time; `at_peak` what existed then
    operations  ((module, phase), kind of operation) -> how many

    The innermost ledger of a `with` block writes; threads that carry the block's context write to it too.
    """

    def __init__(self):
        self.operations: Counter[tuple[tuple[str, str], str]] = Counter()
        self.live: dict[int, Entry] = {}
        self.size = 0
        self._references: dict[int, weakref.ref] = {}
        self._next = 0
        self.lock = threading.RLock()  # an array may end, and its callback run, while another one is entered
        self.reset_peak()

    def reset_peak(self) -> None:
        """The worst moment of what comes from here on."""
        self.peak, self.at_peak, self.place_of_peak = self.size, tuple(self.live.values()), ("", "")

    def enter(self, array: Phantom) -> None:
        entry = Entry(array.shape, array.dtype, array.nbytes, *_place.get())
        array.entry = entry
        with self.lock:
            key, self._next = self._next, self._next + 1
            self.live[key] = entry
            self._references[key] = weakref.ref(array, lambda _: self._end(key))
            self.size += entry.nbytes
            if self.size > self.peak:
                self.peak, self.at_peak, self.place_of_peak = self.size, tuple(self.live.values()), _place.get()

    def _end(self, key: int) -> None:
        with self.lock:
            self.size -= self.live.pop(key).nbytes
            del self._references[key]

    def __enter__(self):
        _replace_creation(+1)
        self._token = _ledger.set(self)
        return self

    def __exit__(self, *exception):
        _ledger.reset(self._token)
        _replace_creation(-1)


@contextmanager
def at(module: str, phase: str):
    """Inside this block, memory and operations belong to this module and phase."""
    token = _place.set((module, phase))
    try:
        yield
    finally:
        _place.reset(token)


def place() -> tuple[str, str]:
    """(module, phase) at work."""
    return _place.get()


# ---------------------------------------------------------------------------------------------------------------------
# The array
# ---------------------------------------------------------------------------------------------------------------------


_memory_of = np.ndarray.base.__get__  # an array -> the one whose memory it uses, None if that is its own


class Phantom(np.ndarray):
    """A NumPy array whose numbers are never read or written. Views, strides and orders are NumPy's own.

    All phantoms look at the same reserved memory, which stays untouched. `base` tells, as for any array, whether one is
    a view of another.
    """

    entry: Entry | None = None
    _viewed: Phantom | None = None

    def __new__(cls, shape, dtype, order_of=None):
        """`order_of`: an array of the same shape, whose axes lie in memory in the order that the new ones should."""
        dtype = np.dtype(dtype)
        shape = tuple(shape) if isinstance(shape, tuple | list) else (int(shape),)
        strides = None
        if order_of is not None and not order_of.flags.c_contiguous and order_of.shape == shape:
            strides, step = [0] * len(shape), dtype.itemsize
            for axis in sorted(range(len(shape)), key=lambda axis: (order_of.strides[axis], -axis)):
                strides[axis], step = step, step * shape[axis]
        return np.ndarray.__new__(cls, shape, dtype, _reserved(math.prod(shape) * dtype.itemsize), 0, strides)

    def __array_finalize__(self, source):
        memory = _memory_of(self)
        viewed = memory if isinstance(memory, Phantom) else source
        if isinstance(viewed, Phantom) and (viewed is memory or memory is _memory_of(viewed) is not None):
            self._viewed = viewed if viewed._viewed is None else viewed._viewed
        elif (ledger := _ledger.get()) is not None:  # new, by the constructor or as a copy that NumPy made
            ledger.enter(self)

    @property
    def base(self):
        return self._viewed

    def __setitem__(self, key, value):
        pass

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        return self if not copy and self.dtype == dtype else Phantom(self.shape, dtype, self if order == "K" else None)

    def copy(self, order="C"):
        return Phantom(self.shape, self.dtype)

    def fill(self, value):
        pass

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        if ufunc is np.matmul:
            shape = _matmul_shape(inputs[0].shape, inputs[1].shape)
            _count(PRODUCT, 2 * inputs[0].shape[-1] * math.prod(shape))
        elif ufunc.signature is not None:
            raise NotImplementedError(f"a phantom array does not know the shapes of numpy.{ufunc.__name__}")
        elif method == "__call__":
            shape = out[0].shape if out else np.broadcast(*inputs).shape
            _count(ELEMENTWISE, math.prod(shape))
        elif method == "at":
            return _count(ELEMENTWISE, np.size(inputs[-1]))
        else:
            shape = _reduced_shape(inputs, method, **options)
            _count(REDUCTION, np.size(inputs[0]))
        if out:
            return out[0] if len(out) == 1 else out
        kinds = tuple((x.dtype, x.ndim > 0) if hasattr(x, "dtype") else type(x) for x in inputs)
        is_elementwise = method == "__call__" and ufunc is not np.matmul
        first = inputs[0] if is_elementwise and isinstance(inputs[0], np.ndarray) else None
        made = tuple(_made(shape, dtype, first) for dtype in _result_types(ufunc, method, kinds, options.get("dtype")))
        return made[0] if len(made) == 1 else made

    def __array_function__(self, function, types, args, options):
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](*args, **options)
        return super().__array_function__(function, types, args, options)  # views; the rest is really computed


@lru_cache(maxsize=4096)
def _result_types(ufunc, method: str, kinds: tuple, dtype) -> tuple[np.dtype, ...]:
    """Which types the results have: NumPy says so for operands of one number each."""
    if method in ("reduce", "accumulate", "reduceat"):
        result = ufunc.reduce(_ONE[True].astype(kinds[0][0]), dtype=dtype)
    else:
        singles = (_ONE[kind[1]].astype(kind[0]) if isinstance(kind, tuple) else kind(1) for kind in kinds)
        result = ufunc(*singles, dtype=dtype)
    return tuple(part.dtype for part in (result if isinstance(result, tuple) else (result,)))


def _made(shape, dtype, order_of=None) -> Phantom:
    if math.prod(shape) == 1:  # Python may look at a single number: let it be a harmless one, in memory of its own
        array = np.ndarray.__new__(Phantom, shape, dtype)
        np.ndarray.fill(array, 1)
        return array
    return Phantom(shape, dtype, order_of)


def _reserved(size: int) -> np.ndarray:
    """Memory for the largest phantom so far. It reads as zeros: good indices, where whole numbers are looked up."""
    global _memory
    if size > _memory.nbytes:
        _memory = _CREATION["zeros"](2 * size, np.uint8)
    return _memory


def _count(kind: str, operations: int) -> None:
    ledger = _ledger.get()
    if ledger is not None:
        with ledger.lock:
            ledger.operations[_place.get(), kind] += operations


def owner(array):
    """The array whose memory this one looks at; itself unless it is a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


# ---------------------------------------------------------------------------------------------------------------------
# Shapes of results
# ---------------------------------------------------------------------------------------------------------------------


def _matmul_shape(a: tuple, b: tuple) -> tuple:
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    if a[-1] != b[-2 if len(b) > 1 else -1]:
        raise ValueError(f"matmul: shapes {a} and {b} don't fit")
    return (*np.broadcast_shapes(a[:-2], b[:-2]), *rows, *columns)


def _reduced_shape(inputs, method, axis=0, keepdims=False, **options) -> tuple:
    shape = np.shape(inputs[0])
    if method == "accumulate":
        return shape
    if method == "outer":
        return (*shape, *np.shape(inputs[1]))
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = {a % len(shape) for a in axes}
    if method == "reduceat":
        return tuple(len(inputs[1]) if a in axes else n for a, n in enumerate(shape))
    return tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)


def _einsum(subscripts, *operands, out=None, **options):
    """Shapes by the letters. Counted as a product if both operands have letters of their own, else as a reduction."""
    inputs, _, output = subscripts.replace(" ", "").partition("->")
    sizes, terms, leading = {}, inputs.split(","), ()
    for term, operand in zip(terms, operands):
        letters = term.replace("...", "")
        if "..." in term:
            leading = np.broadcast_shapes(leading, operand.shape[: operand.ndim - len(letters)])
        sizes.update(zip(letters, operand.shape[operand.ndim - len(letters) :]))
    kept = [set(term) & set(output) - {"."} for term in terms]
    is_product = len(terms) == 2 and kept[0] - set(terms[1]) and kept[1] - set(terms[0])
    work = math.prod([*leading, *sizes.values()])
    _count(PRODUCT if is_product else REDUCTION, len(terms) * work)
    if out is not None:
        return out
    lead = leading if "..." in output else ()
    return _made((*lead, *(sizes[letter] for letter in output.replace("...", ""))), np.result_type(*operands))


def _like(a, *fill, dtype=None, order="K", subok=True, shape=None, device=None, **options):
    return Phantom(np.shape(a) if shape is None else shape, a.dtype if dtype is None else dtype, a)


def _take(a, indices, axis=None, out=None, mode="raise"):
    shape = np.shape(indices) if axis is None else (*a.shape[:axis], *np.shape(indices), *a.shape[axis + 1 :])
    return Phantom(shape, a.dtype)


def _where(condition, x, y):
    return Phantom(np.broadcast_shapes(np.shape(condition), np.shape(x), np.shape(y)), np.result_type(x, y))


def _dot(a, b, out=None):
    if np.ndim(a) == 1 and np.ndim(b) == 1:
        _count(REDUCTION, 2 * np.size(a))
        return _made((), np.result_type(a, b))[()]
    return np.matmul(a, b) if out is None else np.matmul(a, b, out=out)


def _concatenate(arrays, axis=0, **options):
    shape = list(arrays[0].shape)
    shape[axis] = sum(array.shape[axis] for array in arrays)
    return Phantom(shape, np.result_type(*arrays))


def _stack(arrays, axis=0, **options):
    shape = list(arrays[0].shape)
    shape.insert(axis % (len(shape) + 1), len(arrays))
    return Phantom(shape, np.result_type(*arrays))


_FUNCTIONS = {
    np.einsum: _einsum,
    np.empty_like: _like,
    np.zeros_like: _like,
    np.ones_like: _like,
    np.full_like: _like,
    np.take: _take,
    np.where: _where,
    np.copyto: lambda *args, **options: None,
    np.dot: _dot,
    np.vdot: lambda a, b: _dot(a.reshape(-1), b.reshape(-1)),
    np.concatenate: _concatenate,
    np.stack: _stack,
}


# ---------------------------------------------------------------------------------------------------------------------
# New arrays
# ---------------------------------------------------------------------------------------------------------------------

_CREATION = {name: getattr(np, name) for name in ("empty", "zeros", "ones", "full")}
_memory = np.zeros(1 << 20, np.uint8)
_counting = threading.Lock()
_ledgers_open = 0


def _replace_creation(change: int) -> None:
    """While a ledger is open, `np.zeros(shape)` and the like make phantoms for the code that runs under the ledger.

    They are the one way to an array that no phantom took part in. Code elsewhere in the process has another context,
    and gets what it always got.
    """
    global _ledgers_open
    with _counting:
        _ledgers_open += change
        for name, original in _CREATION.items():
            setattr(np, name, _phantom_or(original) if _ledgers_open else original)


def _phantom_or(original):
    def create(shape, *args, **options):
        ledger = _ledger.get()
        if ledger is None:
            return original(shape, *args, **options)
        empty = original((0,), *args, **options)  # decides the type
        if empty.dtype.kind != "f":  # whole numbers and booleans index and mask: they are real
            return original(shape, *args, **options)
        return Phantom(shape, empty.dtype)

    return create


class PhantomGenerator(np.random.Generator):
    """In place of a random generator: its raw bits are phantoms, so that dropout masks are."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.bits = _Bits()

    @property
    def bit_generator(self):
        return self.bits


class _Bits:
    state = None

    def random_raw(self, count, output=True):
        return Phantom((count,), np.uint64) if output else None

    def advance(self, count):
        return self
