"""Hyperparameter search: what is tried, what is measured, and Optuna in between.

    best = trainer.hyperparameter_search(n_trials=20)          # Trainer.hyperparameter_search in trainer_search.py
    for name, value in best.hyperparameters.items():
        setattr(trainer.args, name, value)
    trainer.train()

A trial is one training run with other arguments. Optuna proposes them (by default from what earlier trials taught: the
tree-structured Parzen estimator of Bergstra et al. 2011), and may end a trial early that does worse than others did at
the same step ("pruning").
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from ..logging import get_logger

logger = get_logger(__name__)

OTHER_BACKENDS = ("ray", "sigopt", "wandb")
OF_OPTIMIZE = ("timeout", "catch", "callbacks", "gc_after_trial", "show_progress_bar")  # the others make the study


class BestRun(NamedTuple):
    """The best trial of a search."""

    run_id: str  # its checkpoints are in output_dir/run-<run_id>
    objective: float | list[float]  # a list in a search with several directions
    hyperparameters: dict  # what it was given
    run_summary: object | None = None  # the optuna.Study: all trials, for tables and pictures


def default_compute_objective(metrics: dict) -> float:
    """What a search makes small or large: the evaluation loss, or the sum of the metrics where there are some.

    With metrics that are better when larger (accuracy, F1), search with direction="maximize".
    """
    of_speed = ("_runtime", "_per_second", "_compilation_time")
    values = {name: value for name, value in metrics.items() if name != "epoch" and not name.endswith(of_speed)}
    loss = values.pop("eval_loss", None)
    return sum(values.values()) if values else loss


def default_hp_space_optuna(trial) -> dict:
    """Learning rate from 1e-6 to 1e-4, 1 to 5 epochs, 40 seeds, batches of 4 to 64."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-6, 1e-4, log=True),
        "num_train_epochs": trial.suggest_int("num_train_epochs", 1, 5),
        "seed": trial.suggest_int("seed", 1, 40),
        "per_device_train_batch_size": trial.suggest_categorical("per_device_train_batch_size", [4, 8, 16, 32, 64]),
    }


def check_backend(backend) -> None:
    """Raises `ValueError` for a backend that is not here, `ImportError` where Optuna is not installed."""
    name = getattr(backend, "value", backend)
    if name in OTHER_BACKENDS:
        raise ValueError(
            f"backend is {name!r}, but hyperparameter search here is Optuna's: leave backend out, or pass 'optuna' (to "
            "search on several machines, start this program on each with the same study_name and storage)"
        )
    if name not in (None, "optuna"):
        raise ValueError(f"backend is {name!r}: expected 'optuna'")
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ImportError("hyperparameter_search needs optuna, which is not installed: `pip install optuna`") from error


def arguments_of_trial(args, values: dict, name: str):
    """New TrainingArguments: `args` with a trial's values, and a folder of its own below output_dir.

    A value becomes what the field held (5 epochs are 5.0 where they were 3.0). A name that is no field is left out with
    a warning: `model_init(trial)` is where a hyperparameter of the model goes.
    """
    known = {field.name for field in fields(args) if field.init}
    changes = {"output_dir": str(Path(args.output_dir, name))}
    for key, value in values.items():
        if key not in known:
            logger.warning("hp_space gives %s, which is no field of TrainingArguments: it is left out", key)
            continue
        changes[key] = _in_the_type_of(getattr(args, key), value)
    return replace(args, **changes)


def _in_the_type_of(before, value):
    """7.0 for a seed is 7, "1e-3" for a rate is 0.001. But 2.5 epochs stay 2.5, where there were 2 before."""
    is_broken = isinstance(before, int) and isinstance(value, float) and not value.is_integer()
    return value if before is None or value is None or is_broken else type(before)(value)


def run_hp_search_optuna(trainer, n_trials: int | None, direction, **options) -> BestRun | list[BestRun]:
    """`n_trials` runs of the trainer, and the best of them (of several directions: those that none beats in all)."""
    import optuna

    n_jobs = options.pop("n_jobs", 1)
    if n_jobs != 1:
        raise ValueError(
            f"n_jobs is {n_jobs!r}: expected 1, because the trials share one Trainer; to search in parallel, start "
            "this program several times with the same study_name and storage"
        )
    # A learning rate that makes the loss infinite is a bad trial, not the end of the search.
    of_optimize = {"catch": (FloatingPointError,)}
    of_optimize.update({name: options.pop(name) for name in OF_OPTIMIZE if name in options})
    several = isinstance(direction, (list, tuple))
    aim = {"directions": list(direction)} if several else {"direction": direction}
    study = optuna.create_study(**aim, **options)

    def objective(trial):
        trainer.objective = None
        trainer.train(trial=trial)
        if trainer.objective is None:  # there was no evaluation during training
            trainer.objective = trainer.compute_objective(trainer.evaluate())
        return trainer.objective

    study.optimize(objective, n_trials=n_trials, **of_optimize)
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        states = ", ".join(f"{trial.number}: {trial.state.name.lower()}" for trial in study.trials)
        raise ValueError(
            f"no trial of the search was completed ({states or 'there was none'}), so there is no best one"
        )
    if several:
        return [BestRun(str(best.number), best.values, best.params, study) for best in study.best_trials]
    best = study.best_trial
    return BestRun(str(best.number), best.value, best.params, study)


def report_to_optuna(trial, objective, step: int) -> None:
    """Tell Optuna how a trial is doing. Raises `optuna.TrialPruned` if that is worse than others did by this step."""
    import optuna

    if len(trial.study.directions) > 1:  # which of two aims should it be judged by?
        return
    trial.report(objective, step)
    if trial.should_prune():
        raise optuna.TrialPruned(f"pruned at step {step} with objective {objective}")
