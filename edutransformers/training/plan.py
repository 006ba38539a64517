"""How long training takes: from epochs, batches and gradient accumulation to steps."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

from ..layers import Embedding
from ..module import Module
from .arguments import TrainingArguments


class Plan(NamedTuple):
    """A training run in numbers."""

    batches: int  # in an epoch
    accumulation: int  # batches in a step
    max_steps: int
    epochs: int
    samples: int  # items seen in all


def plan_of(args: TrainingArguments, batches: int | None, items: int | None) -> Plan:
    """The run that `args` ask for, over epochs of `batches` batches and `items` items.

    Where these are not known (None), `max_steps` must say how long; for logs all of it then counts as one epoch, and
    each further pass over the data as one more, as in the original.

    Batches left over at an epoch's end, too few for a step, count for the next epoch's first step, as in the original;
    so E epochs make ⌈E · ⌊batches / accumulation⌋⌉ steps.
    """
    if batches is None:
        if args.max_steps <= 0:
            raise ValueError(
                "train_dataset has no length, so nobody knows how many steps "
                f"num_train_epochs={args.num_train_epochs} are: set max_steps"
            )
        batches = args.max_steps * args.gradient_accumulation_steps
        return Plan(
            batches, args.gradient_accumulation_steps, args.max_steps, sys.maxsize, batches * args.train_batch_size
        )
    if batches == 0:
        raise ValueError(
            f"an epoch has no batch: train_dataset has {items} items, fewer than "
            f"per_device_train_batch_size={args.train_batch_size}, and dataloader_drop_last is set"
        )
    accumulation = min(args.gradient_accumulation_steps, batches)
    if args.max_steps > 0:
        epochs = -(-args.max_steps * accumulation // batches)  # rounded up
        samples = args.max_steps * accumulation * args.train_batch_size * args.world_size
        return Plan(batches, accumulation, args.max_steps, epochs, samples)
    max_steps = math.ceil(args.num_train_epochs * (batches // accumulation))
    return Plan(batches, accumulation, max_steps, math.ceil(args.num_train_epochs), int(items * args.num_train_epochs))


def weights_that_multiply(model: Module) -> int:
    """The N of the rule 6·N·T: all weights but the tables that are looked up. A table that is an output layer too
    counts as looked up; `flops_report` counts each product.
    """
    tables = {id(m.weight): m.weight.size for m in model.modules() if isinstance(m, Embedding)}
    return model.num_parameters() - sum(tables.values())
