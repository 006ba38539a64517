"""The Accelerator's checkpoints: written by the main process, read by all."""

from __future__ import annotations

from pathlib import Path

from . import checkpointing as files
from .seeding import generator_state, global_random_state, restore_generator, restore_global_random_state
from .state_file import read_tree

OPTIMIZER, SCHEDULER, CUSTOM = "optimizer", "scheduler", "custom_checkpoint"
OWN = "rank"  # of each rank: its random numbers, and its place in the data


class AcceleratorState:
    """The part of Accelerator that saves and loads. Every method must be called on all ranks."""

    def save_model(self, model, save_directory) -> None:
        """config.json and model.safetensors (of a plain Module the weights alone), written by the main process."""
        if self.is_main_process:
            files.save_weights(model, save_directory)
        self.wait_for_everyone()

    def register_for_checkpointing(self, *objects) -> None:
        """Save and load these too: anything with `state_dict` and `load_state_dict`."""
        for thing in objects:
            if not (hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict")):
                raise TypeError(
                    f"register_for_checkpointing got {type(thing).__name__}: expected state_dict() and "
                    "load_state_dict(state)"
                )
        self._custom.extend(objects)

    def save_state(self, output_dir) -> None:
        """Everything prepared and registered, into a folder that is complete or not there at all.

        Weights, optimizers, schedules, the place in each loader's epoch, and the random states of every rank. Call it
        where a step ends (after `optimizer.zero_grad()`), inside or outside the loop: after `load_state` the next loop
        over the loader goes on behind the batches that were seen, and gives bit for bit what an uninterrupted run gives
        on as many ranks.
        """
        if not self.sync_gradients:
            raise ValueError(
                "save_state in the middle of a step: the gradients added so far would be lost; call it where "
                "accelerator.sync_gradients is True"
            )
        own = self.communicator.gather_objects(self._own())
        if self.is_main_process:
            files.write_folder(Path(output_dir), lambda folder: self._write(folder, own))
        self.wait_for_everyone()

    def _write(self, folder: Path, own: list[dict]) -> None:
        for number, model in enumerate(self._models):
            files.save_weights(model, folder / _name("model", number) if number else folder)
        trees = {}
        for number, optimizer in enumerate(self._optimizers):
            trees[f"{_name(OPTIMIZER, number)}.safetensors"] = optimizer.state_dict()
        for number, scheduler in enumerate(self._schedulers):
            trees[f"{_name(SCHEDULER, number)}.json"] = scheduler.state_dict()
        for number, thing in enumerate(self._custom):
            trees[f"{CUSTOM}_{number}.safetensors"] = thing.state_dict()
        for rank, state in enumerate(own):
            trees[f"{OWN}_{rank}.json"] = state
        files.write_trees(folder, trees)

    def load_state(self, input_dir) -> None:
        """What `save_state` wrote, into the same things, prepared in the same order on as many ranks."""
        folder = Path(input_dir)
        self._check_folder(folder)
        for number, model in enumerate(self._models):
            files.load_weights(model, folder / _name("model", number) if number else folder)
        for number, optimizer in enumerate(self._optimizers):
            optimizer.load_state_dict(read_tree(folder / f"{_name(OPTIMIZER, number)}.safetensors"))
        for number, scheduler in enumerate(self._schedulers):
            scheduler.load_state_dict(files.read_json(folder / f"{_name(SCHEDULER, number)}.json"))
        for number, thing in enumerate(self._custom):
            thing.load_state_dict(read_tree(folder / f"{CUSTOM}_{number}.safetensors"))
        self._restore_own(files.read_json(folder / f"{OWN}_{self.process_index}.json"))
        self._accumulated = 0
        self.gradient_state.sync_gradients = True
        for model in self._models:
            model.zero_grad()

    def _check_folder(self, folder: Path) -> None:
        saved = len(list(folder.glob(f"{OWN}_*.json")))
        if saved == 0:
            raise ValueError(f"can't load from {folder}: expected a folder that accelerator.save_state wrote")
        if saved != self.num_processes:
            raise ValueError(
                f"{folder} was saved by {saved} rank(s), and there are {self.num_processes}: launch as many, or load "
                "the model alone by from_pretrained"
            )

    def _own(self) -> dict:
        """What differs between ranks: random numbers, and the places in the loaders' epochs."""
        return {
            "loaders": [loader.state_dict() for loader in self._loaders],
            "generators": [generator_state(generator) for generator in self._generators],
            "global": global_random_state(),
        }

    def _restore_own(self, own: dict) -> None:
        for loader, state in zip(self._loaders, own["loaders"]):
            loader.load_state_dict(state)
        for generator, state in zip(self._generators, own["generators"]):
            restore_generator(generator, state)
        restore_global_random_state(own["global"])


def _name(name: str, number: int) -> str:
    """optimizer, optimizer_1, optimizer_2, …"""
    return f"{name}_{number}" if number else name
