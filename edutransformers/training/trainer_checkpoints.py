"""The Trainer's checkpoints: what to write, how to go on from it, which one is the best."""

from __future__ import annotations

from pathlib import Path

from ..logging import get_logger
from . import checkpointing as files
from .callbacks import chosen_metric, is_better
from .interruption import EvaluationEnded
from .seeding import generator_state, global_random_state, restore_generator, restore_global_random_state
from .trainer_state import TrainerState

logger = get_logger(__name__)


class TrainerCheckpoints:
    """The part of Trainer that saves and resumes."""

    def save_model(self, output_dir=None, _internal_call: bool = False) -> None:
        """The model, the tokenizer and the arguments into a folder: all that is needed to use the model.

        _internal_call  True when the Trainer writes a checkpoint: for subclasses that do something else then
        """
        folder = Path(self.args.output_dir if output_dir is None else output_dir)
        files.save_weights(self.model, folder, self.args.save_safetensors)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)
        files.write_trees(folder, {files.ARGUMENTS: self.args.to_dict()})

    def _save_checkpoint(self, metrics: dict | None, stand: dict | None = None) -> None:
        """checkpoint-<step> in `output_dir`, complete or not at all. `stand`: what to go on from, if not from here."""
        folder = Path(self.args.output_dir) / f"{files.PREFIX}-{self.state.global_step}"
        self._remember_best(metrics, folder)
        logger.info("Saving model checkpoint to %s", folder)
        files.write_folder(folder, lambda path: self._write_checkpoint(path, self._stand() if stand is None else stand))
        self._saved_at = (self._epoch, self._batch)
        keep = [str(folder), self.state.best_model_checkpoint]
        files.delete_old_checkpoints(self.args.output_dir, self.args.save_total_limit, keep)

    def _write_checkpoint(self, folder: Path, stand: dict) -> None:
        self.save_model(folder, _internal_call=True)
        step_is_open = self._batches % self.accumulation != 0
        self.state.stateful_callbacks = stand["callbacks"]
        trees = {
            files.OPTIMIZER: files.optimizer_tree(self.optimizer, self.model, step_is_open),
            files.SCHEDULER: self.lr_scheduler.state_dict(),
            files.RANDOM: stand["progress"],
            files.STATE: self.state.to_dict(),
        }
        files.write_trees(folder, trees)

    def _stand(self) -> dict:
        """Where the run stands, and what its callbacks remember."""
        return {"progress": self._progress(), "callbacks": self.callback_handler.state_dict()}

    def _progress(self) -> dict:
        """Where the run stands in its data, in its losses and in its random numbers; `owed` is what to do first."""
        loader = self._loader
        return {
            "epoch": self._epoch,
            "batch": self._batch,
            "batches": self._batches,
            "loader": loader.state_dict() if hasattr(loader, "state_dict") else None,
            "loss": self.loss_meter.state_dict(),
            "precision": None if self.precision is None else self.precision.state_dict(),
            "dropout": generator_state(self.generator),
            "collator": generator_state(getattr(self.data_collator, "generator", None)),
            "global": global_random_state(),
            "owed": [],
        }

    # -- interruption -------------------------------------------------------------------------------------------------

    def _save_and_stop(self) -> None:
        """A signal came: a checkpoint, unless one was just written, and the end."""
        if self._saved_at != (self._epoch, self._batch):
            self._save_checkpoint(None)
            self._event("on_save")
        self._interruption.stop()

    def _evaluate_unless_interrupted(self) -> dict[str, float]:
        """An evaluation may take long, so a signal ends it. The checkpoint then says that the evaluation is owed."""
        stand, logs = self._stand(), len(self.state.log_history)
        self._evaluation_may_end = True
        try:
            return self._evaluate_all()
        except EvaluationEnded:
            del self.state.log_history[logs:]
            owed = [name for name in ("should_evaluate", "should_save") if getattr(self.control, name)]
            stand["progress"]["owed"] = owed
            self._save_checkpoint(None, stand)
            self._event("on_save")
            self._interruption.stop()
        finally:
            self._evaluation_may_end = False

    def _do_what_is_owed(self) -> None:
        """A resumed run first does what the interruption left undone, from the same random numbers."""
        if self._owed:
            self._restore_random_state()
            for name in self._owed:
                setattr(self.control, name, True)
            self._owed = []
            self._log_evaluate_save()
            self._random_state = self._progress()  # to go on from when the batches have been found

    # -- resuming -----------------------------------------------------------------------------------------------------

    def _load_checkpoint(self, folder: Path) -> None:
        """Everything as it was when the checkpoint was written. Random generators follow at the first batch."""
        logger.info("Loading model from %s.", folder)
        files.warn_of_changes(folder, self.args)
        files.load_weights(self.model, folder)
        files.read_optimizer(folder / files.OPTIMIZER, self.optimizer, self.model)
        self.lr_scheduler.load_state_dict(files.read_json(folder / files.SCHEDULER))
        self.state = TrainerState.load_from_json(folder / files.STATE)
        self.callback_handler.load_state_dict(self.state.stateful_callbacks)
        progress = files.read_json(folder / files.RANDOM)
        self._epoch, self._batch, self._batches = progress["epoch"], progress["batch"], progress["batches"]
        self.loss_meter.load_state_dict(progress["loss"])
        if self.precision is not None and progress.get("precision") is not None:
            self.precision.load_state_dict(progress["precision"])
        self._random_state, self._owed = progress, progress.get("owed", [])
        if self.args.ignore_data_skip:
            self._batch = 0
        elif progress["loader"] is not None and hasattr(self._loader, "load_state_dict"):
            self._loader.load_state_dict(progress["loader"])

    def _batches_of_epoch(self):
        """The loader's batches, behind those that a resumed epoch has seen already."""
        if hasattr(self._loader, "set_epoch"):
            self._loader.set_epoch(self._epoch)
        batches = iter(self._loader)
        if self._random_state is not None:
            if not hasattr(self._loader, "load_state_dict"):
                for _ in range(self._batch):  # a loader of another make: draw them again, and throw them away
                    next(batches)
            self._restore_random_state()
        return batches

    def _restore_random_state(self) -> None:
        progress, self._random_state = self._random_state, None
        restore_generator(self.generator, progress["dropout"])
        restore_generator(getattr(self.data_collator, "generator", None), progress["collator"])
        restore_global_random_state(progress["global"])

    def _find_checkpoint(self, asked: str | bool | None) -> Path | None:
        files.tidy(self.args.output_dir)
        last = files.get_last_checkpoint(self.args.output_dir)
        if asked is None or asked is False:
            if last is not None and not self.args.overwrite_output_dir:
                logger.warning(
                    "%s holds checkpoints of an earlier run (%s); train(resume_from_checkpoint=True) goes on from it",
                    self.args.output_dir, Path(last).name,
                )  # fmt: skip
            return None
        if asked is True:
            if last is None:
                raise ValueError(f"resume_from_checkpoint=True, but {self.args.output_dir} holds no checkpoint")
            asked = last
        return files.check_resumable(asked)

    def _remember_best(self, metrics: dict | None, folder: Path) -> None:
        if metrics is None or self.args.metric_for_best_model is None:
            return
        metric = chosen_metric(metrics, self.args)
        if is_better(metric, self.state.best_metric, self.args):
            self.state.best_metric, self.state.best_model_checkpoint = metric, str(folder)

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        if best is not None:
            logger.info("Loading best model from %s (score: %s).", best, self.state.best_metric)
            files.load_weights(self.model, best)
            if self.args.save_total_limit == 1:  # the newest was kept only to resume from
                files.delete_old_checkpoints(self.args.output_dir, 1, [best])
