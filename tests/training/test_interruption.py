"""A run that was killed, or stopped by a signal, and resumed is the run that was never stopped: bit for bit.

The stopped run is a process of its own (interrupted_run.py), which sends the signal to itself at a chosen place; so
nothing here depends on how fast the machine is.
"""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from edutransformers.training import TrainerCallback, get_last_checkpoint
from edutransformers.training.interruption import Interruption
from tests.training.interrupted_run import Signal, make_trainer
from tests.training.toy import assert_same_weights, toy_model, toy_trainer

TIMES = ("runtime", "per_second")
STEPS = 8


def run_elsewhere(folder, where) -> int:
    """The exit status of interrupted_run.py: negative for a signal that ended it."""
    command = [sys.executable, "-m", "tests.training.interrupted_run", str(folder), where]
    return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def without_times(history):
    return [{k: v for k, v in log.items() if not k.endswith(TIMES)} for log in history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    trainer = make_trainer(tmp_path_factory.mktemp("whole"))
    trainer.train()
    assert trainer.state.global_step == STEPS
    return trainer


def assert_resumed_is_whole(folder, whole, **arguments):
    resumed = make_trainer(folder, seed=99, **arguments)
    resumed.train(resume_from_checkpoint=True)
    assert_same_weights(resumed.model, whole.model)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert 0 < len(resumed.losses) < len(whole.losses)
    assert without_times(resumed.log_history) == without_times(whole.log_history)
    assert resumed.lr_scheduler.state_dict() == whole.lr_scheduler.state_dict()
    mine, theirs = (trainer.optimizer.state_dict() for trainer in (resumed, whole))
    assert json.dumps(mine["param_groups"]) == json.dumps(theirs["param_groups"])  # a file makes lists of tuples
    for place, state in theirs["state"].items():
        assert mine["state"][place]["step"] == state["step"]
        for moment in ("exp_avg", "exp_avg_sq"):
            np.testing.assert_array_equal(mine["state"][place][moment], state[moment])
    assert resumed.generator.bit_generator.state == whole.generator.bit_generator.state


def test_killed_and_resumed(tmp_path, whole):
    assert run_elsewhere(tmp_path, "kill in step 5") == -signal.SIGKILL
    assert names(tmp_path) == ["checkpoint-3"]
    assert_resumed_is_whole(tmp_path, whole)


def test_terminated_and_resumed(tmp_path, whole):
    assert run_elsewhere(tmp_path, "term in step 5") == 128 + signal.SIGTERM
    assert names(tmp_path) == ["checkpoint-3", "checkpoint-5"]  # the fifth step was finished
    assert_resumed_is_whole(tmp_path, whole)


def test_killed_while_saving(tmp_path, whole):
    assert run_elsewhere(tmp_path, "kill while saving 6") == -signal.SIGKILL
    assert names(tmp_path) == [".unfinished-checkpoint-6", "checkpoint-3"]
    assert_resumed_is_whole(tmp_path, whole)
    assert names(tmp_path) == ["checkpoint-3", "checkpoint-6"]


def test_killed_while_a_checkpoint_takes_anothers_place(tmp_path, whole):
    """For a moment there is none of that name; the next run gives the old one its name back."""
    assert run_elsewhere(tmp_path, "kill while replacing") == -signal.SIGKILL
    assert names(tmp_path) == [".replaced-checkpoint-3", ".unfinished-checkpoint-3", "checkpoint-6"]
    (tmp_path / "checkpoint-6").rename(tmp_path / "another")
    assert_resumed_is_whole(tmp_path, whole)
    assert names(tmp_path) == ["another", "checkpoint-3", "checkpoint-6"]


def test_killed_while_an_old_checkpoint_is_deleted(tmp_path, whole):
    """Half a checkpoint is never found under a checkpoint's name."""
    assert run_elsewhere(tmp_path, "kill while deleting") == -signal.SIGKILL
    assert names(tmp_path) == [".unfinished-checkpoint-3", "checkpoint-6"]
    assert_resumed_is_whole(tmp_path, whole, save_total_limit=1)
    assert names(tmp_path) == ["checkpoint-6"]


# -- in this process --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "step", "number", "saved"),
    [
        ("on_substep_end", 6, signal.SIGINT, ["checkpoint-3", "checkpoint-6", "checkpoint-7"]),
        ("on_epoch_end", 2, signal.SIGINT, ["checkpoint-2"]),  # with the gradient of one batch of the third step
        ("on_prediction_step", 6, signal.SIGTERM, ["checkpoint-3", "checkpoint-6"]),  # evaluated after resuming
    ],
)
def test_stopped_by_a_signal_and_resumed(tmp_path, whole, event, step, number, saved):
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        make_trainer(tmp_path, [Signal(event, step, number)]).train()
    assert names(tmp_path) == saved
    assert_resumed_is_whole(tmp_path, whole)


