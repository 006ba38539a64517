"""Accelerator: a training loop of one's own, on one process or on many.

    from edutransformers.training import Accelerator                                          # 1
    accelerator = Accelerator()                                                               # 2
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)  # 3

    for batch in loader:
        out, cache = model.forward(**batch)
        accelerator.backward(model, {"loss": 1.0}, cache)                                     # 4, for model.backward
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()

`python script.py` runs it on one process, `mpiexec -n 4 python script.py` on four, each with its own share of every
batch. What the names mean is as in Hugging Face's accelerate.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..backend import default_generator, empty_cache, get_backend
from ..module import Module, Parameter
from .accelerator_gather import AcceleratorGather
from .accelerator_state import AcceleratorState
from .clipping import clip_grad_norm_
from .distributed import GradientAverager, communicator, own_stream, share_weights
from .prepared import AcceleratedOptimizer, AcceleratedScheduler, GradientState, PreparedLoader


@dataclass
class ModelProgress:
    """A prepared model's step so far."""

    parameters: list[Parameter]
    averager: GradientAverager
    batch: int | None = None  # the batch whose gradients came last
    weight: float = 0.0  # of all batches that this rank has added since the last sum
    batch_weight: float = 1.0  # of the last batch
    unit: float | None = None  # what a weight of 1 stands for
    total: float | None = None  # what the last sum was divided by; None while batches are being added


