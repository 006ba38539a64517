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
        self.training_bar = tqdm(total=state.max_steps, initial=state.global_step, dynamic_ncols=True)
        self.shown = state.global_step

    def on_step_end(self, args, state, control, **kwargs):
        self.training_bar.update(state.global_step - self.shown)
        self.shown = state.global_step

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.prediction_bar is None:
            leave = self.training_bar is None
            self.prediction_bar = tqdm(total=_length(eval_dataloader), leave=leave, dynamic_ncols=True)
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


def _length(loader) -> int | None:
    try:
        return len(loader)
    except TypeError:  # of an iterable data set: the bar counts without knowing the end
        return None
