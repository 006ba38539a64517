"""Numbers from names: the same weights, inputs and random gradients in every test, on every machine, stored nowhere.

An array is drawn from a generator whose seed is the SHA-256 of its name. So the reference tests (which ask the original
for its numbers) and the fixture tests (which only have the original's answers in a file) use the very same weights.
"""

import hashlib
import re

import numpy as np


def generator_of(name: str, seed: int = 0) -> np.random.Generator:
    digest = hashlib.sha256(f"{name}#{seed}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def seeded_normal(name: str, shape, seed: int = 0, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """A normal distribution's float64 numbers: the same for the same name, shape and seed."""
    return mean + std * generator_of(name, seed).standard_normal(shape)


def seeded_integers(name: str, low: int, high: int, shape, seed: int = 0) -> np.ndarray:
    """Whole numbers from `low` to `high` − 1, made of the same bits everywhere (int64 on every system)."""
    return generator_of(name, seed).integers(low, high, shape, dtype=np.int64)


def seed_weights(model, seed: int = 0, std: float = 0.3) -> None:
    """Give every parameter random values by its name; nothing stays at 0 or 1, where wrong formulas look right.

    Norms get a weight around 1, all else lies around 0. Works in the model's own number type.
    """
    for name, parameter in model.named_parameters():
        is_norm = re.search(r"norm|\bln_", name.lower()) and name.endswith("weight")
        mean = 1.0 if is_norm else 0.0
        values = seeded_normal(name, parameter.shape, seed, mean, std)
        parameter.data = values.astype(parameter.dtype)
