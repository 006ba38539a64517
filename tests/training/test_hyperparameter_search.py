"""What of hyperparameter search needs no Optuna: errors, arguments of a trial, objective. (The rest: tests/extras.)"""

import sys
import types

import numpy as np
import pytest

from edutransformers.training import TrainingArguments
from edutransformers.training.hyperparameter_search import arguments_of_trial, default_compute_objective
from tests.training.toy import toy_model, toy_trainer


@pytest.fixture
def without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)


@pytest.fixture
def with_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", types.ModuleType("optuna"))


def test_optuna_that_is_not_installed(tmp_path, without_optuna):
    trainer = toy_trainer(tmp_path, model_init=toy_model)
    with pytest.raises(ImportError, match="needs optuna, which is not installed: `pip install optuna`"):
        trainer.hyperparameter_search()


@pytest.mark.parametrize("backend", ["ray", "sigopt", "wandb"])
def test_other_backends(tmp_path, without_optuna, backend):
    trainer = toy_trainer(tmp_path, model_init=toy_model)
    with pytest.raises(ValueError, match=f"backend is '{backend}', but hyperparameter search here is Optuna's"):
        trainer.hyperparameter_search(backend=backend)
    with pytest.raises(ValueError, match="backend is 'grid': expected 'optuna'"):
        trainer.hyperparameter_search(backend="grid")


def test_a_model_that_can_not_be_made_anew(tmp_path, with_optuna):
    with pytest.raises(RuntimeError, match=r"needs Trainer\(model_init=\.\.\.\)"):
        toy_trainer(tmp_path).hyperparameter_search()


def test_several_ranks(tmp_path, with_optuna, monkeypatch):
    trainer = toy_trainer(tmp_path, model_init=toy_model)
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    with pytest.raises(RuntimeError, match="runs in one process, and here are 2"):
        trainer.hyperparameter_search()


def test_arguments_of_a_trial(tmp_path, caplog):
    args = TrainingArguments(str(tmp_path), evaluation_strategy="epoch", save_total_limit=None)
    before = args.to_dict()
    values = {"num_train_epochs": 5, "seed": 7.0, "learning_rate": "1e-3", "save_total_limit": 3, "hidden_size": 8}
    of_trial = arguments_of_trial(args, {**values, "metric_for_best_model": None}, "run-4")
    changed = {name: value for name, value in of_trial.to_dict().items() if value != before[name]}
    folder = str(tmp_path / "run-4")
    expected = {"num_train_epochs": 5.0, "seed": 7, "learning_rate": 1e-3, "save_total_limit": 3, "output_dir": folder}
    assert changed == expected
    assert isinstance(of_trial.seed, int)
    assert isinstance(of_trial.num_train_epochs, float)
    assert args.to_dict() == before
    whole = TrainingArguments(str(tmp_path), num_train_epochs=2)
    assert arguments_of_trial(whole, {"num_train_epochs": 2.5}, "run-5").num_train_epochs == 2.5  # and not 2
    assert caplog.messages == ["hp_space gives hidden_size, which is no field of TrainingArguments: it is left out"]
    with pytest.raises(ValueError, match="learning_rate is -1"):
        arguments_of_trial(args, {"learning_rate": -1}, "run-5")


def test_default_objective():
    metrics = {"eval_loss": 0.5, "eval_runtime": 9.0, "eval_steps_per_second": 9.0, "epoch": 2.0}
    assert default_compute_objective(metrics) == 0.5
    assert default_compute_objective({**metrics, "eval_f1": 0.25, "eval_accuracy": 0.5}) == 0.75
    assert metrics["eval_loss"] == 0.5  # nothing was taken out


def of_nothing():
    return "model"


def of_a_trial(trial):
    return ("model", trial)


def of_a_trial_by_another_name(t):
    return ("model", t)


def of_an_optional_trial(trial=5):
    return ("model", trial)


def of_a_size(size=5):
    return ("model", size)


def of_both(trial, generator):
    return ("model", trial, generator.integers(100))


@pytest.mark.parametrize(
    ("model_init", "expected"),
    [
        (of_nothing, "model"),
        (of_a_trial, ("model", "T")),
        (of_a_trial_by_another_name, ("model", "T")),
        (of_an_optional_trial, ("model", "T")),
        (of_a_size, ("model", 5)),
        (of_both, ("model", "T", np.random.default_rng([42, 0]).integers(100))),
    ],
)
def test_what_model_init_is_given(tmp_path, model_init, expected):
    trainer = toy_trainer(tmp_path)
    trainer.model_init = model_init
    assert trainer.call_model_init("T") == expected
