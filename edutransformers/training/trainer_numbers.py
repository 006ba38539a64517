"""The Trainer's numbers: float16 where it was asked for, and what to say when a loss or a gradient is not finite."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

from ..functional.precision import in_float32
from .bad_values import bad_weights, explain
from .clipping import clip_grad_norm_
from .mixed_precision import MixedPrecision, check_on_gpu, half_weights
from .seeding import generator_state, restore_generator


class TrainerNumbers:
    """The part of Trainer that minds number types and bad numbers."""

    precision: MixedPrecision | None = None  # in training with fp16
    _batch_at_hand = None  # (inputs, random state before it) of the newest batch

    # -- float16 ------------------------------------------------------------------------------------------------------

    def _check_number_types(self) -> None:
        for setting in ("fp16", "fp16_full_eval"):
            if getattr(self.args, setting):
                check_on_gpu(self.model, setting)

    def _begin_precision(self) -> None:
        self.precision = MixedPrecision(self.model, self.optimizer) if self.args.fp16 else None

    def _half_precision(self, evaluation: bool = False):
        """A block in which the model computes in float16, if the arguments say so."""
        half = self.args.fp16 or (evaluation and self.args.fp16_full_eval)
        return half_weights(self.model) if half else nullcontext()

    def _loss_scale(self) -> float:
        return 1.0 if self.precision is None else self.precision.scale

    def _step_optimizer(self) -> bool:
        """True if the weights changed. With fp16, a step whose gradients overflowed is left out."""
        if self.precision is None:
            self.optimizer.step()
            return True
        stepped = self.precision.step()
        if not stepped:
            self.loss_meter.look()  # was the loss itself bad? The batch is still at hand
        return stepped

    # -- bad numbers --------------------------------------------------------------------------------------------------

    def _remember_batch(self, inputs) -> None:
        self._batch_at_hand = (inputs, generator_state(self.generator))

    def _explain_bad_loss(self, step: int, newest: bool) -> str:
        """The end of the error message: which layer it was, if batch and weights are still there."""
        if newest and step == self.state.global_step + 1 and self._batch_at_hand is not None:
            inputs, random_state = self._batch_at_hand

            def run():
                restore_generator(self.generator, random_state)  # the same dropout masks again
                self.compute_loss(self.model, self._prepare_inputs(inputs))

            with self._half_precision():
                return explain(self.model, self._prepare_inputs(inputs), run)
        now = " ".join(bad_weights(self.model)) or "All weights are still finite."
        return (
            f"It was looked at only now, after step {self.state.global_step}, because a GPU computes behind the host's "
            f"back; that batch is gone. {now} Resume from the last checkpoint with a Trainer that looks at each loss "
            "to learn the layer: see docs/training/when_the_loss_is_nan.md"
        )

    def _clip_gradients(self) -> None:
        """Clip, and on the CPU, where the norm is known at once, refuse gradients that would spoil the weights."""
        on_host = isinstance(self._parameters[0].data, np.ndarray)
        try:
            clip_grad_norm_(self._parameters, self.args.max_grad_norm, error_if_nonfinite=on_host)
        except ValueError as error:
            raise FloatingPointError(
                f"{error}, at step {self.state.global_step + 1}, though the loss is finite: the training was stopped "
                f"before the weights changed. {' '.join(bad_weights(self.model))}"
            ) from error


def widened(value):
    """float16 arrays, also in tuples, as float32: predictions are for metrics, which add them up."""
    if isinstance(value, (tuple, list)):
        return tuple(widened(inner) for inner in value)
    return in_float32(value)
