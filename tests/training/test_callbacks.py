"""Callbacks: which event comes when, what they may change, and the ones that come with the package."""

import logging

import pytest

from edutransformers.training import (
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from edutransformers.training.callbacks import EVENTS, CallbackHandler
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer


class Recorder(TrainerCallback):
    def __init__(self):
        self.events = []


def _record(name):
    def event(self, args, state, control, **kwargs):
        self.events.append((name, state.global_step))
        assert kwargs["model"] is not None
        assert (kwargs.get("logs") is not None) == (name == "on_log")
        assert (kwargs.get("metrics") is not None) == (name in ("on_evaluate", "on_predict"))

    return event


for _name in EVENTS:
    setattr(Recorder, _name, _record(_name))


def test_the_order_of_events(tmp_path):
    recorder = Recorder()
    arguments = {
        "num_train_epochs": 2,
        "gradient_accumulation_steps": 2,
        "evaluation_strategy": "epoch",
        "logging_steps": 1,
    }
    arguments.update(save_strategy="epoch", per_device_eval_batch_size=8, logging_strategy="steps")
    trainer = toy_trainer(tmp_path, train=toy_data(16), callbacks=[recorder], arguments=arguments)
    trainer.train()
    step = ["on_step_begin", "on_substep_end", "on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_log"]
    evaluation = ["on_prediction_step", "on_prediction_step", "on_log", "on_evaluate"]
    epoch = ["on_epoch_begin", *step, *step, "on_epoch_end", *evaluation, "on_save"]
    names = [name for name, _ in recorder.events]
    assert names == ["on_init_end", "on_train_begin", *epoch, *epoch, "on_log", "on_train_end"]
    steps = [at for name, at in recorder.events if name in ("on_step_begin", "on_step_end")]
    assert steps == [0, 1, 1, 2, 2, 3, 3, 4]

    recorder.events.clear()
    trainer.predict(toy_data(3))
    assert [name for name, _ in recorder.events] == ["on_prediction_step", "on_predict"]


def test_gradients_are_there_around_the_optimizer(tmp_path):
    seen = []

    class Look(TrainerCallback):
        def look(self, args, state, control, model, optimizer, **kwargs):
            weight = dict(model.named_parameters())["classifier.weight"]
            seen.append((state.global_step, weight.grad is not None, float(weight.data.sum()), optimizer is not None))

        on_pre_optimizer_step = on_optimizer_step = on_step_end = look

    toy_trainer(tmp_path, callbacks=[Look], arguments={"max_steps": 1}).train()
    assert [look[:2] for look in seen] == [(0, True), (0, True), (1, False)]
    assert seen[0][2] != seen[1][2] == seen[2][2]  # the weights changed between the first two
    assert all(look[3] for look in seen)


def test_an_own_evaluation_calls_the_events(tmp_path):
    """As scripts for the original do: log and evaluate through the handler."""
    recorder = Recorder()

    class Own(Trainer):
        def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
            metrics = {"eval_points": 7.0}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

    trainer = toy_trainer(tmp_path, trainer_class=Own, callbacks=[recorder])
    assert trainer.evaluate()["eval_points"] == 7.0
    control = trainer.callback_handler.on_predict(trainer.args, trainer.state, trainer.control, {"test_points": 1})
    assert control is trainer.control
    trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)
    assert [name for name, _ in recorder.events] == ["on_init_end", "on_log", "on_evaluate", "on_predict", "on_save"]
    assert trainer.callback_handler.callback_list == "DefaultFlowCallback, PrinterCallback, Recorder"
    for event in EVENTS:
        assert callable(getattr(trainer.callback_handler, event))


