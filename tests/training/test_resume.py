"""Checkpoints: what is in them, which are kept, and that going on from one gives the bits of never having stopped."""

import json
from pathlib import Path

import numpy as np
import pytest

from edutransformers import BertForMaskedLM, BertForSequenceClassification, BertTokenizer
from edutransformers.training import (
    DataCollatorForLanguageModeling,
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerState,
    get_last_checkpoint,
)
from edutransformers.training.checkpointing import write_folder
from tests.training.toy import accuracy, assert_same_weights, toy_data, toy_model, toy_trainer, weights_of

LEARN = {"learning_rate": 1e-2, "weight_decay": 0.1, "warmup_steps": 2, "logging_strategy": "steps", "logging_steps": 2}
TIMES = ("runtime", "per_second")


class Interrupt(TrainerCallback):
    """Ctrl-C in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def without_times(history):
    return [{k: v for k, v in log.items() if not k.endswith(TIMES)} for log in history]


def assert_same_run(first, second):
    assert_same_weights(first.model, second.model)
    assert without_times(first.log_history) == without_times(second.log_history)
    assert first.state.global_step == second.state.global_step
    assert first.lr_scheduler.state_dict() == second.lr_scheduler.state_dict()
    for mine, theirs in zip(*(t.optimizer.state_dict()["state"].values() for t in (first, second)), strict=True):
        assert mine["step"] == theirs["step"]
        np.testing.assert_array_equal(mine["exp_avg"], theirs["exp_avg"])


@pytest.mark.parametrize(
    ("arguments", "stop"),
    [
        ({"save_strategy": "steps", "save_steps": 3}, 5),  # in an epoch's middle
        ({"save_strategy": "steps", "save_steps": 5}, 7),  # after an epoch's last batch, before its end
        ({"save_strategy": "epoch"}, 8),
        ({"save_strategy": "epoch", "gradient_accumulation_steps": 3, "num_train_epochs": 6}, 4),  # over an epoch's end
        ({"save_strategy": "steps", "save_steps": 2, "gradient_accumulation_steps": 2}, 3),
        ({"save_strategy": "steps", "save_steps": 4, "group_by_length": True}, 6),
        ({"save_strategy": "epoch", "evaluation_strategy": "epoch", "load_best_model_at_end": True}, 12),
        ({"save_strategy": "steps", "save_steps": 3, "evaluation_strategy": "steps", "eval_steps": 3,
          "gradient_checkpointing": True, "label_smoothing_factor": 0.1}, 8),
    ],
)  # fmt: skip
def test_resumed_is_uninterrupted(tmp_path, arguments, stop):
    """Dropout, shuffling, schedule, moments, logs and losses: bit for bit."""
    arguments = {**LEARN, "num_train_epochs": 3, **arguments}
    whole = toy_trainer(tmp_path / "whole", arguments=arguments)
    expected = whole.train()

    broken = toy_trainer(tmp_path / "broken", arguments=arguments, callbacks=[Interrupt(stop)])
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    resumed = toy_trainer(tmp_path / "broken", model=toy_model(seed=99), arguments=arguments)
    output = resumed.train(resume_from_checkpoint=True)
    assert_same_run(whole, resumed)
    assert output.training_loss == expected.training_loss
    assert output.metrics["total_flos"] == expected.metrics["total_flos"]


def test_resumed_masked_language_model_draws_the_same_masks(tmp_path):
    """The collator has a generator of its own; Python's and NumPy's global ones are used by the data set."""
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(45))])

    class Augmented(list):
        def __getitem__(self, index):
            item = super().__getitem__(index)
            return {"input_ids": item["input_ids"] - np.random.randint(0, 3)}  # noqa: NPY002

    def trainer(folder, callbacks=()):
        return toy_trainer(
            folder,
            BertForMaskedLM(toy_model().config, generator=np.random.default_rng(0)),
            train=Augmented(toy_data(20)),
            data_collator=DataCollatorForLanguageModeling(tokenizer, seed=4, mlm_probability=0.5),
            tokenizer=tokenizer,
            callbacks=callbacks,
            arguments={**LEARN, "num_train_epochs": 2, "save_strategy": "steps", "save_steps": 4},
        )

    whole = trainer(tmp_path / "whole")
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "broken", [Interrupt(6)]).train()
    resumed = trainer(tmp_path / "broken")
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-4"))
    assert_same_run(whole, resumed)
    assert len(BertTokenizer.from_pretrained(tmp_path / "broken" / "checkpoint-8")) == 50


def test_resuming_with_batches_of_another_make(tmp_path):
    class Own(Trainer):
        def get_train_dataloader(self):
            data = toy_data(20)
            batches = [data[start : start + 4] for start in range(0, 20, 4)]
            return [self.data_collator(batch) for batch in batches]

    arguments = {**LEARN, "num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3}
    whole = toy_trainer(tmp_path / "whole", trainer_class=Own, arguments=arguments)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path / "b", trainer_class=Own, arguments=arguments, callbacks=[Interrupt(4)]).train()
    resumed = toy_trainer(tmp_path / "b", trainer_class=Own, arguments=arguments)
    resumed.train(resume_from_checkpoint=True)
    assert_same_run(whole, resumed)


def test_callbacks_remember(tmp_path):
    arguments = {**LEARN, "num_train_epochs": 6, "save_strategy": "epoch", "evaluation_strategy": "epoch"}
    arguments |= {"load_best_model_at_end": True, "metric_for_best_model": "accuracy"}

    def run(folder, accuracies, callbacks, **more):
        values = iter(accuracies)
        trainer = toy_trainer(
            folder, arguments=arguments, callbacks=callbacks, compute_metrics=lambda p: {"accuracy": next(values)}
        )
        return trainer, trainer

    patience = EarlyStoppingCallback(early_stopping_patience=3)
    broken, _ = run(tmp_path, [0.9, 0.5, 0.5, 0.5, 0.5, 0.5], [patience, Interrupt(15)])
    with pytest.raises(KeyboardInterrupt):
        broken.train()
    resumed, _ = run(tmp_path, [0.5, 0.5, 0.5], [EarlyStoppingCallback(early_stopping_patience=3)])
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.epoch == 4.0  # two bad evaluations before, the third after
    assert resumed.state.best_metric == 0.9


def test_ending_an_epoch_early_and_resuming_at_its_end(tmp_path):
    class Short(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_epoch_stop = state.global_step % 3 == 0

    arguments = {**LEARN, "max_steps": 12, "save_strategy": "epoch"}
    whole = toy_trainer(tmp_path / "whole", arguments=arguments, callbacks=[Short])
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path / "b", arguments=arguments, callbacks=[Short, Interrupt(4)]).train()
    resumed = toy_trainer(tmp_path / "b", arguments=arguments, callbacks=[Short])
    resumed.train(resume_from_checkpoint=True)
    assert_same_run(whole, resumed)


def test_a_resumed_run_owes_the_end_of_its_last_epoch(tmp_path):
    """Interrupted after the last step, before the last evaluation: resuming makes that evaluation and no step."""

    class InterruptEnd(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            if state.global_step == 10:
                raise KeyboardInterrupt

    arguments = {
        **LEARN,
        "num_train_epochs": 2,
        "save_strategy": "steps",
        "save_steps": 5,
        "evaluation_strategy": "epoch",
    }
    whole = toy_trainer(tmp_path / "whole", arguments=arguments)
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path / "b", arguments=arguments, callbacks=[InterruptEnd]).train()
    resumed = toy_trainer(tmp_path / "b", arguments=arguments)
    resumed.train(resume_from_checkpoint=True)
    assert_same_run(whole, resumed)
    assert sum("eval_loss" in log for log in resumed.log_history) == 2


def test_a_finished_run_has_nothing_to_resume(tmp_path):
    arguments = {"num_train_epochs": 1, "save_strategy": "steps", "save_steps": 5}
    first = toy_trainer(tmp_path, arguments=arguments)
    first.train()
    again = toy_trainer(tmp_path, model=toy_model(5), arguments=arguments)
    assert again.train(resume_from_checkpoint=True).global_step == 5
    assert_same_weights(first.model, again.model)


def test_ignore_data_skip_begins_the_epoch_anew(tmp_path):
    arguments = {"num_train_epochs": 1, "save_strategy": "steps", "save_steps": 3}
    with pytest.raises(KeyboardInterrupt):
        toy_trainer(tmp_path, arguments=arguments, callbacks=[Interrupt(4)]).train()
    seen = []

    class Watch(Trainer):
        def training_step(self, model, inputs):
            seen.append(inputs["input_ids"])
            return super().training_step(model, inputs)

    arguments = {**arguments, "ignore_data_skip": True, "max_steps": 5}
    toy_trainer(tmp_path, trainer_class=Watch, arguments=arguments).train(resume_from_checkpoint=True)
    first_batch = next(iter(toy_trainer(tmp_path).get_train_dataloader()))
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], first_batch["input_ids"])


# -- what is on the disk ----------------------------------------------------------------------------------------------


def test_a_checkpoint_is_a_model_and_its_history(tmp_path):
    arguments = {**LEARN, "num_train_epochs": 1, "save_strategy": "epoch"}
    trainer = toy_trainer(tmp_path, arguments=arguments)
    trainer.train()
    folder = tmp_path / "checkpoint-5"
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "optimizer.safetensors", "scheduler.json", "rng_state.json",
        "trainer_state.json", "training_args.json",
    }  # fmt: skip
    assert_same_weights(BertForSequenceClassification.from_pretrained(folder), trainer.model)
    state = json.loads((folder / "trainer_state.json").read_text())
    assert [log["step"] for log in state["log_history"]] == [2, 4]
    assert (state["global_step"], state["epoch"], state["max_steps"]) == (5, 1.0, 5)
    assert json.loads((folder / "training_args.json").read_text())["learning_rate"] == 1e-2


def test_save_model(tmp_path):
    trainer = toy_trainer(tmp_path / "out")
    trainer.save_model()
    trainer.save_model(tmp_path / "other")
    for folder in ("out", "other"):
        assert_same_weights(BertForSequenceClassification.from_pretrained(tmp_path / folder), trainer.model)


def test_float64_keeps_its_bits(tmp_path):
    arguments = {**LEARN, "num_train_epochs": 2, "save_strategy": "epoch"}
    make = lambda: toy_model().astype("float64")  # noqa: E731
    whole = toy_trainer(tmp_path, make(), arguments=arguments)
    whole.train()
    resumed = toy_trainer(tmp_path, make(), arguments=arguments)
    resumed.train(resume_from_checkpoint=tmp_path / "checkpoint-5")
    assert resumed.model.dtype == np.float64
    assert_same_run(whole, resumed)


def names(folder):
    return sorted((path.name for path in Path(folder).iterdir()), key=lambda name: int(name.split("-")[1]))


def test_save_total_limit(tmp_path):
    arguments = {"num_train_epochs": 5, "save_strategy": "epoch", "save_total_limit": 2}
    toy_trainer(tmp_path, arguments=arguments).train()
    assert names(tmp_path) == ["checkpoint-20", "checkpoint-25"]
    assert get_last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-25")
    assert get_last_checkpoint(tmp_path / "nothing") is None
    # A second, shorter run: the first one's checkpoints are the older ones, whatever their numbers.
    toy_trainer(tmp_path, arguments={**arguments, "num_train_epochs": 2, "overwrite_output_dir": True}).train()
    assert names(tmp_path) == ["checkpoint-5", "checkpoint-10"]


@pytest.mark.parametrize(("limit", "kept"), [(1, [10]), (2, [10, 25]), (3, [10, 20, 25])])
def test_the_best_model_is_kept_and_loaded(tmp_path, limit, kept):
    accuracies = iter([0.5, 0.8, 0.6, 0.8, 0.7])
    weights = []

    class Watch(TrainerCallback):
        def on_save(self, args, state, control, model=None, **kwargs):
            weights.append(weights_of(model))

    arguments = {"num_train_epochs": 5, "save_strategy": "epoch", "evaluation_strategy": "epoch"}
    arguments |= {"load_best_model_at_end": True, "metric_for_best_model": "accuracy", "save_total_limit": limit}
    trainer = toy_trainer(
        tmp_path, arguments=arguments, callbacks=[Watch], compute_metrics=lambda p: {"accuracy": next(accuracies)}
    )
    trainer.train()
    assert names(tmp_path) == [f"checkpoint-{step}" for step in kept]
    for name, value in weights_of(trainer.model).items():
        np.testing.assert_array_equal(value, weights[1][name])
    assert (weights[1]["classifier.weight"] != weights[4]["classifier.weight"]).any()


def test_the_best_by_loss(tmp_path):
    arguments = {"num_train_epochs": 4, "save_strategy": "epoch", "evaluation_strategy": "epoch", "learning_rate": 3e-2}
    arguments |= {"load_best_model_at_end": True}
    trainer = toy_trainer(tmp_path, arguments=arguments, compute_metrics=accuracy)
    trainer.train()
    losses = [log["eval_loss"] for log in trainer.log_history if "eval_loss" in log]
    assert trainer.state.best_metric == min(losses)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses), rel=1e-6)


def test_an_interrupted_save_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    arguments = {"num_train_epochs": 3, "save_strategy": "epoch"}
    trainer = toy_trainer(tmp_path, arguments=arguments)
    save, saves = trainer.lr_scheduler, []
    original = Trainer.save_model

    def save_model(self, output_dir=None, _internal_call=False):
        original(self, output_dir, _internal_call)
        saves.append(output_dir)
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save_model", save_model)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert save is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    assert not trainer.is_in_train
    monkeypatch.undo()
    whole = toy_trainer(tmp_path / "whole", arguments=arguments)
    whole.train()
    resumed = toy_trainer(tmp_path, arguments=arguments)
    resumed.train(resume_from_checkpoint=True)
    assert_same_run(whole, resumed)


def test_replacing_a_checkpoint_is_all_or_nothing(tmp_path, monkeypatch):
    """Interrupted between the two renames, the old checkpoint comes back."""
    folder = tmp_path / "checkpoint-5"
    write_folder(folder, lambda path: (path / "file").write_text("old"))
    rename = Path.rename

    def interrupted(self, target):
        if self.name.startswith(".unfinished"):
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_folder(folder, lambda path: (path / "file").write_text("new"))
    assert (folder / "file").read_text() == "old"
    write_folder(folder, lambda path: (path / "file").write_text("new"))
    assert (folder / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_save_state(tmp_path):
    trainer = toy_trainer(tmp_path, arguments={"num_train_epochs": 1})
    trainer.train()
    trainer.save_state()
    state = TrainerState.load_from_json(tmp_path / "trainer_state.json")
    assert state == trainer.state
    (tmp_path / "later.json").write_text(json.dumps({"global_step": 3, "of_a_later_version": 1}))
    assert TrainerState.load_from_json(tmp_path / "later.json").global_step == 3
    trainer.state.save_to_json(tmp_path / "copy.json")
    assert TrainerState.load_from_json(tmp_path / "copy.json") == state


def test_a_killed_save_is_cleared_away(tmp_path):
    left = tmp_path / ".unfinished-checkpoint-5"
    left.mkdir()
    (left / "model.safetensors").write_text("half")
    toy_trainer(tmp_path, arguments={"num_train_epochs": 1, "save_strategy": "epoch"}).train()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_nothing_to_resume_from(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        toy_trainer(tmp_path).train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match="optimizer.safetensors is missing"):
        toy_trainer(tmp_path).train(resume_from_checkpoint=str(tmp_path))
    arguments = {"num_train_epochs": 1, "save_strategy": "epoch"}
    toy_trainer(tmp_path, arguments=arguments).train()
    (tmp_path / "checkpoint-5" / "rng_state.json").unlink()
    with pytest.raises(ValueError, match="rng_state.json is missing"):
        toy_trainer(tmp_path, arguments=arguments).train(resume_from_checkpoint=True)
    assert toy_trainer(tmp_path, arguments=arguments).train(resume_from_checkpoint=False).global_step == 5


@pytest.mark.parametrize("size", [2, 10])
def test_other_arguments_are_pointed_out(tmp_path, caplog, size):
    arguments = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 3, "learning_rate": 1e-2}
    toy_trainer(tmp_path, arguments=arguments).train()
    changes = {"per_device_train_batch_size": size, "learning_rate": 1e-3, "logging_steps": 7, "disable_tqdm": True}
    resumed = toy_trainer(tmp_path, arguments={**arguments, **changes})
    resumed.train(resume_from_checkpoint=tmp_path / "checkpoint-3")
    first, second = (record.getMessage() for record in caplog.records)
    assert first == (
        f"checkpoint-3 goes on with per_device_train_batch_size={size} (was 4), logging_steps=7 (was 500): "
        "not as the uninterrupted run"
    )
    assert second == "checkpoint-3 keeps its optimizer's settings, not learning_rate=0.001 (was 0.01)"
    assert resumed.optimizer.param_groups[0]["initial_lr"] == 1e-2
    assert resumed.state.global_step == resumed.state.max_steps == 40 // size

    caplog.clear()
    toy_trainer(tmp_path, arguments=arguments).train(resume_from_checkpoint=tmp_path / "checkpoint-3")
    assert caplog.records == []
