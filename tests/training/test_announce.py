"""What the Trainer says at level INFO: the original's lines."""

import re

import pytest

from edutransformers import logging
from tests.training.toy import toy_data, toy_trainer


@pytest.fixture
def informed(caplog):
    """The messages of the package, of level INFO too."""
    caplog.set_level(logging.INFO, logger="edutransformers")
    return caplog


ARGUMENTS = {
    "num_train_epochs": 3, "gradient_accumulation_steps": 2, "per_device_eval_batch_size": 5,
    "evaluation_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True, "save_total_limit": 1,
}  # fmt: skip


def messages(informed):
    told = [re.sub(r"\S*/", "", r.getMessage()) for r in informed.records if ".training." in r.name]
    informed.clear()
    return told


def test_a_run(tmp_path, informed):
    trainer = toy_trainer(tmp_path, arguments=ARGUMENTS)
    trainer.train()
    told = messages(informed)
    assert told[:8] == [
        "***** Running training *****",
        "  Num examples = 20",
        "  Num Epochs = 3",
        "  Instantaneous batch size per device = 4",
        "  Total train batch size (w. parallel, distributed & accumulation) = 8",
        "  Gradient Accumulation steps = 2",
        "  Total optimization steps = 6",
        f"  Number of trainable parameters = {trainer.model.num_parameters():,}",
    ]
    evaluation = ["***** Running Evaluation *****", "  Num examples = 10", "  Batch size = 5"]
    assert told[8:12] == [*evaluation, "Saving model checkpoint to checkpoint-2"]
    assert told[-2:] == [
        f"Loading best model from checkpoint-6 (score: {trainer.state.best_metric}).",
        "Training completed.",
    ]
    assert "deleting checkpoint-2, because save_total_limit is 1" in told
    trainer.predict(toy_data(3))
    assert messages(informed) == ["***** Running Prediction *****", "  Num examples = 3", "  Batch size = 5"]


def test_a_resumed_run(tmp_path, informed):
    arguments = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 7}
    toy_trainer(tmp_path, arguments=arguments).train()
    messages(informed)
    toy_trainer(tmp_path, arguments=arguments).train(resume_from_checkpoint=True)
    told = messages(informed)
    assert told[0] == "Loading model from checkpoint-7."
    assert told[9:13] == [
        "  Continuing training from checkpoint, will skip to saved global_step",
        "  Continuing training from epoch 1",
        "  Continuing training from global step 7",
        "  Will skip the first 2 batches of that epoch",
    ]


def test_by_default_nothing_is_said(tmp_path, caplog):
    toy_trainer(tmp_path, arguments=ARGUMENTS).train()
    assert caplog.text == ""