def test_a_callback_may_return_another_control(tmp_path):
    class Replace(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            return TrainerControl(should_training_stop=state.global_step == 2)

    assert toy_trainer(tmp_path, callbacks=[Replace], arguments={"max_steps": 9}).train().global_step == 2


def test_a_handler_without_the_flow_says_so(caplog):
    CallbackHandler([PrinterCallback])
    assert "there is no DefaultFlowCallback among the callbacks (PrinterCallback)" in caplog.text


def test_a_callback_can_stop_training_and_epochs(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_epoch_stop = state.global_step == 2
            control.should_training_stop = state.global_step == 6
            return control

    trainer = toy_trainer(tmp_path, callbacks=[Stop], arguments={"num_train_epochs": 5})
    assert trainer.train().global_step == 6
    assert trainer.state.epoch == pytest.approx(1.8)  # two of five batches, then four of five


def test_a_callback_can_ask_for_a_checkpoint(tmp_path):
    class Save(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_save = control.should_log = state.global_step == 3

    trainer = toy_trainer(tmp_path, callbacks=[Save()], arguments={"max_steps": 4})
    trainer.train()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]
    assert [log["step"] for log in trainer.log_history if "loss" in log] == [3]


def test_asked_twice_a_log_is_made_once(tmp_path):
    class LogAtTheEnd(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_log = True

    arguments = {"num_train_epochs": 1, "logging_strategy": "steps", "logging_steps": 5}
    trainer = toy_trainer(tmp_path, callbacks=[LogAtTheEnd], arguments=arguments)
    trainer.train()
    assert [log["step"] for log in trainer.log_history if "loss" in log] == [5]


def test_early_stopping(tmp_path):
    """Three evaluations without gain after the first end the run; the model goes back to its best."""
    accuracies = iter([0.5, 0.7, 0.6, 0.7, 0.69, 0.9])
    arguments = {"evaluation_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    arguments.update(metric_for_best_model="accuracy", num_train_epochs=6)
    trainer = toy_trainer(
        tmp_path,
        arguments=arguments,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=3)],
        compute_metrics=lambda prediction: {"accuracy": next(accuracies)},
    )
    trainer.train()
    assert trainer.state.epoch == 5.0
    assert (trainer.state.best_metric, trainer.state.best_model_checkpoint) == (0.7, str(tmp_path / "checkpoint-10"))
    state = TrainerState.load_from_json(tmp_path / "checkpoint-25" / "trainer_state.json")
    assert state.stateful_callbacks == {"EarlyStoppingCallback": {"early_stopping_patience_counter": 3}}


@pytest.mark.parametrize(("threshold", "epochs"), [(0.0, 3.0), (0.5, 2.0)])
def test_early_stopping_threshold(tmp_path, threshold, epochs):
    losses = iter([1.0, 0.9, 0.8])
    arguments = {"evaluation_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    arguments.update(metric_for_best_model="my_loss", num_train_epochs=3)
    trainer = toy_trainer(
        tmp_path,
        arguments=arguments,
        callbacks=[EarlyStoppingCallback(early_stopping_threshold=threshold)],
        compute_metrics=lambda prediction: {"my_loss": next(losses)},
    )
    trainer.train()
    assert trainer.state.epoch == epochs


def test_early_stopping_needs_a_best_model(tmp_path, caplog):
    with pytest.raises(ValueError, match="load_best_model_at_end=True"):
        toy_trainer(tmp_path, callbacks=[EarlyStoppingCallback]).train()
    with pytest.raises(ValueError, match="early_stopping_patience is 0"):
        EarlyStoppingCallback(0)
    arguments = {
        "evaluation_strategy": "epoch",
        "save_strategy": "epoch",
        "load_best_model_at_end": True,
        "num_train_epochs": 1,
    }
    trainer = toy_trainer(tmp_path, callbacks=[EarlyStoppingCallback], arguments=arguments, compute_metrics=accuracy)
    trainer.args.metric_for_best_model = "bleu"
    with caplog.at_level(logging.WARNING), pytest.raises(KeyError, match="'eval_bleu'.*eval_accuracy"):
        trainer.train()
    assert "early stopping is off: the evaluation gave no eval_bleu" in caplog.text


def test_printer(tmp_path, capsys):
    toy_trainer(tmp_path, arguments={"max_steps": 2, "logging_strategy": "steps", "logging_steps": 1}).train()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("{'loss': ")
    assert "train_runtime" in lines[2]
    assert "total_flos" not in lines[2]


def test_progress_bars(tmp_path, capsys):
    arguments = {
        "disable_tqdm": False,
        "evaluation_strategy": "epoch",
        "logging_strategy": "epoch",
        "num_train_epochs": 2,
    }
    trainer = toy_trainer(tmp_path, arguments=arguments)
    trainer.train()
    trainer.predict(toy_data(3))
    captured = capsys.readouterr()
    assert "10/10" in captured.err  # steps
    assert "2/2" in captured.err  # evaluation batches
    assert captured.out.count("'eval_loss'") == 2
    bars = trainer.pop_callback(ProgressCallback)
    assert bars.training_bar is None
    assert bars.prediction_bar is None


def test_adding_and_removing(tmp_path, caplog):
    trainer = toy_trainer(tmp_path, model=toy_model())
    recorder = Recorder()
    trainer.add_callback(recorder)
    trainer.add_callback(EarlyStoppingCallback)
    assert trainer.pop_callback(EarlyStoppingCallback).early_stopping_patience == 1
    assert trainer.pop_callback(recorder) is recorder
    assert trainer.pop_callback(Recorder) is None
    with caplog.at_level(logging.WARNING):
        trainer.add_callback(PrinterCallback)
    assert "there is a PrinterCallback among the callbacks already" in caplog.text
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(PrinterCallback)
    assert trainer.pop_callback(PrinterCallback) is None
