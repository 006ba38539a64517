"""A GPU on paper: arrays that compute with NumPy and obey a few of a device's rules. For lessons, where no GPU is.

    with pretend_gpu() as cupy:                 # for these lines `import cupy` would find it, and so does array_module
        x = cupy.asarray(host_array)            # a DeviceArray
        y = softmax(x)                          # the package's functions run as on a GPU
        print(cupy.waits)                       # how often the host had to wait for a result

Three rules: arrays of the host and of the device don't mix; a DeviceArray never becomes a NumPy array by itself;
whatever needs a number of it on the host (`float(x)`, `if x`, `x[mask]`) counts as a wait. The tests' double,
`tests/fakecupy.py`, knows many more: which functions CuPy lacks, for one.
"""

from __future__ import annotations

import operator
import sys
import types
from contextlib import contextmanager

import numpy as np

NUMBERS = (bool, int, float, np.generic)


class DeviceArray:
    """An array in the pretended device's memory. Its values are in `_host`, which only this file looks at."""

    __hash__ = None
    __array_priority__ = 1000

    def __init__(self, host: np.ndarray, module: PretendCupy):
        self._host, self._module = host, module

    # -- ways to the host: forbidden, or counted ----------------------------------------------------------------------

    def __array__(self, *args, **options):
        raise TypeError("a device array doesn't become a NumPy array by itself: ask for it with to_numpy(x)")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(isinstance(x, np.ndarray) for x in inputs):
            raise TypeError(MIXED)
        if method == "__call__" and len(inputs) == 2 and isinstance(inputs[0], np.generic):
            return self._wrap(ufunc(inputs[0], self._host))  # np.float32(2) * x: a NumPy number is a number
        raise TypeError(f"np.{ufunc.__name__} was called on a device array: use xp.{ufunc.__name__}")

    def __array_function__(self, function, kinds, args, options):
        name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
        raise TypeError(f"np.{name} was called on a device array: use xp.{name}")

    def get(self) -> np.ndarray:
        self._module.waits += 1
        return self._host.copy()

    def _number(self, kind):
        self._module.waits += 1
        return kind(self._host)

    def __float__(self):
        return self._number(float)

    def __int__(self):
        return self._number(int)

    def __bool__(self):
        return self._number(bool)

    def item(self):
        return self._number(lambda x: x.item())

    def tolist(self):
        return self._number(lambda x: x.tolist())

    def __repr__(self):
        return f"DeviceArray of shape {self.shape}, {self.dtype}"  # looking at the numbers would be a wait

    # -- what is known without looking at the numbers -----------------------------------------------------------------

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    T = property(lambda self: self._wrap(self._host.T))

    def __len__(self):
        return len(self._host)

    # -- computing ----------------------------------------------------------------------------------------------------

    def __getitem__(self, place):
        parts = place if isinstance(place, tuple) else (place,)
        if any(isinstance(part, DeviceArray) and part.dtype == bool for part in parts):
            self._module.waits += 1  # how many numbers a mask leaves over is not known before it has been looked at
        return self._wrap(self._host[self._module.unwrapped(place)])

    def __setitem__(self, place, values):
        self._host[self._module.unwrapped(place)] = self._module.unwrapped(values)

    def __iter__(self):
        for row in range(len(self)):
            yield self[row]

    def _wrap(self, result):
        return self._module.wrapped(result)


MIXED = "a host array and a device array in one operation: move one of them, with as_array_like(x, like)"


def _binary(name, swapped):
    function = getattr(operator, name)

    def compute(self, other):
        if isinstance(other, np.ndarray) and other.ndim:
            raise TypeError(MIXED)
        if not isinstance(other, (DeviceArray, *NUMBERS)):
            return NotImplemented
        pair = self._host, self._module.unwrapped(other)
        return self._wrap(function(*(reversed(pair) if swapped else pair)))

    return compute


def _unary(name):
    function = getattr(operator, name)
    return lambda self: self._wrap(function(self._host))


def _in_place(name):
    function = getattr(operator, f"i{name}")

    def compute(self, other):
        self._host = function(self._host, self._module.unwrapped(other))
        return self

    return compute


def _method(name):
    def compute(self, *args, **options):
        unwrapped = self._module.unwrapped
        return self._wrap(getattr(self._host, name)(*unwrapped(args), **unwrapped(options)))

    return compute


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "floordiv", "mod"):
    setattr(DeviceArray, f"__{_name}__", _binary(_name, swapped=False))
    setattr(DeviceArray, f"__r{_name}__", _binary(_name, swapped=True))
    setattr(DeviceArray, f"__i{_name}__", _in_place(_name))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_"):
    setattr(DeviceArray, f"__{_name.rstrip('_')}__", _binary(_name, swapped=False))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(DeviceArray, f"__{_name}__", _unary(_name))
for _name in (
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumsum", "dot", "max", "mean", "min",
    "ravel", "repeat", "reshape", "squeeze", "std", "sum", "swapaxes", "take", "transpose", "var",
):  # fmt: skip
    setattr(DeviceArray, _name, _method(_name))


class PretendCupy(types.ModuleType):
    """Stands in for the module `cupy`: NumPy's functions, for DeviceArrays only."""

    ndarray = DeviceArray

    def __init__(self):
        super().__init__("cupy")
        self.waits = 0
        self.linalg = types.SimpleNamespace(norm=self._function(np.linalg.norm))

    def asarray(self, x, dtype=None):
        """To the device: a NumPy array, a list, or what is there already."""
        return self.wrapped(np.array(self.unwrapped(x, mixed=True), dtype=dtype))

    array = asarray

    def asnumpy(self, x) -> np.ndarray:
        """To the host; this waits."""
        return x.get()

    def __getattr__(self, name):
        if name.startswith("_") or not hasattr(np, name):
            raise AttributeError(f"cupy has no {name}")
        found = getattr(np, name)
        return found if isinstance(found, type) or not callable(found) else self._function(found)

    def _function(self, function):
        def compute(*args, **options):
            return self.wrapped(function(*self.unwrapped(args), **self.unwrapped(options)))

        return compute

    def wrapped(self, result):
        """Arrays, and NumPy's single numbers, as DeviceArrays: a reduction's result is on the device, too."""
        if isinstance(result, (np.ndarray, np.generic)):
            return DeviceArray(np.asarray(result), self)
        if isinstance(result, (tuple, list)):
            return type(result)(map(self.wrapped, result))
        return result

    def unwrapped(self, x, mixed=False):
        if isinstance(x, DeviceArray):
            return x._host
        if isinstance(x, np.ndarray) and not mixed:
            raise TypeError(MIXED)
        if isinstance(x, (tuple, list)):
            return type(x)(self.unwrapped(part, mixed) for part in x)
        if isinstance(x, dict):
            return {name: self.unwrapped(part, mixed) for name, part in x.items()}
        return x


@contextmanager
def pretend_gpu():
    """Inside this block `cupy` is the pretended one, for this package too."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = cupy = PretendCupy()
    try:
        yield cupy
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
