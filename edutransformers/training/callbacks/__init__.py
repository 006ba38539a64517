"""Callbacks: code that runs at fixed moments of a training run, without changing the Trainer.

    class StopWhenGood(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs):
            if metrics["eval_accuracy"] > 0.95:
                control.should_training_stop = True

Even when to log, evaluate and save is decided in one (DefaultFlowCallback).
"""

from .base import EVENTS, TrainerCallback
from .early_stopping import EarlyStoppingCallback, is_better, metric_name
from .flow import DefaultFlowCallback
from .handler import CallbackHandler
from .progress import PrinterCallback, ProgressCallback

__all__ = [
    "EVENTS",
    "CallbackHandler",
    "DefaultFlowCallback",
    "EarlyStoppingCallback",
    "PrinterCallback",
    "ProgressCallback",
    "TrainerCallback",
    "is_better",
    "metric_name",
]
