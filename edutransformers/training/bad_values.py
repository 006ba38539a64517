"""Where a nan comes from: the first layer whose output is not finite.

    call = first_bad_layer(model, batch)
    print(call)              # bert.encoder.layer.3.feed_forward.up (Linear) gives 1 inf in (8, 40, 3072); …

A nan spreads: whatever it is added to or multiplied with becomes nan, so at the loss there is nothing left to see. Its
origin is found by running the batch once more and looking at each layer's output as soon as it is there. Layers inside
a layer finish first, so the first bad output is that of the smallest part.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import NamedTuple

import numpy as np

from ..backend import array_module
from ..module import Module, inference_mode
from ..speed import use_batch_threads
from .columns import takes_generator


class LayerCall(NamedTuple):
    """What came into a layer and what it gave, as `watch` saw it."""

    path: str  # where the layer is: attributes from the model down; "" is the model itself
    module: Module
    bad_input: str | None  # "3 nan in (4, 6, 16)", or None: all numbers are finite
    bad_output: str | None
    largest: float  # the largest finite size among the inputs' numbers: was it about to overflow?

    def __str__(self):
        layer = named(self.path, self.module)
        if self.bad_input is not None:
            return f"{layer} gets {self.bad_input}"
        if self.bad_output is None:
            return f"{layer} gives finite numbers"
        weights = [f"its {name} holds {bad}" for name, bad in bad_parameters(self.module)]
        return f"{layer} gives {self.bad_output}; {weights[0] if weights else self._about_its_inputs()}"

    def _about_its_inputs(self) -> str:
        return f"its weights are finite, and so are its inputs, the largest {self.largest:.4g}"


def named(path: str, module: Module) -> str:
    """ "bert.pooler.dense (Linear)" """
    return f"{path} ({type(module).__name__})" if path else type(module).__name__


@contextmanager
def watch(model: Module):
    """Inside this block every forward pass of every layer is looked at; the block's variable is the list of them.

        with watch(model) as calls:
            model(**batch)
        for call in calls:
            print(call.path, call.largest)

    A call is in the list when it is over: layers inside a layer come before it. On a GPU each look waits for it.
    """
    calls: list[LayerCall] = []
    watched: dict[int, tuple[Module, object]] = {}
    for path, module in model.named_modules():
        if id(module) not in watched:  # a layer that is used in two places goes by its first name
            watched[id(module)] = (module, vars(module).get("forward"))
            module.forward = _watched(path, module, module.forward, calls)
    try:
        yield calls
    finally:
        for module, own in watched.values():
            del module.forward
            if own is not None:
                module.forward = own


def _watched(path: str, module: Module, forward, calls: list):
    @wraps(forward)
    def look_and_forward(*inputs, **options):
        given = [*_arrays(inputs), *_arrays(options)]  # before: inference may overwrite its inputs
        bad_input, largest = bad_numbers(given), largest_number(given)
        result = forward(*inputs, **options)
        calls.append(LayerCall(path, module, bad_input, bad_numbers(_arrays(result[0])), largest))
        return result

    return look_and_forward


def first_bad_layer(model: Module, inputs: dict, generator: np.random.Generator | None = None) -> LayerCall | None:
    """Run `model.forward(**inputs)` and return the first call whose output is not finite; None if all are.

    generator   for dropout, in the state that it had when the loss went bad: then the same masks are drawn again

    If `bad_input` of the result isn't None, the numbers were bad before they came to that layer, but in none that had
    given them: they are the batch's, or arose in the lines between two layers. `str(result)` says which.
    """
    more = {"generator": generator} if generator is not None and takes_generator(model) else {}
    return first_bad_call(model, lambda: model.forward(**inputs, **more))


def first_bad_call(model: Module, run) -> LayerCall | None:
    """The same for any way to run the model: `run()` is called once, with nothing kept for a backward pass."""
    threads = use_batch_threads()
    use_batch_threads(1)  # layers in order; and NumPy before 2.0 keeps its warnings off in this thread only
    try:
        with watch(model) as calls, inference_mode(), np.errstate(all="ignore"):
            run()
    finally:
        use_batch_threads(threads)
    return next((call for call in calls if call.bad_output is not None), None)


# ---------------------------------------------------------------------------------------------------------------------
# What to say about it
# ---------------------------------------------------------------------------------------------------------------------


def explain(model: Module, inputs: dict, run) -> str:
    """Sentences about why `run()`, a loss over the batch `inputs`, is not finite."""
    call = first_bad_call(model, run)
    sentences = [f"The batch's {name} hold {bad}." for name, bad in _bad_inputs(inputs)]
    if call is None:
        sentences.append("Computed again, all layers give finite numbers: the loss goes bad behind them, or by chance.")
    elif call.bad_input is None:
        sentences.append(f"The first layer to go bad: {call}.")
    elif not sentences:  # not the batch's own: made between two layers
        parent = call.path.rpartition(".")[0]
        between = named(parent, dict(model.named_modules())[parent])
        sentences.append(f"The first to go bad are lines of {between}, between its layers: {call}.")
    sentences += [f"Every number in {name} is −100, so nothing counts." for name in _ignored_labels(inputs)]
    sentences += bad_weights(model)
    return " ".join(sentences)


def bad_weights(model: Module) -> list[str]:
    """A sentence if weights, or gradients that were collected so far, are not finite."""
    sentences = []
    for what, bad in (("weights", list(bad_parameters(model))), ("gradients", list(bad_gradients(model)))):
        if bad:
            name, first = bad[-1]  # a backward pass goes from the last layer to the first
            sentences.append(f"{len(bad)} of the model's {what} were bad already: {name} holds {first}.")
    return sentences


def bad_parameters(module: Module):
    """(name, "3 nan in (4, 6)") for each parameter that is not finite."""
    return ((name, bad) for name, p in module.named_parameters() if (bad := bad_numbers([p.data])))


def bad_gradients(module: Module):
    """The same for gradients."""
    found = ((name, p.grad) for name, p in module.named_parameters() if p.grad is not None)
    return ((name, bad) for name, gradient in found if (bad := bad_numbers([gradient])))


def _bad_inputs(inputs: dict):
    return [(name, bad) for name, value in inputs.items() if (bad := bad_numbers(_arrays(value)))]


def _ignored_labels(inputs: dict):
    labels = ((name, value) for name, value in inputs.items() if "label" in name and hasattr(value, "dtype"))
    return [name for name, value in labels if value.dtype.kind in "iu" and bool((value == -100).all())]


# ---------------------------------------------------------------------------------------------------------------------
# Looking at arrays
# ---------------------------------------------------------------------------------------------------------------------


def bad_numbers(arrays) -> str | None:
    """ "3 nan and 1 inf in (4, 6, 16)" of the first array that is not finite; None if all are."""
    for array in arrays:
        xp = array_module(array)
        if array.dtype.kind == "f" and not bool(xp.isfinite(array).all()):
            nans, infinite = int(xp.isnan(array).sum()), int(xp.isinf(array).sum())
            counts = [f"{count} {name}" for count, name in ((nans, "nan"), (infinite, "inf")) if count]
            return " and ".join(counts) + (f" in {tuple(array.shape)}" if array.ndim else "")
    return None


def largest_number(arrays) -> float:
    """The largest size of a finite number."""
    largest = 0.0
    for array in arrays:
        if array.dtype.kind == "f" and array.size:
            xp = array_module(array)
            largest = max(largest, float(xp.where(xp.isfinite(array), abs(array), 0).max()))
    return largest


def _arrays(value):
    """All arrays in tuples, lists, dictionaries and model outputs."""
    if hasattr(value, "dtype") and hasattr(value, "ndim"):
        return [value]
    if isinstance(value, (tuple, list)):
        return [array for entry in value for array in _arrays(entry)]
    if hasattr(value, "values") and callable(value.values):
        return [array for entry in value.values() for array in _arrays(entry)]
    return []
