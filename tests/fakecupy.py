"""A strict double of CuPy for machines without a GPU: NumPy's values under CuPy's rules.

Code for CuPy mostly looks like code for NumPy, and breaks where it does not. Run on this double, each such place raises
on any machine instead of on the user's GPU:

*   host and device arrays don't mix, and nothing turns a device array into a NumPy array by itself;
*   names and keyword arguments that CuPy lacks don't exist (`cupy_surface.json` holds the names, the functions'
    arguments and the methods of CuPy 14, dumped from its wheel);
*   reductions and indexing give 0-d device arrays, where NumPy gives Python-like scalars;
*   `np.exp(device_array)` is refused. Real CuPy would dispatch it to `cupy.exp`; in code meant for both libraries it is
    always a slip, and the next line with an `np.empty_like` in it fails.

It also counts: `counts.launches` (kernels, roughly), `counts.uploads` (host to device) and `counts.syncs`: places where
the host waits for the device (`float(x)`, `.item()`, boolean masks, `nonzero`, …). Inside `no_sync()` a sync raises.

Stricter than CuPy in three more places: memory from `empty` is filled with nan, indices out of range raise (CuPy wraps
them around in silence), and `cupy.sum(host_array)`, which CuPy computes on the CPU, raises.

    with fakecupy.installed() as cupy:      # sys.modules["cupy"] for these lines
        x = cupy.asarray(host_array)
"""

import functools
import json
import math
import sys
import threading
import types
import weakref
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SURFACE = json.loads((Path(__file__).parent / "cupy_surface.json").read_text())
NAMES, METHODS, ARGUMENTS = set(SURFACE["cupy"]), set(SURFACE["ndarray"]), SURFACE["kwargs"]
__version__ = SURFACE["version"] + ".double"

