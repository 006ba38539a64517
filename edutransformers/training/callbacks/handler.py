"""What calls the callbacks."""

from __future__ import annotations

from functools import partialmethod

from ...logging import get_logger
from ..trainer_state import TrainerControl
from .base import TrainerCallback
from .flow import DefaultFlowCallback

logger = get_logger(__name__)


class CallbackHandler:
    """Calls an event on all callbacks, in order: `handler.on_step_end(args, state, control)`.

    Each event returns the control that the last callback left. What callbacks get besides args, state and control are
    this object's attributes of the same names.
    """

    def __init__(self, callbacks, model=None, tokenizer=None, optimizer=None, lr_scheduler=None):
        self.callbacks: list[TrainerCallback] = []
        self.model, self.tokenizer, self.optimizer, self.lr_scheduler = model, tokenizer, optimizer, lr_scheduler
        self.train_dataloader = self.eval_dataloader = None
        for callback in callbacks:
            self.add_callback(callback)
        if not any(isinstance(callback, DefaultFlowCallback) for callback in self.callbacks):
            logger.warning(
                "there is no DefaultFlowCallback among the callbacks (%s): nothing will be logged, evaluated or saved",
                self.callback_list,
            )

    @property
    def callback_list(self) -> str:
        """The classes of the callbacks, in order."""
        return ", ".join(type(callback).__name__ for callback in self.callbacks)

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

    def remove_callback(self, callback) -> None:
        """Take out a callback (or the first of a class)."""
        self.pop_callback(callback)

    def call_event(self, event: str, args, state, control: TrainerControl, **more) -> TrainerControl:
        """`event` of every callback; `more` are `logs` or `metrics`."""
        for callback in self.callbacks:
            returned = getattr(callback, event)(
                args,
                state,
                control,
                model=self.model,
                tokenizer=self.tokenizer,
                optimizer=self.optimizer,
                lr_scheduler=self.lr_scheduler,
                train_dataloader=self.train_dataloader,
                eval_dataloader=self.eval_dataloader,
                **more,
            )
            control = control if returned is None else returned
        return control

    def on_evaluate(self, args, state, control, metrics):
        """An own `evaluate` ends with this."""
        return self.call_event("on_evaluate", args, state, control, metrics=metrics)

    def on_predict(self, args, state, control, metrics):
        """An own `predict` ends with this."""
        return self.call_event("on_predict", args, state, control, metrics=metrics)

    def on_log(self, args, state, control, logs):
        """An own `log` ends with this."""
        return self.call_event("on_log", args, state, control, logs=logs)

    on_init_end = partialmethod(call_event, "on_init_end")
    on_train_begin = partialmethod(call_event, "on_train_begin")
    on_train_end = partialmethod(call_event, "on_train_end")
    on_train_interrupted = partialmethod(call_event, "on_train_interrupted")
    on_epoch_begin = partialmethod(call_event, "on_epoch_begin")
    on_epoch_end = partialmethod(call_event, "on_epoch_end")
    on_step_begin = partialmethod(call_event, "on_step_begin")
    on_substep_end = partialmethod(call_event, "on_substep_end")
    on_pre_optimizer_step = partialmethod(call_event, "on_pre_optimizer_step")
    on_optimizer_step = partialmethod(call_event, "on_optimizer_step")
    on_step_end = partialmethod(call_event, "on_step_end")
    on_prediction_step = partialmethod(call_event, "on_prediction_step")
    on_save = partialmethod(call_event, "on_save")

    def state_dict(self) -> dict[str, dict]:
        """What the callbacks want to be in checkpoints, by class."""
        states = {type(callback).__name__: callback.state_dict() for callback in self.callbacks}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, states: dict[str, dict]) -> None:
        """Give every callback back what it had."""
        for callback in self.callbacks:
            if type(callback).__name__ in states:
                callback.load_state_dict(states[type(callback).__name__])
