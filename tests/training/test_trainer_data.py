"""Data sets of all kinds in the Trainer: tables, iterables without a length, workers; and going on in the middle."""

import numpy as np
import pytest

from edutransformers import BertForMaskedLM, BertTokenizer, GPT2Config, GPT2DoubleHeadsModel, GPT2LMHeadModel
from edutransformers.training import (
    DataCollatorForLanguageModeling,
    Dataset,
    IterableDataset,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from edutransformers.training.columns import label_names, taken_columns
from tests.training.toy import accuracy, assert_same_weights, toy_data, toy_model, toy_trainer


class Stream:
    """Only iteration. Counts how often it was begun, and how many items were drawn."""

    def __init__(self, count=20):
        self.items = toy_data(count)
        self.begun = self.drawn = 0

    def __iter__(self):
        self.begun += 1
        for item in self.items:
            self.drawn += 1
            yield item


class Interrupt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def in_order(folder, data, **arguments):
    """The weights after training on a sequence, without shuffling."""

    class InOrder(Trainer):
        def _get_train_sampler(self):
            return range(len(self.train_dataset))

    trainer = toy_trainer(folder, train=data, trainer_class=InOrder, arguments=arguments)
    trainer.train()
    return trainer.model


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("kind", ["object", "function", "IterableDataset"])
def test_an_iterable_trains_like_a_list_in_its_order(tmp_path, kind, workers):
    stream = Stream()
    data = {
        "object": stream,
        "function": lambda: iter(stream),
        "IterableDataset": IterableDataset(lambda: iter(stream)),
    }
    arguments = {"max_steps": 8, "logging_strategy": "steps", "logging_steps": 4, "gradient_accumulation_steps": 1}
    trainer = toy_trainer(tmp_path, train=data[kind], arguments={**arguments, "dataloader_num_workers": workers})
    output = trainer.train()
    assert_same_weights(trainer.model, in_order(tmp_path, toy_data(20), max_steps=8))
    assert stream.begun == 2  # 5 batches a pass
    assert output.global_step == trainer.state.max_steps == 8
    # As in the original: the whole run counts as one epoch, and each pass adds one.
    assert [log["epoch"] for log in trainer.log_history if "loss" in log] == [0.5, 1.38]


def test_an_iterable_is_evaluated_too(tmp_path, capsys):
    items = toy_data(18, seed=1)
    trainer = toy_trainer(
        tmp_path, test=lambda: iter(items), compute_metrics=accuracy, arguments={"disable_tqdm": False}
    )
    expected = toy_trainer(tmp_path, test=items, compute_metrics=accuracy)
    for mine, theirs in ((trainer.evaluate(), expected.evaluate()),):
        assert mine["eval_loss"] == theirs["eval_loss"]
        assert mine["eval_accuracy"] == theirs["eval_accuracy"]
    one, other = trainer.predict(lambda: iter(items)), expected.predict(items)
    np.testing.assert_array_equal(one.predictions, other.predictions)


def test_an_iterable_needs_max_steps(tmp_path):
    with pytest.raises(ValueError, match="train_dataset has no length.*set max_steps"):
        toy_trainer(tmp_path, train=Stream(), arguments={"num_train_epochs": 2}).train()


def test_what_can_be_read_only_once(tmp_path):
    with pytest.raises(TypeError, match="can be read only once"):
        toy_trainer(tmp_path, train=iter(toy_data(20)), arguments={"max_steps": 3}).train()
    once = iter(toy_data(20))
    with pytest.raises(ValueError, match="gave no batch in epoch 1: can it be read only once"):
        toy_trainer(tmp_path, train=lambda: once, arguments={"max_steps": 30}).train()
    with pytest.raises(ValueError, match="gave no batch in epoch 0"):
        toy_trainer(tmp_path, train=lambda: iter(()), arguments={"max_steps": 3}).train()


@pytest.mark.parametrize("workers", [0, 1])
def test_going_on_with_an_iterable_draws_what_was_seen(tmp_path, workers):
    arguments = {"max_steps": 12, "save_strategy": "steps", "save_steps": 3, "dataloader_num_workers": workers}
    whole = toy_trainer(tmp_path / "whole", train=Stream(), arguments=arguments)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path / "b", train=Stream(), arguments=arguments, callbacks=[Interrupt(10)]).train()
    stream = Stream()
    resumed = toy_trainer(tmp_path / "b", toy_model(9), train=stream, arguments=arguments)
    resumed.train(resume_from_checkpoint=True)
    assert_same_weights(resumed.model, whole.model)
    assert resumed.log_history[-1]["train_loss"] == whole.log_history[-1]["train_loss"]
    assert (stream.begun, stream.drawn >= 28) == (2, True)  # from step 9 on: in the middle of the second pass


