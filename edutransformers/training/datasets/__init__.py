"""Data sets: tables of rows with the names of Hugging Face's `datasets`, from Python values or from files.

To read: dataset.py (the table), looking.py (what comes out), mapping.py (map and filter), reading.py and folders.py
(files).
"""

from .dataset import Dataset, concatenate_datasets
from .dataset_dict import DatasetDict
from .features import Audio, ClassLabel, Image
from .iterable import IterableDataset
from .loading import load_dataset

__all__ = [
    "Audio",
    "ClassLabel",
    "Dataset",
    "DatasetDict",
    "Image",
    "IterableDataset",
    "concatenate_datasets",
    "load_dataset",
]
