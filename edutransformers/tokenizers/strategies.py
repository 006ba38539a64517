"""The names of the padding and truncation strategies, and how a call's arguments choose them."""

import warnings
from enum import Enum

# model_max_length of a tokenizer that says nothing about its model; the original writes the same number into its files.
VERY_LARGE_INTEGER = int(1e30)
LARGE_INTEGER = int(1e20)


class PaddingStrategy(str, Enum):
    LONGEST = "longest"
    MAX_LENGTH = "max_length"
    DO_NOT_PAD = "do_not_pad"


class TruncationStrategy(str, Enum):
    ONLY_FIRST = "only_first"
    ONLY_SECOND = "only_second"
    LONGEST_FIRST = "longest_first"
    DO_NOT_TRUNCATE = "do_not_truncate"


def choose_strategies(
    padding,
    truncation,
    max_length: int | None,
    pad_to_multiple_of: int | None,
    model_max_length: int,
    verbose: bool = True,
) -> tuple[PaddingStrategy, TruncationStrategy, int | None]:
    """Turn a call's `padding`, `truncation` and `max_length` into strategies and a length.

    padding      True or "longest", "max_length", False or "do_not_pad"
    truncation   True or "longest_first", "only_first", "only_second", False or None or "do_not_truncate"
    max_length   None stands for the model's longest input; where that is unknown, nothing is padded or truncated to it

    A `max_length` that comes with neither truncation nor padding to it truncates, with a warning, as in the original.
    """
    if max_length is not None and padding is False and truncation is None:
        if verbose:
            _warn_once(
                "truncation-not-explicitly-activated",
                "max_length was given without truncation, so longest_first is used; pass truncation=True to say so.",
            )
        truncation = TruncationStrategy.LONGEST_FIRST
    if padding is True:
        if verbose and max_length is not None and truncation in (None, False, "do_not_truncate"):
            warnings.warn(
                "max_length does nothing with padding=True and no truncation; use padding='max_length' to pad to it.",
                stacklevel=4,
            )
        padding_strategy = PaddingStrategy.LONGEST
    else:
        padding_strategy = _member(PaddingStrategy, padding or "do_not_pad", "padding")
    truncation = "longest_first" if truncation is True else truncation or "do_not_truncate"
    truncation_strategy = _member(TruncationStrategy, truncation, "truncation")

    if max_length is None and model_max_length <= LARGE_INTEGER:
        if (
            padding_strategy is PaddingStrategy.MAX_LENGTH
            or truncation_strategy is not TruncationStrategy.DO_NOT_TRUNCATE
        ):
            max_length = model_max_length
    elif max_length is None:
        if padding_strategy is PaddingStrategy.MAX_LENGTH:
            padding_strategy = PaddingStrategy.DO_NOT_PAD
        truncation_strategy = TruncationStrategy.DO_NOT_TRUNCATE
    if max_length is not None and max_length < 0:
        raise ValueError(f"max_length={max_length} must not be negative.")
    if (
        truncation_strategy is not TruncationStrategy.DO_NOT_TRUNCATE
        and padding_strategy is not PaddingStrategy.DO_NOT_PAD
        and pad_to_multiple_of is not None
        and max_length is not None
        and max_length % pad_to_multiple_of != 0
    ):
        raise ValueError(
            f"Truncating to max_length={max_length} and padding to a multiple of {pad_to_multiple_of} contradict each "
            f"other: make max_length a multiple of {pad_to_multiple_of}."
        )
    return padding_strategy, truncation_strategy, max_length


def _member(strategies: type[Enum], value, argument: str):
    try:
        return strategies(value)
    except ValueError:
        known = ", ".join(repr(strategy.value) for strategy in strategies)
        raise ValueError(f"{argument}={value!r} is not a strategy; use True, False or one of {known}.") from None


_warned: set[str] = set()


def _warn_once(key: str, message: str) -> None:
    if key not in _warned:
        _warned.add(key)
        warnings.warn(message, stacklevel=5)
