"""A model under test and how to run it, for the common promises (common.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .proof import are_losses, flatten, random_gradients, run_model, total_norm, unflatten

ROUNDING = 1e-11  # float64 sums in another order, relative to the size of the array (for gradients: of all gradients)


@dataclass
class Subject:
    """A model under test: how to make it and its batch, and what is special about it.

    make_model(dtype) gives a model in evaluation mode with seeded weights, make_batch(dtype) all arguments of forward.
    """

    make_model: Callable
    make_batch: Callable
    has_loss: bool = True
    losses: tuple[str, ...] = ("loss",)
    unused: tuple[str, ...] = ()  # parameters that no output depends on (a table that checkpoints hold for nothing)
    flat: tuple[str, ...] = ()  # ends of names of parameters whose gradient is 0 by mathematics
    loss_sees_padding: bool = False  # a loss over the tokens of a text, the padding among them (question answering)
    loss_falls_to: float = 0.05  # of its start, learning one batch by heart; an absolute error's gradient never shrinks
    pads: bool = True  # whether examples may be of different lengths; pictures of a batch are all of one size
    alone: bool = True  # whether an example means the same without the others (row numbers of a whole batch don't)
    fill = {"attention_mask": 0, "labels": -100, "token_type_ids": 0}  # what padding is made of

    @property
    def names(self):
        """What the gradients come from: the loss, or random gradients for the outputs of a model without one."""
        return self.losses if self.has_loss else None


def run(subject: Subject, dtype="float64", seed: int | None = None, prepare=None, names="default", batch=None):
    """A `Result` on a fresh model. seed: training mode, with dropout drawn from it. prepare: what to change before."""
    model = subject.make_model(dtype)
    if prepare is not None:
        prepare(model)
    batch = dict(subject.make_batch(dtype) if batch is None else batch)
    if seed is not None:
        model.train()
        batch["generator"] = np.random.default_rng(seed)
    return run_model(model, batch, subject.names if names == "default" else names)


def assert_close(got, wanted, what: str, tolerance: float = ROUNDING) -> None:
    """Results that are equal up to rounding: outputs by their own size, gradients by that of all gradients together."""
    for part in ("outputs", "gradients", "input_gradients"):
        mine, other = getattr(got, part), getattr(wanted, part)
        assert mine.keys() == other.keys(), f"{what}: {part} {sorted(mine.keys() ^ other.keys())}"
        size = total_norm(other) if part == "gradients" else None
        for name, x in other.items():
            scale = max(1.0, float(np.abs(x).max(initial=0))) if size is None else size
            np.testing.assert_allclose(mine[name], x, rtol=0, atol=tolerance * scale, err_msg=f"{what}: {part} {name}")


def tied_groups(model) -> set[tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return {tuple(names) for names in groups.values() if len(names) > 1}


MAIN_INPUTS = ("input_ids", "inputs_embeds", "pixel_values", "input_values")


def main_input(batch):
    """What the model reads: its first axis are the examples."""
    return next(batch[name] for name in MAIN_INPUTS if name in batch)


def without_labels(batch):
    """The batch without what makes a loss: labels, positions of an answer, patches to guess, frames to tell apart."""
    return {
        name: x
        for name, x in batch.items()
        if "label" not in name
        and not name.endswith("_positions")
        and name not in ("bool_masked_pos", "sampled_negative_indices")
    }


def padded(subject, name, x, tokens, more):
    """`more` columns of padding at the token axis of one argument."""
    if not isinstance(x, np.ndarray) or name.startswith("encoder_") or name == "head_mask":
        return x
    axis = x.ndim - 2 if name == "inputs_embeds" else x.ndim - 1
    if x.shape[axis] != tokens or x.ndim < 2:
        return x
    widths = [(0, more if place == axis else 0) for place in range(x.ndim)]
    return np.pad(x, widths, constant_values=subject.fill.get(name, 0))


def gradients_for(output, names) -> dict:
    if are_losses(names):
        return dict.fromkeys(names, 1.0)
    lengths = {name: len(value) for name, value in output.items() if isinstance(value, tuple)}
    return unflatten(random_gradients(flatten(output), names), lengths)


def host_gradients(result, names) -> dict:
    if are_losses(names):
        return dict.fromkeys(names, 1.0)
    lengths: dict[str, int] = {}
    for name in result.outputs:
        head, _, place = name.partition(".")
        if place:
            lengths[head] = max(lengths.get(head, 0), int(place) + 1)
    return unflatten(random_gradients(result.outputs, names), lengths)