class Accelerator(AcceleratorGather, AcceleratorState):
    """Runs a training loop on as many processes as there are.

    gradient_accumulation_steps  batches (on each rank) whose gradients are averaged before the weights change; the loop
                                 says where a batch is worked on: `with accelerator.accumulate(model):`
    split_batches                False: a loader's batch size is each rank's. True: it is that of all ranks together,
                                 so that a script gives the same numbers on any number of ranks.
    even_batches                 False: the last batch of an epoch is shared out, each item counts once. True: it is
                                 filled up with items from the beginning, as in accelerate.
    step_scheduler_with_optimizer  False: a prepared schedule steps whenever it is told to, once

    The gradient of a step is the mean over all items of all its batches on all ranks: N ranks with batches of B items
    give what one process gives with batches of N · B (up to the rounding of sums in another order). Where batches
    differ in what counts (tokens with a label), say how much: `backward(..., counted=number)`.
    """

    def __init__(
        self,
        gradient_accumulation_steps: int = 1,
        split_batches: bool = False,
        even_batches: bool = False,
        step_scheduler_with_optimizer: bool = True,
    ):
        if not isinstance(gradient_accumulation_steps, int) or gradient_accumulation_steps < 1:
            raise ValueError(
                f"gradient_accumulation_steps is {gradient_accumulation_steps!r}: expected a whole number from 1 up"
            )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.split_batches = split_batches
        self.even_batches = even_batches
        self.step_scheduler_with_optimizer = step_scheduler_with_optimizer
        self.communicator = communicator()
        self.device = f"cuda:{self.local_process_index}" if get_backend() == "cupy" else "cpu"
        self.gradient_state = GradientState()
        self._accumulated = 0  # batches since the last step
        self._entered, self._inside = 0, False  # how often accumulate() was entered; is it running
        self._progress: dict[int, ModelProgress] = {}
        self._models: list[Module] = []
        self._optimizers: list[AcceleratedOptimizer] = []
        self._schedulers: list[AcceleratedScheduler] = []
        self._loaders: list[PreparedLoader] = []
        self._generators: list[np.random.Generator] = []
        self._custom: list = []

    # -- who am I -----------------------------------------------------------------------------------------------------

    @property
    def process_index(self) -> int:
        return self.communicator.rank

    @property
    def num_processes(self) -> int:
        return self.communicator.size

    @property
    def local_process_index(self) -> int:
        return self.communicator.local_rank

    @property
    def is_main_process(self) -> bool:
        return self.process_index == 0

    @property
    def is_local_main_process(self) -> bool:
        return self.local_process_index == 0

    @property
    def is_last_process(self) -> bool:
        return self.process_index == self.num_processes - 1

    @property
    def sync_gradients(self) -> bool:
        """Does this batch end a step? Then backward averages the gradients over the ranks."""
        return self.gradient_state.sync_gradients

    # -- prepare ------------------------------------------------------------------------------------------------------

    def prepare(self, *things):
        """Models, optimizers, loaders, schedules and generators, made ready; returned in the order they came in.

        model      the same object, on this rank's device, with rank 0's weights on all ranks
        optimizer  steps only when a step's last batch is through
        loader     yields this rank's batches
        schedule   steps with the optimizer
        generator  a numpy.random.Generator with another stream on each rank (for dropout): the same object

        With the first model the package's default generator too gets a stream of its own on each rank, so that ranks
        don't drop the same neurons. Rank 0 keeps the stream that it had.
        """
        prepared = {id(thing): self._prepare(thing) for thing in sorted(things, key=_turn)}
        result = tuple(prepared[id(thing)] for thing in things)
        return result[0] if len(result) == 1 else result

    def _prepare(self, thing):
        turn = _turn(thing)
        if turn == MODEL:
            return self.prepare_model(thing)
        if turn == OPTIMIZER:
            return self.prepare_optimizer(thing)
        if turn == SCHEDULE:
            return self.prepare_scheduler(thing)
        if turn == GENERATOR:
            return self._prepare_generator(thing)
        return self.prepare_data_loader(thing)

    def prepare_model(self, model: Module) -> Module:
        if id(model) in self._progress:
            return model
        if not self._models:
            self._prepare_generator(default_generator())
        if self.device != "cpu":
            model.to(self.device)
        share_weights(model, self.communicator)
        self._progress[id(model)] = ModelProgress(list(model.parameters()), GradientAverager(self.communicator))
        self._models.append(model)
        return model

    def prepare_optimizer(self, optimizer) -> AcceleratedOptimizer:
        if not isinstance(optimizer, AcceleratedOptimizer):
            optimizer = AcceleratedOptimizer(optimizer, self.gradient_state)
            self._optimizers.append(optimizer)
        return optimizer

    def prepare_scheduler(self, scheduler) -> AcceleratedScheduler:
        if not isinstance(scheduler, AcceleratedScheduler):
            state = self.gradient_state if self.step_scheduler_with_optimizer else GradientState()
            steps = self.num_processes if self.step_scheduler_with_optimizer and not self.split_batches else 1
            scheduler = AcceleratedScheduler(scheduler, state, steps)
            self._schedulers.append(scheduler)
        return scheduler

    def prepare_data_loader(self, loader) -> PreparedLoader:
        if not isinstance(loader, PreparedLoader):
            for place in (loader, getattr(loader, "collate_fn", None)):  # what draws orders, and a collator's masks
                if getattr(place, "generator", None) is not None:
                    self._prepare_generator(place.generator)
            loader = PreparedLoader(
                loader, self.gradient_state, self.communicator, self.even_batches, self.split_batches
            )
            self._loaders.append(loader)
        return loader

    def _prepare_generator(self, generator: np.random.Generator) -> np.random.Generator:
        if not any(generator is other for other in self._generators):
            self._generators.append(generator)
            own_stream(generator, self.communicator)
        return generator

    # -- a step -------------------------------------------------------------------------------------------------------

    def backward(self, model: Module, d_outputs: dict, cache, counted: float | None = None):
        """`model.backward(d_outputs, cache)`; with a step's last batch the gradients become their mean over the ranks.

        counted  what the loss is a mean over, if not the items of the batch: the number of labels that are not −100, in
                 language modelling or token classification. Ranks and batches then count by it, so that the step is
                 that of the whole batch at once:

                     Σᵢ nᵢ gᵢ / Σᵢ nᵢ        nᵢ: counted, gᵢ: gradient; over the batches i of the step on all ranks

        Returns what `model.backward` returns (times the batch's weight, where batches count differently).
        """
        progress = self._progress.get(id(model))
        if progress is None:
            raise ValueError("accelerator.backward got a model that accelerator.prepare has not seen")
        kept = self._begin(progress)
        weight = self._weigh(progress, counted)
        d_inputs = model.backward(d_outputs if weight == 1 else _times(d_outputs, weight), cache)
        if self.sync_gradients:
            # A second backward for the same batch (two losses) adds to gradients that are averaged already.
            progress.total = progress.averager.average_(progress.parameters, progress.weight, progress.total)
            progress.weight, progress.unit = 0.0, None
            for parameter, gradient in kept:
                parameter.accumulate(gradient)
        return d_inputs

    def _begin(self, progress: ModelProgress) -> list[tuple]:
        """Tell a new step, and a second backward of the same batch, from one more batch. Returns averaged gradients."""
        if progress.total is None:
            return []
        kept = [(p, p.grad) for p in progress.parameters if p.grad is not None]
        if not kept:  # they were used and forgotten: a new step
            progress.total = progress.batch = None
            return []
        if not self.sync_gradients or progress.batch != self._batch():
            raise ValueError(
                "the last step's gradients are still there: call optimizer.zero_grad() after optimizer.step()"
            )
        if not progress.batch:  # nobody has told batches apart: each counts for itself
            progress.total = None
        for parameter, _ in kept:
            parameter.grad = None
        return [(parameter, gradient.copy()) for parameter, gradient in kept]  # they were views of the flat buffer

    def _batch(self) -> int:
        """A number for the batch that is being worked on; 0 if nobody has told."""
        return (
            self.gradient_state.batches + self._entered if self.gradient_state.active_dataloader or self._inside else 0
        )

    def _weigh(self, progress: ModelProgress, counted: float | None) -> float:
        """How much this backward counts, relative to a full batch."""
        batch = self._batch()
        if batch and batch == progress.batch:
            return progress.batch_weight  # another loss of the same batch
        loader = self.gradient_state.active_dataloader
        if counted is None:
            counted = 1 if loader is None else loader.counted
        elif loader is not None and loader.counted == 0:
            counted = 0  # nothing was left for this rank: its items are another's
        if progress.unit is None:  # on one process a step of one batch has the weight 1: nothing is multiplied
            unit = counted if self.num_processes == 1 else getattr(loader, "batch_size", 1)
            progress.unit = float(unit) or 1.0
        progress.batch, progress.batch_weight = batch, float(counted) / progress.unit
        progress.weight += progress.batch_weight
        return progress.batch_weight

    @contextmanager
    def accumulate(self, *models):
        """One batch. The step is over with every `gradient_accumulation_steps`-th, and with a loader's last."""
        self._entered += 1
        self._accumulated += 1
        self.gradient_state.sync_gradients = (
            self._accumulated % self.gradient_accumulation_steps == 0 or self.gradient_state.end_of_dataloader
        )
        if self.gradient_state.sync_gradients:
            self._accumulated = 0
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    @contextmanager
    def no_sync(self, model: Module | None = None):
        """Inside, backward adds gradients and does not average them over the ranks."""
        before, self.gradient_state.sync_gradients = self.gradient_state.sync_gradients, False
        try:
            yield
        finally:
            self.gradient_state.sync_gradients = before

    def clip_grad_norm_(self, parameters, max_norm: float):
        """`clip_grad_norm_` where a step ends; None while gradients are still being added. The same on all ranks."""
        return clip_grad_norm_(parameters, max_norm) if self.sync_gradients else None

    # -- helpers ------------------------------------------------------------------------------------------------------

    def print(self, *args, **kwargs) -> None:
        """`print` on the main process of each machine."""
        if self.is_local_main_process:
            print(*args, **kwargs)

    def on_main_process(self, function):
        """A decorator: the function runs on the main process only, and returns None on the others."""
        return lambda *args, **kwargs: function(*args, **kwargs) if self.is_main_process else None

    def wait_for_everyone(self) -> None:
        """Return when all processes have come here."""
        self.communicator.barrier()

    @contextmanager
    def main_process_first(self):
        """The main process goes through the block before the others do (to download, or to make a file they read)."""
        if not self.is_main_process:
            self.wait_for_everyone()
        yield
        if self.is_main_process:
            self.wait_for_everyone()

    def unwrap_model(self, model: Module) -> Module:
        """The model: nothing wraps it here."""
        return model

    def free_memory(self) -> None:
        """Forget everything prepared, and give cached GPU memory back."""
        for kept in (self._progress, self._models, self._optimizers, self._schedulers, self._loaders):
            kept.clear()
        self._generators.clear()
        self._accumulated = 0
        empty_cache()


MODEL, LOADER, OPTIMIZER, SCHEDULE, GENERATOR = range(5)  # in this order things are prepared, the same on all ranks


def _turn(thing) -> int:
    if isinstance(thing, Module):
        return MODEL
    if isinstance(thing, np.random.Generator):
        return GENERATOR
    if hasattr(thing, "param_groups") and hasattr(thing, "zero_grad"):
        return OPTIMIZER
    if hasattr(thing, "step") and hasattr(thing, "optimizer"):
        return SCHEDULE
    if hasattr(thing, "__iter__"):
        return LOADER
    raise TypeError(
        f"accelerator.prepare got {type(thing).__name__}: expected models, optimizers, data loaders, "
        "schedules, or numpy generators"
    )


def _times(value, weight: float):
    """weight · value, for a number, an array, or dictionaries and tuples of them."""
    if isinstance(value, dict):
        return {name: _times(inner, weight) for name, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_times(inner, weight) for inner in value)
    return None if value is None else value * weight
