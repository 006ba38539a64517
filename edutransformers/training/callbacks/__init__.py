"""Callbacks: code that runs at fixed moments of a training run, without changing the Trainer.

    class StopWhenGood(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs):
            if metrics["eval_accuracy"] > 0.95:
                control.should_training_stop = True

Even when to log, evaluate and save is decided in one (DefaultFlowCallback).
"""

from .base import EVENTS, TrainerCallback
from .defaults import default_callbacks
from .early_stopping import EarlyStoppingCallback, chosen_metric, is_better, metric_name
from .flow import DefaultFlowCallback
from .handler import CallbackHandler
from .history import history_figure
from .log_files import CSVLoggerCallback, JSONLoggerCallback
from .notebook import NotebookProgressCallback
from .progress import PrinterCallback, ProgressCallback
from .reporting import get_reporting_integration_callbacks
from .tensorboard import TensorBoardCallback

__all__ = [
    "EVENTS",
    "CSVLoggerCallback",
    "CallbackHandler",
    "DefaultFlowCallback",
    "EarlyStoppingCallback",
    "JSONLoggerCallback",
    "NotebookProgressCallback",
    "PrinterCallback",
    "ProgressCallback",
    "TensorBoardCallback",
    "TrainerCallback",
    "chosen_metric",
    "default_callbacks",
    "get_reporting_integration_callbacks",
    "history_figure",
    "is_better",
    "metric_name",
]
