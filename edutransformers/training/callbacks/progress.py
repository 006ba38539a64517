"""What one sees of a run in a terminal: progress bars, or printed logs."""

from __future__ import annotations

from ...logging import tqdm
from .base import TrainerCallback


class ProgressCallback(TrainerCallback):
    """Progress bars (tqdm) of training and evaluation, with the logs written above them."""

    def __init__(self):
        self.training_bar = None
        self.prediction_bar = None
        self.shown = 0

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_local_process_zero:
            self.training_bar = tqdm(total=state.max_steps, initial=state.global_step, dynamic_ncols=True)
        self.shown = state.global_step

    def on_step_end(self, args, state, control, **kwargs):
        if self.training_bar is not None:
            self.training_bar.update(state.global_step - self.shown)
        self.shown = state.global_step

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if not state.is_local_process_zero:
            return
        if self.prediction_bar is None:
            leave = self.training_bar is None
            self.prediction_bar = tqdm(total=length_of(eval_dataloader), leave=leave, dynamic_ncols=True)
        self.prediction_bar.update(1)

    def on_evaluate(self, args, state, control, **kwargs):
        self._close("prediction_bar")

    def on_predict(self, args, state, control, **kwargs):
        self._close("prediction_bar")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.training_bar is not None:
            self.training_bar.write(shown(logs))

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
        print_logs(state, logs)


def print_logs(state, logs: dict) -> None:
    """On the first of several processes."""
    if state.is_local_process_zero:
        print(shown(logs), flush=True)


def shown(logs: dict) -> str:
    """The logs without the count of operations, which says little to people."""
    return str({name: value for name, value in logs.items() if name != "total_flos"})


def length_of(loader) -> int | None:
    """How many batches, if that is known: a stream does not say."""
    try:
        return len(loader)
    except TypeError:
        return None


def _length(loader) -> int | None:
    try:
        return len(loader)
    except TypeError:  # of an iterable data set: the bar counts without knowing the end
        return None
