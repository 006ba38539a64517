"""Two implementations of one model, compared: every output, every parameter's and every float input's gradient.

A `Result` is what one forward and one backward pass give. `run_model` makes it from this package's models, the
reference tests make it from the original's; `assert_same` compares the two. A `fingerprint` is a result made small
(norms and a few random projections), which is what the fixtures hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .seeded import seeded_normal

OUTPUT_TOLERANCE = 1e-9  # absolute, float64
GRADIENT_TOLERANCE = 1e-8  # relative, float64: see gradient_error
PROJECTIONS = 2
# A gradient that is 0 by mathematics (a key's bias shifts all scores of a query alike) is rounding noise in practice.
# So an array's norm counts as at least this share of the norm of all gradients together.
SMALLEST_SHARE = 1e-6


class Result(NamedTuple):
    outputs: dict[str, np.ndarray]  # "logits", "hidden_states.0", …
    gradients: dict[str, np.ndarray]  # by the parameter's name
    input_gradients: dict[str, np.ndarray]  # by the input's name


# -- outputs as flat dictionaries -------------------------------------------------------------------------------------


def flatten(outputs) -> dict:
    """{"hidden_states": (a, b)} -> {"hidden_states.0": a, "hidden_states.1": b}; None is left out."""
    flat = {}
    for name, value in outputs.items():
        if isinstance(value, (tuple, list)):
            flat.update((f"{name}.{place}", x) for place, x in enumerate(value) if x is not None)
        elif value is not None:
            flat[name] = value
    return flat


def unflatten(flat: dict, lengths: dict[str, int]) -> dict:
    """The way back, with None where a tuple's entry is missing."""
    outputs = {}
    for name, value in flat.items():
        head, _, place = name.partition(".")
        if place:
            outputs.setdefault(head, [None] * lengths[head])[int(place)] = value
        else:
            outputs[name] = value
    return outputs


def random_gradients(outputs: dict[str, np.ndarray], names=None, seed: int = 0) -> dict[str, np.ndarray]:
    """A random gradient for each output by its name. `names`: for these outputs only ("hidden_states" is all of them).

    The loss gets none here: it would drown the others or be drowned by them, and is checked by itself.
    """
    wanted = (lambda name: not is_loss(name)) if names is None else (lambda name: name.partition(".")[0] in names)
    return {
        name: seeded_normal(f"gradient of {name}", x.shape, seed).astype(x.dtype)
        for name, x in outputs.items()
        if wanted(name)
    }


def is_loss(name: str) -> bool:
    return name.endswith("loss")


def are_losses(names) -> bool:
    """Whether the gradients asked for are those of losses: ("loss",), or several."""
    return bool(names) and all(map(is_loss, names))


# -- this package's side ----------------------------------------------------------------------------------------------


def run_model(model, batch: dict, names=None, seed: int = 0) -> Result:
    """One forward and one backward pass. `names` all losses: from their sum; None: random gradients into all else."""
    model.zero_grad()
    output, cache = model.forward(**batch)
    flat = flatten(output)
    if are_losses(names):
        d_output = dict.fromkeys(names, 1.0)
    else:
        lengths = {name: len(value) for name, value in output.items() if isinstance(value, tuple)}
        d_output = unflatten(random_gradients(flat, names, seed), lengths)
    d_inputs = model.backward(d_output, cache)
    return Result(
        {name: np.asarray(x) for name, x in flat.items()},
        {n: np.zeros(p.shape, p.dtype) if p.grad is None else p.grad for n, p in model.named_parameters()},
        {name: d_inputs[name] for name, x in batch.items() if is_float_input(name, x)},
    )


# Inputs that have a gradient. Masks and labels of floating point have none worth asking for.
FLOAT_INPUTS = ("inputs_embeds", "encoder_hidden_states", "pixel_values", "input_values")


def is_float_input(name: str, x) -> bool:
    return name in FLOAT_INPUTS and x is not None


# -- comparing --------------------------------------------------------------------------------------------------------


def total_norm(gradients: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in gradients.values())))


