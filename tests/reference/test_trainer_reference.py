"""Our Trainer and the original's, side by side: loss curves over 100 steps, logs, evaluations, checkpoints, the best.

The same weights, data in the same order, the same arguments, no dropout. With 4.34 and with 5.x; we follow 4.34, and
`run_theirs` and `compare_logs` say where 5.x differs.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from edutransformers import BertConfig, BertForSequenceClassification
from edutransformers.training import Trainer, TrainingArguments
from tests.models.seeded import seed_weights
from tests.reference.common import MAJOR, original_of, torch, transformers
from tests.training.original_run import comparable, original_run_items

pytestmark = pytest.mark.reference

BASE = {
    "per_device_train_batch_size": 4, "per_device_eval_batch_size": 4, "max_steps": 100, "learning_rate": 3e-3,
    "logging_steps": 5, "save_strategy": "no", "disable_tqdm": True, "seed": 3,
}  # fmt: skip
ITEMS = 96  # 24 batches an epoch


def make_model(dtype):
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config).astype("float64")
    seed_weights(model)
    return model.astype(dtype)


def order(epoch):
    """Another order in each epoch, the same for both."""
    return np.random.default_rng([7, epoch]).permutation(ITEMS).tolist()


class Shuffled:
    def __init__(self):
        self.epoch = 0

    def __iter__(self):
        self.epoch += 1
        return iter(order(self.epoch - 1))

    def __len__(self):
        return ITEMS


def accuracy(prediction):
    logits, labels = prediction
    return {"accuracy": float((np.asarray(logits).argmax(axis=-1) == np.asarray(labels)).mean())}


class Ours(Trainer):
    make_sampler = Shuffled

    def _get_train_sampler(self, *args):
        return self.make_sampler()

    def compute_loss(self, model, inputs):
        loss, outputs, cache = super().compute_loss(model, inputs)
        if model.training:
            self.losses = [*getattr(self, "losses", []), float(loss)]
        return loss, outputs, cache


class Theirs(transformers.Trainer):
    make_sampler = Shuffled

    def _get_train_sampler(self, *args):
        return self.make_sampler()

    def compute_loss(self, model, inputs, *args, **kwargs):
        result = super().compute_loss(model, inputs, *args, **kwargs)
        if model.training:
            self.losses = [*getattr(self, "losses", []), float(result.detach())]
        return result


def run_ours(folder, dtype, **arguments):
    args = TrainingArguments(str(folder), **{**BASE, **arguments})
    items, tests = original_run_items("train", ITEMS), original_run_items("test", 10)
    trainer = Ours(make_model(dtype), args, train_dataset=items, eval_dataset=tests, compute_metrics=accuracy)
    return trainer, trainer.train()


def run_theirs(folder, dtype, **arguments):
    """5.x calls evaluation_strategy eval_strategy, and no longer knows save_safetensors (it always is).

    With `model_accepts_loss_kwargs` it would add the losses of a step's batches up for this model, where 4.34 and we
    take their mean.
    """
    if MAJOR >= 5:
        arguments = {name.replace("evaluation_", "eval_"): value for name, value in arguments.items()}
    else:
        arguments.setdefault("save_safetensors", True)
    args = transformers.TrainingArguments(
        str(folder), report_to=[], use_cpu=True, dataloader_pin_memory=False, **{**BASE, **arguments}
    )
    items, tests = original_run_items("train", ITEMS), original_run_items("test", 10)
    model = original_of(make_model(dtype), dtype)
    trainer = Theirs(model, args, train_dataset=items, eval_dataset=tests, compute_metrics=accuracy)
    trainer.model_accepts_loss_kwargs = False
    return trainer, trainer.train()


def assert_same_weights(ours, theirs, without=None, **tolerance):
    for name, parameter in ours.model.named_parameters():
        expected = theirs.model.get_parameter(name).detach().numpy()
        if without is None or without not in name:
            np.testing.assert_allclose(parameter.data, expected, err_msg=name, **tolerance)


CONFIGURATIONS = {
    "plain": {},
    "decay, linear warm-up": {"weight_decay": 0.1, "warmup_steps": 10},
    "clipped, cosine": {"max_grad_norm": 0.1, "lr_scheduler_type": "cosine", "warmup_steps": 5},
    "not clipped, constant, other betas": {
        "max_grad_norm": 0.0, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 7, "adam_beta1": 0.8,
        "adam_beta2": 0.95, "adam_epsilon": 1e-6,
    },
    "accumulation": {"gradient_accumulation_steps": 3, "weight_decay": 0.01},
    "dropped rest, polynomial": {
        "per_device_train_batch_size": 5, "dataloader_drop_last": True, "lr_scheduler_type": "polynomial",
    },
    "sgd": {"optim": "sgd", "learning_rate": 0.1},
    "adafactor": {"optim": "adafactor", "learning_rate": 0.01},
    "adagrad": {"optim": "adagrad", "learning_rate": 0.01},
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_hundred_steps_in_float64(tmp_path, name):
    """Every batch's loss, and every weight at the end.

    A key's bias shifts all scores of a query alike, so its gradient is 0 up to rounding. Adafactor makes a step of the
    usual size of it all the same, and two programs don't round alike.
    """
    ours, output = run_ours(tmp_path / "ours", "float64", **CONFIGURATIONS[name])
    theirs, expected = run_theirs(tmp_path / "theirs", "float64", **CONFIGURATIONS[name])
    assert output.global_step == expected.global_step == 100
    assert len(ours.losses) == len(theirs.losses) == 100 * CONFIGURATIONS[name].get("gradient_accumulation_steps", 1)
    assert max(theirs.losses) - min(theirs.losses) > 0.3  # something happened
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-8)
    assert_same_weights(ours, theirs, without="key.bias" if name == "adafactor" else None, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["plain", "clipped, cosine", "accumulation"])
def test_a_hundred_steps_in_float32(tmp_path, name):
    ours, _ = run_ours(tmp_path / "ours", "float32", **CONFIGURATIONS[name])
    theirs, _ = run_theirs(tmp_path / "theirs", "float32", **CONFIGURATIONS[name])
    assert len(ours.losses) == len(theirs.losses) >= 100
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-3)


def test_a_hundred_steps_with_smoothed_labels(tmp_path):
    """The original adds a smoothed loss up in float32, whatever the model's number type: hence 1e-6."""
    ours, _ = run_ours(tmp_path / "ours", "float64", label_smoothing_factor=0.1)
    theirs, _ = run_theirs(tmp_path / "theirs", "float64", label_smoothing_factor=0.1)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-6)


