"""TrainingArguments: everything the Trainer can be told, with the original's names and defaults."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import Enum
from pathlib import Path
from socket import gethostname

from .. import logging
from .argument_setters import ArgumentSetters
from .callbacks.reporting import integrations_of
from .distributed import communicator
from .foreign_arguments import explain
from .optimizer_choice import optimizer_class_and_settings
from .schedules import SCHEDULES


class IntervalStrategy(str, Enum):
    """When something happens again and again. The plain words do as well."""

    NO = "no"
    STEPS = "steps"
    EPOCH = "epoch"


EvaluationStrategy = IntervalStrategy  # the original has two names for these three words
LOG_LEVELS = ("passive", "debug", "info", "warning", "error", "critical")
STRATEGIES = tuple(strategy.value for strategy in IntervalStrategy)


@dataclass
class TrainingArguments(ArgumentSetters):
    """The settings of a training run. Only what works here is a field: any other name is a `TypeError`.

    A "step" is one change of the weights; with `gradient_accumulation_steps=n` it takes n batches. A number of steps
    between 0 and 1 (`logging_steps=0.1`) is a share of all steps.
    """

    output_dir: str  # checkpoints go into subfolders checkpoint-<step>
    overwrite_output_dir: bool = False  # False: checkpoints of an earlier run are pointed out

    # what a script should do; train(), evaluate() and predict() don't look at it
    do_train: bool = False  # train
    do_eval: bool = False  # True as soon as there is an evaluation_strategy
    do_predict: bool = False  # predict

    # evaluation
    evaluation_strategy: str = "no"  # when to evaluate: "no", every `eval_steps` steps, every "epoch"
    eval_strategy: str | None = None  # later versions' name for the same
    eval_steps: float | None = None  # None: as often as `logging_steps`
    eval_delay: float = 0  # no evaluation before this many steps (or epochs)
    prediction_loss_only: bool = False  # evaluation keeps no predictions
    eval_accumulation_steps: int | None = None  # batches whose predictions stay on a GPU at a time; None: all
    include_inputs_for_metrics: bool = False  # compute_metrics gets the inputs too

    # batches
    per_device_train_batch_size: int = 8  # items in a training batch
    per_device_eval_batch_size: int = 8  # items in a batch of an evaluation or a prediction
    auto_find_batch_size: bool = False  # begin anew with half the batch when the memory is too small
    gradient_accumulation_steps: int = 1  # batches whose gradients are averaged before a step
    dataloader_drop_last: bool = False  # leave out an epoch's last batch if it is smaller
    dataloader_num_workers: int = 0  # threads that make batches ahead of the training
    dataloader_prefetch_factor: int | None = None  # batches that each of them is ahead; None: 2
    group_by_length: bool = False  # texts of about one length in a batch: much less padding
    length_column_name: str = "length"  # the entry of an item that says how long it is, if there is one
    remove_unused_columns: bool = True  # drop what the model's forward does not take
    label_names: list[str] | None = None  # None: the arguments of forward that are labels

    # how long
    num_train_epochs: float = 3.0  # passes through the data; a fraction ends in the middle of one
    max_steps: int = -1  # above 0: overrides num_train_epochs

    # the optimizer and its schedule
    optim: str = "adamw_torch"  # or adafactor, adamw_8bit, sgd, adagrad, rmsprop: see optimizer_choice.py
    optim_args: str | None = None  # more of its settings, as in "momentum=0.9,nesterov=True"
    adafactor: bool = False  # the older way to say optim="adafactor"
    learning_rate: float = 5e-5  # at the end of the warm-up; the schedule goes on from it
    weight_decay: float = 0.0  # on matrices and tables, not on biases and norms
    adam_beta1: float = 0.9  # how slowly the mean of the gradients forgets
    adam_beta2: float = 0.999  # how slowly the mean of their squares forgets
    adam_epsilon: float = 1e-8  # added to the root of that mean, so that nothing is divided by 0
    max_grad_norm: float = 1.0  # the longest that a gradient may be, all parameters together; 0: no clipping
    lr_scheduler_type: str = "linear"  # linear, cosine, constant_with_warmup, …: see schedules.py
    lr_scheduler_kwargs: dict | None = None  # more of the schedule's settings, as in {"num_cycles": 2}
    warmup_ratio: float = 0.0  # share of all steps
    warmup_steps: int = 0  # above 0: overrides warmup_ratio
    label_smoothing_factor: float = 0.0  # share of the probability that the labels give to all classes alike

    # logs
    log_level: str = "passive"  # what the package prints: debug, info, warning, error, critical; passive: as it is set
    logging_strategy: str = "steps"  # when to log the loss: "no", every `logging_steps` steps, every "epoch"
    logging_first_step: bool = False  # also the first step
    logging_steps: float = 500  # steps, or a share of all steps
    disable_tqdm: bool = False  # True: print the logs, no progress bars
    report_to: list[str] | None = None  # where logs go besides: tensorboard, csv, json, or all of them; None: nowhere
    logging_dir: str | None = None  # TensorBoard's files; None: runs/<date>_<machine> in output_dir
    include_tokens_per_second: bool = False  # train_tokens_per_second among the metrics of train()

    # checkpoints
    save_strategy: str = "steps"  # when to save: "no", every `save_steps` steps, every "epoch"
    save_steps: float = 500  # steps, or a share of all steps
    save_total_limit: int | None = None  # older ones are deleted, the best never
    save_safetensors: bool = True  # False: weights as pytorch_model.bin, for programs that know nothing else
    load_best_model_at_end: bool = False  # go back to the best of the checkpoints
    metric_for_best_model: str | None = None  # None with load_best_model_at_end: "loss"
    greater_is_better: bool | None = None  # None: True unless the metric is a loss
    resume_from_checkpoint: str | None = None  # for scripts; train(resume_from_checkpoint=...) is what counts
    ignore_data_skip: bool = False  # resume at an epoch's beginning instead of behind the batches already seen

    # randomness
    seed: int = 42  # dropout, and new weights of model_init
    data_seed: int | None = None  # order of the data; None: seed

    # device and memory
    use_cpu: bool = False  # move the model to the processor; False: train it where it is
    gradient_checkpointing: bool = False  # recompute activations in backward instead of keeping them
    fp16: bool = False  # compute in float16, keep float32 weights (mixed precision); on a GPU only
    fp16_full_eval: bool = False  # evaluate in float16, also where training is float32; on a GPU only

    def __new__(cls, *args, **values):
        explain(values, cls.__dataclass_fields__)
        return super().__new__(cls)

    def __post_init__(self):
        if self.eval_strategy is not None:
            if self.evaluation_strategy not in ("no", self.eval_strategy):
                raise ValueError(
                    f"evaluation_strategy={self.evaluation_strategy!r} and eval_strategy={self.eval_strategy!r} "
                    "are two names for one setting: give only one"
                )
            self.evaluation_strategy = self.eval_strategy
        self.output_dir = str(self.output_dir)
        self.report_to = integrations_of(self.report_to)
        folder = Path(self.output_dir, default_logdir()) if self.logging_dir is None else Path(self.logging_dir)
        self.logging_dir = str(folder.expanduser())
        self._check_strategies()
        self._check_numbers()
        if self.evaluation_strategy == "steps" and self.eval_steps is None:
            self.eval_steps = self.logging_steps
        if self.load_best_model_at_end:
            self._check_best_model()
        if self.metric_for_best_model is not None and self.greater_is_better is None:
            self.greater_is_better = not self.metric_for_best_model.endswith("loss")

    def _check_strategies(self):
        for name in ("evaluation_strategy", "logging_strategy", "save_strategy"):
            value = getattr(self, name)
            value = getattr(value, "value", value)
            if value not in STRATEGIES:
                raise ValueError(f"{name} is {value!r}: expected one of {', '.join(STRATEGIES)}")
            setattr(self, name, value)
        self.eval_strategy = self.evaluation_strategy
        self.do_eval = self.do_eval or self.evaluation_strategy != "no"
        if self.log_level not in LOG_LEVELS:
            raise ValueError(f"log_level is {self.log_level!r}: expected one of {', '.join(LOG_LEVELS)}")

    def _check_numbers(self):
        counts = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
        for name in counts:
            self._check(name, whole=True, low=1)
        for name in ("max_steps", "warmup_steps", "seed", "dataloader_num_workers"):
            self._check(name, whole=True, low=-1 if name == "max_steps" else 0)
        if self.dataloader_prefetch_factor is not None and self.dataloader_num_workers == 0:
            raise ValueError("dataloader_prefetch_factor is for workers, but dataloader_num_workers is 0")
        for name in ("save_total_limit", "eval_accumulation_steps", "data_seed", "dataloader_prefetch_factor"):
            if getattr(self, name) is not None:
                self._check(name, whole=True, low=0 if name == "data_seed" else 1)
        for name in ("learning_rate", "weight_decay", "adam_epsilon", "max_grad_norm", "eval_delay"):
            self._check(name, low=0)
        for name in ("adam_beta1", "adam_beta2"):
            self._check(name, low=0, below=1)
        for name in ("warmup_ratio", "label_smoothing_factor"):
            self._check(name, low=0, high=1)
        if self.max_steps <= 0:
            self._check("num_train_epochs", above=0)
        for name in ("logging_steps", "save_steps", "eval_steps"):
            strategy = name.replace("eval_", "evaluation_").replace("_steps", "_strategy")
            if getattr(self, strategy) == "steps" and getattr(self, name) is not None:
                self._check(name, above=0)
                if getattr(self, name) > 1 and getattr(self, name) != int(getattr(self, name)):
                    raise ValueError(f"{name} is {getattr(self, name)}: above 1 it must be a whole number of steps")
        self._check_optimizer_and_schedule()

    def _check_optimizer_and_schedule(self):
        self.optim = "adafactor" if self.adafactor else getattr(self.optim, "value", self.optim)
        optimizer_class_and_settings(self)
        self.lr_scheduler_type = getattr(self.lr_scheduler_type, "value", self.lr_scheduler_type)
        if self.lr_scheduler_type not in SCHEDULES:
            raise ValueError(f"lr_scheduler_type is {self.lr_scheduler_type!r}: expected one of {', '.join(SCHEDULES)}")
        if self.lr_scheduler_type == "reduce_lr_on_plateau":
            self._check_plateau()

    def _check_plateau(self):
        if self.evaluation_strategy == "no":
            raise ValueError(
                "lr_scheduler_type='reduce_lr_on_plateau' follows a metric, but evaluation_strategy is 'no': "
                "set it to 'steps' or 'epoch'"
            )
        if self.metric_for_best_model is None:
            self.metric_for_best_model = "loss"
        greater = self.greater_is_better
        greater = not self.metric_for_best_model.endswith("loss") if greater is None else greater
        mode = (self.lr_scheduler_kwargs or {}).get("mode", "min")
        if greater != (mode == "max"):
            logging.get_logger(__name__).warning(
                "reduce_lr_on_plateau has mode=%r, but of %s %s is better: the learning rate falls while it improves; "
                'was lr_scheduler_kwargs={"mode": "%s"} meant?',
                mode, self.metric_for_best_model, "more" if greater else "less", "max" if greater else "min",
            )  # fmt: skip

    def _check(self, name, whole=False, low=None, above=None, high=None, below=None):
        value = getattr(self, name)
        kinds = int if whole else (int, float)
        limits = [
            (low, "from {} up", lambda v: v >= low),
            (above, "above {}", lambda v: v > above),
            (high, "up to {}", lambda v: v <= high),
            (below, "below {}", lambda v: v < below),
        ]
        expected = " and ".join(text.format(limit) for limit, text, _ in limits if limit is not None)
        number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not all(holds(value) for limit, _, holds in limits if limit is not None):
            raise ValueError(f"{name} is {value!r}: expected a {'whole ' if whole else ''}number {expected}")

    def _check_best_model(self):
        if self.evaluation_strategy == "no" or self.evaluation_strategy != self.save_strategy:
            raise ValueError(
                "load_best_model_at_end=True needs each checkpoint evaluated, but save_strategy is "
                f"{self.save_strategy!r} and evaluation_strategy is {self.evaluation_strategy!r}: make them equal, "
                "'steps' or 'epoch'"
            )
        if self.evaluation_strategy == "steps" and not _is_multiple(self.save_steps, self.eval_steps):
            raise ValueError(
                f"load_best_model_at_end=True needs each checkpoint evaluated, but save_steps={self.save_steps} is no "
                f"multiple of eval_steps={self.eval_steps}"
            )
        if self.metric_for_best_model is None:
            self.metric_for_best_model = "loss"

    # -- what follows from the fields ---------------------------------------------------------------------------------

    @property
    def train_batch_size(self) -> int:
        return self.per_device_train_batch_size

    @property
    def eval_batch_size(self) -> int:
        return self.per_device_eval_batch_size

    @property
    def world_size(self) -> int:
        """How many processes train together."""
        return communicator().size

    @property
    def process_index(self) -> int:
        """Which of them this is."""
        return communicator().rank

    @property
    def local_process_index(self) -> int:
        """Which of those on this machine."""
        return communicator().local_rank

    def get_warmup_steps(self, num_training_steps: int) -> int:
        """warmup_steps, or the share warmup_ratio of all steps, rounded up."""
        return self.warmup_steps if self.warmup_steps > 0 else math.ceil(num_training_steps * self.warmup_ratio)

    def steps_of(self, name: str, num_training_steps: int) -> int:
        """logging_steps, eval_steps or save_steps as a number of steps, also where it is a share."""
        value = getattr(self, name)
        if value is None:
            return num_training_steps
        return math.ceil(num_training_steps * value) if 0 < value < 1 else int(value)

    def get_process_log_level(self) -> int:
        """`log_level` as a number of Python's logging; of "passive", the one that is set."""
        return logging.get_verbosity() if self.log_level == "passive" else logging.get_log_levels_dict()[self.log_level]

    # -- as a dictionary ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict:
        return asdict(self)

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_sanitized_dict(self) -> dict:
        """`to_dict` for tables of hyperparameters: numbers, truth values and text; all else as text."""
        values = {**self.to_dict(), "train_batch_size": self.train_batch_size, "eval_batch_size": self.eval_batch_size}
        return {n: value if type(value) in (bool, int, float, str) else str(value) for n, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict) -> TrainingArguments:
        """The reverse of `to_dict`. An unknown name raises `TypeError`."""
        known = {field.name for field in fields(cls)}
        explain(values, known)
        for name in values:
            if name not in known:
                raise TypeError(f"TrainingArguments has no field {name!r}")
        return cls(**values)


def default_logdir() -> str:
    """runs/<date>_<machine>, as TensorBoard's writers name it: every run has a folder of its own."""
    return str(Path("runs", f"{datetime.now():%b%d_%H-%M-%S}_{gethostname()}"))


def _is_multiple(steps: float, of: float) -> bool:
    ratio = steps / of
    return abs(ratio - round(ratio)) < 1e-9 and round(ratio) >= 1
