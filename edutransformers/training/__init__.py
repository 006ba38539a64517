"""Training: optimizers, schedules, batches, and the Trainer that puts them together.

To read: optimizers/, schedules.py, clipping.py (a step), data.py, collators.py (batches), trainer_loop.py (the loop).
"""

from .argument_parser import HfArgumentParser
from .arguments import EvaluationStrategy, IntervalStrategy, TrainingArguments
from .callbacks import (
    DefaultFlowCallback,
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
)
from .checkpointing import get_last_checkpoint
from .clipping import clip_grad_norm_
from .collators import DataCollatorForLanguageModeling, DataCollatorWithPadding, default_data_collator
from .data import DataLoader
from .mixed_precision import MixedPrecision, half_weights
from .optimizers import AdamW, Optimizer, decay_groups
from .outputs import EvalPrediction, PredictionOutput, TrainOutput
from .schedules import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_scheduler,
)
from .seeding import set_seed
from .trainer import Trainer
from .trainer_state import TrainerControl, TrainerState

__all__ = [
    "AdamW",
    "DataCollatorForLanguageModeling",
    "DataCollatorWithPadding",
    "DataLoader",
    "DefaultFlowCallback",
    "EarlyStoppingCallback",
    "EvalPrediction",
    "EvaluationStrategy",
    "HfArgumentParser",
    "IntervalStrategy",
    "MixedPrecision",
    "Optimizer",
    "PredictionOutput",
    "PrinterCallback",
    "ProgressCallback",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "clip_grad_norm_",
    "decay_groups",
    "default_data_collator",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_inverse_sqrt_schedule",
    "get_last_checkpoint",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_scheduler",
    "half_weights",
    "set_seed",
]