def test_everything_is_as_before_afterwards(tmp_path, caplog):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    trainer = make_trainer(tmp_path, [Signal("on_step_begin", 1, signal.SIGINT)])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert "SIGINT: after this step a checkpoint is written; a second signal stops at once" in caplog.text
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (trainer.is_in_train, trainer.state.global_step) == (False, 2)
    assert get_last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")
    assert trainer.evaluate()["eval_loss"] > 0  # no signal is left over


def test_a_signal_at_a_save_saves_once(tmp_path):
    saved = []

    class Watch(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            saved.append(state.global_step)

    trainer = make_trainer(tmp_path, [Signal("on_step_end", 3, signal.SIGINT), Watch], evaluation_strategy="no")
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert saved == [3]


def test_a_second_signal_stops_in_the_middle_of_a_step(tmp_path):
    trainer = make_trainer(tmp_path, [Signal("on_step_begin", 1, signal.SIGINT, signal.SIGINT)])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.state.global_step == 1
    assert names(tmp_path) == []


def test_saving_nothing_stops_in_the_middle_of_a_step(tmp_path):
    trainer = make_trainer(tmp_path, [Signal("on_step_begin", 4, signal.SIGINT)], save_strategy="no")
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.state.global_step == 4
    assert names(tmp_path) == []


def test_the_end_of_an_epoch_is_owed_after_a_signal_in_its_last_step(tmp_path):
    arguments = {"save_strategy": "epoch", "evaluation_strategy": "epoch", "num_train_epochs": 2, "logging_steps": 1}
    whole = toy_trainer(tmp_path / "whole", arguments=arguments)
    whole.train()
    for event in ("on_step_end", "on_prediction_step"):
        stopped = toy_trainer(tmp_path / event, arguments=arguments, callbacks=[Signal(event, 5, signal.SIGINT)])
        with pytest.raises(KeyboardInterrupt):
            stopped.train()
        assert stopped.log_history == []
        assert names(tmp_path / event) == ["checkpoint-5"]
        resumed = toy_trainer(tmp_path / event, model=toy_model(9), arguments=arguments)
        resumed.train(resume_from_checkpoint=True)
        assert_same_weights(resumed.model, whole.model)
        assert without_times(resumed.log_history) == without_times(whole.log_history)


def test_a_programs_own_handler_is_left_alone(tmp_path):
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        trainer = make_trainer(tmp_path, [Signal("on_step_begin", 1, signal.SIGTERM)], num_train_epochs=1)
        trainer.train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [signal.SIGTERM]
    assert trainer.state.global_step == 2


def test_other_threads_train_without_handlers(tmp_path):
    trainer, handlers = make_trainer(tmp_path, num_train_epochs=1), []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            handlers.append(signal.getsignal(signal.SIGINT))

    trainer.add_callback(Watch)
    thread = threading.Thread(target=trainer.train)
    thread.start()
    thread.join(60)
    assert handlers == [signal.default_int_handler] * 2
    assert trainer.state.global_step == 2


def test_a_signal_after_the_last_look_is_not_lost():
    with pytest.raises(KeyboardInterrupt), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(ZeroDivisionError), Interruption():  # an error goes before it
        _ = 1 / (os.kill(os.getpid(), signal.SIGINT) or 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_forked_worker_just_ends():
    """It inherits the handlers, but has nothing to save."""
    with Interruption():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_a_signal_between_two_evaluations(tmp_path):
    """What the first had logged, and what callbacks made of it, is taken back: both are made after resuming."""

    class Count(TrainerCallback):
        evaluations = 0

        def on_evaluate(self, args, state, control, **kwargs):
            self.evaluations += 1

        def state_dict(self):
            return {"evaluations": self.evaluations}

        def load_state_dict(self, state):
            self.evaluations = state["evaluations"]

    def run(folder, *callbacks, resume=False):
        counter = Count()
        trainer = make_trainer(folder, [counter, *callbacks], num_train_epochs=2)
        trainer.eval_dataset = {"a": trainer.eval_dataset, "b": trainer.eval_dataset}
        try:
            trainer.train(resume_from_checkpoint=resume)
        except KeyboardInterrupt:
            return None
        return without_times(trainer.log_history), counter.evaluations

    whole = run(tmp_path / "whole")
    assert whole[1] == 2
    assert run(tmp_path / "b", Signal("on_evaluate", 3, signal.SIGINT)) is None
    assert names(tmp_path / "b") == ["checkpoint-3"]
    assert run(tmp_path / "b", resume=True) == whole
