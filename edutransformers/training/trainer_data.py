"""The Trainer's data: in which order, in which batches, and with which entries the model gets it."""

from __future__ import annotations

import numpy as np

from .collators import DataCollatorWithPadding, default_data_collator
from .columns import remove_columns, taken_columns
from .data import DataLoader, is_sequence
from .samplers import LengthGroupedSampler, LengthSortedSampler, RandomSampler, SequentialSampler, lengths_of
from .seeding import DATA


class TrainerData:
    """The part of Trainer that makes data loaders."""

    def get_train_dataloader(self) -> DataLoader:
        """The batches of an epoch, in a new order each time."""
        dataset = _not_empty(self.train_dataset, "train_dataset")
        return DataLoader(
            self._without_unused_columns(dataset),
            self.args.train_batch_size,
            sampler=self._get_train_sampler() if is_sequence(dataset) else None,
            collate_fn=self._collator_for(self.model),
            drop_last=self.args.dataloader_drop_last,
            **self._workers(dataset),
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
        return DataLoader(
            self._without_unused_columns(dataset),
            self.args.eval_batch_size,
            sampler=self._get_eval_sampler(dataset) if is_sequence(dataset) else None,
            collate_fn=self._collator_for(self.model),
            **self._workers(dataset),
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
        return self.data_collator if columns is None else remove_columns(self.data_collator, columns)

    def _without_unused_columns(self, dataset):
        """A table without the columns that the collator would drop: pictures that nobody wants are not opened."""
        columns = taken_columns(self.model, self.label_names) if self.args.remove_unused_columns else None
        is_table = hasattr(dataset, "select_columns") and isinstance(getattr(dataset, "column_names", None), list)
        if columns is None or not is_table or getattr(dataset, "format", {"type": "custom"})["type"] == "custom":
            return dataset  # a transform makes the model's columns from the others: it sees all of them
        columns = columns | {self.args.length_column_name}
        return dataset.select_columns([name for name in dataset.column_names if name in columns])

    def _length_of_epoch(self) -> tuple[int | None, int | None]:
        """(batches, items) of an epoch; None where the data set doesn't tell."""
        try:
            return len(self._loader), 0 if self.train_dataset is None else len(self.train_dataset)
        except TypeError:
            return None, None

    def _workers(self, dataset) -> dict:
        count = self.args.dataloader_num_workers
        if not is_sequence(dataset):
            count = min(count, 1)  # what comes one after the other is read by one
        return {"num_workers": count, "prefetch_factor": self.args.dataloader_prefetch_factor if count else None}

    def _default_collator(self):
        return default_data_collator if self.tokenizer is None else DataCollatorWithPadding(self.tokenizer)


def _not_empty(dataset, name: str):
    if dataset is None:
        raise ValueError(f"there is no {name}: pass it to Trainer, or to the method")
    if is_sequence(dataset) and len(dataset) == 0:
        raise ValueError(f"{name} is empty")
    return dataset
