"""The layer contract (docs/concepts/layer_contract.md) as one function: `check_layer` runs its promises on any Module.

    check_layer(lambda: Linear(5, 3), lambda rng: (rng.standard_normal((4, 5)),))

Each promise is one function below, named for what it promises. All use random parameters and a random dy.
"""

import copy
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from edutransformers.gradient_check import assert_gradients
from edutransformers.layers import Checkpoint
from edutransformers.module import Module, inference_mode
from tests import fakecupy

ROUNDING = {"rtol": 1e-11, "atol": 1e-12}  # float64 sums in another order


@dataclass
class Case:
    """A layer under test: how to make it, and what to feed it."""

    make_layer: object  # () -> Module
    make_inputs: object  # (rng) -> tuple of arrays, floats in float64
    make_options: object = field(default=lambda rng: {})  # (rng) -> keyword arguments; a Generator starts anew each run
    training: bool = False
    passes_dy_on: bool = False  # the layer may return dy itself (an identity: dropout in evaluation)
    consumes_cache: bool = False  # backward may turn an array of the cache into the gradient (a cache is used once)

    def layer(self, dtype="float64") -> Module:
        """The same layer each time: random parameters, never the initial ones, where γ = 1 and β = 0 hide mistakes."""
        layer, rng = self.make_layer(), np.random.default_rng(1)
        for parameter in layer.parameters():
            parameter.data = rng.normal(0.3, 0.6, parameter.shape).astype(dtype)
        if any(True for _ in layer.parameters()) or any(True for _ in layer.named_buffers()):
            layer.astype(dtype)
        return layer.train(self.training)

    def feed(self, seed=0, dtype="float64"):
        """(inputs, options) of one batch; another seed makes another batch of the same shapes."""
        rng = np.random.default_rng(seed)
        inputs, options = self.make_inputs(rng), self.make_options(rng)
        return tuple(_cast(x, dtype) for x in inputs), {name: _cast(x, dtype) for name, x in options.items()}


def check_layer(make_layer, make_inputs, make_options=None, *, tolerance=1e-7, samples=40, **flags):
    """Everything that the contract promises, one after the other. See `Case` for the flags."""
    case = Case(make_layer, make_inputs, make_options or (lambda rng: {}), **flags)
    gradients_are_the_differences(case, tolerance, samples)
    for promise in PROMISES[1:]:
        promise(case)


# ---------------------------------------------------------------------------------------------------------------------
# The promises
# ---------------------------------------------------------------------------------------------------------------------


def gradients_are_the_differences(case, tolerance=1e-7, samples=40):
    """backward is the derivative of forward, for every input and parameter."""
    inputs, options = case.feed()
    assert_gradients(case.layer(), *inputs, tolerance=tolerance, samples=samples, **options)


def two_calls_before_their_backward(case):
    """Two forwards with an evaluation in between, then both backwards: each finds its own cache, gradients add up."""
    first, second = (separate_run(case, seed) for seed in (0, 1))
    layer = case.layer()
    inputs, options = case.feed(0)
    output, cache = layer.forward(*inputs, **fresh(options))
    evaluated_inputs, evaluated_options = case.feed(2)
    layer(*evaluated_inputs, **fresh(evaluated_options))
    inputs, options = case.feed(1)
    second_output, second_cache = layer.forward(*inputs, **fresh(options))

    d_second = layer.backward(random_like(second_output), second_cache)
    d_first = layer.backward(random_like(output), cache)
    assert_same(d_first, first.d_inputs, "the first call's input gradients")
    assert_same(d_second, second.d_inputs, "the second call's input gradients")
    for name, gradient in gradients_of(layer).items():
        wanted = add(first.gradients[name], second.gradients[name])
        assert_same(gradient, wanted, f"the gradient of {name} over two batches")


def inputs_stay_untouched(case):
    """Neither forward nor backward writes into inputs, options, weights or dy."""
    layer = case.layer()
    inputs, options = case.feed()
    before = copy.deepcopy((inputs, options))
    seal(inputs, options, [p.data for p in layer.parameters()])
    output, cache = layer.forward(*inputs, **fresh(options))
    d_output = random_like(output)
    seal(d_output)
    d_output_before = copy.deepcopy(d_output)
    layer.backward(d_output, cache)
    layer(*inputs, **fresh(options))
    assert_same((inputs, tuple(arrays_of(options))), (before[0], tuple(arrays_of(before[1]))), "the inputs", exact=True)
    assert_same(d_output, d_output_before, "dy", exact=True)


