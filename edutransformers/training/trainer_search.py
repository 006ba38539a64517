"""The Trainer's hyperparameter search."""

from __future__ import annotations

from ..logging import get_logger
from .hyperparameter_search import (
    BestRun,
    arguments_of_trial,
    check_backend,
    default_compute_objective,
    default_hp_space_optuna,
    report_to_optuna,
    run_hp_search_optuna,
)

logger = get_logger(__name__)


class TrainerSearch:
    """The part of Trainer that tries hyperparameters."""

    _trial = None  # the optuna.Trial that is being run

    def hyperparameter_search(
        self,
        hp_space=None,
        compute_objective=None,
        n_trials: int | None = 20,
        direction: str | list[str] = "minimize",
        backend: str | None = None,
        hp_name=None,
        **kwargs,
    ) -> BestRun | list[BestRun]:
        """Train `n_trials` times with other arguments each time; returns the best trial.

        hp_space           trial -> {field of TrainingArguments: value}, with values from `trial.suggest_float` and its
                           like; default: `default_hp_space_optuna`
        compute_objective  metrics of an evaluation -> a number (with several directions, one each); default:
                           `default_compute_objective`
        n_trials           how many; None: until `timeout` seconds are over
        direction          "minimize" or "maximize"; a list for several objectives at once: all best trials come back
        backend            "optuna"
        hp_name            trial -> the name of its folder below output_dir; default: run-<number>
        kwargs             for `optuna.create_study` (sampler, pruner, storage, study_name, load_if_exists) and for
                           `Study.optimize` (timeout, catch, callbacks, gc_after_trial, show_progress_bar)

        Needs `model_init`, so that each trial begins with a new model; it may take the trial as an argument, to choose
        sizes of the model. Every evaluation during training is reported, and the study's pruner may end the trial
        there. The trainer's arguments are afterwards what they were before; the model is the last trial's.

        Raises `RuntimeError` without `model_init` or in several processes, `ImportError` without Optuna, `ValueError`
        for another backend, or if no trial was completed.
        """
        check_backend(backend)
        if self.model_init is None:
            raise RuntimeError(
                "hyperparameter_search needs Trainer(model_init=...), a function that makes the model anew for each "
                "trial; this Trainer was given a model"
            )
        if self.args.world_size > 1:
            raise RuntimeError(
                f"hyperparameter_search runs in one process, and here are {self.args.world_size}: to search in "
                "parallel, start single processes with the same study_name and storage"
            )
        self.hp_space = default_hp_space_optuna if hp_space is None else hp_space
        self.compute_objective = default_compute_objective if compute_objective is None else compute_objective
        self.hp_name = hp_name
        args = self._args_of_search = self.args
        try:
            return run_hp_search_optuna(self, n_trials, direction, **kwargs)
        finally:
            self._take_arguments(args)
            self._trial = None

    def _hp_search_setup(self, trial) -> None:
        """Arguments for this trial: those from before the search, with what `hp_space` says."""
        self._trial = trial
        if trial is None:
            return
        values = self.hp_space(trial)
        self._trial_name = f"run-{trial.number}" if self.hp_name is None else self.hp_name(trial)
        self._take_arguments(arguments_of_trial(self._args_of_search, values, self._trial_name))
        logger.info("Trial %d: %s", trial.number, trial.params)

    def _take_arguments(self, args) -> None:
        self.args = args
        self.label_smoother = self._make_label_smoother()

    def _remember_trial(self) -> None:
        """Which trial this is, for callbacks and trainer_state.json."""
        self.state.is_hyper_param_search = self._trial is not None
        self.state.trial_name = None if self._trial is None else self._trial_name
        self.state.trial_params = None if self._trial is None else dict(self._trial.params)

    def _report_to_hp_search(self, trial, step: int, metrics: dict) -> None:
        """An evaluation's objective; a pruner may end the trial here."""
        if trial is not None:
            self.objective = self.compute_objective(dict(metrics))
            report_to_optuna(trial, self.objective, step)
