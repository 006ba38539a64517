"""What training, evaluation and prediction return, and what compute_metrics is given."""

from __future__ import annotations

from typing import NamedTuple


class TrainOutput(NamedTuple):
    global_step: int  # weight changes made
    training_loss: float  # mean over all of them
    metrics: dict[str, float]


class PredictionOutput(NamedTuple):
    predictions: object  # array, or tuple of arrays where the model has several outputs
    label_ids: object | None
    metrics: dict[str, float]


class EvalLoopOutput(NamedTuple):
    predictions: object | None
    label_ids: object | None
    metrics: dict[str, float]
    num_samples: int


class EvalPrediction:
    """What `compute_metrics` gets: `logits, labels = eval_prediction`, or by attribute.

    With `include_inputs_for_metrics=True` there are three: predictions, labels and inputs.
    """

    def __init__(self, predictions, label_ids, inputs=None):
        self.predictions = predictions
        self.label_ids = label_ids
        self.inputs = inputs

    def _parts(self):
        parts = (self.predictions, self.label_ids)
        return parts if self.inputs is None else (*parts, self.inputs)

    def __iter__(self):
        return iter(self._parts())

    def __getitem__(self, index):
        return self._parts()[index]
