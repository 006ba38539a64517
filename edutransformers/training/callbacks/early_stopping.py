"""Stop when a metric no longer improves, and what "improves" means."""

from __future__ import annotations

from ...logging import get_logger
from .base import TrainerCallback

logger = get_logger(__name__)


class EarlyStoppingCallback(TrainerCallback):
    """Stop when the metric has not improved, by more than the threshold, in `early_stopping_patience` evaluations.

    Needs `load_best_model_at_end=True`, so that there is a best model to compare with and to return to.
    """

    def __init__(self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0):
        if early_stopping_patience < 1:
            raise ValueError(f"early_stopping_patience is {early_stopping_patience}: expected 1 or more evaluations")
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold
        self.early_stopping_patience_counter = 0

    def on_train_begin(self, args, state, control, **kwargs):
        if not args.load_best_model_at_end:
            raise ValueError("EarlyStoppingCallback needs load_best_model_at_end=True in the TrainingArguments")

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        name = metric_name(args.metric_for_best_model)
        if name not in metrics:
            logger.warning("early stopping is off: the evaluation gave no %s, only %s", name, ", ".join(metrics))
            return
        if is_better(metrics[name], state.best_metric, args, self.early_stopping_threshold):
            self.early_stopping_patience_counter = 0
        else:
            self.early_stopping_patience_counter += 1
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def state_dict(self):
        return {"early_stopping_patience_counter": self.early_stopping_patience_counter}

    def load_state_dict(self, state):
        self.early_stopping_patience_counter = state["early_stopping_patience_counter"]


def metric_name(name: str, prefix: str = "eval") -> str:
    """ "accuracy" -> "eval_accuracy", as evaluate() calls it."""
    return name if name.startswith(f"{prefix}_") else f"{prefix}_{name}"


def chosen_metric(metrics: dict, args) -> float:
    """The evaluation's value of `metric_for_best_model`. Raises `KeyError` if it has none."""
    name = metric_name(args.metric_for_best_model)
    if name not in metrics:
        raise KeyError(f"metric_for_best_model is {name!r}, but the evaluation gave only {', '.join(metrics)}")
    return metrics[name]


def is_better(value: float, best: float | None, args, threshold: float = 0.0) -> bool:
    """Is `value` better than the best so far, by more than `threshold`?"""
    if best is None:
        return True
    gain = value - best if args.greater_is_better else best - value
    return gain > threshold
