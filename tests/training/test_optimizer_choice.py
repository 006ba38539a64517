"""optim, optim_args and schedules by name: what TrainingArguments say is what the Trainer trains with."""

import json
import logging

import numpy as np
import pytest

from edutransformers.training import (
    SGD,
    Adafactor,
    Adagrad,
    AdamW,
    AdamW8bit,
    ReduceLROnPlateau,
    RMSprop,
    SchedulerType,
    Trainer,
    TrainingArguments,
    get_last_checkpoint,
)
from edutransformers.training.optimizer_choice import ELSEWHERE, OPTIMIZERS, parse_optim_args
from tests.training.toy import assert_same_weights, toy_data, toy_trainer


@pytest.mark.parametrize(
    ("arguments", "cls", "settings"),
    [
        ({}, AdamW, {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-8}),
        ({"optim": "adamw_hf", "adam_beta2": 0.98}, AdamW, {"lr": 5e-5, "betas": (0.9, 0.98), "eps": 1e-8}),
        ({"optim": "adamw_torch_fused"}, AdamW, {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-8}),
        ({"optim": "adamw_torch", "optim_args": "amsgrad=True"}, AdamW,
         {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": True}),
        ({"optim": "adamw_8bit", "adam_epsilon": 1e-6}, AdamW8bit, {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-6}),
        ({"optim": "adamw_bnb_8bit"}, AdamW8bit, {"lr": 5e-5, "betas": (0.9, 0.999), "eps": 1e-8}),
        ({"optim": "adafactor"}, Adafactor, {"lr": 5e-5, "scale_parameter": False, "relative_step": False}),
        ({"adafactor": True}, Adafactor, {"lr": 5e-5, "scale_parameter": False, "relative_step": False}),
        ({"optim": "adafactor", "optim_args": "eps=(1e-30, 0.01), beta1=0.9"}, Adafactor,
         {"lr": 5e-5, "scale_parameter": False, "relative_step": False, "eps": (1e-30, 0.01), "beta1": 0.9}),
        ({"optim": "sgd", "learning_rate": 0.1}, SGD, {"lr": 0.1}),
        ({"optim": "sgd", "optim_args": "momentum=0.9,nesterov=True"}, SGD,
         {"lr": 5e-5, "momentum": 0.9, "nesterov": True}),
        ({"optim": "adagrad"}, Adagrad, {"lr": 5e-5}),
        ({"optim": "rmsprop"}, RMSprop, {"lr": 5e-5}),
    ],
)  # fmt: skip
def test_class_and_settings(arguments, cls, settings):
    assert Trainer.get_optimizer_cls_and_kwargs(TrainingArguments("out", **arguments)) == (cls, settings)


def test_names_the_original_has_and_we_do_not():
    for name in ("adamw_apex_fused", "paged_adamw_8bit", "lion_32bit", "galore_adamw", "adamw_torch_xla"):
        reason = next(why for begin, why in ELSEWHERE.items() if name.startswith(begin))
        with pytest.raises(ValueError, match="expected one of adamw_torch, ") as error:
            TrainingArguments("out", optim=name)
        assert str(error.value).startswith(f"optim is {name!r} ({reason}): ")
    with pytest.raises(ValueError, match="^optim is 'steep': expected one of adamw_torch, "):
        TrainingArguments("out", optim="steep")
    assert not [name for name in OPTIMIZERS if any(name.startswith(b) for b in ELSEWHERE) and "fused" not in name]


@pytest.mark.parametrize(
    ("optim_args", "message"),
    [
        ("momentum", "expected name=value"),
        ("momentum=", "expected name=value"),
        ("momentum=__import__('os')", "expected name=value"),
        ("0.9", "expected name=value"),
        ("**{}", "expected name=value"),
        ("beta=0.9", r"names 'beta', but sgd \(SGD\) takes momentum, dampening, nesterov, threads"),
        ("lr=0.1", "names 'lr': that is TrainingArguments' learning_rate"),
        ("weight_decay=0.1", "names 'weight_decay': that is TrainingArguments' weight_decay"),
    ],
)
def test_bad_optim_args(optim_args, message):
    with pytest.raises(ValueError, match=message):
        TrainingArguments("out", optim="sgd", optim_args=optim_args)


def test_parsing():
    assert parse_optim_args(None) == parse_optim_args("") == {}
    text = "momentum = 0.9,nesterov=True, eps=(1e-30,1e-3), beta1=None"
    assert parse_optim_args(text) == {"momentum": 0.9, "nesterov": True, "eps": (1e-30, 1e-3), "beta1": None}


def test_it_survives_json():
    args = TrainingArguments("out", optim="sgd", optim_args="momentum=0.9", lr_scheduler_type=SchedulerType.POLYNOMIAL,
                             lr_scheduler_kwargs={"power": 2.0})  # fmt: skip
    assert args.lr_scheduler_type == "polynomial"
    assert TrainingArguments.from_dict(json.loads(args.to_json_string())) == args


@pytest.mark.parametrize("optim", ["adafactor", "adamw_8bit", "sgd", "adagrad", "rmsprop"])
def test_training_with_each(tmp_path, optim):
    """The loss falls, decay goes to the same groups, and a resumed run is the uninterrupted one."""
    rates = {"sgd": 0.1, "adagrad": 0.02, "rmsprop": 3e-3}
    more = {"sgd": "momentum=0.5", "adamw_8bit": "min_8bit_size=256"}
    arguments = {"optim": optim, "optim_args": more.get(optim), "learning_rate": rates.get(optim, 5e-3)}
    arguments |= {"num_train_epochs": 3, "save_strategy": "epoch", "logging_strategy": "epoch", "weight_decay": 0.01}
    data = toy_data(160)
    whole = toy_trainer(tmp_path / "whole", train=data, arguments=arguments)
    whole.train()
    assert type(whole.optimizer) is OPTIMIZERS[optim][0]
    assert [group["weight_decay"] for group in whole.optimizer.param_groups] == [0.01, 0.0]
    losses = [log["loss"] for log in whole.log_history if "loss" in log]
    assert losses[-1] < 0.6 * losses[0]

    resumed = toy_trainer(tmp_path / "whole", train=data, arguments=arguments)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-40"))
    assert_same_weights(whole.model, resumed.model)


def test_schedule_with_settings_in_the_trainer(tmp_path):
    arguments = {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 5}, "max_steps": 10}
    arguments |= {"logging_strategy": "steps", "logging_steps": 1, "learning_rate": 1.0e-3}
    trainer = toy_trainer(tmp_path, arguments=arguments)
    trainer.train()
    rates = [log["learning_rate"] for log in trainer.log_history if "loss" in log]
    np.testing.assert_allclose(rates, [5e-4, 1e-3] * 4 + [5e-4, 0], rtol=1e-9)


# -- a schedule that follows a metric ---------------------------------------------------------------------------------


class GivenLosses(Trainer):
    """Evaluations give the losses that the test wants."""

    given = (3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0)

    def evaluate(self, *args, **kwargs):
        metrics = super().evaluate(*args, **kwargs)
        return {**metrics, "eval_loss": self.given[self.state.global_step // 5 - 1]}


def plateau_trainer(folder, **more):
    arguments = {"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"patience": 0, "factor": 0.5}}
    arguments |= {"evaluation_strategy": "epoch", "logging_strategy": "steps", "logging_steps": 5}
    arguments |= {"num_train_epochs": 8, "learning_rate": 0.016, "save_strategy": "epoch"}
    return toy_trainer(folder, trainer_class=GivenLosses, arguments=arguments | more)


def test_the_plateau_follows_the_evaluations(tmp_path):
    """A log before the evaluation shows the rate of the steps it is about; from the next step on it is lower."""
    trainer = plateau_trainer(tmp_path)
    trainer.train()
    rates = [log["learning_rate"] for log in trainer.log_history if "loss" in log]
    assert rates == [0.016, 0.016, 0.016, 0.008, 0.004, 0.002, 0.002, 0.001]
    assert isinstance(trainer.lr_scheduler, ReduceLROnPlateau)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.0005] * 2

    resumed = plateau_trainer(tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-20"))
    assert_same_weights(trainer.model, resumed.model)
    assert resumed.lr_scheduler.state_dict() == trainer.lr_scheduler.state_dict()
    assert get_last_checkpoint(tmp_path).endswith("checkpoint-40")


def test_what_a_plateau_needs(tmp_path, caplog):
    with pytest.raises(ValueError, match="follows a metric, but evaluation_strategy is 'no'"):
        TrainingArguments("out", lr_scheduler_type="reduce_lr_on_plateau")
    args = TrainingArguments("out", lr_scheduler_type="reduce_lr_on_plateau", evaluation_strategy="epoch")
    assert (args.metric_for_best_model, args.greater_is_better) == ("loss", False)
    with pytest.raises(KeyError, match="'eval_f1', but the evaluation gave only eval_"):
        plateau_trainer(tmp_path, metric_for_best_model="f1", lr_scheduler_kwargs={"mode": "max"}).train()


@pytest.mark.parametrize(
    ("metric", "mode", "warned"),
    [("loss", "min", False), ("loss", "max", True), ("accuracy", "min", True), ("accuracy", "max", False)],
)
def test_a_mode_that_does_not_fit_the_metric_is_pointed_out(caplog, metric, mode, warned):
    with caplog.at_level(logging.WARNING):
        TrainingArguments(
            "out", lr_scheduler_type="reduce_lr_on_plateau", evaluation_strategy="epoch", metric_for_best_model=metric,
            lr_scheduler_kwargs={"mode": mode},
        )  # fmt: skip
    assert (f"reduce_lr_on_plateau has mode='{mode}'" in caplog.text) == warned


def test_set_lr_scheduler_and_set_optimizer():
    args = TrainingArguments("out", evaluation_strategy="epoch").set_lr_scheduler("reduce_lr_on_plateau")
    assert args.metric_for_best_model == "loss"
    args = args.set_optimizer("sgd", learning_rate=0.1, args="momentum=0.9")
    assert Trainer.get_optimizer_cls_and_kwargs(args) == (SGD, {"lr": 0.1, "momentum": 0.9})
