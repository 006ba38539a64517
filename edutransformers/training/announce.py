"""What the Trainer says it is going to do, in the original's words. `logging.set_verbosity_info()` shows it."""

from __future__ import annotations

from ..logging import get_logger
from .callbacks.progress import length_of

logger = get_logger(__name__)


def announce_training(trainer, plan) -> None:
    """The plan of a run, and where a resumed one goes on."""
    args, state = trainer.args, trainer.state
    if not state.is_world_process_zero:
        return
    items = length_of(trainer.train_dataset)
    in_a_step = args.train_batch_size * plan.accumulation * args.world_size
    logger.info("***** Running training *****")
    logger.info("  Num examples = %s", f"{plan.samples if items is None else items:,}")
    logger.info("  Num Epochs = %s", "unknown" if items is None else f"{plan.epochs:,}")
    logger.info("  Instantaneous batch size per device = %s", f"{args.per_device_train_batch_size:,}")
    logger.info("  Total train batch size (w. parallel, distributed & accumulation) = %s", f"{in_a_step:,}")
    logger.info("  Gradient Accumulation steps = %d", plan.accumulation)
    logger.info("  Total optimization steps = %s", f"{plan.max_steps:,}")
    trainable = trainer.model.num_parameters(only_trainable=True)
    logger.info("  Number of trainable parameters = %s", f"{trainable:,}")
    if state.global_step:
        logger.info("  Continuing training from checkpoint, will skip to saved global_step")
        logger.info("  Continuing training from epoch %d", trainer._epoch)
        logger.info("  Continuing training from global step %d", state.global_step)
        if trainer._batch:
            logger.info("  Will skip the first %d batches of that epoch", trainer._batch)


def announce_evaluation(trainer, description: str, dataloader) -> None:
    """What goes through the model."""
    if not trainer.state.is_world_process_zero:
        return
    items = length_of(getattr(dataloader, "dataset", None))
    logger.info("***** Running %s *****", description)
    logger.info("  Num examples = %s", "unknown" if items is None else items)
    logger.info("  Batch size = %d", trainer.args.eval_batch_size)
