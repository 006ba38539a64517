"""Checking a learner's answer, and saying what is wrong with it.

A checker is a function that calls the answer with fresh inputs and compares:

    @exercise(lesson=1)
    def check_softmax(answer):
        for shape in ((4,), (2, 5), (2, 3, 4)):
            x = draw(*shape)
            same(
                call(answer, x), softmax(x), "softmax(x)",
                mistakes={"the columns add up to 1, not the rows: sum over axis=-1": softmax(x, axis=0)},
            )

What is said: first whether the shape is wrong, then where the worst number is (what was got, what was expected, what
would be allowed), then in words what probably happened: the `mistakes` are what usual wrong answers give, and the one
that gives what was got is named. Factors, signs and transposed arrays are recognized without being listed.

Inputs are drawn anew at each call, so no answer can be written down. An answer may compute in float32 or float64, in
any order, in place, in NumPy or CuPy.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import to_numpy
from .explain import explain_numbers, explain_shape
from .progress import record_try

TOLERANCE = 1e-4  # of the largest expected number: float32 stays well below, mistakes are far above


class CheckFailed(AssertionError):
    """The answer is wrong; the text says how. Jupyter shows the text alone, without the way through the checker."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class _Run:
    """One call of a checker: how many comparisons, what the answer was last called with, what came as lists, and which
    inputs it changed."""

    def __init__(self, name: str):
        self.name, self.comparisons, self.inputs, self.lists, self.changed = name, 0, (), [], set()
        self.again, self.result = None, None  # the last call once more, and what it gave


_run: ContextVar[_Run] = ContextVar("run")


class Exercise:
    """A checker with its exercise's name and lesson. Call it with the answer.

    `failed_on` holds what the answer was called with when it was wrong: `softmax(*check_softmax.failed_on)`.
    """

    def __init__(self, check: Callable, lesson: int):
        if not check.__name__.startswith("check_"):
            raise ValueError(f"a checker is named check_<exercise>, not {check.__name__}")
        self.check, self.lesson, self.name = check, lesson, check.__name__.removeprefix("check_")
        self.__name__, self.__doc__ = check.__name__, check.__doc__
        self.failed_on: tuple = ()

    def __call__(self, *answer) -> None:
        run = _Run(self.name)
        token = _run.set(run)
        try:
            self.check(*answer)
        except CheckFailed as failure:
            self.failed_on = run.inputs
            record_try(self.name, self.lesson, solved=False)
            if "→" not in str(failure):
                failure = f"{failure}{_sentence(_restless(run))}"
            raise CheckFailed(f"{failure}{self._where_the_inputs_are()}") from None
        finally:
            _run.reset(token)
        if run.comparisons == 0:
            raise RuntimeError(f"{self.__name__} compared nothing")
        record_try(self.name, self.lesson, solved=True)
        print(f"{self.name}: right ({run.comparisons} comparison{'s' * (run.comparisons != 1)})")
        if run.lists:
            print(f"  ({run.lists[0]} came as a list. Cells below may need an array: return np.array(…).)")
        if run.changed:
            which = " and ".join(f"number {place}" for place in sorted(run.changed))
            print(f"  (It changes what it is called with: argument {which}. Cells below may need that as it was.)")

    def _where_the_inputs_are(self) -> str:
        if not self.failed_on:
            return ""
        inputs = ", ".join(_described(value) for value in self.failed_on)
        return f"\n  It was called with {inputs}: they are in {self.__name__}.failed_on"


def exercise(lesson: int) -> Callable[[Callable], Exercise]:
    """Makes a checker of a function `check_<exercise>(answer)` that calls `call` and `same`."""
    return lambda check: Exercise(check, lesson)


def draw(*shape: int, dtype="float64") -> np.ndarray:
    """Standard normal numbers that nobody knows beforehand."""
    return np.random.default_rng().standard_normal(shape).astype(dtype)


