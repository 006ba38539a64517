"""Seeds, and the states of random generators as JSON can hold them."""

from __future__ import annotations

import random

import numpy as np

from ..backend import default_generator, seed_default_generator

WEIGHTS, DROPOUT, DATA = 0, 1, 2  # streams of one seed: what is drawn for one purpose must not repeat another's numbers


def set_seed(seed: int) -> None:
    """Make what follows repeatable: new weights, dropout, orders of data, wherever no generator was given.

    Seeds this package's default generator, and Python's and NumPy's global ones, which are for your own code: the
    package never draws from them. The Trainer makes generators of its own from `TrainingArguments.seed`.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"the seed is {seed!r}: expected a whole number from 0 to {2**32 - 1}")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 (the global generator is the one to be seeded)
    seed_default_generator(int(seed))


def global_random_state() -> dict:
    """The states of the default generator, and of Python's and NumPy's global ones."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), int(position), int(has_gauss), float(gauss)],
        "default": generator_state(default_generator()),
    }


def restore_global_random_state(state: dict) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.asarray(keys, dtype=np.uint32), position, has_gauss, cached))  # noqa: NPY002
    restore_generator(default_generator(), state.get("default"))


def generator_state(generator: np.random.Generator | None) -> dict | None:
    """A generator's state with plain numbers only."""
    return None if generator is None else _plain(generator.bit_generator.state)


def restore_generator(generator: np.random.Generator | None, state: dict | None) -> None:
    if generator is not None and state is not None:
        generator.bit_generator.state = state


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