def gradient_error(ours, theirs, of_all: float, smallest_share: float = SMALLEST_SHARE) -> float:
    """‖ours − theirs‖ / max(‖theirs‖, smallest_share · ‖all gradients‖)"""
    size = max(float(np.linalg.norm(theirs)), smallest_share * of_all)
    return float(np.linalg.norm(ours - theirs)) / size if size else float(np.abs(ours).max(initial=0.0))


def worst_errors(
    ours: Result, theirs: Result, smallest_share: float = SMALLEST_SHARE
) -> tuple[tuple[float, str], tuple[float, str]]:
    """((worst output error, its name), (worst gradient error, its name)). Names and shapes must agree."""
    for mine, other, what in zip(ours, theirs, ("outputs", "gradients", "input gradients")):
        assert mine.keys() == other.keys(), f"{what} differ by name: {sorted(mine.keys() ^ other.keys())}"
        for name in other:
            assert mine[name].shape == other[name].shape, f"{name}: {mine[name].shape} and {other[name].shape}"
    outputs = [(float(np.abs(ours.outputs[n] - x).max(initial=0.0)), n) for n, x in theirs.outputs.items()]
    of_all = total_norm(theirs.gradients)
    gradients = [
        (gradient_error(mine[name], x, of_all, smallest_share), name)
        for mine, other in ((ours.gradients, theirs.gradients), (ours.input_gradients, theirs.input_gradients))
        for name, x in other.items()
    ]
    return _worst(outputs), _worst(gradients)


def _worst(errors):
    """The largest error; not-a-number is larger than any."""
    return max(errors, key=lambda pair: np.inf if np.isnan(pair[0]) else pair[0], default=(0.0, "nothing"))


def assert_same(ours: Result, theirs: Result, outputs=OUTPUT_TOLERANCE, gradients=GRADIENT_TOLERANCE) -> None:
    assert any(np.any(g) for g in theirs.gradients.values()), "the expected gradients are all zero: nothing is proved"
    (output_error, output), (error, parameter) = worst_errors(ours, theirs)
    assert output_error <= outputs, f"{output} differs by {output_error:.1e}, expected at most {outputs:.0e}"
    assert error <= gradients, f"the gradient of {parameter} differs by {error:.1e}, expected at most {gradients:.0e}"


# -- fingerprints -----------------------------------------------------------------------------------------------------


def fingerprint(name: str, x: np.ndarray) -> list[float]:
    """[norm, projections on PROJECTIONS random directions that follow from the name]: a few numbers for any array."""
    x = np.asarray(x, dtype=np.float64)
    directions = seeded_normal(f"directions for {name}", (PROJECTIONS, x.size))
    return [float(np.linalg.norm(x)), *(float(p) for p in directions @ x.reshape(-1))]


def fingerprints(result: Result) -> dict[str, dict[str, list[float]]]:
    """A whole result made small: {"outputs": {name: fingerprint}, "gradients": {…}, "input_gradients": {…}}."""
    return {
        part: {name: fingerprint(name, x) for name, x in arrays.items()} for part, arrays in result._asdict().items()
    }


def assert_fingerprints(ours: Result, expected: dict, outputs=OUTPUT_TOLERANCE, gradients=GRADIENT_TOLERANCE) -> None:
    """Like `assert_same`, against stored fingerprints.

    If two arrays differ by e in norm, their norms differ by at most e and a projection typically by e (the directions'
    entries have standard deviation 1), so the tolerances are the same, times √size where they are per entry. Factor 4:
    a projection is rarely more than four standard deviations out.
    """
    of_all = float(np.sqrt(sum(values[0] ** 2 for values in expected["gradients"].values())))
    assert of_all > 0, "the stored gradients are all zero: nothing is proved"
    for part in Result._fields:
        arrays = getattr(ours, part)
        assert arrays.keys() == expected[part].keys(), f"{part}: {sorted(arrays.keys() ^ expected[part].keys())}"
        for name, values in expected[part].items():
            error = float(np.abs(np.subtract(fingerprint(name, arrays[name]), values)).max())
            if part == "outputs":
                limit = 4 * outputs * np.sqrt(arrays[name].size)
            else:
                limit = 4 * gradients * max(values[0], SMALLEST_SHARE * of_all)
            assert error <= limit, f"{part} {name}: differs by {error:.1e}, expected at most {limit:.1e}"