SCALARS = (bool, int, float, complex, np.generic)
# What methods take beyond, or other than, the function of the same name.
METHOD_ARGUMENTS = {
    "astype": ["dtype", "order", "casting", "subok", "copy"],
    "copy": ["order"],
    "clip": ["min", "max", "out"],
    "reshape": ["order", "copy"],
    "transpose": [],
    "view": ["dtype", "type"],
    "flatten": ["order"],
    "fill": ["value"],
}
# CuPy's ufuncs have few methods, and those for few ufuncs.
UFUNC_METHODS = {
    "reduce": {"add", "multiply"},
    "accumulate": {"add", "multiply"},
    "reduceat": {"add"},
    "at": {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"},
    "outer": set(),
}
# The shape of their result depends on the values, so the host has to look at them.
VALUE_DEPENDENT = {
    "argwhere", "bincount", "compress", "digitize", "extract", "flatnonzero", "histogram", "intersect1d", "nonzero",
    "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
}  # fmt: skip
CREATION = {"arange", "empty", "eye", "full", "identity", "indices", "linspace", "ones", "tri", "zeros"}
TO_HOST = {"dump", "dumps", "item", "tobytes", "tofile", "tolist"}


# ---------------------------------------------------------------------------------------------------------------------
# Counting
# ---------------------------------------------------------------------------------------------------------------------


class DeviceSync(RuntimeError):
    """The host waited for the device inside `no_sync()`."""


class Counts:
    """What happened since the last `reset()`."""

    def __init__(self):
        self._lock = threading.Lock()
        self.syncs_allowed = True
        self.reset()

    def reset(self):
        self.launches = self.uploads = self.syncs = 0

    def launch(self):
        with self._lock:
            self.launches += 1

    def upload(self):
        with self._lock:
            self.uploads += 1

    def sync(self, what: str):
        with self._lock:
            self.syncs += 1
        if not self.syncs_allowed:
            raise DeviceSync(f"the host waits for the device: {what}")


counts = Counts()


@contextmanager
def no_sync():
    """Inside this block everything that makes the host wait for the device raises `DeviceSync`, in all threads."""
    before, counts.syncs_allowed = counts.syncs_allowed, False
    try:
        yield
    finally:
        counts.syncs_allowed = before


# ---------------------------------------------------------------------------------------------------------------------
# Device memory
# ---------------------------------------------------------------------------------------------------------------------


class Flags:
    """CuPy's flags: there is no `writeable`."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


class Device:
    """cupy.cuda.Device: there is one, number 0 (fakenccl.py makes it more)."""

    def __init__(self, id: int = 0):
        if not 0 <= id < cuda.runtime.getDeviceCount():
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.id = id

    def use(self):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None


class ndarray:
    """An array in device memory. `_host` holds its values; only this module may look at it."""

    __slots__ = ("_host",)
    __hash__ = None

    def __init__(self, host: np.ndarray):
        if host.dtype.kind not in "biufc":
            raise TypeError(f"Unsupported dtype {host.dtype}")
        self._host = host
        if _hooks and host.base is None:
            _tell_hooks(host)

    # -- what NumPy tries on foreign arrays ---------------------------------------------------------------------------

    def __array__(self, *args, **options):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if method == "__call__" and len(inputs) == 2 and isinstance(inputs[0], np.generic):
            return _call(ufunc.__name__, ufunc, inputs, options)  # np.float32(2) * device_array: CuPy takes it
        if any(isinstance(x, np.ndarray) for x in inputs):
            raise TypeError(f"Unsupported type {np.ndarray}: np.{ufunc.__name__} on a host and a device array")
        raise TypeError(f"np.{ufunc.__name__} was called on a device array: use array_module(x).{ufunc.__name__}")

    def __array_function__(self, function, kinds, args, options):
        raise TypeError(f"np.{function.__name__} was called on a device array: use array_module(x)")

    # -- to the host --------------------------------------------------------------------------------------------------

    def get(self, stream=None, order="C", out=None, blocking=True):
        counts.sync("get")
        return self._host.copy()

    def __float__(self):
        counts.sync("float(x)")
        return float(self._host)

    def __int__(self):
        counts.sync("int(x)")
        return int(self._host)

    def __complex__(self):
        counts.sync("complex(x)")
        return complex(self._host)

    def __bool__(self):
        counts.sync("bool(x), as in `if x:`")
        return bool(self._host)

    def __index__(self):
        raise TypeError("a device array can't be an index of a Python sequence, nor a bound of a slice or range")

    def __repr__(self):
        counts.sync("repr(x)")
        return f"device {self._host!r}"

    def __reduce__(self):
        counts.sync("pickle")
        return asarray, (self._host,)

    # -- properties ---------------------------------------------------------------------------------------------------

    @property
    def device(self):
        return Device()

    @property
    def flags(self):
        return Flags(self._host.flags)

    @property
    def base(self):
        return None if self._host.base is None else ndarray(np.asarray(self._host.base))

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[index] for index in range(len(self)))

    def __contains__(self, value):
        raise TypeError("`in` is not defined for device arrays")

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    # -- indexing -----------------------------------------------------------------------------------------------------

    def _key(self, key):
        """The key for the host values. An Ellipsis at the end makes x[0] a 0-d view, as in CuPy, not a scalar."""
        parts = key if isinstance(key, tuple) else (key,)
        host_parts = []
        for part in parts:
            if isinstance(part, (np.ndarray, list)):
                raise TypeError("a host array or list indexes a device array: move it to the device first")
            if isinstance(part, ndarray):
                if part.dtype == bool:
                    counts.sync("a boolean mask as an index")
                part = part._host
            host_parts.append(part)
        if not any(part is Ellipsis for part in host_parts):
            host_parts.append(Ellipsis)
        return tuple(host_parts)

    def __getitem__(self, key):
        return ndarray(np.asarray(self._host[self._key(key)]))

    def __setitem__(self, key, value):
        counts.launch()
        self._host[self._key(key)] = _host_values(value, "x[…] = value")

    # -- methods ------------------------------------------------------------------------------------------------------

    def __getattr__(self, name):
        if name not in METHODS or not hasattr(self._host, name):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        value = getattr(self._host, name)
        if not callable(value):
            return ndarray(value) if isinstance(value, np.ndarray) else value
        if name in TO_HOST:
            counts.sync(f".{name}()")
            return value
        return functools.partial(self._method, name, value)

    def _method(self, name, method, *args, **options):
        allowed = METHOD_ARGUMENTS.get(name, ARGUMENTS.get(name, [])[1:])
        _check_keywords(f"ndarray.{name}", options, allowed)
        _check_sort(name, options)
        return _call(name, method, args, options)

    def scatter_add(self, key, values):
        counts.launch()
        np.add.at(self._host, self._key(key), _host_values(values, "scatter_add"))


ARITHMETIC = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift",
)  # fmt: skip


def _define_operators():
    """x + y, x += y, y + x, -x and all the others."""

    def binary(name):
        def operator(self, other):
            if isinstance(other, (np.ndarray, list, tuple)):
                raise TypeError(f"Unsupported type {type(other)}: a device array meets a host array or a list")
            if not isinstance(other, (ndarray, *SCALARS)):
                return NotImplemented
            counts.launch()
            with np.errstate(all="ignore"):  # a GPU doesn't warn
                result = getattr(self._host, name)(_host_values(other, name))
            return self if name.startswith("__i") and name != "__invert__" else _device(result)

        return operator

    def unary(name):
        def operator(self):
            counts.launch()
            return _device(getattr(self._host, name)())

        return operator

    for name in ARITHMETIC:
        for prefix in ("", "r", "i"):
            if hasattr(np.ndarray, f"__{prefix}{name}__"):
                setattr(ndarray, f"__{prefix}{name}__", binary(f"__{prefix}{name}__"))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(ndarray, f"__{name}__", binary(f"__{name}__"))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(ndarray, f"__{name}__", unary(f"__{name}__"))
    ndarray.__hash__ = None


_define_operators()


# ---------------------------------------------------------------------------------------------------------------------
# Calling NumPy's functions under CuPy's rules
# ---------------------------------------------------------------------------------------------------------------------


def _host_values(x, where):
    """The values of an argument for NumPy. Host arrays are refused."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"{where}: Unsupported type {type(x)}, a host array in a device computation")
    if isinstance(x, (list, tuple)):
        return type(x)(_host_values(item, where) for item in x)
    return x


def _device(result):
    """What NumPy returned, as CuPy returns it: scalars become 0-d arrays."""
    if isinstance(result, (np.ndarray, np.generic)):
        return ndarray(np.asarray(result))
    if isinstance(result, (tuple, list)):
        return type(result)(_device(item) for item in result)
    return result


def _check_keywords(name, options, allowed):
    for option in options:
        if option not in allowed:
            raise TypeError(f"cupy.{name}: unexpected keyword argument {option!r}; CuPy has {', '.join(allowed)}")


def _check_sort(name, options):
    if name in ("sort", "argsort") and options.get("kind") not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")


def _call(name, function, args, options):
    counts.launch()
    out = options.get("out")
    host_args = [_host_values(x, name) for x in args]
    host_options = {key: _host_values(value, name) for key, value in options.items()}
    with np.errstate(all="ignore"):
        result = function(*host_args, **host_options)
    if name in VALUE_DEPENDENT or (name == "where" and len(args) == 1):
        counts.sync(f"cupy.{name}")
    if name in CREATION and any(isinstance(x, ndarray) for x in args):
        counts.sync(f"cupy.{name} with a size that lies on the device")
    if name in ("empty", "empty_like"):
        result[...] = np.nan if result.dtype.kind in "fc" else 77 if result.dtype.kind in "iu" else True
    return _device(result) if out is None else out[0] if isinstance(out, tuple) else out


class Ufunc:
    """cupy.exp, cupy.add, …: the function, and the few methods that CuPy has."""

    def __init__(self, ufunc):
        self._ufunc = ufunc
        self.__name__ = ufunc.__name__

    def __call__(self, *args, **options):
        allowed = ARGUMENTS["matmul"] if self.__name__ == "matmul" else ARGUMENTS["ufunc"]
        _check_keywords(self.__name__, options, allowed)
        if any(isinstance(x, (list, tuple)) for x in args):
            raise TypeError(f"cupy.{self.__name__}: Unsupported type list")
        return _call(self.__name__, self._ufunc, args, options)

    def __getattr__(self, method):
        if self.__name__ not in UFUNC_METHODS.get(method, ()):
            raise NotImplementedError(f"`cupy_{self.__name__}.{method}` is not supported yet")
        return functools.partial(self._method, method)

    def _method(self, method, *args, **options):
        if method == "at" and not isinstance(args[0], ndarray):
            raise TypeError("cupy.add.at works on device arrays only")
        return _call(f"{self.__name__}.{method}", getattr(self._ufunc, method), args, options)


def _function(name, function):
    allowed = ARGUMENTS.get(name, [])
    variadic = any(argument in ("args", "arys", "arrays", "arrays_and_dtypes") for argument in allowed)

    def call(*args, **options):
        _check_keywords(name, options, allowed)
        _check_sort(name, options)
        if allowed and not variadic and len(args) > len(allowed):
            raise TypeError(f"cupy.{name} takes at most {len(allowed)} arguments ({', '.join(allowed)})")
        return _call(name, function, args, options)

    call.__name__ = name
    return call


def __getattr__(name):
    """cupy.<name> for all names that CuPy has: NumPy's object of that name under CuPy's rules."""
    if name not in NAMES:
        raise AttributeError(f"module 'cupy' has no attribute {name!r}")
    if not hasattr(np, name):
        raise NotImplementedError(f"the double of CuPy has no {name}")
    value = getattr(np, name)
    if isinstance(value, types.ModuleType):
        raise NotImplementedError(f"the double of CuPy has no cupy.{name}; should code for both backends use it?")
    if isinstance(value, np.ufunc):
        return Ufunc(value)
    if callable(value) and not isinstance(value, type):
        return _function(name, value)
    return value  # number types, constants


def asarray(a, dtype=None, order=None, copy=None, blocking=False):
    """To the device. What is there already stays as it is."""
    if isinstance(a, ndarray):
        return a if dtype in (None, a.dtype) and not copy else ndarray(a._host.astype(dtype or a.dtype))
    counts.upload()
    return ndarray(np.array(a, dtype=dtype))


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, blocking=False):
    """A new device array."""
    return asarray(obj, dtype, copy=copy)


