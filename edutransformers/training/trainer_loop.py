"""The Trainer's loop: batch after batch, epoch after epoch, and what happens between them.

Read `train` first; the loop is `_train_epochs`. What one batch does is in trainer.py (`training_step`).
"""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np

from ..backend import to_numpy
from ..logging import get_logger
from .announce import announce_training
from .callbacks import chosen_metric
from .evaluation import speed_metrics
from .interruption import Interruption
from .loss_meter import LossMeter
from .outputs import TrainOutput
from .plan import Plan, plan_of, weights_that_multiply
from .plateau import ReduceLROnPlateau
from .seeding import DROPOUT, set_seed
from .trainer_state import TrainerControl, TrainerState

logger = get_logger(__name__)


class TrainerLoop:
    """The part of Trainer that trains."""

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial=None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> TrainOutput:
        """Train from the beginning, or on from a checkpoint (a path; True: the last one in `output_dir`).

        trial                 of a hyperparameter search
        ignore_keys_for_eval  names of outputs that are no predictions, in the evaluations during training

        Continuing gives the same numbers as never having stopped. Ctrl-C and SIGTERM finish the step and write a
        checkpoint before they raise KeyboardInterrupt or SystemExit(143); a second one stops at once, and so does a
        first one with `save_strategy="no"`. Whatever happens, checkpoints that have been written stay whole.

        Raises `ValueError` for an empty data set or a folder that is no checkpoint, `FloatingPointError` for a loss
        that is not finite.
        """
        self._hp_search_setup(trial)
        self._ignore_keys_for_eval = ignore_keys_for_eval
        if not self.args.auto_find_batch_size:
            return self._train_once(resume_from_checkpoint)
        weights = {name: to_numpy(array).copy() for name, array in self.model.state_dict().items()}
        states = [None if part is None else copy.deepcopy(part.state_dict()) for part in self._optimizers_given]
        while True:
            try:
                return self._train_once(resume_from_checkpoint)
            except MemoryError:  # CuPy's OutOfMemoryError is one too
                size = self.args.per_device_train_batch_size
                if size == 1:
                    raise
                self.args.per_device_train_batch_size = size // 2
                logger.warning("not enough memory for batches of %d: training begins anew with %d", size, size // 2)
            self._forget_gradients()
            self.optimizer, self.lr_scheduler = self._optimizers_given
            self.model.load_state_dict(weights)
            for part, state in zip(self._optimizers_given, states):
                if part is not None:
                    part.load_state_dict(state)

    def _train_once(self, resume_from_checkpoint: str | bool | None) -> TrainOutput:
        set_seed(self.args.seed)
        if self.model_init is not None:
            self.model = self.call_model_init(self._trial)
            self._check_number_types()
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
        self._loader = self._share_out(self.get_train_dataloader())
        self._random_state, self._owed = None, []  # what a resumed run still has to restore, and to do
        self._saved_at = None  # (epoch, batch) of the newest checkpoint
        self._tokens = 0
        plan = plan_of(args, *self._length_of_epoch())
        self.accumulation = plan.accumulation
        self.create_optimizer_and_scheduler(plan.max_steps)
        self._begin_precision()
        self.state, self.control = TrainerState(epoch=0.0), TrainerControl()
        self.loss_meter = LossMeter(self._explain_bad_loss)
        self._epoch, self._batch, self._batches = 0, 0, 0  # epochs done; batches done in this one, and in all
        self._parameters = list(self.model.parameters())
        self._forget_gradients()
        self._operations_a_token = 6 * weights_that_multiply(self.model)
        if checkpoint is not None:
            self._load_checkpoint(checkpoint)
        self.state.max_steps, self.state.num_train_epochs = plan.max_steps, plan.epochs
        for name in ("logging_steps", "eval_steps", "save_steps"):
            if getattr(args, name) is not None:
                setattr(self.state, name, args.steps_of(name, plan.max_steps))
        self._remember_trial()
        handler = self.callback_handler
        handler.model, handler.optimizer, handler.lr_scheduler = self.model, self.optimizer, self.lr_scheduler
        handler.train_dataloader = self._loader

        announce_training(self, plan)
        start, first_step = time.perf_counter(), self.state.global_step
        self._event("on_train_begin")
        self._train_epochs(plan)
        if args.load_best_model_at_end:
            self._load_best_model()

        train_loss = self.loss_meter.mean(self.state.global_step)
        metrics = speed_metrics("train", start, plan.samples, steps=plan.max_steps - first_step)
        if args.include_tokens_per_second:
            metrics["train_tokens_per_second"] = round(self._tokens / metrics["train_runtime"], 3)
        metrics.update(total_flos=self.state.total_flos, train_loss=train_loss)
        self.log(metrics)
        self._event("on_train_end")
        logger.info("Training completed.")
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
                self._remember_batch(inputs)
                self.loss_meter.add(self.training_step(self.model, inputs), self.state.global_step + 1)
                self.state.total_flos += self.floating_point_ops(inputs)
                self._tokens += self._tokens_in(inputs)
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
        if self.precision is not None:
            self.precision.unscale()
        if self.args.max_grad_norm > 0:
            self._clip_gradients()
        self._event("on_pre_optimizer_step")
        stepped = self._step_optimizer()
        self._event("on_optimizer_step")
        if stepped and not isinstance(self.lr_scheduler, ReduceLROnPlateau):  # that one waits for an evaluation
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
        if self._signal_came():
            self._save_and_stop()

    def _signal_came(self) -> bool:
        return self._interruption.signal is not None

    def log(self, logs: dict) -> None:
        """Add `logs` to the history, with step and epoch, and show them to the callbacks."""
        if self.state.epoch is not None:
            logs["epoch"] = round(self.state.epoch, 2)
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self._event("on_log", logs=logs)
