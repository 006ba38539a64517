"""The same model on all ranks."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from ...backend import array_module
from ...module import Module
from ..optimizers.chunks import writable_flat
from .communicator import Communicator


def share_weights(model: Module, communicator: Communicator) -> None:
    """Weights and buffers ← those of rank 0. Raises `ValueError` if the ranks have built different models."""
    build = [[name, list(p.shape), str(p.dtype), p.requires_grad] for name, p in model.named_parameters()]
    digests = communicator.gather_objects(hashlib.sha256(json.dumps(build).encode()).hexdigest())
    others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise ValueError(
            f"rank {others[0]} has a model with other parameters than rank 0: all ranks must build the same one, and "
            "freeze the same layers"
        )
    for parameter in model.parameters():
        communicator.broadcast_(writable_flat(parameter))
    for _, buffer in model.named_buffers():
        buffer.data = array_module(buffer.data).ascontiguousarray(buffer.data)
        communicator.broadcast_(buffer.data)


def own_stream(generator: np.random.Generator, communicator: Communicator) -> None:
    """In place: rank r draws from r · 2¹²⁷ numbers further on in rank 0's stream."""
    generator.bit_generator.state = communicator.broadcast_object(generator.bit_generator.state)
    if communicator.rank > 0:
        if not hasattr(generator.bit_generator, "jumped"):
            raise TypeError(
                f"{type(generator.bit_generator).__name__} can't make a stream for each rank: use "
                "numpy.random.default_rng(seed)"
            )
        generator.bit_generator.state = generator.bit_generator.jumped(communicator.rank).state