def asnumpy(a, stream=None, order="C", out=None, blocking=True):
    """To the host."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args):
    return sys.modules[__name__] if any(isinstance(x, ndarray) for x in args) else np


def _as_strided(x, shape=None, strides=None):
    """cupy.lib.stride_tricks.as_strided: a view, as everywhere."""
    if not isinstance(x, ndarray):
        raise TypeError(f"cupy.lib.stride_tricks.as_strided: Unsupported type {type(x)}")
    return ndarray(np.lib.stride_tricks.as_strided(x._host, shape, strides))


lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=_as_strided))

_hooks: list = []  # memory hooks in force
_told: set[int] = set()  # arrays that hooks know of


class MemoryHook:
    """cupy.cuda.MemoryHook: inside its `with` block it is called for each piece of memory that the pool gives out or
    gets back, with keyword arguments only. As in CuPy, sizes are multiples of 512 bytes.
    """

    name = "MemoryHook"

    def malloc_postprocess(self, **what):
        pass

    def free_postprocess(self, **what):
        pass

    def __enter__(self):
        if any(hook.name == self.name for hook in _hooks):
            raise KeyError(f"memory hook {self.name} already exists")
        _hooks.append(self)
        return self

    def __exit__(self, *exception):
        _hooks.remove(self)


def _tell_hooks(host: np.ndarray):
    """New device memory: tell the hooks now, and when it ends."""
    key = id(host)
    if key in _told:  # several objects around one array
        return
    _told.add(key)
    size = -(-max(1, host.nbytes) // 512) * 512
    what = {"device_id": 0, "mem_size": size, "mem_ptr": host.ctypes.data, "pmem_id": key}
    for hook in _hooks:
        hook.malloc_postprocess(size=host.nbytes, **what)

    def end():
        _told.discard(key)
        for hook in _hooks:
            hook.free_postprocess(**what)

    weakref.finalize(host, end)


class MemoryPool:
    def free_all_blocks(self):
        return None

    def used_bytes(self):
        return 0


def get_default_memory_pool():
    return MemoryPool()


cuda = types.SimpleNamespace(
    Device=Device,
    MemoryHook=MemoryHook,
    is_available=lambda: True,
    runtime=types.SimpleNamespace(getDeviceCount=lambda: 1),
)


# ---------------------------------------------------------------------------------------------------------------------
# Standing in for cupy
# ---------------------------------------------------------------------------------------------------------------------


def _erf(x):
    """cupyx.scipy.special.erf, by Python's own math.erf."""
    if not isinstance(x, ndarray):
        raise TypeError(f"cupyx.scipy.special.erf: Unsupported type {type(x)}")
    counts.launch()
    values = [math.erf(value) for value in x._host.reshape(-1).tolist()]
    return ndarray(np.array(values, dtype=x.dtype).reshape(x.shape))


