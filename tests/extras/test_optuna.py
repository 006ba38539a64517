"""Hyperparameter search with the real Optuna."""

import pytest

NEEDS = ("optuna",)
pytestmark = pytest.mark.extras

import optuna  # noqa: E402

from edutransformers.training import TrainerCallback, TrainingArguments  # noqa: E402
from edutransformers.training.hyperparameter_search import default_hp_space_optuna  # noqa: E402
from tests.test_docs import DOCS, blocks, cells  # noqa: E402
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer  # noqa: E402

optuna.logging.set_verbosity(optuna.logging.WARNING)
ARGUMENTS = {"max_steps": 25, "per_device_train_batch_size": 16, "evaluation_strategy": "no"}


def trainer_for(folder, model_init=lambda: toy_model(dropout=0.0), arguments=None, **parts):
    data = {"train": toy_data(64), "test": toy_data(40, seed=1)}
    return toy_trainer(folder, model_init=model_init, arguments={**ARGUMENTS, **(arguments or {})}, **data, **parts)


def rates(trial):
    """Of three orders of magnitude only the middle one learns in 25 steps."""
    return {"learning_rate": trial.suggest_categorical("learning_rate", [1e-7, 2e-2, 3e1])}


def test_the_planted_best_is_found(tmp_path):
    trainer = trainer_for(tmp_path)
    before = trainer.args.to_dict()
    best = trainer.hyperparameter_search(rates, n_trials=6, sampler=optuna.samplers.RandomSampler(seed=1))
    assert best.hyperparameters == {"learning_rate": 2e-2}
    trials = best.run_summary.trials
    assert len(trials) == 6
    assert {trial.params["learning_rate"] for trial in trials} == {1e-7, 2e-2, 3e1}
    others = [trial.value for trial in trials if trial.params["learning_rate"] != 2e-2]
    assert best.objective < min(others) - 0.1
    assert trials[int(best.run_id)].value == best.objective
    assert trainer.args.to_dict() == before
    assert trainer._trial is None

    trainer.args.learning_rate = best.hyperparameters["learning_rate"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] == best.objective  # the trial was this run
    assert trainer.state.trial_name is None


def test_a_seeded_search_repeats(tmp_path):
    def space(trial):
        return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)}

    def search(folder):
        sampler = optuna.samplers.TPESampler(seed=3, n_startup_trials=2)
        best = trainer_for(folder, arguments={"max_steps": 4}).hyperparameter_search(space, n_trials=5, sampler=sampler)
        return [(trial.params, trial.value) for trial in best.run_summary.trials], best[:3]

    assert search(tmp_path / "a") == search(tmp_path / "b")


