"""Training: optimizers, schedules, batches, and the Trainer that puts them together.

To read: optimizers/, schedules.py, clipping.py (a step), data.py, collators.py (batches), trainer_loop.py (the loop).
"""

from .accelerator import Accelerator
from .argument_parser import HfArgumentParser
from .arguments import EvaluationStrategy, IntervalStrategy, TrainingArguments
from .bad_values import first_bad_layer, watch
from .callbacks import (
    DefaultFlowCallback,
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
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
    "Accelerator",
    "AdamW",
    "Audio",
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
    "MixedPrecision",
    "Optimizer",
    "PredictionOutput",
    "PrinterCallback",
    "ProgressCallback",
    "RandomCollator",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "clip_grad_norm_",
    "concatenate_datasets",
    "decay_groups",
    "default_data_collator",
    "first_bad_layer",
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
    "load_dataset",
    "set_seed",
    "watch",
]