def test_masks_of_workers_and_of_a_resumed_run(tmp_path):
    """No workers, three workers, and workers interrupted in the middle: the same weights, bit for bit."""
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(45))])
    table = Dataset.from_dict({"input_ids": [item["input_ids"] for item in toy_data(20)], "text": ["not wanted"] * 20})

    def trainer(folder, workers, seed=0, callbacks=()):
        return toy_trainer(
            folder,
            BertForMaskedLM(toy_model().config, generator=np.random.default_rng(seed)),
            train=table,
            data_collator=DataCollatorForLanguageModeling(tokenizer, seed=4, mlm_probability=0.5),
            callbacks=callbacks,
            arguments={"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 4, "learning_rate": 1e-2,
                       "dataloader_num_workers": workers},
        )  # fmt: skip

    plain, ahead = trainer(tmp_path / "plain", 0), trainer(tmp_path / "ahead", 3)
    plain.train()
    ahead.train()
    assert_same_weights(plain.model, ahead.model)
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "broken", 3, callbacks=[Interrupt(7)]).train()
    resumed = trainer(tmp_path / "broken", 2, seed=5)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-4"))
    assert_same_weights(plain.model, resumed.model)


def test_columns_that_are_not_used_are_not_looked_at(tmp_path):
    """A table's pictures are not opened; a transform sees every column."""
    from edutransformers.training import Image

    columns = {name: [item[name] for item in toy_data(8)] for name in toy_data(1)[0]}
    columns["image"] = ["there/is/no/such.png"] * 8
    table = Dataset.from_dict(columns, features={"image": Image()})
    arguments = {"max_steps": 2}
    toy_trainer(tmp_path, train=table, arguments=arguments).train()
    with pytest.raises(FileNotFoundError):
        toy_trainer(tmp_path, train=table, arguments={**arguments, "remove_unused_columns": False}).train()
    seen = []

    def transform(batch):
        seen.append(list(batch))
        return {name: batch[name] for name in ("input_ids", "attention_mask", "label")}

    toy_trainer(tmp_path, train=table.remove_columns("image").with_transform(transform), arguments=arguments).train()
    assert set(seen[0]) == {"input_ids", "attention_mask", "label"}


def test_lengths_come_from_the_column(tmp_path):
    columns = {name: [item[name] for item in toy_data(20)] for name in toy_data(1)[0]}
    table = Dataset.from_dict({**columns, "length": list(range(20))})
    trainer = toy_trainer(tmp_path, train=table, arguments={"group_by_length": True})
    assert trainer._get_train_sampler().lengths.tolist() == list(range(20))
    by_ids = toy_trainer(tmp_path, train=table.remove_columns("length"), arguments={"group_by_length": True})
    assert by_ids._get_train_sampler().lengths.tolist() == [6] * 20


def test_bad_numbers_of_workers():
    for bad in (-1, 1.5):
        with pytest.raises(ValueError, match="dataloader_num_workers is"):
            TrainingArguments("x", dataloader_num_workers=bad)
    with pytest.raises(ValueError, match="dataloader_prefetch_factor is for workers"):
        TrainingArguments("x", dataloader_prefetch_factor=2)
    with pytest.raises(ValueError, match="dataloader_prefetch_factor is 0"):
        TrainingArguments("x", dataloader_num_workers=1, dataloader_prefetch_factor=0)


@pytest.mark.parametrize(
    ("model", "labels"), [(GPT2LMHeadModel, ["labels"]), (GPT2DoubleHeadsModel, ["labels", "mc_labels"])]
)
def test_labels_of_decoders_are_found(model, labels):
    config = GPT2Config(vocab_size=11, n_embd=6, n_layer=1, n_head=2, n_positions=8)
    found = label_names(model(config))
    assert sorted(name for name in found if "label" in name) == labels
    assert {"labels", "input_ids", "attention_mask"} <= taken_columns(model(config), found)
