"""When to log, evaluate, save and stop: itself a callback."""

from __future__ import annotations

from .base import TrainerCallback


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
