"""Training: optimizers, schedules, batches, and the Trainer that puts them together.

To read: optimizers/, schedules.py, clipping.py (a step), datasets/, data.py, collators/ (batches), trainer_loop.py (the
loop).
"""

from .accelerator import Accelerator
from .argument_parser import HfArgumentParser
from .arguments import EvaluationStrategy, IntervalStrategy, TrainingArguments
from .bad_values import first_bad_layer, watch
from .callbacks import (
    CSVLoggerCallback,
    DefaultFlowCallback,
    EarlyStoppingCallback,
    JSONLoggerCallback,
    NotebookProgressCallback,
    PrinterCallback,
    ProgressCallback,
    TensorBoardCallback,
    TrainerCallback,
    history_figure,
)
from .checkpointing import get_last_checkpoint
from .clipping import clip_grad_norm_
from .collators import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForPermutationLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithPadding,
    DefaultDataCollator,
    RandomCollator,
    default_data_collator,
)
from .data import DataLoader
from .datasets import (
    Audio,
    ClassLabel,
    Dataset,
    DatasetDict,
    Image,
    IterableDataset,
    concatenate_datasets,
    load_dataset,
)
from .hyperparameter_search import BestRun, default_compute_objective, default_hp_space_optuna
from .mixed_precision import MixedPrecision, half_weights
from .optimizers import SGD, Adafactor, Adagrad, Adam, AdamW, AdamW8bit, Optimizer, RMSprop, decay_groups
from .outputs import EvalPrediction, PredictionOutput, TrainOutput
from .plateau import ReduceLROnPlateau
from .schedules import (
    AdafactorSchedule,
    SchedulerType,
    get_adafactor_schedule,
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_reduce_on_plateau_schedule,
    get_scheduler,
    get_wsd_schedule,
)
from .seeding import set_seed
from .trainer import Trainer
from .trainer_state import TrainerControl, TrainerState

__all__ = [
    "SGD",
    "Accelerator",
    "Adafactor",
    "AdafactorSchedule",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamW8bit",
    "Audio",
    "BestRun",
    "CSVLoggerCallback",
    "ClassLabel",
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForPermutationLanguageModeling",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithPadding",
    "DataLoader",
    "Dataset",
    "DatasetDict",
    "DefaultDataCollator",
    "DefaultFlowCallback",
    "EarlyStoppingCallback",
    "EvalPrediction",
    "EvaluationStrategy",
    "HfArgumentParser",
    "Image",
    "IntervalStrategy",
    "IterableDataset",
    "JSONLoggerCallback",
    "MixedPrecision",
    "NotebookProgressCallback",
    "Optimizer",
    "PredictionOutput",
    "PrinterCallback",
    "ProgressCallback",
    "RMSprop",
    "RandomCollator",
    "ReduceLROnPlateau",
    "SchedulerType",
    "TensorBoardCallback",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "clip_grad_norm_",
    "concatenate_datasets",
    "decay_groups",
    "default_compute_objective",
    "default_data_collator",
    "default_hp_space_optuna",
    "first_bad_layer",
    "get_adafactor_schedule",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
    "get_inverse_sqrt_schedule",
    "get_last_checkpoint",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_reduce_on_plateau_schedule",
    "get_scheduler",
    "get_wsd_schedule",
    "half_weights",
    "history_figure",
    "load_dataset",
    "set_seed",
    "watch",
]
