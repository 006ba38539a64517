"""Our Trainer repeats a whole run of the original's, frozen in original_run.json: no torch needed."""

import pytest

from edutransformers.training import TrainingArguments
from tests.training.original_run import (
    ARGUMENTS,
    InOrder,
    comparable,
    fingerprint,
    frozen,
    original_run_items,
    original_run_model,
)
from tests.training.toy import weights_of


def test_losses_logs_and_weights_are_the_originals(tmp_path):
    expected = frozen()
    trainer = InOrder(
        original_run_model(),
        TrainingArguments(str(tmp_path), evaluation_strategy="epoch", **ARGUMENTS),
        train_dataset=original_run_items("train", 44),
        eval_dataset=original_run_items("test", 10),
    )
    output = trainer.train()
    assert trainer.losses == pytest.approx(expected["losses"], rel=1e-8)
    assert max(expected["losses"]) - min(expected["losses"]) > 0.5
    assert output.global_step == expected["global_step"]
    logs = comparable(trainer.log_history)
    assert [list(log) for log in logs] == [list(log) for log in expected["log_history"]]
    for mine, theirs in zip(logs, expected["log_history"]):
        # their sum of losses is a float32, so a log's last digit may differ by one
        assert mine == pytest.approx(theirs, rel=1e-6, abs=1.01e-4 if "loss" in mine else 1e-9)
    weights = fingerprint(weights_of(trainer.model))
    assert weights.keys() == expected["weights"].keys()
    for name, values in weights.items():
        assert values == pytest.approx(expected["weights"][name], rel=1e-7, abs=1e-9), name