def inference_gives_the_same_output(case):
    """Without a cache, where layers may work in place, the output is the same and nothing is kept."""
    layer = case.layer()
    inputs, options = case.feed()
    output, cache = layer.forward(*inputs, **fresh(options))
    assert cache is not None, "forward kept nothing, so no backward can follow"
    with inference_mode():
        unkept_output, unkept_cache = layer.forward(*inputs, **fresh(options))
    assert unkept_cache is None, f"in inference_mode the cache must be None, got {type(unkept_cache).__name__}"
    assert_same(unkept_output, output, "the output in inference_mode")
    assert_same(layer(*inputs, **fresh(options)), output, "the output of module(x)")


def recomputing_gives_the_same_gradients(case):
    """Checkpoint(layer) keeps only inputs, runs forward again in backward, and changes no number and no name."""
    wanted = separate_run(case, 0)
    layer = case.layer()
    checkpoint = Checkpoint(layer).train(case.training)
    assert [name for name, _ in checkpoint.named_parameters()] == [name for name, _ in layer.named_parameters()]
    inputs, options = case.feed()
    output, cache = checkpoint.forward(*inputs, **fresh(options))
    d_inputs = checkpoint.backward(random_like(output), cache)
    assert_same(output, wanted.output, "the output of Checkpoint")
    assert_same(d_inputs, wanted.d_inputs, "the input gradients of Checkpoint")
    assert_same(gradients_of(layer), wanted.gradients, "the parameter gradients of Checkpoint")


def float32_stays_float32(case):
    """float32 in: outputs and all gradients are float32, and close to the float64 ones."""
    wanted = separate_run(case, 0)
    run = separate_run(case, 0, dtype="float32")
    for what, got, in_float64 in zip(("output", "input gradient", "parameter gradient"), run, wanted):
        for array, exact in zip(arrays_of(got), arrays_of(in_float64), strict=True):
            if np.asarray(exact).dtype.kind == "f":
                assert array.dtype == np.float32, f"float32 in, but an {what} is {array.dtype}"
                size = np.abs(exact).max(initial=0)
                np.testing.assert_allclose(array, exact, rtol=1e-3, atol=1e-4 * max(1.0, size), err_msg=what)


def gradients_own_their_memory(case):
    """No gradient overlaps dy, an input, the cache or another parameter's gradient: adding to one changes only it."""
    layer = case.layer()
    inputs, options = case.feed()
    output, cache = layer.forward(*inputs, **fresh(options))
    d_output = random_like(output)
    cached = list(arrays_of(cache))
    d_inputs = layer.backward(d_output, cache)
    gradients = gradients_of(layer)
    weights = [parameter.data for parameter in layer.parameters()]
    given = [*arrays_of(inputs), *arrays_of(options)]
    for name, gradient in gradients.items():
        others = [other for other_name, other in gradients.items() if other_name != name]
        for kind, arrays in (("dy", arrays_of(d_output)), ("an input", given), ("the cache", cached),
                             ("a weight", weights), ("another gradient", others),
                             ("an input gradient", arrays_of(d_inputs))):  # fmt: skip
            assert not overlap(gradient, arrays), f"the gradient of {name} shares memory with {kind}"
    for d_input in arrays_of(d_inputs):
        assert not overlap(d_input, given), "an input gradient shares memory with an input"
        assert not overlap(d_input, weights), "an input gradient shares memory with a weight"
        assert case.passes_dy_on or not overlap(d_input, arrays_of(d_output)), "an input gradient is dy itself"
        assert case.consumes_cache or not overlap(d_input, cached), "an input gradient shares memory with the cache"


def threads_add_up(case, rounds=3):
    """Two threads running forward and backward on one layer at once leave the sum of both gradients."""
    first, second = (separate_run(case, seed) for seed in (0, 1))
    layer, barrier, failures, outputs, d_inputs = case.layer(), threading.Barrier(2), [], {}, {}

    def work(seed):
        try:
            inputs, options = case.feed(seed)
            barrier.wait(timeout=60)
            for _ in range(rounds):
                output, cache = layer.forward(*inputs, **fresh(options))
                outputs[seed] = copy.deepcopy(output)
                d_inputs[seed] = layer.backward(random_like(output), cache)
        except BaseException as error:
            barrier.abort()
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    for seed, alone in ((0, first), (1, second)):
        assert_same(outputs[seed], alone.output, f"thread {seed}'s output")
        assert_same(d_inputs[seed], alone.d_inputs, f"thread {seed}'s input gradients")
    for name, gradient in gradients_of(layer).items():
        total = add(first.gradients[name], second.gradients[name])
        assert_same(gradient, None if total is None else rounds * total, f"the gradient of {name} from two threads")


