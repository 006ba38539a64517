"""Collators: a list of items becomes one batch of arrays.

An item is a dictionary of one text's (or picture's) inputs: {"input_ids": [...], "label": 1}. A batch is a dictionary
of arrays: {"input_ids": (B, T), "labels": (B,)}, as `model.forward(**batch)` takes it.
"""

from .common import RandomCollator
from .masking import DataCollatorForLanguageModeling, DataCollatorForWholeWordMask
from .padding import DataCollatorWithPadding, DefaultDataCollator, default_data_collator
from .permutation import DataCollatorForPermutationLanguageModeling
from .tasks import DataCollatorForMultipleChoice, DataCollatorForSeq2Seq, DataCollatorForTokenClassification

__all__ = [
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForPermutationLanguageModeling",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "RandomCollator",
    "default_data_collator",
]
