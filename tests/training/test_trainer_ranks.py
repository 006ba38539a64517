"""The Trainer on several ranks (threads): the numbers of one process with the large batch; one rank writes."""

import numpy as np
import pytest

from edutransformers.training import (
    RandomCollator,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)
from edutransformers.training.distributed import communicator, run_in_threads
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer, weights_of

TIMES = ("runtime", "per_second", "total_flos")


def numbers(history):
    return [{name: value for name, value in log.items() if not name.endswith(TIMES)} for log in history]


def train(folder, ranks=1, model=None, items=22, arguments=None, **parts):
    """Batches of 4 items over all ranks, in float64. Returns what each rank ends with."""
    defaults = {"num_train_epochs": 2, "learning_rate": 1e-2, "weight_decay": 0.1, "logging_strategy": "steps",
                "logging_steps": 2, "evaluation_strategy": "epoch", "per_device_eval_batch_size": 4 // ranks,
                "per_device_train_batch_size": 4 // ranks}  # fmt: skip

    def run():
        net = toy_model(dropout=0.0).astype("float64") if model is None else model()
        trainer = toy_trainer(
            folder, net, toy_data(items), toy_data(11, seed=1), compute_metrics=accuracy,
            arguments={**defaults, **(arguments or {})}, **parts,
        )  # fmt: skip
        trainer.train()
        prediction = trainer.predict(toy_data(7, seed=2))
        return numbers(trainer.log_history), weights_of(trainer.model), prediction

    return run_in_threads(run, ranks)


def assert_same_run(first, second):
    for mine, theirs in zip(first[0], second[0], strict=True):
        assert mine.keys() == theirs.keys()
        np.testing.assert_allclose(list(mine.values()), list(theirs.values()), rtol=0, atol=1e-6)
    for name, value in second[1].items():
        np.testing.assert_allclose(first[1][name], value, rtol=0, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(first[2].predictions, second[2].predictions, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(first[2].label_ids, second[2].label_ids)
    assert first[2].metrics["test_accuracy"] == second[2].metrics["test_accuracy"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"gradient_accumulation_steps": 2, "label_smoothing_factor": 0.1, "warmup_steps": 2},
        {"dataloader_drop_last": True, "max_steps": 7, "lr_scheduler_type": "cosine", "save_strategy": "epoch",
         "load_best_model_at_end": True, "metric_for_best_model": "accuracy", "save_total_limit": 1},
    ],
)  # fmt: skip
def test_two_ranks_are_one_process_with_twice_the_batch(tmp_path, arguments):
    """22 and 11 items: the last batches are smaller, and shared out."""
    (alone,) = train(tmp_path / "alone", arguments=arguments)
    first, second = train(tmp_path / "two", ranks=2, arguments=arguments)
    assert_same_run(first, alone)
    assert first[0] == second[0]
    for name, value in first[1].items():
        np.testing.assert_array_equal(second[1][name], value, err_msg=name)
    np.testing.assert_array_equal(first[2].predictions, second[2].predictions)


def test_four_ranks_and_fewer_items_than_ranks(tmp_path):
    """21 = 5 · 4 + 1 items: in an epoch's last round three ranks have nothing left."""
    (alone,) = train(tmp_path / "alone", items=21)
    for result in train(tmp_path / "four", ranks=4, items=21):
        assert_same_run(result, alone)


class Interrupt(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 7:
            raise KeyboardInterrupt


@pytest.mark.parametrize("arguments", [{"save_strategy": "steps", "save_steps": 3}, {"save_strategy": "epoch"}])
def test_resumed_is_uninterrupted(tmp_path, arguments):
    """Two ranks with dropout, shuffling, and losses since the last log: bit for bit."""
    arguments = {**arguments, "num_train_epochs": 3, "logging_steps": 4}
    whole = train(tmp_path / "whole", 2, toy_model, arguments=arguments)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", 2, toy_model, arguments=arguments, callbacks=[Interrupt])

    def resume():
        trainer = toy_trainer(
            tmp_path / "broken", toy_model(seed=9), toy_data(22), toy_data(11, seed=1), compute_metrics=accuracy,
            arguments={"num_train_epochs": 3, "learning_rate": 1e-2, "weight_decay": 0.1, "logging_strategy": "steps",
                       "evaluation_strategy": "epoch", "per_device_eval_batch_size": 2,
                       "per_device_train_batch_size": 2, **arguments},
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=True)
        return numbers(trainer.log_history), weights_of(trainer.model), trainer.is_world_process_zero()

    resumed = run_in_threads(resume, 2)
    assert [is_zero for *_, is_zero in resumed] == [True, False]
    for mine, theirs in zip(resumed, whole):
        assert mine[0] == theirs[0]
        for name, value in theirs[1].items():
            np.testing.assert_array_equal(mine[1][name], value, err_msg=name)
    with pytest.raises(ValueError, match=r"was written by 2 process\(es\), and there are 1"):
        toy_trainer(tmp_path / "broken").train(resume_from_checkpoint=True)


def test_ranks_drop_other_neurons_and_begin_with_the_same_weights(tmp_path):
    def run():
        rank = communicator().rank
        trainer = toy_trainer(tmp_path, toy_model(seed=rank), arguments={"max_steps": 1, "learning_rate": 0.0})
        trainer.train()
        return trainer.generator.random(), weights_of(trainer.model)

    (draw0, first), (draw1, second) = run_in_threads(run, 2)
    assert draw0 != draw1
    for name, value in weights_of(toy_model(seed=0)).items():
        np.testing.assert_array_equal(first[name], value)
        np.testing.assert_array_equal(second[name], value)


def test_ranks_hide_other_words(tmp_path):
    """A collator that draws has one seed and a stream for each rank."""

    class Draws(RandomCollator):
        def __init__(self):
            self.generator, self.drawn = np.random.default_rng(5), []

        def collate(self, features, generator):
            self.drawn.append(int(generator.integers(2**62)))
            return default_data_collator(features)

    def run():
        collator = Draws()
        toy_trainer(tmp_path, train=toy_data(16), data_collator=collator, arguments={"num_train_epochs": 2}).train()
        return collator.drawn

    (alone,) = run_in_threads(run, 1)
    first, second = run_in_threads(run, 2)
    assert len(first) == len(second) == 4
    assert first[:2] == alone[:2]  # rank 0 draws as one process does
    assert not set(first) & set(second)


def test_one_rank_writes_and_prints(tmp_path, capsys):
    saves = []

    class Count(Trainer):
        def _write_checkpoint(self, folder, stand):
            saves.append(self.args.process_index)
            super()._write_checkpoint(folder, stand)

    def run():
        trainer = toy_trainer(
            tmp_path, trainer_class=Count,
            arguments={"max_steps": 2, "logging_strategy": "steps", "logging_steps": 1, "save_strategy": "steps",
                       "save_steps": 2},
        )  # fmt: skip
        trainer.train()
        trainer.save_model(tmp_path / "model")
        return trainer.args.world_size, trainer.args.process_index, trainer.args.local_process_index

    assert run_in_threads(run, 2) == [(2, 0, 0), (2, 1, 1)]
    assert saves == [0]
    assert capsys.readouterr().out.count("'loss'") == 2
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_a_signal_on_one_rank_stops_all_after_the_same_step(tmp_path):
    class Signal(TrainerCallback):
        def __init__(self, trainer):
            self.trainer = trainer

        def on_step_begin(self, args, state, control, **kwargs):
            if args.process_index == 1 and state.global_step == 2:
                self.trainer._interruption.signal = 2  # as the handler does

    def run():
        trainer = toy_trainer(tmp_path, arguments={"save_strategy": "epoch"})
        trainer.add_callback(Signal(trainer))
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        return trainer.state.global_step

    assert run_in_threads(run, 2) == [3, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_what_works_on_one_process_only(tmp_path):
    def trainer(**arguments):
        return toy_trainer(tmp_path, arguments=arguments)

    with pytest.raises(ValueError, match="auto_find_batch_size=True works on one process only"):
        run_in_threads(lambda: trainer(auto_find_batch_size=True).train(), 2)
    with pytest.raises(NotImplementedError, match="hyperparameter_search runs on one process"):
        run_in_threads(lambda: trainer().hyperparameter_search(), 2)
    assert TrainingArguments("out").world_size == 1