def the_device_gives_the_same_numbers(case, installed=fakecupy.installed, no_sync=fakecupy.no_sync):
    """On the strict double of CuPy: the same values, no mixing of host and device, no waiting for the device."""
    wanted = separate_run(case, 0)
    with installed() as cupy:
        layer = case.layer().to("cuda")
        inputs, options = (to_device(x, cupy) for x in case.feed())
        with no_sync():
            output, cache = layer.forward(*inputs, **fresh(options))
        d_output = to_device(random_like(output), cupy)
        with no_sync():
            d_inputs = layer.backward(d_output, cache)
            again = layer(*inputs, **fresh(options))
        gradients = gradients_of(layer)
        for array in arrays_of((output, again, d_inputs, gradients)):
            assert isinstance(array, cupy.ndarray), f"a result left the device: {type(array).__name__}"
        on_host = [to_host(x) for x in (output, d_inputs, gradients, again)]
    assert_same(on_host[0], wanted.output, "the output on the device")
    assert_same(on_host[1], wanted.d_inputs, "the input gradients on the device")
    assert_same(on_host[2], wanted.gradients, "the parameter gradients on the device")
    assert_same(on_host[3], wanted.output, "the output of module(x) on the device")


PROMISES = (
    gradients_are_the_differences,
    two_calls_before_their_backward,
    inputs_stay_untouched,
    inference_gives_the_same_output,
    recomputing_gives_the_same_gradients,
    float32_stays_float32,
    gradients_own_their_memory,
    threads_add_up,
    the_device_gives_the_same_numbers,
)


# ---------------------------------------------------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    output: object
    d_inputs: object
    gradients: dict


def separate_run(case, seed, dtype="float64") -> Run:
    """One forward and backward on a fresh layer: what the other runs are compared with."""
    layer = case.layer(dtype)
    inputs, options = case.feed(seed, dtype)
    output, cache = layer.forward(*inputs, **fresh(options))
    output_copy = copy.deepcopy(output)
    d_inputs = layer.backward(random_like(output), cache)
    return Run(output_copy, d_inputs, gradients_of(layer))


def gradients_of(layer) -> dict:
    return {name: parameter.grad for name, parameter in layer.named_parameters()}


def random_like(output, seed=7):
    """A random gradient for an output, or for a tuple of them, always on the host; the same for the same shapes."""
    rng = np.random.default_rng(seed)

    def draw(y):
        if y is None:
            return None
        if isinstance(y, (tuple, list)):
            return tuple(draw(item) for item in y)
        if y.ndim == 0:
            return float(rng.normal(1, 0.5))
        return rng.standard_normal(y.shape).astype(y.dtype)

    return draw(output)


def arrays_of(x):
    """All arrays (and NumPy scalars) inside tuples, lists, dictionaries and caches, in order."""
    if isinstance(x, (tuple, list)):
        for item in x:
            yield from arrays_of(item)
    elif isinstance(x, dict):
        for item in x.values():
            yield from arrays_of(item)
    elif isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "get"):  # on the host, or on a device
        yield x


def _map(x, change):
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_map(item, change) for item in x))
    if isinstance(x, (tuple, list)):
        return type(x)(_map(item, change) for item in x)
    if isinstance(x, dict):
        return {name: _map(item, change) for name, item in x.items()}
    return change(x)


def _cast(x, dtype):
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def fresh(options):
    """The options of one run: a generator starts anew, so that dropout drops the same numbers each time."""
    return {k: copy.deepcopy(x) if isinstance(x, np.random.Generator) else x for k, x in options.items()}


def seal(*values):
    for array in arrays_of(values):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False


def to_device(x, cupy):
    return _map(x, lambda item: cupy.asarray(item) if isinstance(item, np.ndarray) else item)


def to_host(x):
    return _map(x, lambda item: item.get() if hasattr(item, "get") else item)


def overlap(array, others) -> bool:
    return any(isinstance(other, np.ndarray) and fakecupy.shares_memory(array, other) for other in others)


def add(a, b):
    return None if a is None and b is None else b if a is None else a if b is None else a + b


def assert_same(got, wanted, what, exact=False):
    """Equal trees of arrays, up to float64 rounding unless `exact`."""
    got, wanted = list(arrays_of(got)), list(arrays_of(wanted))
    assert len(got) == len(wanted), f"{what}: {len(got)} arrays, expected {len(wanted)}"
    for a, b in zip(got, wanted):
        assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
        np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} if exact else ROUNDING), err_msg=what)
