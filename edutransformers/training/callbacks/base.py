"""The events of a training run: what a callback can do."""

from __future__ import annotations

EVENTS = (
    "on_init_end",
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_step_begin",
    "on_substep_end",
    "on_pre_optimizer_step",
    "on_optimizer_step",
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

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """The gradients are complete and clipped; the weights are still the old ones."""

    def on_optimizer_step(self, args, state, control, **kwargs):
        """The weights have changed; the gradients are still there."""

    def on_step_end(self, args, state, control, **kwargs):
        """The weights have changed, and the gradients are gone."""

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
