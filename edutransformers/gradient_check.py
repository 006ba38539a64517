"""Is a hand-written backward pass right? Compare it with central differences.

The derivative of a loss L with respect to one number w is what L changes by when w does:

    dL/dw ≈ (L(w + h) − L(w − h)) / 2h,         h = 1e-6, in float64

Done for every number (or a random sample of a large array), this needs no formula at all, so it can't share a mistake
with the backward pass. It costs two forward passes a number: a test, not a way to train.

Three things make such a check worth something, and all are built in:
*   L = Σ dy ∘ y with *random* dy. With L = Σ y a softmax, whose outputs always sum to 1, has gradient zero: zeros are
    compared with zeros. (For a loss, which is one number already, dy is one random number.)
*   *random parameters*. At their initial values (γ = 1, β = 0) wrong formulas give right numbers.
*   the error is measured against the size of the gradient, and the worst place is named.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from .backend import array_module, to_numpy
from .module import ModelOutput, Module

STEP = 1e-6
TOLERANCE = 1e-7


@dataclass
class GradientComparison:
    """One array's gradient, checked: where the analytic and the numeric value differ most."""

    name: str
    shape: tuple
    checked: int
    worst_index: tuple
    analytic: float
    numeric: float
    error: float  # |analytic − numeric| relative to the gradient's size
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def __str__(self):
        verdict = "ok  " if self.passed else "FAIL"
        return (
            f"{verdict} {self.name}{list(self.shape)}: {self.checked} of {int(np.prod(self.shape))} checked, worst at "
            f"{list(self.worst_index)}: backward gives {self.analytic:.9g}, differences give {self.numeric:.9g}; "
            f"relative error {self.error:.1e}, expected at most {self.tolerance:.0e}"
        )


class GradientReport:
    """All comparisons of one check. True when all passed; printed as a table, failures first."""

    def __init__(self, comparisons: list[GradientComparison]):
        self.comparisons = comparisons

    @property
    def passed(self) -> bool:
        return all(comparison.passed for comparison in self.comparisons)

    @property
    def worst_error(self) -> float:
        return max((comparison.error for comparison in self.comparisons), default=0.0)

    def __bool__(self):
        return self.passed

    def __getitem__(self, name: str) -> GradientComparison:
        return next(comparison for comparison in self.comparisons if comparison.name == name)

    def __str__(self):
        return "\n".join(str(c) for c in sorted(self.comparisons, key=lambda c: (c.passed, -c.error)))

    __repr__ = __str__


def gradient_check(
    module: Module,
    *inputs,
    seed: int = 0,
    samples: int = 40,
    step: float = STEP,
    tolerance: float = TOLERANCE,
    randomize: bool = True,
    outputs: tuple[str, ...] | None = None,
    backward=None,
    **options,
) -> GradientReport:
    """Check `module.backward` against central differences, for every parameter and every floating-point input.

    module     any Module: a layer, a loss, or a whole model. It is copied (to float64), not changed.
    inputs     what `forward` takes; those of floating point are checked, in the order in which backward returns them
    options    keyword arguments of `forward`. A NumPy Generator among them starts anew at each call, so that dropout
               drops the same numbers every time. Floating-point arrays are checked if backward returns a dictionary
               that has their names (as models do).
    samples    how many entries of an array are checked at most (random ones, and the largest gradient's)
    randomize  give parameters random values first (see above); False checks them as they are
    outputs    for a model: the names of the outputs that L is made of (default: "loss" if there is one, else all)
    backward   how to call the backward pass, if not `module.backward(d_output, cache)`

    >>> from edutransformers.layers import LayerNorm
    >>> bool(gradient_check(LayerNorm(5), np.random.default_rng(0).standard_normal((3, 5))))
    True
    """
    generator = np.random.default_rng(seed)
    module = (
        copy.deepcopy(module).astype("float64") if any(True for _ in module.parameters()) else copy.deepcopy(module)
    )
    inputs = [_as_float64(x) for x in inputs]
    options = {name: _as_float64(x) for name, x in options.items()}
    if randomize:
        for parameter in module.parameters():
            values = generator.normal(0.3, 0.6, parameter.shape)
            parameter.data = array_module(parameter.data).asarray(values)
    module.zero_grad()

    def run():
        fresh = {k: copy.deepcopy(x) if isinstance(x, np.random.Generator) else x for k, x in options.items()}
        return module.forward(*inputs, **fresh)

    output, cache = run()
    d_output = _random_like(_chosen(output, outputs), generator)
    reference = _leaves(_chosen(output, outputs), d_output)
    # L's terms, not L: their sum may be near 0 by chance, but their rounding errors don't cancel (they add as squares).
    size_of_terms = float(np.sqrt(sum(np.square(d * to_numpy(y)).sum() for y, d in reference)))
    d_inputs = (backward or module.backward)(_on_device_of(d_output, inputs, module), cache)

    def change_of_loss(array, index) -> float:
        """L(w + h) − L(w − h), differenced output by output: subtracting two large sums would cost digits."""
        before = array[index].copy()
        array[index] = before + step
        above = _leaves(_chosen(run()[0], outputs), d_output, copies=True)  # an output may be the input array itself
        array[index] = before - step
        below = _leaves(_chosen(run()[0], outputs), d_output)
        change = sum((d * (a - to_numpy(b))).sum() for (a, d), (b, _) in zip(above, below))
        array[index] = before
        return float(change)

    comparisons = []
    for name, array, gradient in _targets(module, inputs, options, d_inputs):
        analytic = np.zeros(array.shape) if gradient is None else to_numpy(gradient)
        if analytic.shape != array.shape:
            raise ValueError(f"the gradient of {name} has shape {analytic.shape}, but {name} has shape {array.shape}")
        # Below this size, rounding in L itself drowns the differences.
        floor = max(float(np.abs(analytic).max(initial=0)), 0.01 * (1 + size_of_terms))
        worst = None
        indices = _sample(analytic, samples, generator)
        for index in indices:
            numeric = change_of_loss(array, index) / (2 * step)
            error = abs(analytic[index] - numeric) / max(abs(numeric), floor)
            if worst is None or not error <= worst.error:  # `not <=`: nan is the worst of all
                plain_index = tuple(int(i) for i in index)
                worst = GradientComparison(
                    name, array.shape, len(indices), plain_index, float(analytic[index]), numeric, error, tolerance
                )
        if worst is not None:
            comparisons.append(worst)
    return GradientReport(comparisons)


