"""TensorBoardCallback's files, read back with TensorBoard's own reader."""

import json

import numpy as np
import pytest

NEEDS = ("tensorboard", "tensorboardX")
pytestmark = pytest.mark.extras

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from edutransformers.training.callbacks import TensorBoardCallback, tensorboard  # noqa: E402
from tests.training.toy import accuracy, toy_trainer  # noqa: E402

RUN = {
    "max_steps": 4, "logging_strategy": "steps", "logging_steps": 1, "evaluation_strategy": "steps", "eval_steps": 2,
    "save_strategy": "steps", "save_steps": 2,
}  # fmt: skip


@pytest.fixture(params=["tensorboard", "tensorboardX"])
def writer(request, monkeypatch):
    """Only this package is installed."""
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: name if name == request.param else None)


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.mark.usefixtures("writer")
def test_the_file(tmp_path):
    trainer = toy_trainer(tmp_path, arguments={**RUN, "report_to": "tensorboard"}, compute_metrics=accuracy)
    trainer.train()
    (folder,) = (tmp_path / "runs").iterdir()
    assert str(folder) == trainer.args.logging_dir
    events = read(folder)
    for tag, name in (("train/loss", "loss"), ("eval/accuracy", "eval_accuracy"), ("train/train_loss", "train_loss")):
        logged = [(log["step"], np.float32(log[name])) for log in trainer.log_history if name in log]
        assert [(event.step, np.float32(event.value)) for event in events.Scalars(tag)] == logged
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0] for tag in events.Tags()["tensors"]}
    assert set(texts) == {"args/text_summary", "model_config/text_summary"}
    assert json.loads(texts["args/text_summary"])["max_steps"] == 4


@pytest.mark.usefixtures("writer")
def test_a_resumed_run_in_the_same_folder(tmp_path):
    """From the checkpoint of step 2, after the steps 3 and 4 of the first run: no step twice."""
    arguments = {**RUN, "report_to": "tensorboard", "logging_dir": str(tmp_path / "curves")}
    toy_trainer(tmp_path, arguments=arguments).train()
    toy_trainer(tmp_path, arguments=arguments).train(str(tmp_path / "checkpoint-2"))
    assert len(list((tmp_path / "curves").iterdir())) == 2
    assert [event.step for event in read(tmp_path / "curves").Scalars("train/loss")] == [1, 2, 3, 4]


def test_a_trial_has_a_folder_of_its_own(tmp_path):
    trainer = toy_trainer(tmp_path, arguments={"logging_dir": str(tmp_path / "curves")})
    trainer.state.trial_name = "run-7"
    callback = TensorBoardCallback()
    callback.on_log(trainer.args, trainer.state, trainer.control, logs={"loss": 1.0})
    callback.on_train_end(trainer.args, trainer.state, trainer.control)
    assert [event.value for event in read(tmp_path / "curves" / "run-7").Scalars("train/loss")] == [1.0]
