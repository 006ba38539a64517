"""The Trainer on several processes: every rank trains on its share of each batch, and rank 0 writes.

Each method here says what differs from one process, and hands on to the others' parts for the rest. On one process it
only hands on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..backend import default_generator
from . import checkpointing as files
from .distributed import GradientAverager, communicator, own_stream, share_weights
from .evaluation import batch_size_of
from .prepared import GradientState, PreparedLoader

OF_EACH_RANK = ("loader", "loss", "dropout", "collator", "global")  # what in a run's progress differs between ranks


class TrainerRanks:
    """The part of Trainer that knows of other processes.

    The loss of a step is the mean over the items of all ranks. So a rank's batch enters with its share of the items,
    and gradients are added up over the ranks, by one Allreduce before the optimizer's step.
    """

    @property
    def communicator(self):
        return communicator()

    @property
    def _is_alone(self) -> bool:
        return self.communicator.size == 1

    # -- data ---------------------------------------------------------------------------------------------------------

    def _share_out(self, loader):
        """This rank's batches of a loader."""
        if self._is_alone:
            return loader
        for place in (loader, getattr(loader, "collate_fn", None)):  # what draws orders, and a collator's masks
            if getattr(place, "generator", None) is not None:
                own_stream(place.generator, self.communicator)
        return PreparedLoader(loader, GradientState(), self.communicator)

    def _share_of_batch(self) -> float:
        """How much of the batch of all ranks is in this rank's: 1 on one process."""
        loader = getattr(self, "_loader", None)
        return loader.counted / loader.counted_by_all if isinstance(loader, PreparedLoader) else 1

    def _items_in(self, loader, inputs) -> int:
        """Items in a batch that no other rank has."""
        return loader.real if isinstance(loader, PreparedLoader) else batch_size_of(inputs)

    def _of_all_ranks(self, sizes: list[int], batches: list) -> list:
        """The ranks' batches in the order of the data set, without what only fills up. `sizes`: of this rank's."""
        if self._is_alone or not batches:
            return batches
        own = [_first(size, batch) for size, batch in zip(sizes, batches)]
        rounds = zip(*self.communicator.gather_objects(own))
        sizes_of_rounds = zip(*self.communicator.gather_objects(sizes))
        return [b for batch, size in zip(rounds, sizes_of_rounds) for b, real in zip(batch, size) if real]

    # -- training -----------------------------------------------------------------------------------------------------

    def _train(self, checkpoint):
        if not self._is_alone:
            if self.args.auto_find_batch_size:
                raise ValueError(
                    "auto_find_batch_size=True works on one process only, since one rank may have enough memory and "
                    "another not: choose per_device_train_batch_size"
                )
            share_weights(self.model, self.communicator)
            own_stream(default_generator(), self.communicator)
            self._averager = GradientAverager(self.communicator)
        return super()._train(checkpoint)

    def _train_epochs(self, plan) -> None:
        if not self._is_alone:
            own_stream(self.generator, self.communicator)  # other neurons drop out on every rank
        super()._train_epochs(plan)
        self._add_up_losses()

    def _change_weights(self) -> None:
        if not self._is_alone:
            self._averager.average_(self._parameters, total=1.0)
        super()._change_weights()

    def _add_up_losses(self) -> None:
        """The losses since the last log are shares of the steps' losses: the sum over ranks is the whole."""
        if not self._is_alone:
            self.loss_meter.look()
            total = np.array([self.loss_meter.since_log])
            self.communicator.allreduce_(total)
            self.loss_meter.since_log = float(total[0]) if self.communicator.rank == 0 else 0.0
            self.loss_meter.since_log = self.communicator.broadcast_object(self.loss_meter.since_log)

    def _log_evaluate_save(self) -> None:
        if self.control.should_log and self.state.global_step > self.loss_meter.step_of_log:
            self._add_up_losses()
        super()._log_evaluate_save()

    def _signal_came(self) -> bool:
        """Has a signal come to any rank? Then all of them stop after the same step."""
        if not self._is_alone:
            came = self.communicator.gather_objects(self._interruption.signal)
            self._interruption.signal = next((signal for signal in came if signal is not None), None)
        return super()._signal_came()

    def _evaluate_unless_interrupted(self):
        return super()._evaluate_unless_interrupted() if self._is_alone else self._evaluate_all()

    def floating_point_ops(self, inputs) -> int:
        return super().floating_point_ops(inputs) * self.communicator.size

    def hyperparameter_search(self, *args, **kwargs):
        if not self._is_alone:
            raise NotImplementedError(
                "hyperparameter_search runs on one process: launch it without mpiexec, or one search a process"
            )
        return super().hyperparameter_search(*args, **kwargs)

    # -- files --------------------------------------------------------------------------------------------------------

    def save_model(self, output_dir=None, _internal_call: bool = False) -> None:
        """The model, the tokenizer and the arguments into a folder: all that is needed to use the model.

        _internal_call  True when the Trainer writes a checkpoint: for subclasses that do something else then

        Of several processes only the main one writes.
        """
        if self.is_world_process_zero():
            super().save_model(output_dir, _internal_call)

    def _save_checkpoint(self, metrics, stand=None) -> None:
        if self._is_alone:
            super()._save_checkpoint(metrics, stand)
            return
        stand = self._stand() if stand is None else stand  # asks all ranks
        if self.is_world_process_zero():
            super()._save_checkpoint(metrics, stand)
        kept = ("best_metric", "best_model_checkpoint")
        best = self.communicator.broadcast_object([getattr(self.state, name) for name in kept])
        for name, value in zip(kept, best):
            setattr(self.state, name, value)
        self._saved_at = (self._epoch, self._batch)

    def _progress(self) -> dict:
        progress = super()._progress()
        if not self._is_alone:
            own = {name: progress[name] for name in OF_EACH_RANK}
            progress["ranks"] = self.communicator.gather_objects(own)
        return progress

    def _load_checkpoint(self, folder: Path) -> None:
        progress = files.read_json(folder / files.RANDOM)
        ranks = progress.get("ranks", [progress])
        if len(ranks) != self.communicator.size:
            raise ValueError(
                f"{folder} was written by {len(ranks)} process(es), and there are {self.communicator.size}: resume on "
                "as many, or begin a new run with the model from that folder"
            )
        super()._load_checkpoint(folder)
        if not self._is_alone:
            own = ranks[self.communicator.rank]
            self.loss_meter.load_state_dict(own["loss"])
            self._random_state = {**self._random_state, **own}
            if not self.args.ignore_data_skip:
                self._loader.load_state_dict(own["loader"])

    def _load_best_model(self) -> None:
        if self.is_world_process_zero():
            super()._load_best_model()  # may delete the newest
        elif self.state.best_model_checkpoint is not None:
            files.load_weights(self.model, self.state.best_model_checkpoint)
        self.communicator.barrier()

    def _find_checkpoint(self, asked):
        if not self._is_alone and not self.is_world_process_zero():
            self.communicator.barrier()  # rank 0 first: it tidies up
        found = super()._find_checkpoint(asked)
        if not self._is_alone and self.is_world_process_zero():
            self.communicator.barrier()
        return found


def _first(rows: int, value):
    """The first rows of an array, or of each in tuples and dictionaries; a number as it is."""
    if isinstance(value, dict):
        return {name: _first(rows, inner) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_first(rows, inner) for inner in value)
    return value[:rows] if getattr(value, "ndim", 0) else value