def test_hopeless_trials_are_pruned(tmp_path):
    """After the first trial a median pruner ends every worse one at its first evaluation."""

    class Closed(TrainerCallback):
        interruptions = 0

        def on_train_interrupted(self, args, state, control, **kwargs):
            Closed.interruptions += 1

    trainer = trainer_for(tmp_path, arguments={"evaluation_strategy": "steps", "eval_steps": 5}, callbacks=[Closed])
    best = trainer.hyperparameter_search(
        lambda trial: {"learning_rate": [2e-2, 1e-7, 1e-7][trial.number]},
        n_trials=3,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    trials = best.run_summary.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert [sorted(trial.intermediate_values) for trial in trials] == [[5, 10, 15, 20, 25], [5], [5]]
    assert trials[0].value == trials[0].intermediate_values[25]
    assert best.run_id == "0"
    assert Closed.interruptions == 2


def test_folders_names_and_states(tmp_path):
    seen = []

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            seen.append((state.is_hyper_param_search, state.trial_name, state.trial_params, args.output_dir))

    arguments = {"max_steps": 2, "save_strategy": "steps", "save_steps": 2, "report_to": "csv"}
    trainer = trainer_for(tmp_path, arguments=arguments, callbacks=[Look])
    trainer.hyperparameter_search(rates, n_trials=1)
    trainer.hyperparameter_search(rates, n_trials=1, hp_name=lambda trial: f"rate-{trial.params['learning_rate']:g}")
    (first, second) = seen
    assert first == (
        True,
        "run-0",
        {"learning_rate": pytest.approx(first[2]["learning_rate"])},
        str(tmp_path / "run-0"),
    )
    assert second[1] == f"rate-{second[2]['learning_rate']:g}"
    for _, name, _, _ in seen:
        assert {path.name for path in (tmp_path / name).iterdir()} == {"checkpoint-2", "log.csv"}
    assert trainer.args.output_dir == str(tmp_path)


def test_two_aims_at_once(tmp_path):
    """All trials that no other beats in both come back. Here: small loss, and few steps."""

    def space(trial):
        return {"learning_rate": 2e-2, "max_steps": trial.suggest_categorical("max_steps", [2, 2, 30])}

    steps = []
    trainer = trainer_for(tmp_path)
    best = trainer.hyperparameter_search(
        space,
        compute_objective=lambda metrics: (metrics["eval_loss"], steps.append(trainer.args.max_steps) or steps[-1]),
        direction=["minimize", "minimize"],
        n_trials=6,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    assert isinstance(best, list)
    assert {run.hyperparameters["max_steps"] for run in best} == {2, 30}
    assert all(len(run.objective) == 2 for run in best)


def test_a_model_of_the_trial_s_size(tmp_path, caplog):
    """model_init gets the trial; what is no argument of the training is left out there, with a warning."""
    sizes = []

    def model_init(trial):
        size = 16 if trial is None else trial.params["hidden_size"]
        sizes.append(size)
        return toy_model(hidden_size=size)

    def space(trial):
        return {
            "hidden_size": trial.suggest_categorical("hidden_size", [8, 32]),
            "num_train_epochs": 1,
            "max_steps": "3",
        }

    trainer = trainer_for(tmp_path, model_init=model_init)
    best = trainer.hyperparameter_search(space, n_trials=4, sampler=optuna.samplers.RandomSampler(seed=1))
    assert sizes[0] == 16  # the constructor's
    assert set(sizes[1:]) == {8, 32}
    assert trainer.model.config.hidden_size == sizes[-1]
    assert "hp_space gives hidden_size, which is no field of TrainingArguments" in caplog.text
    assert set(best.hyperparameters) == {"hidden_size"}
    assert trainer.state.max_steps == 3  # "3" became a number, as max_steps holds one


def test_no_value_leaks_into_the_next_trial(tmp_path):
    decays = []

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            decays.append(args.weight_decay)

    trainer = trainer_for(tmp_path, arguments={"max_steps": 1}, callbacks=[Look])
    trainer.hyperparameter_search(lambda trial: {"weight_decay": 0.5} if trial.number == 0 else {}, n_trials=2)
    assert decays == [0.5, 0.0]


def test_an_infinite_loss_is_a_bad_trial_not_the_end(tmp_path):
    def model_init(trial):
        model = toy_model()
        if trial is not None and trial.number == 0:
            next(model.parameters()).data[...] = float("nan")
        return model

    trainer = trainer_for(tmp_path, model_init=model_init, arguments={"max_steps": 2})
    best = trainer.hyperparameter_search(rates, n_trials=2)
    assert [trial.state.name for trial in best.run_summary.trials] == ["FAIL", "COMPLETE"]
    assert best.run_id == "1"
    with pytest.raises(ValueError, match="no trial of the search was completed .0: fail."):
        trainer.hyperparameter_search(rates, n_trials=1)


def test_an_error_ends_the_search_and_restores_the_arguments(tmp_path):
    def space(trial):
        return {"per_device_train_batch_size": -1}

    trainer = trainer_for(tmp_path)
    args = trainer.args
    with pytest.raises(ValueError, match="per_device_train_batch_size is -1"):
        trainer.hyperparameter_search(space, n_trials=2)
    assert trainer.args is args
    with pytest.raises(ValueError, match="n_jobs is 2: expected 1, because the trials share one Trainer"):
        trainer.hyperparameter_search(rates, n_trials=2, n_jobs=2)


def test_a_search_goes_on_where_its_storage_ends(tmp_path):
    options = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "rates", "load_if_exists": True}
    for _ in range(2):
        trainer = trainer_for(tmp_path, arguments={"max_steps": 2})
        best = trainer.hyperparameter_search(rates, n_trials=2, backend="optuna", **options)
    assert [trial.number for trial in best.run_summary.trials] == [0, 1, 2, 3]


def test_labels_are_smoothed_as_the_trial_says(tmp_path):
    smoothing = []

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            smoothing.append(trainer.label_smoother and trainer.label_smoother.label_smoothing)

    trainer = trainer_for(tmp_path, arguments={"max_steps": 1}, callbacks=[Look])
    trainer.hyperparameter_search(lambda trial: {"label_smoothing_factor": [0.2, 0.0][trial.number]}, n_trials=2)
    assert smoothing == [0.2, None]


def test_the_default_space_and_objective(tmp_path):
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    values = default_hp_space_optuna(trial)
    assert set(values) == {"learning_rate", "num_train_epochs", "seed", "per_device_train_batch_size"}
    TrainingArguments(str(tmp_path), **values)
    trainer = trainer_for(tmp_path, compute_metrics=accuracy)
    best = trainer.hyperparameter_search(rates, n_trials=3, direction="maximize")
    assert best.objective == max(trial.value for trial in best.run_summary.trials)
    assert 0 <= best.objective <= 1  # the accuracy, and not the loss beside it


def test_the_page_s_example_runs(tmp_path, monkeypatch, capsys):
    """docs/training/hyperparameter_search.md, with what it shows but can't run where Optuna is missing."""
    monkeypatch.chdir(tmp_path)
    page = DOCS / "training" / "hyperparameter_search.md"
    scope = {}
    exec(cells(page)[0], scope)
    search, sizes = (body for _, body in blocks(page, "python"))
    exec(search, scope)
    best = scope["best"]
    assert f"\n{best.run_id} {best.objective} {{" in capsys.readouterr().out
    assert best.objective < 0.5  # guessing is 0.69
    states = {trial.state.name for trial in best.run_summary.trials}
    assert states == {"COMPLETE", "PRUNED"}
    assert scope["trainer"].args.learning_rate == best.hyperparameters["learning_rate"]

    exec(sizes.replace("BertConfig(", "BertConfig(hidden_size=24, intermediate_size=8, vocab_size=9, "), scope)
    trial = optuna.trial.FixedTrial({"num_hidden_layers": 3})
    assert scope["model_init"](trial).config.num_hidden_layers == 3
    assert scope["model_init"](None).config.num_hidden_layers == 2