# -- what is written --------------------------------------------------------------------------------------------------


def without_last_digits(log):
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in log.items()}


def compare_logs(ours, theirs):
    """Names, steps, epochs and numbers.

    5.x adds grad_norm, and logs the learning rate of the step that was made instead of that of the next; its numbers
    are rounded only when they are shown.
    """
    assert [log["step"] for log in ours] == [log["step"] for log in theirs]
    for mine, other in zip(comparable(ours), comparable(theirs)):
        if MAJOR < 5:
            assert list(mine) == list(other)
        assert set(other) - set(mine) <= {"grad_norm"}
        assert set(mine) <= set(other)
        for name in set(mine) - ({"learning_rate"} if MAJOR >= 5 else set()):
            digit = 5.1e-3 if name == "epoch" else 1.01e-4  # of rounded numbers the last one may differ
            assert mine[name] == pytest.approx(other[name], rel=1e-6, abs=digit), (name, mine, other)


RUNS = {
    "by steps": {
        "evaluation_strategy": "steps", "eval_steps": 10, "save_strategy": "steps", "save_steps": 10,
        "logging_first_step": True,
    },
    "by epochs": {
        "evaluation_strategy": "epoch", "save_strategy": "epoch", "logging_strategy": "epoch",
        "metric_for_best_model": "accuracy",
    },
    "two kept": {
        "evaluation_strategy": "steps", "eval_steps": 10, "save_strategy": "steps", "save_steps": 20,
        "save_total_limit": 2, "eval_delay": 20,
    },
    "one kept": {
        "evaluation_strategy": "steps", "eval_steps": 20, "save_strategy": "steps", "save_steps": 20,
        "save_total_limit": 1, "metric_for_best_model": "eval_loss", "greater_is_better": False,
        "gradient_accumulation_steps": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_logs_checkpoints_and_the_best_of_them(tmp_path, name):
    arguments = {"load_best_model_at_end": True, "learning_rate": 1e-2, **RUNS[name]}
    ours, output = run_ours(tmp_path / "ours", "float64", **arguments)
    theirs, expected = run_theirs(tmp_path / "theirs", "float64", **arguments)
    compare_logs(ours.state.log_history, theirs.state.log_history)
    assert sum("eval_loss" in log for log in ours.state.log_history) >= 4
    assert output.training_loss == pytest.approx(expected.training_loss, rel=1e-6)
    assert set(output.metrics) == set(expected.metrics) | {"total_flos"}  # which the original's printing takes out

    folders = [{path.name for path in (tmp_path / side).glob("checkpoint-*")} for side in ("ours", "theirs")]
    assert folders[0] == folders[1]
    assert len(folders[0]) >= 1
    assert Path(ours.state.best_model_checkpoint).name == Path(theirs.state.best_model_checkpoint).name
    assert ours.state.best_metric == pytest.approx(theirs.state.best_metric, rel=1e-6)
    assert_same_weights(ours, theirs, rtol=1e-6, atol=1e-9)  # those of the best

    mine, other = ours.evaluate(), theirs.evaluate()
    assert set(mine) == set(other)
    for metric in ("eval_loss", "eval_accuracy", "epoch"):
        assert mine[metric] == pytest.approx(other[metric], rel=1e-6, abs=5.1e-3 if metric == "epoch" else 0)
    mine, other = (trainer.predict(original_run_items("test", 10)) for trainer in (ours, theirs))
    np.testing.assert_allclose(mine.predictions, other.predictions, rtol=1e-6)
    np.testing.assert_array_equal(mine.label_ids, other.label_ids)
    assert set(mine.metrics) == set(other.metrics)

    states = [
        json.loads((tmp_path / side / sorted(folders[0])[0] / "trainer_state.json").read_text())
        for side in ("ours", "theirs")
    ]
    names = set(states[1]) - {"train_batch_size", "num_input_tokens_seen", "best_global_step"}  # of later versions
    assert names <= set(states[0])
    assert set(states[0]) - names <= {"stateful_callbacks"}  # of later versions, and ours
    for field in ("global_step", "max_steps", "num_train_epochs", "is_world_process_zero", "is_hyper_param_search"):
        assert states[0][field] == states[1][field], field
    for field in ("logging_steps", "eval_steps", "save_steps"):
        assert states[0][field] == states[1][field], field


def test_resuming_is_the_originals(tmp_path, monkeypatch):
    """From the middle of an epoch: the rest of the curve is the rest of the original's."""
    for kind in (Ours, Theirs):
        monkeypatch.setattr(kind, "make_sampler", lambda self: range(ITEMS))
    arguments = {"save_strategy": "steps", "save_steps": 30, "gradient_accumulation_steps": 2}
    whole, _ = run_theirs(tmp_path / "theirs", "float64", **arguments)
    ours, _ = run_ours(tmp_path / "ours", "float64", **arguments)
    for number in (60, 90):
        folder = tmp_path / "ours" / f"checkpoint-{number}"
        args = TrainingArguments(str(tmp_path / "again"), **{**BASE, **arguments})
        again = Ours(make_model("float64"), args, train_dataset=original_run_items("train", ITEMS))
        again.train(resume_from_checkpoint=folder)
        np.testing.assert_allclose(again.losses, whole.losses[2 * number :], rtol=1e-8)


def test_the_originals_model_loads_from_our_checkpoint(tmp_path):
    ours, _ = run_ours(tmp_path, "float32", save_strategy="steps", save_steps=100)
    theirs = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "checkpoint-100")
    for name, parameter in ours.model.named_parameters():
        assert torch.equal(theirs.get_parameter(name).detach(), torch.tensor(parameter.data)), name
