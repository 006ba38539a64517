"""How many rows go to training and to the test, and which ones when the classes' shares are to stay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def split_sizes(rows: int, test_size, train_size) -> tuple[int, int]:
    """(rows for training, rows for the test). Shares of the test are rounded up, those of training down."""
    if test_size is None and train_size is None:
        test_size = 0.25
    for name, size in (("test_size", test_size), ("train_size", train_size)):
        if size is None:
            continue
        share, number = isinstance(size, (float, np.floating)), isinstance(size, (int, np.integer))
        if isinstance(size, bool) or not ((share and 0 < size < 1) or (number and 0 < size < rows)):
            raise ValueError(
                f"{name} is {size!r}: expected a share above 0 and below 1, or a number of rows below {rows}"
            )
    test = test_size if test_size is None or isinstance(test_size, (int, np.integer)) else math.ceil(test_size * rows)
    train = (
        train_size if train_size is None or isinstance(train_size, (int, np.integer)) else math.floor(train_size * rows)
    )
    test = rows - train if test is None else test
    train = rows - test if train is None else train
    if train + test > rows:
        raise ValueError(f"{train} rows for training and {test} for the test are more than the {rows} there are")
    if train == 0 or test == 0:
        raise ValueError(f"of {rows} rows, {train} are for training and {test} for the test: neither part may be empty")
    return int(train), int(test)


def stratified_split(classes: Sequence, train: int, test: int, generator: np.random.Generator):
    """(training rows, test rows) in random order, in which every class has about its share of the whole."""
    classes = np.asarray(classes)
    names, members = np.unique(classes, return_counts=True)
    if members.min() < 2:
        rare = names[members.argmin()]
        raise ValueError(f"class {rare} has only one row: to be in both parts, a class needs two")
    if min(train, test) < len(names):
        raise ValueError(f"parts of {train} and {test} rows can't hold each of {len(names)} classes")
    for_train = _shares(members, train, generator)
    for_test = _shares(members - for_train, test, generator)
    parts = [], []
    for name, first, second in zip(names, for_train, for_test):
        rows = generator.permutation(np.flatnonzero(classes == name))
        parts[0].append(rows[:first])
        parts[1].append(rows[first : first + second])
    return tuple(generator.permutation(np.concatenate(part)) for part in parts)


def _shares(members: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """`total` divided in the proportion of `members`, by largest remainders; ties are decided by chance."""
    exact = members / members.sum() * total
    shares = np.floor(exact).astype(int)
    order = generator.permutation(len(members))
    order = order[np.argsort(-(exact - shares)[order], kind="stable")]
    shares[order[: total - shares.sum()]] += 1
    return shares