def _stand_ins() -> dict[str, types.ModuleType]:
    special = types.ModuleType("cupyx.scipy.special")
    special.erf = _erf
    scipy = types.ModuleType("cupyx.scipy")
    scipy.special = special
    cupyx = types.ModuleType("cupyx")
    cupyx.scipy = scipy
    return {"cupy": sys.modules[__name__], "cupyx": cupyx, "cupyx.scipy": scipy, "cupyx.scipy.special": special}


@contextmanager
def installed():
    """`import cupy` gives the double, and `use_backend("cupy")` and `model.to("cuda")` work on it."""
    from edutransformers import backend

    modules = _stand_ins()
    modules_before = {name: sys.modules.get(name) for name in modules}
    state_before = backend._cupy_status, backend._backend_name
    counts.reset()
    sys.modules.update(modules)
    backend._cupy_status = backend.CupyStatus(True, "a test double of cupy computes on the CPU")
    try:
        yield sys.modules[__name__]
    finally:
        backend._cupy_status, backend._backend_name = state_before
        for name, module in modules_before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def shares_memory(x, y) -> bool:
    """Do two arrays, both on the host or both on the device, overlap?"""
    if isinstance(x, ndarray) != isinstance(y, ndarray):
        return False
    return np.shares_memory(*(a._host if isinstance(a, ndarray) else a for a in (x, y)))