def draw_integers(low: int, high: int, *shape: int) -> np.ndarray:
    """Whole numbers from low up to, not including, high."""
    return np.random.default_rng().integers(low, high, shape)


# ---------------------------------------------------------------------------------------------------------------------
# Calling
# ---------------------------------------------------------------------------------------------------------------------


def call(answer: Callable, *inputs, **options) -> Any:
    """What the answer returns for copies of the inputs, so that it may work in place."""
    run = _run.get()
    run.inputs, run.again = inputs, None
    if not callable(answer):
        raise CheckFailed(f"{run.name} should be a function, but {_described(answer)} was passed")
    copies = tuple(map(_copied, inputs))
    try:
        result = answer(*copies, **{name: _copied(value) for name, value in options.items()})
    except NotImplementedError:
        run.inputs = ()
        raise CheckFailed(
            f"{run.name} is not written yet: put your lines where `raise NotImplementedError` stands"
        ) from None
    except CheckFailed:
        raise
    except Exception as error:
        raise CheckFailed(_explain_error(error)) from None
    run.result = result
    if all(isinstance(value, (np.ndarray, int, float)) for value in inputs):  # what has no state of its own
        run.again = lambda: answer(*map(_copied, inputs), **options)
    run.changed |= {place for place, (copy, kept) in enumerate(zip(copies, inputs), 1) if _differ(copy, kept)}
    if result is None:
        raise CheckFailed(f"{run.name} returned None: is there a `return` in it?")
    return result


def _copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (tuple, list)):
        copies, named = map(_copied, value), hasattr(value, "_fields")
        return type(value)(*copies) if named else type(value)(copies)
    return value


def _differ(copy, kept) -> bool:
    """Whether an array, or one inside of a tuple or list, was changed."""
    if isinstance(kept, np.ndarray):
        return copy.shape != kept.shape or copy.tobytes() != kept.tobytes()
    if isinstance(kept, (tuple, list)):
        return any(map(_differ, copy, kept))
    return False


def _restless(run: _Run) -> str | None:
    """The words for an answer that gives other numbers for the same inputs."""
    if run.again is None:
        return None
    try:
        first, second = (
            [np.asarray(part, dtype=np.float64) for part in (result if isinstance(result, (tuple, list)) else [result])]
            for result in (run.result, run.again())
        )
    except Exception:  # what is no array, or fails the second time, is not this mistake
        return None
    if all(a.shape == b.shape and np.allclose(a, b, rtol=1e-6, equal_nan=True) for a, b in zip(first, second)):
        return None
    return (
        "for the same inputs it gives other numbers when it is called again: is there an np.empty that is added to, or "
        "not filled everywhere? np.zeros holds zeros"
    )


def _explain_error(error: Exception) -> str:
    """The error with the line of the answer that it came out of."""
    own = {__file__, *(str(file) for file in Path(__file__).with_name("checks").glob("*.py"))}  # may wrap the answer
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in own]
    where = ""
    if frames:
        frame = frames[0]
        line = linecache.getline(frame.filename, frame.lineno).strip() or frame.line or ""
        where = f"\n  in its line {frame.lineno}: {line}"
    because = _cause_of(error)
    return f"{_run.get().name} stopped with {type(error).__name__}: {error}{where}{_sentence(because)}"


