"""`BatchFeature`: a batch of model inputs by name, as image processors, feature extractors and tokenizers give it."""

from __future__ import annotations

from collections import UserDict
from enum import Enum
from typing import Any

import numpy as np

from . import backend


class BatchFeature(UserDict):
    """Dictionary of a model's inputs (`pixel_values`, `input_values`, …), also as attributes (`batch.pixel_values`).

    `tensor_type` makes arrays of them: "np" for NumPy, "cp" for CuPy; None leaves lists.
    """

    # what to do about rows that make no array
    ragged_advice = "make them one size: padding=True for sound, do_resize=True for pictures"

    def __init__(self, data: dict[str, Any] | None = None, tensor_type: str | None = None):
        super().__init__(data)
        self.convert_to_tensors(tensor_type)

    def __getitem__(self, item):
        if isinstance(item, str):
            return self.data[item]
        raise KeyError(f"{type(self).__name__} has no rows to index with {item!r}; ask by name: {', '.join(self.data)}")

    def __getattr__(self, name: str):
        # Only called when no real attribute has the name. `data` itself is missing while an object is being unpickled.
        if name != "data" and name in self.__dict__.get("data", {}):
            return self.data[name]
        raise AttributeError(
            f"{type(self).__name__} has no {name!r}; it holds {', '.join(self.__dict__.get('data', {}))}"
        )

    def __getstate__(self):
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)

    def convert_to_tensors(self, tensor_type: str | None = None):
        """Turn every value into an array: "np" for NumPy, "cp" for CuPy; None does nothing.

        Raises ValueError for rows of different shapes, and for "pt", "tf" and "jax", which this library doesn't have.
        """
        if tensor_type is None:
            return self
        xp = array_module_named(tensor_type)
        for key, value in self.data.items():
            if not isinstance(value, xp.ndarray):
                self.data[key] = xp.asarray(self._as_array(key, value))
        return self

    def _as_array(self, key: str, value) -> np.ndarray:
        try:
            array = np.asarray(value)
            if array.dtype == object:
                raise ValueError("rows of different shapes")
        except ValueError:
            raise ValueError(
                f"The rows of {key!r} have different lengths and make no array: {self.ragged_advice}."
            ) from None
        return array

    def to(self, device: str | None = None, dtype=None):
        """Move all arrays to "cpu" or "cuda", and floats to the number type `dtype`, in place.

        `batch.to("cuda", "float16")`. Integers (ids, masks) keep their type. Raises ValueError for an unknown device.
        """
        xp = None if device is None else backend.module_for(str(device))
        for key, value in self.data.items():
            if isinstance(value, (list, tuple)):
                continue
            if xp is not None:
                value = backend.to_numpy(value) if xp is np else xp.asarray(value)
            if dtype is not None and value.dtype.kind == "f":
                value = value.astype(dtype, copy=False)
            self.data[key] = value
        return self


def array_module_named(tensor_type: str | Enum):
    """NumPy or CuPy, as `return_tensors` names them. Raises ValueError for other frameworks."""
    name = str(tensor_type.value if isinstance(tensor_type, Enum) else tensor_type).lower()
    if name in ("np", "numpy"):
        return np
    if name in ("cp", "cupy"):
        return backend.module_for("cupy")
    if name in ("pt", "tf", "jax", "flax", "mlx", "torch", "tensorflow"):
        raise ValueError(
            f"return_tensors={tensor_type!r} needs a framework that edutransformers does without: use 'np' for NumPy "
            "arrays or 'cp' for CuPy arrays on a GPU."
        )
    raise ValueError(f"return_tensors={tensor_type!r} is unknown: use 'np' (NumPy), 'cp' (CuPy) or None (lists).")
