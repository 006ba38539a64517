"""What a recipe's `prepare` hands to the Trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...module import Module
from ..trainer import Trainer


@dataclass
class Prepared:
    """A task made ready: texts are ids, labels are numbers, and somebody knows how to score them."""

    model: Module
    tokenizer: object
    data_collator: object
    train_dataset: list[dict]
    eval_dataset: list[dict]
    compute_metrics: Callable | None
    notes: list[str]  # what people should know of the data
    example: str  # a text to try the model on
    preprocess_logits_for_metrics: Callable | None = None
    trainer_class: type = Trainer

    def trainer(self, args, **more) -> Trainer:
        """The Trainer of all this."""
        return self.trainer_class(
            self.model,
            args,
            data_collator=self.data_collator,
            train_dataset=self.train_dataset,
            eval_dataset=self.eval_dataset,
            tokenizer=self.tokenizer,
            compute_metrics=self.compute_metrics,
            preprocess_logits_for_metrics=self.preprocess_logits_for_metrics,
            **more,
        )