def _cause_of(error: Exception) -> str | None:
    """What NumPy's and Python's words mean here."""
    if type(error) is NameError:
        return "a cell above that makes it has not been run, or the name is misspelt"
    text = str(error)
    if found := re.search(r"matmul: Input operand 1 .*\(size (\d+) is different from (\d+)\)", text):
        right, left = found.groups()
        return (
            f"`@` sums over the last axis of its left array and the last but one of its right: these are {left} and "
            f"{right} long here, and must be equal. Is one of the two to be transposed?"
        )
    if found := re.search(r"^shapes .* not aligned: (\d+) \(dim -?\d+\) != (\d+) \(dim", text):
        left, right = found.groups()
        return f"a product sums over one axis of each array: these are {left} and {right} long here, and must be equal"
    if isinstance(error, (AttributeError, TypeError)) and (found := re.search(r"'(Weight|Parameter)'", text)):
        return f"a {found[1]} is no array: its numbers are its .data, its gradient is its .grad"
    if found := re.search(r"could not be broadcast together with shapes \(([\d,]+)\) \(([\d,]+)\) *$", text):
        one, other = ([int(size) for size in sizes.split(",") if size] for sizes in found.groups())
        less, more = sorted((one, other), key=len)
        if any(less == more[:axis] + more[axis + 1 :] for axis in range(1, len(more))):
            return (
                f"the array {tuple(less)} has an axis less than {tuple(more)}: put in one of length 1 where it "
                "is missing (keepdims=True keeps one, [..., None] adds one at the end)"
            )
        if unequal := _sizes_that_clash(one, other):
            return f"aligned on the right, {unequal}, and neither is 1{_for_pairs(one, other)}"
    if found := re.search(r"\(([\d,]+)\)->\([\d,]+newaxis,newaxis\) \(([\d,]+)\)->\([\d,]+newaxis,newaxis\)", text):
        one, other = ([int(size) for size in sizes.split(",") if size] for sizes in found.groups())
        if unequal := _sizes_that_clash(one[:-2], other[:-2]):
            return (
                "`@` multiplies the last two axes; those before them are a batch and must fit, but of "
                f"{tuple(one)} and {tuple(other)} {unequal}"
            )
    if "truth value of an array" in text:
        return (
            "`if`, `and`, `or`, `not` and `max(a, b)` want one True or False, and an array has many: np.where, &, |, ~ "
            "and np.maximum go number by number; whether there is an array at all, `is None` asks"
        )
    if "NoneType" in text:
        return "something there is None: an argument that may be None, or what a function without `return` gave"
    if "'float' object cannot be interpreted as an integer" in text:
        return "a size or a count must be a whole number: `/` gives a float, `//` doesn't"
    if "boolean index did not match" in text:
        return "in x[mask] the mask must have x's own sizes, nothing is repeated; np.where(mask, …, …) broadcasts"
    if found := re.search(r"^axis (-?\d+) is out of bounds for array of dimension (\d+)$", text):
        axis, count = found.groups()
        return (
            f"the array has {count} {'axis' if count == '1' else 'axes'} there, so none is number {axis}; the last one "
            "is axis=-1, however many there are"
        )
    if found := re.search(r"^index (-?\d+) is out of bounds for axis (\d+) with size (\d+)$", text):
        place, axis, size = found.groups()
        return f"axis {axis} is {size} long, and places are counted from 0, or from the end from -1: none is {place}"
    if text in ("tuple index out of range", "list index out of range"):
        return "there is nothing at that place: an empty list or tuple has no [0] and no [-1], and the last is len − 1"
    if "changed size during iteration" in text:
        return "what a loop goes through may not grow or shrink in the loop: fill a new one"
    if isinstance(error, TypeError) and "arrays can be converted to Python scalars" in text:
        return (
            "one number is needed there, and an array came: float(…) and the functions of `math` take one number, "
            "those of NumPy whole arrays"
        )
    if "can't multiply sequence by non-int" in text:
        return "a list is not multiplied number by number: np.array(…) is, or [number * factor for number in …]"
    if isinstance(error, ValueError) and "setting an array element with a sequence" in text:
        return (
            "parts of different shapes can't be one array: are there rows of different lengths, or does a function "
            "called there return several things?"
        )
    return None


def _sizes_that_clash(one: list[int], other: list[int]) -> str | None:
    """ "3 meets 5": the sizes that can't be broadcast, from left to right."""
    clashes = [f"{a} meets {b}" for a, b in zip(reversed(one), reversed(other)) if a != b and 1 not in (a, b)]
    return " and ".join(reversed(clashes)) or None


