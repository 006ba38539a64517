"""Callbacks: code that runs at fixed moments of a training run, without changing the Trainer.

    class StopWhenGood(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs):
            if metrics["eval_accuracy"] > 0.95:
                control.should_training_stop = True

Even when to log, evaluate and save is decided in one (DefaultFlowCallback).
"""

from __future__ import annotations

import logging

from .trainer_state import TrainerControl

logger = logging.getLogger("edutransformers.training")

EVENTS = (
    "on_init_end",
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_step_begin",
    "on_substep_end",
    "on_step_end",
    "on_evaluate",
    "on_predict",
    "on_save",
    "on_log",
    "on_prediction_step",
    "on_train_interrupted",
)


class TrainerCallback:
    """The events, each doing nothing. A subclass overrides those it wants.

    args, state, control   the TrainingArguments, TrainerState and TrainerControl. A callback changes `control` in
                           place, or returns it.
    kwargs                 model, tokenizer, optimizer, lr_scheduler, train_dataloader, eval_dataloader, and for some
                           events `logs` or `metrics`: name those that you need in the signature

    What must survive an interruption goes through `state_dict` and `load_state_dict`, into the checkpoints.
    """

    def on_init_end(self, args, state, control, **kwargs):
        """The Trainer has been made."""

    def on_train_begin(self, args, state, control, **kwargs):
        """Training begins."""

    def on_train_end(self, args, state, control, **kwargs):
        """Training has ended; the logs are complete."""

    def on_epoch_begin(self, args, state, control, **kwargs):
        """A pass through the data begins."""

    def on_epoch_end(self, args, state, control, **kwargs):
        """A pass through the data has ended."""

    def on_step_begin(self, args, state, control, **kwargs):
        """The first batch of a step comes next."""

    def on_substep_end(self, args, state, control, **kwargs):
        """A batch was added to the gradients, but the step needs more (gradient accumulation)."""

    def on_step_end(self, args, state, control, **kwargs):
        """The weights have changed."""

    def on_evaluate(self, args, state, control, **kwargs):
        """An evaluation has ended; `metrics` holds its results."""

    def on_predict(self, args, state, control, metrics, **kwargs):
        """A prediction has ended."""

    def on_save(self, args, state, control, **kwargs):
        """A checkpoint has been written."""

    def on_log(self, args, state, control, **kwargs):
        """`logs` were added to the history."""

    def on_prediction_step(self, args, state, control, **kwargs):
        """A batch was evaluated."""

    def on_train_interrupted(self, args, state, control, **kwargs):
        """An exception (Ctrl-C too) is leaving train(). The original has no such event."""

    def state_dict(self) -> dict:
        """What to write into checkpoints, as JSON can hold it."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Take over what `state_dict` gave."""


class CallbackHandler:
    """Calls an event on all callbacks, in order."""

    def __init__(self, callbacks, **things):
        self.callbacks: list[TrainerCallback] = []
        self.things = things  # what callbacks get as keyword arguments
        for callback in callbacks:
            self.add_callback(callback)

    def add_callback(self, callback) -> None:
        """A callback, or a class to make one of."""
        callback = callback() if isinstance(callback, type) else callback
        if type(callback) in [type(other) for other in self.callbacks]:
            logger.warning("there is a %s among the callbacks already; now there are two", type(callback).__name__)
        self.callbacks.append(callback)

    def pop_callback(self, callback):
        """Take out a callback (or the first of a class), and return it; None if there is none."""
        for other in self.callbacks:
            if other is callback or (isinstance(callback, type) and isinstance(other, callback)):
                self.callbacks.remove(other)
                return other
        return None

    def call(self, event: str, args, state, control: TrainerControl, **more) -> TrainerControl:
        for callback in self.callbacks:
            returned = getattr(callback, event)(args, state, control, **self.things, **more)
            control = control if returned is None else returned
        return control

    def state_dict(self) -> dict[str, dict]:
        states = {type(callback).__name__: callback.state_dict() for callback in self.callbacks}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, states: dict[str, dict]) -> None:
        for callback in self.callbacks:
            if type(callback).__name__ in states:
                callback.load_state_dict(states[type(callback).__name__])


class DefaultFlowCallback(TrainerCallback):
    """When to log, evaluate, save and stop, as the TrainingArguments say."""

    def on_step_end(self, args, state, control, **kwargs):
        step = state.global_step
        if step == 1 and args.logging_first_step:
            control.should_log = True
        if args.logging_strategy == "steps" and step % state.logging_steps == 0:
            control.should_log = True
        if args.evaluation_strategy == "steps" and step % state.eval_steps == 0 and step >= args.eval_delay:
            control.should_evaluate = True
        if args.save_strategy == "steps" and step % state.save_steps == 0:
            control.should_save = True
        if step >= state.max_steps:
            control.should_training_stop = True

    def on_epoch_end(self, args, state, control, **kwargs):
        if args.logging_strategy == "epoch":
            control.should_log = True
        if args.evaluation_strategy == "epoch" and state.epoch >= args.eval_delay:
            control.should_evaluate = True
        if args.save_strategy == "epoch":
            control.should_save = True


class ProgressCallback(TrainerCallback):
    """Progress bars (tqdm) of training and evaluation, with the logs written above them."""

    def __init__(self):
        self.training_bar = None
        self.prediction_bar = None
        self.shown = 0

    def on_train_begin(self, args, state, control, **kwargs):
        from tqdm.auto import tqdm

        self.training_bar = tqdm(total=state.max_steps, initial=state.global_step, dynamic_ncols=True)
        self.shown = state.global_step

    def on_step_end(self, args, state, control, **kwargs):
        self.training_bar.update(state.global_step - self.shown)
        self.shown = state.global_step

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.prediction_bar is None:
            from tqdm.auto import tqdm

            leave = self.training_bar is None
            self.prediction_bar = tqdm(total=len(eval_dataloader), leave=leave, dynamic_ncols=True)
        self.prediction_bar.update(1)

    def on_evaluate(self, args, state, control, **kwargs):
        self._close("prediction_bar")

    def on_predict(self, args, state, control, **kwargs):
        self._close("prediction_bar")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.training_bar is not None:
            self.training_bar.write(str(_shown(logs)))

    def on_train_end(self, args, state, control, **kwargs):
        self._close("training_bar")

    def on_train_interrupted(self, args, state, control, **kwargs):
        self._close("prediction_bar")
        self._close("training_bar")

    def _close(self, name):
        bar = getattr(self, name)
        if bar is not None:
            bar.close()
        setattr(self, name, None)


class PrinterCallback(TrainerCallback):
    """Print the logs: what stands in for progress bars with `disable_tqdm=True`."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        print(_shown(logs), flush=True)


def _shown(logs: dict) -> dict:
    return {name: value for name, value in logs.items() if name != "total_flos"}


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


def is_better(value: float, best: float | None, args, threshold: float = 0.0) -> bool:
    """Is `value` better than the best so far, by more than `threshold`?"""
    if best is None:
        return True
    gain = value - best if args.greater_is_better else best - value
    return gain > threshold
