"""The events of a training run (TrainerCallback), and what calls them (CallbackHandler)."""

from __future__ import annotations

from ...logging import get_logger
from ..trainer_state import TrainerControl

logger = get_logger(__name__)

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