def _for_pairs(one: list[int], other: list[int]) -> str:
    if len(one) == len(other) == 1:
        return f"; if every number of one is to go with every number of the other, one must be a column: ({one[0]}, 1)"
    return ""


def _described(value) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {tuple(value.shape)} of {value.dtype}" if value.ndim else f"{value!r}"
    if isinstance(value, (tuple, list)) and len(value) > 4:
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    if len(text) < 60 and " at 0x" not in text:
        return text
    return f"a {type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (tuple, list)) else "")


# ---------------------------------------------------------------------------------------------------------------------
# Comparing
# ---------------------------------------------------------------------------------------------------------------------


def same(
    got,
    wanted,
    name: str,
    mistakes: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    tolerance: float = TOLERANCE,
) -> None:
    """Raise CheckFailed unless `got` has the wanted shape, and each number is within `tolerance` · the largest wanted.

    name      what it is, as the learner would write it: "softmax(x)", "dx"
    mistakes  {what happened: the array that it gives, or a function that makes it}
    sizes     {"B": 4, "D": 3}: sizes to name a wrong factor by, such as "1/B of what is expected"
    """
    _run.get().comparisons += 1
    of_lists = isinstance(got, (tuple, list)) and isinstance(wanted, np.ndarray) and wanted.ndim > 1
    returned, got, wanted = got, _numbers(got, name), np.asarray(wanted)
    if got.shape != wanted.shape:
        because = (
            _mistake_made(got, wanted, mistakes, tolerance)
            or _too_many_things(returned, wanted)
            or explain_shape(got, wanted)
        )
        raise CheckFailed(f"{name} has the wrong shape: got {got.shape}, expected {wanted.shape}{_sentence(because)}")
    if wanted.dtype.kind in "biu":
        allowed = 0.0
    else:
        allowed = tolerance * max(float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)), 1e-6)
    with np.errstate(invalid="ignore"):  # bytes that were read wrongly can be any kind of nan
        got_wide, wanted_wide = got.astype(np.float64), wanted.astype(np.float64)
    unfit = ~np.isfinite(got_wide) & np.isfinite(wanted_wide)
    if unfit.any():
        place = np.argwhere(unfit)[0].tolist()
        because = _mistake_made(got, wanted, mistakes, tolerance)
        raise CheckFailed(
            f"{name} holds {got_wide[tuple(place)]} at {place}, in all {unfit.sum()} numbers that are not finite; "
            f"expected there {_shown(wanted[tuple(place)])}{_sentence(because)}"
        )
    with np.errstate(invalid="ignore"):
        off = np.where(got_wide == wanted_wide, 0.0, np.abs(got_wide - wanted_wide))
    if not (off > allowed).any():
        if of_lists:
            _run.get().lists.append(name)
        return
    place = np.unravel_index(int(np.nan_to_num(off, nan=np.inf).argmax()), off.shape)
    because = (
        _mistake_made(got, wanted, mistakes, tolerance)
        or _whole_numbers(got, wanted)
        or explain_numbers(got_wide, wanted_wide, sizes or {})
    )
    at = f"worst at {list(map(int, place))}: " if off.ndim else ""
    how_many = f"\n  {(off > allowed).sum()} of {off.size} numbers are wrong" if off.size > 1 else ""
    what = f"has the right shape {got.shape}, but wrong numbers" if off.ndim else "is wrong"
    raise CheckFailed(
        f"{name} {what}\n"
        f"  {at}got {_shown(got[place])}, expected {_shown(wanted[place])}; "
        f"off by {off[place]:.2g}, allowed {allowed:.2g}{how_many}{_sentence(because)}"
    )


