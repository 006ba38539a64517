"""The Trainer's data: in which order, in which batches, and with which entries the model gets it."""

from __future__ import annotations

import numpy as np

from .collators import DataCollatorWithPadding, default_data_collator
from .columns import RemoveColumnsCollator, taken_columns
from .data import DataLoader, LengthGroupedSampler, LengthSortedSampler, RandomSampler, SequentialSampler, lengths_of
from .seeding import DATA


class TrainerData:
    """The part of Trainer that makes data loaders."""

    def get_train_dataloader(self) -> DataLoader:
        """The batches of an epoch, in a new order each time."""
        dataset = _not_empty(self.train_dataset, "train_dataset")
        return DataLoader(
            dataset,
            self.args.train_batch_size,
            sampler=self._get_train_sampler(),
            collate_fn=self._collator_for(self.model),
            drop_last=self.args.dataloader_drop_last,
        )

    def _get_train_sampler(self):
        args, dataset = self.args, self.train_dataset
        generator = np.random.default_rng([args.seed if args.data_seed is None else args.data_seed, DATA])
        if args.group_by_length:
            return LengthGroupedSampler(self._lengths(dataset), args.train_batch_size, generator)
        return RandomSampler(len(dataset), generator)

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        """The batches of an evaluation."""
        dataset = _not_empty(self.eval_dataset if eval_dataset is None else eval_dataset, "eval_dataset")
        sampler = self._get_eval_sampler(dataset)
        return DataLoader(
            dataset, self.args.eval_batch_size, sampler=sampler, collate_fn=self._collator_for(self.model)
        )

    def _get_eval_sampler(self, eval_dataset):
        """With `group_by_length`, longest first; predictions are put back into the data set's order."""
        if self.args.group_by_length:
            return LengthSortedSampler(self._lengths(eval_dataset))
        return SequentialSampler(len(eval_dataset))

    def get_test_dataloader(self, test_dataset) -> DataLoader:
        """The batches of a prediction."""
        return self.get_eval_dataloader(_not_empty(test_dataset, "test_dataset"))

    def _lengths(self, dataset):
        input_name = getattr(self.model, "main_input_name", "input_ids")
        return lengths_of(dataset, input_name, self.args.length_column_name)

    def _collator_for(self, model):
        columns = taken_columns(model, self.label_names) if self.args.remove_unused_columns else None
        return self.data_collator if columns is None else RemoveColumnsCollator(self.data_collator, columns)

    def _default_collator(self):
        return default_data_collator if self.tokenizer is None else DataCollatorWithPadding(self.tokenizer)


def _not_empty(dataset, name: str):
    if dataset is None:
        raise ValueError(f"there is no {name}: pass it to Trainer, or to the method")
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise TypeError(f"{name} needs len() and [index], {type(dataset).__name__} has not both; use list(...)")
    if len(dataset) == 0:
        raise ValueError(f"{name} is empty")
    return dataset