def numerical_gradient(f, x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """(f(x + h) − f(x − h)) / 2h for every number of x, one after the other -> an array like x

    f is a function of an array like x, to one number. While it is called, x itself is changed and then put back, so f
    may as well read x from where it stands. Lesson 01 derives it.
    """
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        above = f(x)
        x[place] = kept - h
        gradient[place] = (above - f(x)) / (2 * h)
        x[place] = kept
    return gradient


def assert_gradients(module: Module, *inputs, **options) -> GradientReport:
    """`gradient_check`, raising `AssertionError` with the report when a gradient is wrong."""
    report = gradient_check(module, *inputs, **options)
    if not report.comparisons:
        raise AssertionError(f"nothing to check: {type(module).__name__} has no parameters and no float inputs here")
    if not report:
        raise AssertionError(f"the backward pass of {type(module).__name__} is wrong:\n{report}")
    return report


class Function(Module):
    """A pair of plain functions as a Module, so that they can be checked: forward(*inputs) -> (y, cache)."""

    def __init__(self, forward, backward):
        self.forward = forward
        self.backward = backward


def _as_float64(x):
    if not isinstance(x, (str, int, float, bool)) and getattr(getattr(x, "dtype", None), "kind", "") == "f":
        return x.astype("float64")  # a copy: the check changes entries and puts them back
    return x


def _chosen(output, names):
    """What L is made of: the output itself, or a dictionary of a model's outputs."""
    if not isinstance(output, ModelOutput):
        return output
    if names is None:
        names = ("loss",) if "loss" in output else tuple(output.keys())
    return {name: output[name] for name in names}


def _random_like(y, generator):
    """Random gradients in the shape of an output: arrays, None, and tuples or dictionaries of them."""
    if y is None:
        return None
    if isinstance(y, dict):
        return {name: _random_like(value, generator) for name, value in y.items()}
    if isinstance(y, (tuple, list)):
        return type(y)(_random_like(value, generator) for value in y)
    shape = getattr(y, "shape", ())
    return generator.normal(0, 1, shape) if shape else generator.normal(1, 0.5)


def _leaves(y, d, copies=False):
    """Pairs (output array, its random gradient)."""
    if y is None:
        return []
    if isinstance(y, dict):
        return [pair for name in y for pair in _leaves(y[name], d[name], copies)]
    if isinstance(y, (tuple, list)):
        return [pair for a, b in zip(y, d) for pair in _leaves(a, b, copies)]
    return [(np.array(to_numpy(y)) if copies else y, d)]


def _on_device_of(d_output, inputs, module):
    """The random gradients, drawn on the host, moved to where the module computes."""
    arrays = [x for x in inputs if hasattr(x, "dtype")] + [p.data for p in module.parameters()]
    xp = array_module(arrays[0]) if arrays else np

    def move(d):
        if isinstance(d, dict):
            return {name: move(value) for name, value in d.items()}
        if isinstance(d, (tuple, list)):
            return type(d)(move(value) for value in d)
        return d if d is None or isinstance(d, float) else xp.asarray(d)

    return move(d_output)


def _targets(module, inputs, options, d_inputs):
    """(name, array to be changed, its analytic gradient) for all inputs and parameters."""
    is_float = lambda x: getattr(getattr(x, "dtype", None), "kind", "") == "f"  # noqa: E731
    if isinstance(d_inputs, dict):
        for name, x in options.items():
            if is_float(x) and name in d_inputs:
                yield name, x, d_inputs[name]
    elif d_inputs is not None:
        gradients = d_inputs if isinstance(d_inputs, tuple) else (d_inputs,)
        floats = [(f"input {place}", x) for place, x in enumerate(inputs) if is_float(x)]
        for (name, x), gradient in zip(floats, gradients):
            yield name, x, gradient
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            yield name, parameter.data, parameter.grad


def _sample(analytic, samples, generator):
    """Index tuples: all of a small array; of a large one random entries and that of the largest gradient."""
    if analytic.size <= samples:
        return list(np.ndindex(analytic.shape))
    places = generator.choice(analytic.size, size=samples - 1, replace=False)
    places = np.unique(np.append(places, np.abs(analytic).argmax()))
    return [tuple(int(i) for i in np.unravel_index(place, analytic.shape)) for place in places]
