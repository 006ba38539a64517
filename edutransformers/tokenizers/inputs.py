"""What may be passed to a tokenizer as text or as ids, and what is wrong with the rest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_EXPECTED = (
    "text must be a str (one text), a list of str (a batch, or with is_split_into_words=True the words of one text) "
    "or a list of lists of str (a batch of texts split into words)"
)


class Sample(NamedTuple):
    """One text or pair. With is_split_into_words each of the two is a list of words."""

    first: str | Sequence[str]
    second: str | Sequence[str] | None


def read_samples(text, text_pair=None, is_split_into_words: bool = False) -> tuple[list[Sample], bool]:
    """(samples, whether the caller passed a batch). Raises ValueError or TypeError for anything that is no text."""
    if text is None:
        raise ValueError(f"text is None: {_EXPECTED}.")
    _check_type(text, "text")
    if text_pair is not None:
        _check_type(text_pair, "text_pair")
    if is_split_into_words:
        is_batched = isinstance(text, (list, tuple)) and len(text) > 0 and isinstance(text[0], (list, tuple))
    else:
        is_batched = isinstance(text, (list, tuple))
    if not is_batched:
        # An empty second text counts as none, as in the original.
        samples = [Sample(text, text_pair or None)]
    else:
        if len(text) == 0:
            raise ValueError("text is an empty list: there is nothing to tokenize.")
        if text_pair is None:
            samples = [_sample_of_batch(item, is_split_into_words) for item in text]
        else:
            if isinstance(text_pair, str):
                raise TypeError(
                    "text is a batch, so text_pair must be a list of the same length, not one str; repeat it for "
                    "each text."
                )
            if len(text) != len(text_pair):
                raise ValueError(
                    f"text has {len(text)} entries and text_pair {len(text_pair)}; a batch of pairs needs equally many."
                )
            samples = [Sample(first, second) for first, second in zip(text, text_pair)]
    check = _check_words if is_split_into_words else check_text
    for number, sample in enumerate(samples):
        where = f" of sample {number}" if is_batched else ""
        check(sample.first, f"text{where}")
        if sample.second is not None:
            check(sample.second, f"text_pair{where}")
    return samples, is_batched


def _sample_of_batch(item, is_split_into_words: bool) -> Sample:
    """An entry of a batch may itself be a pair: (text, text_pair), or two lists of words."""
    is_pair = isinstance(item, (list, tuple)) and len(item) == 2
    if is_pair and is_split_into_words:
        is_pair = any(isinstance(half, (list, tuple)) for half in item)
    return Sample(*item) if is_pair else Sample(item, None)


def _check_type(value, name: str) -> None:
    if not isinstance(value, (str, list, tuple)):
        raise ValueError(f"{_EXPECTED.replace('text', name, 1)}; got {type(value).__name__} ({str(value)[:40]}).")


def check_text(value, name: str) -> None:
    """Raise ValueError unless `value` is a str without lone surrogates."""
    if not isinstance(value, str):
        if isinstance(value, (list, tuple)):
            raise ValueError(
                f"{name} is a list of {len(value)}, where one str was expected; pass is_split_into_words=True if its "
                "entries are the words of one text."
            )
        raise ValueError(f"{_EXPECTED}; {name} is {type(value).__name__} ({str(value)[:40]}).")
    # str.isascii() costs nothing, encoding finds a lone surrogate ("\\ud83d" without its other half).
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} holds a lone surrogate (U+{ord(value[error.start]):04X} at character {error.start}), which "
                "is no valid Unicode text; replace it, e.g. text.encode('utf-8', 'replace').decode()."
            ) from None


def _check_words(value, name: str) -> None:
    if isinstance(value, str):
        raise ValueError(f"{name} is one str, but is_split_into_words=True needs a list of words; use text.split().")
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{_EXPECTED}; {name} is {type(value).__name__} ({str(value)[:40]}).")
    for number, word in enumerate(value):
        check_text(word, f"word {number} of {name}")


def read_ids(ids) -> list[int]:
    """Ids of one row as Python ints; from a list, an array of any library, or a single id."""
    if hasattr(ids, "tolist"):
        ids = ids.tolist()
    if isinstance(ids, (int, np.integer)):
        return [int(ids)]
    ids = list(ids)
    for i in ids:
        if not isinstance(i, (int, np.integer)) or isinstance(i, bool):
            raise ValueError(
                f"Ids must be whole numbers, but one is {type(i).__name__} ({str(i)[:40]}); for several rows use "
                "batch_decode."
            )
    return [int(i) for i in ids]
