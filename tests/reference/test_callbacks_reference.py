"""Callbacks against the original's: which event comes when, and the names and objectives that are made of metrics."""

import pytest

pytestmark = pytest.mark.reference

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.integrations.integration_utils import rewrite_logs as original_rewrite_logs  # noqa: E402
from transformers.trainer_utils import default_compute_objective as original_objective  # noqa: E402

from edutransformers.training import TrainerCallback, default_compute_objective  # noqa: E402
from edutransformers.training.callbacks import EVENTS  # noqa: E402
from edutransformers.training.callbacks.tensorboard import rewrite_logs  # noqa: E402
from tests.training.toy import toy_data, toy_trainer  # noqa: E402

OURS_ALONE = ("on_train_interrupted",)


def recorder(base):
    """A callback of the class `base` that writes down (event, step, epoch, what it was given)."""

    class Recorder(base):
        def __init__(self):
            self.events = []

    def method(event):
        def record(self, args, state, control, **given):
            extra = sorted(name for name in ("logs", "metrics") if given.get(name) is not None)
            epoch = round(state.epoch or 0, 6)  # before training it is None here and in 4.34, and 0 in 5.x
            self.events.append((event, state.global_step, epoch, *extra))

        return record

    for event in EVENTS:
        setattr(Recorder, event, method(event))
    return Recorder()


class TorchModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(6, 2)

    def forward(self, input_ids, labels):
        logits = self.linear(input_ids.float())
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.parametrize(
    "settings",
    [
        {"num_train_epochs": 2, "gradient_accumulation_steps": 2, "eval_strategy": "epoch", "save_strategy": "epoch"},
        # (With a number of steps that eval_steps does not divide, 5.x evaluates after the last one; 4.34 does not.)
        {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 4},
        {"max_steps": 3, "logging_first_step": True, "logging_steps": 2, "save_strategy": "no"},
    ],
    ids=["epochs", "steps", "first step"],
)
def test_the_order_of_events(tmp_path, settings):
    settings = {"per_device_train_batch_size": 4, "logging_strategy": "steps", "logging_steps": 1, **settings}
    settings.update(per_device_eval_batch_size=8, disable_tqdm=True)
    items = [{"input_ids": item["input_ids"], "labels": item["label"]} for item in toy_data(16)]
    theirs, ours = recorder(transformers.TrainerCallback), recorder(TrainerCallback)
    transformers.Trainer(
        TorchModel(),
        transformers.TrainingArguments(str(tmp_path / "theirs"), use_cpu=True, report_to="none", **settings),
        train_dataset=items,
        eval_dataset=items[:10],
        callbacks=[theirs],
    ).train()
    toy_trainer(tmp_path / "ours", train=items, test=items[:10], arguments=settings, callbacks=[ours]).train()
    assert [event for event in ours.events if event[0] not in OURS_ALONE] == theirs.events


def test_names_for_tensorboard():
    logs = {"loss": 1, "eval_loss": 2, "test_f1": 3, "evaluation": 4, "eval_a_b": 5, "train_runtime": 6}
    assert rewrite_logs(logs) == original_rewrite_logs(logs)


@pytest.mark.parametrize("metrics", [{}, {"eval_f1": 0.25}, {"eval_f1": 0.25, "eval_accuracy": 0.5}])
def test_the_default_objective(metrics):
    metrics = {"eval_loss": 0.5, "epoch": 1.0, "eval_runtime": 3.0, "eval_samples_per_second": 2.0, **metrics}
    assert default_compute_objective(metrics) == original_objective(metrics)
