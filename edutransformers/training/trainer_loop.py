"""The Trainer's loop: batch after batch, epoch after epoch, and what happens between them.

Read `train` first; the loop is `_train_epochs`. What one batch does is in trainer.py (`training_step`).
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from .callbacks import chosen_metric
from .clipping import clip_grad_norm_
from .evaluation import speed_metrics
from .interruption import Interruption
from .loss_meter import LossMeter
from .outputs import TrainOutput
from .plan import Plan, plan_of
from .plateau import ReduceLROnPlateau
from .seeding import DROPOUT, set_seed
from .trainer_state import TrainerControl, TrainerState


class TrainerLoop:
    """The part of Trainer that trains."""

    def train(self, resume_from_checkpoint: str | bool | None = None) -> TrainOutput:
        """Train from the beginning, or on from a checkpoint (a path; True: the last one in `output_dir`).

        Continuing gives the same numbers as never having stopped. Ctrl-C and SIGTERM finish the step and write a
        checkpoint before they raise KeyboardInterrupt or SystemExit(143); a second one stops at once, and so does a
        first one with `save_strategy="no"`. Whatever happens, checkpoints that have been written stay whole.

        Raises `ValueError` for an empty data set or a folder that is no checkpoint, `FloatingPointError` for a loss
        that is not finite.
        """
        set_seed(self.args.seed)
        if self.model_init is not None:
            self.model = self.call_model_init()
        if self.args.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        checkpoint = self._find_checkpoint(resume_from_checkpoint)
        self.is_in_train = True
        try:
            with Interruption(active=self.args.save_strategy != "no") as self._interruption:
                return self._train(checkpoint)
        except BaseException:
            self._event("on_train_interrupted")
            raise
        finally:
            self.is_in_train, self._interruption = False, Interruption(active=False)

    def _train(self, checkpoint: Path | None) -> TrainOutput:
        args = self.args
        self.generator = np.random.default_rng([args.seed, DROPOUT])
        self._loader = self.get_train_dataloader()
        self._random_state, self._owed = None, []  # what a resumed run still has to restore, and to do
        self._saved_at = None  # (epoch, batch) of the newest checkpoint
        plan = plan_of(args, *self._length_of_epoch())
        self.accumulation = plan.accumulation
        self.create_optimizer_and_scheduler(plan.max_steps)
        self.state, self.control = TrainerState(epoch=0.0), TrainerControl()
        self.loss_meter = LossMeter()
        self._epoch, self._batch, self._batches = 0, 0, 0  # epochs done; batches done in this one, and in all
        self._parameters = list(self.model.parameters())
        self._forget_gradients()
        self._operations_a_token = 6 * self._weights_that_multiply()
        if checkpoint is not None:
            self._load_checkpoint(checkpoint)
        self.state.max_steps, self.state.num_train_epochs = plan.max_steps, plan.epochs
        for name in ("logging_steps", "eval_steps", "save_steps"):
            setattr(self.state, name, args.steps_of(name, plan.max_steps))
        handler = self.callback_handler
        handler.model, handler.optimizer, handler.lr_scheduler = self.model, self.optimizer, self.lr_scheduler
        handler.train_dataloader = self._loader

        start, first_step = time.perf_counter(), self.state.global_step
        self._event("on_train_begin")
        self._train_epochs(plan)
        if args.load_best_model_at_end:
            self._load_best_model()

        train_loss = self.loss_meter.mean(self.state.global_step)
        metrics = speed_metrics("train", start, plan.samples, steps=plan.max_steps - first_step)
        metrics.update(total_flos=self.state.total_flos, train_loss=train_loss)
        self.log(metrics)
        self._event("on_train_end")
        return TrainOutput(self.state.global_step, train_loss, metrics)

    def _train_epochs(self, plan: Plan) -> None:
        """The loop: batch after batch, epoch after epoch, until a callback says stop."""
        has_steps_left = lambda: self.state.global_step < plan.max_steps  # noqa: E731
        goes_on = lambda: has_steps_left() and not self.control.should_training_stop  # noqa: E731
        self._do_what_is_owed()
        # A resumed run may have all its steps and still owe the end of its last epoch.
        while self._epoch < plan.epochs and (goes_on() or self._batch):
            self.control.should_epoch_stop = False
            self._event("on_epoch_begin")
            for inputs in self._batches_of_epoch() if goes_on() else ():
                if self._batches % plan.accumulation == 0:
                    self.control.new_step()
                    self._event("on_step_begin")
                self.training_step(self.model, inputs)
                self.state.total_flos += self.floating_point_ops(inputs)
                self._batch += 1
                self._batches += 1
                if self._batches % plan.accumulation == 0:
                    self._change_weights()
                    self.state.epoch = self._epoch + self._batch / plan.batches
                    self._event("on_step_end")
                    self._log_evaluate_save()
                else:
                    self._event("on_substep_end")
                if self.control.should_epoch_stop or self.control.should_training_stop:
                    break
            if self._batch == 0 and goes_on():
                raise ValueError(f"train_dataset gave no batch in epoch {self._epoch}: can it be read only once?")
            self._epoch, self._batch = self._epoch + 1, 0
            self._event("on_epoch_end")
            self._log_evaluate_save()

    def _change_weights(self) -> None:
        """Clip, step, schedule, and forget the gradients."""
        if self.args.max_grad_norm > 0:
            clip_grad_norm_(self._parameters, self.args.max_grad_norm)
        self._event("on_pre_optimizer_step")
        self.optimizer.step()
        self._event("on_optimizer_step")
        if not isinstance(self.lr_scheduler, ReduceLROnPlateau):  # that one waits for an evaluation
            self.lr_scheduler.step()
        self._forget_gradients()
        self.state.global_step += 1

    def _forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _log_evaluate_save(self) -> None:
        """Do what the callbacks asked for."""
        step = self.state.global_step
        if self.control.should_log and step > self.loss_meter.step_of_log:
            loss = round(self.loss_meter.mean_since_log(step), 4)
            self.log({"loss": loss, "learning_rate": self.lr_scheduler.get_last_lr()[0]})
        metrics = self._evaluate_unless_interrupted() if self.control.should_evaluate else None
        if metrics is not None and isinstance(self.lr_scheduler, ReduceLROnPlateau):
            self.lr_scheduler.step(chosen_metric(metrics, self.args))
        if self.control.should_save:
            self._save_checkpoint(metrics)
            self._event("on_save")
        self.control.new_step()
        if self._interruption.signal is not None:
            self._save_and_stop()

    def log(self, logs: dict) -> None:
        """Add `logs` to the history, with step and epoch, and show them to the callbacks."""
        if self.state.epoch is not None:
            logs["epoch"] = round(self.state.epoch, 2)
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self._event("on_log", logs=logs)
