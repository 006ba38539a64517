"""Optimizers that treat every number by itself: all operations on a chunk happen in the processor's cache."""

from __future__ import annotations

from ...module import Parameter
from .base import Kept, Optimizer
from .chunks import Chunk, chunk_bounds, run_chunks, writable_flat


class ElementwiseOptimizer(Optimizer):
    """A step in which each weight depends on its own gradient and its own state only.

    A subclass says which arrays it keeps, each as large as the parameter (`kept`); which numbers are the same for the
    whole parameter in this step (`numbers`); and what to do with a chunk: `update(numbers, scratch, w, g, *kept)`,
    flat arrays, in place, the gradient left alone.

    Why chunks: written as whole-array expressions, each of a dozen operations reads and writes main memory. Taken
    256 K numbers at a time, with scratch buffers and `out=` everywhere, all operations on a chunk happen in the cache.
    """

    buffers: tuple = (None,)  # number types of the scratch arrays, None for the weights'

    def __init__(self, params, defaults: dict, threads: int | None = None):
        super().__init__(params, defaults)
        self.threads = threads

    def kept(self, group: dict) -> tuple[str, ...]:
        """The names of the arrays that a parameter of this group needs."""
        raise NotImplementedError

    def numbers(self, group: dict, step: int) -> tuple[float, ...]:
        """What step number `step` has in common for all of a parameter: Python floats, so that float32 arrays stay
        float32.
        """
        raise NotImplementedError

    @staticmethod
    def update(numbers, scratch, w, g, *kept) -> None:
        raise NotImplementedError

    def remembers(self, parameter: Parameter, group: dict) -> dict[str, Kept]:
        return {name: Kept(parameter.shape, parameter.dtype) for name in self.kept(group)}

    def step(self) -> None:
        chunks = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state_of(parameter, group)
                    state["step"] += 1
                    chunks += self.chunks_of(parameter, group, state, self.numbers(group, state["step"]))
        run_chunks(chunks, self.buffers, self.threads)

    def chunks_of(self, parameter: Parameter, group: dict, state: dict, numbers: tuple) -> list[Chunk]:
        """A parameter's work in pieces."""
        kept = (state[name].reshape(-1) for name in self.kept(group))
        arrays = (writable_flat(parameter), parameter.grad.reshape(-1), *kept)
        bounds = chunk_bounds(parameter.data)
        return [Chunk(self.update, numbers, tuple(x[start:stop] for x in arrays)) for start, stop in bounds]


def check_settings(optimizer: Optimizer, settings: dict, *names: str) -> None:
    """Raise `ValueError` unless each of these settings is a number from 0 up."""
    for name in names:
        if not settings[name] >= 0:
            raise ValueError(f"{type(optimizer).__name__}: {name} is {settings[name]}, expected a number from 0 up")


def with_decay(w, g, weight_decay: float, scratch):
    """g + λ w: decay as a part of the gradient. Without decay, the gradient itself."""
    if not weight_decay:
        return g
    scratch[...] = w
    scratch *= weight_decay
    scratch += g
    return scratch