def same_all(
    got, wanted: Mapping[str, Any], mistakes: Mapping[str, Mapping[str, Any]] | None = None, **options
) -> None:
    """`same` for an answer that returns several things: wanted {"dx": …, "dweight": …}, in this order."""
    names = ", ".join(wanted)
    if isinstance(got, np.ndarray) and got.shape == (len(wanted),) and not any(map(np.ndim, wanted.values())):
        got = list(got)  # a number each
    if not isinstance(got, (tuple, list)):
        raise CheckFailed(f"expected {len(wanted)} things, ({names}), but one was returned: {_described(got)}")
    if len(got) != len(wanted):
        raise CheckFailed(f"expected {len(wanted)} things, ({names}), but {len(got)} were returned")
    for value, (name, right) in zip(got, wanted.items()):
        others = {
            f"that is {other}: the order is {names}": wanted[other]
            for other in wanted
            if other != name and np.any(wanted[other])  # zeros may be anything
        }
        same(value, right, name, {**(mistakes or {}).get(name, {}), **others}, **options)


def equal(got, wanted, name: str, mistakes: Mapping[str, Any] | None = None) -> None:
    """Raise CheckFailed unless got == wanted, for what is no array: texts, lists of words, booleans."""
    _run.get().comparisons += 1
    if type(got) is type(wanted) and got == wanted:
        return
    if isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)) and list(got) == list(wanted):
        return
    because = next((words for words, wrong in (mistakes or {}).items() if got == _value_of(wrong)), None)
    where = ""
    if isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)):
        differs = [place for place, (a, b) in enumerate(zip(got, wanted)) if a != b]
        place = differs[0] if differs else min(len(got), len(wanted))
        where = f"\n  the first difference is at [{place}]"
    raise CheckFailed(f"{name} is wrong\n  got       {got!r}\n  expected  {wanted!r}{where}{_sentence(because)}")


def holds(truth: bool, otherwise: str) -> None:
    """Raise CheckFailed with the words `otherwise` unless it is true: where no single value is the right one."""
    _run.get().comparisons += 1
    if not truth:
        raise CheckFailed(otherwise)


def finite(answer: Callable, inputs: tuple, otherwise: str) -> np.ndarray:
    """`answer(*inputs)`, whose numbers are neither nan nor infinite, or CheckFailed with the words `otherwise`.

    For inputs at the edge, such as a row of zeros that is divided by its length. NumPy's warnings are kept silent."""
    with np.errstate(all="ignore"):
        got = np.asarray(call(answer, *inputs))
    holds(got.dtype.kind not in "fc" or bool(np.isfinite(got).all()), otherwise)
    return got


def _numbers(got, name: str) -> np.ndarray:
    try:
        array = to_numpy(got) if hasattr(got, "shape") else np.asarray(got)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise CheckFailed(f"{name} should be an array of numbers, but is {_described(got)}")
    return array


def _mistake_made(got, wanted, mistakes, tolerance) -> str | None:
    """The words for the first mistake that gives what was got."""
    for words, wrong in (mistakes or {}).items():
        wrong = np.asarray(_value_of(wrong))
        if wrong.shape != got.shape:
            continue
        with np.errstate(invalid="ignore"):
            scale = float(np.abs(np.nan_to_num(wrong.astype(np.float64), posinf=0, neginf=0)).max(initial=0))
            if np.allclose(got, wrong, rtol=0, atol=tolerance * max(scale, 1e-6), equal_nan=True):
                return words
    return None


def _too_many_things(returned, wanted) -> str | None:
    if isinstance(returned, tuple) and any(np.shape(part) == wanted.shape for part in returned):
        return f"a tuple of {len(returned)} was returned, where one array is expected"
    return None


def _whole_numbers(got, wanted) -> str | None:
    if got.dtype.kind in "iu" and wanted.dtype.kind == "f" and got.any():
        return f"the numbers are of the type {got.dtype}: an array of whole numbers cuts off what is behind the point"
    return None


def _value_of(wrong):
    return wrong() if callable(wrong) else wrong


def _sentence(because: str | None) -> str:
    return f"\n  → {because}" if because else ""


def _shown(number) -> str:
    return f"{number:.6g}" if np.asarray(number).dtype.kind == "f" else str(number)
