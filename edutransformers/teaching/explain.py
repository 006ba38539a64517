"""What two arrays that should be equal have to do with each other, in words: transposed, a factor, a sign, a shift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def explain_shape(got: np.ndarray, wanted: np.ndarray) -> str | None:
    """Why the shape may be wrong."""
    if got.shape == wanted.shape[::-1] and got.ndim > 1:
        if _close(got.T, wanted):
            return "it is what is expected, transposed"
        return "the axes are the other way round"
    if got.size == wanted.size:
        if _close(got.reshape(wanted.shape), wanted):
            return "the numbers are right, only their arrangement isn't: reshape them, or keep an axis (keepdims=True)"
        axis = _axis_to_join(got, wanted)
        if axis is not None:
            return f"these are the right pieces; np.concatenate(pieces, axis={axis}) puts them together"
        return None
    if got.ndim < wanted.ndim:
        return f"{_counted(wanted.ndim - got.ndim, 'axis is', 'axes are')} missing: was a sum taken over too much?"
    if got.ndim > wanted.ndim:
        summed = _sum_down_to(got, wanted.shape)
        if summed is not None and _close(summed, wanted):
            return "summed over its first axes it would be right: that sum is missing"
        return f"{_counted(got.ndim - wanted.ndim, 'axis is', 'axes are')} too many: is a sum missing?"
    return None


def explain_numbers(got: np.ndarray, wanted: np.ndarray, sizes: Mapping[str, int]) -> str | None:
    """Why the numbers may be wrong, where the shape is right."""
    if not np.isfinite(wanted).all() or not got.size:
        return None
    if not got.any():
        return "all numbers are 0"
    if got.ndim >= 2 and got.shape[-1] == got.shape[-2] and _close(got.swapaxes(-1, -2), wanted):
        return "it is what is expected, transposed"
    for axis in range(got.ndim):
        if got.shape[axis] > 1 and _close(np.flip(got, axis), wanted):
            return f"it is what is expected, in the opposite order along axis {axis}"
    factor = _common_factor(got, wanted)
    if factor is not None and not np.isclose(factor, 1, rtol=1e-3):  # close to 1, it explains nothing
        return _named_factor(factor, sizes)
    shift = (got - wanted).mean()
    if got.size > 1 and _close(got - shift, wanted):
        return f"every number is {abs(shift):.4g} too {'large' if shift > 0 else 'small'}"
    off = ~np.isclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    return _where_wrong(off)


def _common_factor(got: np.ndarray, wanted: np.ndarray) -> float | None:
    """c, if got = c · wanted."""
    power = float((wanted * wanted).sum())
    if power == 0 or wanted.size < 2:
        return None
    factor = float((got * wanted).sum()) / power
    return factor if factor and _close(got / factor, wanted) else None


def _named_factor(factor: float, sizes: Mapping[str, int]) -> str:
    if np.isclose(factor, -1, rtol=1e-3):
        return "every number has the wrong sign"
    sign, size = ("minus ", -factor) if factor < 0 else ("", factor)
    for name, value in sizes.items():
        for words, candidate in (
            (f"1/{name}", 1 / value),
            (name, value),
            (f"1/{name}²", 1 / value**2),
            (f"{name}²", value**2),
            (f"1/√{name}", value**-0.5),
            (f"√{name}", value**0.5),
        ):
            if value > 1 and np.isclose(size, candidate, rtol=1e-3):
                return f"every number is {sign}{words} times what is expected ({name} = {value})"
    return f"every number is {sign}{size:.4g} times what is expected"


def _where_wrong(off: np.ndarray) -> str | None:
    """Whether it is whole rows, or one place along an axis, that is wrong."""
    if off.ndim == 0 or off.all():
        return None
    for axis in range(off.ndim):
        others = tuple(other for other in range(off.ndim) if other != axis)
        lines = off.any(axis=others) if others else off
        wrong = np.flatnonzero(lines)
        if len(wrong) == 1 and off.shape[axis] > 2:
            place = {0: "first", off.shape[axis] - 1: "last"}.get(int(wrong[0]))
            where = f"the {place}" if place else f"number {wrong[0]}"
            return f"only {where} along axis {axis} is wrong"
    return None


def _axis_to_join(pieces: np.ndarray, wanted: np.ndarray) -> int | None:
    """The axis along which pieces[0], pieces[1], … make up what is wanted."""
    if pieces.ndim != wanted.ndim + 1 or not len(pieces):
        return None
    for axis in range(wanted.ndim):
        joined = np.concatenate(list(pieces), axis=axis)
        if joined.shape == wanted.shape and _close(joined, wanted):
            return axis
    return None


def _sum_down_to(got: np.ndarray, shape: tuple) -> np.ndarray | None:
    extra = got.ndim - len(shape)
    return got.sum(axis=tuple(range(extra))) if got.shape[extra:] == shape else None


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a, b, rtol=0, atol=1e-4 * max(float(np.abs(b).max(initial=0)), 1e-6)))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
